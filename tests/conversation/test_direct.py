"""The conversation of two agents."""

from __future__ import annotations

from p2p_agents.conversation.direct import direct_id


def test_both_sides_name_it_alike_and_no_other_pair_does():
    """A1"""
    a, b, c = b"a" * 32, b"b" * 32, b"c" * 32
    assert direct_id(a, b) == direct_id(b, a)
    assert len({direct_id(a, b), direct_id(a, c), direct_id(b, c), direct_id(a, a)}) == 4
