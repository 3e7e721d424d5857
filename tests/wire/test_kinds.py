"""The kinds of fields on the wire."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import pytest

from p2p_agents.errors import Malformed
from p2p_agents.limits import INT_MAX
from p2p_agents.wire.kinds import Bytes, Custom, Flag, ListOf, Maybe, OneOf, Text, Uint
from tests import cddl


class Side(IntEnum):
    LEFT = 0
    RIGHT = 1


class Way(StrEnum):
    OPEN = "open"
    SHUT = "shut"


CASES = [  # a kind, its rule, what it takes, what it refuses
    (Bytes(), "bytes", [b"", b"x"], ["", None, 1]),
    (Bytes(2), "bytes .size 2", [b"ab"], [b"", b"a", b"abc", "ab", [97, 98]]),
    (Bytes(0, 2), "bytes .size (0 / 2)", [b"", b"ab"], [b"a", "", None]),
    (Bytes(at_most=2), "bytes .size (0..2)", [b"", b"ab"], [b"abc", "ab"]),
    (Uint(), "uint53", [0, INT_MAX], [-1, INT_MAX + 1, True, "0", None]),
    (Uint(5, at_least=2), "2..5", [2, 5], [1, 6, False, b"\x02"]),
    (Text(3), "text .size (0..3)", ["", "abc", "äöü"], ["abcd", b"abc", 1, "\ud800"]),
    (Text(3, at_least=1), "text .size (1..3)", ["a"], ["", "abcd"]),
    (Flag(), "bool", [True, False], [0, 1, None]),
    (OneOf(Side), "0 / 1", [0, 1], [2, -1, True, "0", None]),
    (OneOf(Way), '"open" / "shut"', ["open"], ["ajar", b"open", 0, ["open"]]),
    (Maybe(Uint(5)), "0..5 / null", [0, None], [6, False, ""]),
    (ListOf(Uint(5), 2), "[0*2 0..5]", [[], [1, 2]], [[1, 2, 3], [6], None, {}]),
    (ListOf(Uint(5), 2, at_least=1, label="n"), "[1*2 n: 0..5]", [[1]], [[]]),
    (ListOf(Maybe(Flag()), 1), "[? bool / null]", [[], [None], [True]], [[None, None]]),
]


@pytest.mark.parametrize(("kind", "rule", "good", "bad"), CASES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_kind_takes_what_its_rule_says(kind, rule, good, bad):
    """A2: and writes back what it read."""
    assert kind.drawn() == rule
    read, write = kind.reader("it"), kind.sent
    said = cddl.Rules(f"## 1 A\n```cddl\nit = {rule}\nuint53 = 0..9007199254740991\n```\n").get("1", "it")
    for value in good:
        assert write(read(value)) == value
        assert said(value)
    for value in bad:
        with pytest.raises(Malformed, match="it"):
            read(value)
        assert value == "\ud800" or not said(value)


def test_a_name_stands_for_a_rule():
    assert Bytes(32).drawn() == "bytes32"
    assert (Text(9, name="code").drawn(), Text(9, name="code").rule) == ("code", "text .size (0..9)")


def test_a_kind_of_its_own_reads_and_writes_by_itself():
    kind = Custom("text", int, str)
    assert kind.reader("it")("7") == 7
    assert kind.writer()(7) == "7"
