"""The conversation of two agents."""

from __future__ import annotations

from pathlib import Path

import p2p_agents
from p2p_agents.conversation.direct import DIRECT, direct


def test_both_sides_name_it_alike_and_no_other_pair_does():
    """A1"""
    a, b, c = b"a" * 32, b"b" * 32, b"c" * 32
    assert direct(a, b) == direct(b, a)
    assert len({direct(a, b).id, direct(a, c).id, direct(b, c).id, direct(a, a).id}) == 4


def test_it_is_of_two_or_of_one_with_itself():
    a, b = b"a" * 32, b"b" * 32
    assert (direct(a, b).kind, direct(a, b).members) == (DIRECT, {a, b})
    assert direct(a, b).others(a) == [b]
    assert direct(a, a).others(a) == []


def test_its_id_is_derived_in_one_module():
    """A1: who means a conversation looks it up."""
    home = Path(p2p_agents.__file__).parent
    assert [path.name for path in home.rglob("*.py") if "p2pa/1 dm" in path.read_text()] == ["direct.py"]
