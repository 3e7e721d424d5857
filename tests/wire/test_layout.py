"""One declaration of a structure: it packs, unpacks, bounds and draws it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import pytest

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.kinds import Bytes, Bytes32, ListOf, Text, Uint, Uint53
from p2p_agents.wire.layout import Layout, Typed, Versioned


@dataclass(frozen=True, slots=True)
class Mark(Layout):
    RULE: ClassVar[str] = "mark"
    seq: Uint53
    entry: Bytes32 = field(repr=False)


@dataclass(frozen=True, slots=True)
class Corner(Layout):
    x: Annotated[int, Uint(9)]


@dataclass(frozen=True, slots=True)
class Sheet(Versioned):
    RULE: ClassVar[str] = "sheet"
    CHECKED: ClassVar[bool] = True
    author: Annotated[str, Text(4), "by"]
    marks: Annotated[tuple[Mark, ...], ListOf(Mark, 2)]
    corner: Corner = Corner(0)

    def __post_init__(self) -> None:
        self.check()


@dataclass(frozen=True, slots=True)
class Call(Typed):
    TYPE: ClassVar[int] = 7
    NEXT: ClassVar[tuple[int, ...]] = (0, 3)
    VERSION_AT: ClassVar[int | None] = 2
    RULE: ClassVar[str] = "call"
    body: Annotated[bytes, Bytes(at_most=2)]


SHEET = Sheet("ann", (Mark(5, b"e" * 32),), Corner(3))
PACKED = [1, "ann", [[5, b"e" * 32]], [3]]


def test_what_is_packed_is_unpacked():
    assert SHEET.pack() == PACKED
    assert Sheet.unpack(PACKED) == SHEET
    assert SHEET.encoded() == encode(PACKED)
    assert Sheet.decoded(encode(PACKED)) == SHEET
    assert Sheet.packed("ann", SHEET.marks, Corner(3)) == PACKED
    assert list(Sheet.parts(PACKED)) == ["ann", SHEET.marks, Corner(3)]


def test_it_is_drawn_as_it_is_read():
    """Labels come from the fields; what has a name on the page is called by it, the rest stands where it is used."""
    assert Sheet.rule() == "[1, by: text .size (0..4), [0*2 mark], [x: 0..9]]"
    assert Mark.rule() == "[seq: uint53, entry: bytes32]"
    assert Call.rule() == "[7, 0, 3, body: bytes .size (0..2)]"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        [1],
        [1, "ann", [], [3], 0],
        [1, "annie", [], [3]],
        [1, b"ann", [], [3]],
        [1, "ann", [[5, b"e" * 32]] * 3, [3]],
        [1, "ann", [[-1, b"e" * 32]], [3]],
        [1, "ann", [[5, b"e" * 31]], [3]],
        [1, "ann", [], [10]],
        [1, "ann", [], 3],
    ],
)
def test_anything_else_is_malformed(wrong):
    """A2"""
    with pytest.raises(Malformed):
        Sheet.unpack(wrong)


@pytest.mark.parametrize("number", [0, 2, True, None, "1"])
def test_another_version_is_told_before_anything_else(number):
    """A2: whatever follows it, for a later version may be laid out otherwise."""
    for rest in (PACKED[1:], [], ["ann", "more", "and more"]):
        with pytest.raises(UnknownVersion):
            Sheet.unpack([number, *rest])
    with pytest.raises(UnknownVersion):
        Call.unpack([7, 0, number])


def test_what_stands_behind_the_type_is_looked_at():
    assert Call.unpack([7, 0, 3, b"x"]) == Call(b"x")
    for wrong in ([7, 1, 3, b"x"], [7, False, 3, b"x"]):
        with pytest.raises(Malformed, match="begin"):
            Call.unpack(wrong)


@pytest.mark.parametrize("change", [{"author": "annie"}, {"author": None}, {"marks": (Mark(1, b""),)}])
def test_bounds_hold_when_one_is_built(change):
    """A1: of those that say so."""
    with pytest.raises(Malformed):
        Sheet(**{"author": "ann", "marks": (), **change})


def test_an_error_names_the_field():
    with pytest.raises(Malformed, match="by has 5 characters; at most 4"):
        Sheet.unpack([1, "annie", [], [3]])
