"""docs/protocol.md describes what the program does, so that another implementation can be written from it alone."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import runpy
import sys
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import pytest

from p2p_agents.crypto.words import WORDS
from p2p_agents.errors import peer as peer_faults
from p2p_agents.wire import frame as frames
from p2p_agents.wire import pairing, relay
from p2p_agents.wire.kinds import Kind
from tests import cddl
from tests.wire.test_frame import EXAMPLES as FRAMES
from tests.wire.test_relay import EXAMPLES as MESSAGES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
ENDINGS = {"close_link": 1, "hang_up": 1, "Hangup": 1, "Refuse": 1, "close_links": 2}  # the argument that is the code

BY_HAND = {  # by section: numbers and texts, choices, maps, and the identity log
    "": {"agent-kind", "agent-name", "bytes32", "date", "ms", "uint53"},
    "1.3": {"protected", "signed"},
    "2": {"entry-0", "entry-n", "add-device", "revoke-device", "rotate"},
    "3": {"headers", "place"},
    "6": {"link", "link-frame"},
    "6.2": {"extensions", "token"},
    "8.3": {"echo", "item"},
}


def section(title: str) -> str:
    return PAGE.split(f"### {title}", 1)[1].split("\n## ", 1)[0]


def codes_of(path: Path) -> set[str]:
    """The codes a module ends links and connections with: literals, and constants by their values in any module."""
    found = set()
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in ENDINGS and len(call.args) > ENDINGS[name]:
            code = call.args[ENDINGS[name]]
            if isinstance(code, ast.Constant):
                found.add(str(code.value))
            elif isinstance(code, ast.Name) and code.id.isupper():
                found.add(CONSTANTS[code.id])
    return found


def constants() -> dict[str, str]:
    found = {}
    for path in (
        *[*ROOT.glob("p2p_agents/core/**/*.py"), *ROOT.glob("p2p_agents/node/*.py")],
        ROOT / "p2p_agents/wire/frame.py",
    ):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                found[ast.unparse(node.targets[0])] = node.value.value
    return found


CONSTANTS = constants()


def test_every_code_that_ends_something_stands_on_the_page_and_no_other():
    """A2: REFUSE, CLOSE and the ends of connections."""
    faults = {fault.code for fault in vars(peer_faults).values() if isinstance(fault, type) and hasattr(fault, "code")}
    said = set().union(
        *map(codes_of, [*ROOT.glob("p2p_agents/core/**/*.py"), *ROOT.glob("p2p_agents/node/*.py")])
    ) | faults - {"error"}
    table = section("6.1 Codes of REFUSE, CLOSE")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall("`([a-z_]+)`", " ".join(rows))) == said


def test_the_words_of_codes_are_published_with_their_hash():
    """F1: two programs that hold other words would never meet."""
    published = (ROOT / "docs" / "words.txt").read_bytes()
    assert published.decode().splitlines() == list(WORDS)
    assert hashlib.sha256(published).hexdigest() in PAGE


def test_every_rule_of_the_page_is_one():
    """A2: each name is defined where it is used, and once."""
    for section, name in cddl.RULES:
        assert cddl.RULES.get(section, name) is not None
    assert set(cddl.FRAMES) == {kind.TYPE for kind in get_args(frames.Frame)}
    assert set(cddl.BRIDGE) == set(relay._KINDS)
    assert set(cddl.PAIRING) == set(pairing._KINDS)


def test_every_structure_of_the_page_is_drawn_from_the_code_or_said_to_be_written_by_hand(monkeypatch):
    """A2: nothing is declared in one place and told otherwise in another; scripts/docs --check compares."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    with patch.dict(os.environ):
        script = runpy.run_path(str(ROOT / "scripts" / "docs"))
    drawn = {
        (section, each.name if isinstance(each, Kind) else each.RULE)
        for section, declared in script["RULES"].items()
        for each in declared
    }
    assert drawn <= set(cddl.RULES)
    assert set(cddl.RULES) - drawn == {(section, name) for section, names in BY_HAND.items() for name in names}


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_is_laid_out_as_the_page_says(frame):
    """A2: and what is not is found; tests/sim holds every frame of a simulated node to the same rules."""
    holds(cddl.FRAMES[frame.TYPE], frame.pack())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_of_a_bridge_is_laid_out_as_the_page_says(message):
    """A2"""
    holds(cddl.BRIDGE[message.TYPE], message.pack())


def holds(rule, fields):
    assert rule(fields)
    assert not rule([*fields, 0])
    assert not rule(fields[:-1])
    for place in range(len(fields)):
        wrong = {"no": "such"} if not isinstance(fields[place], dict) else ["no such"]
        assert not rule([*fields[:place], wrong, *fields[place + 1 :]])


def test_a_name_that_nobody_defined_is_found():
    rules = cddl.Rules("## 1 A\n```cddl\na = [b]\nc = [0*2 d: 1..3, ? bytes .size (2 / 4)]\n```\n")
    with pytest.raises(KeyError):
        rules.get("1", "a")
    rule = rules.get("1", "c")
    assert all(map(rule, ([], [1], [1, 3], [1, b"12"], [2, 2, b"1234"])))
    assert not any(map(rule, ([4], [1, 1, 1], [b"123"], [b"12", 1], ["12"], [True], None)))
