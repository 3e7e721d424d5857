"""Comparing two views of one session."""

from __future__ import annotations

import pytest

from p2p_agents.link.reconcile import MyView, Outcome, common_heal, compare
from p2p_agents.wire.claims import SessionView

H, OTHER = b"h" * 32, b"o" * 32


def mine(confirmed=True, sent=5, acked=3, received=4, at=H):
    return MyView(confirmed, sent, acked, received, at)


def theirs(sent=4, received=4, digest=H):
    return SessionView(b"s" * 32, sent, received, digest, ())


@pytest.mark.parametrize(
    ("my_view", "their_view", "outcome"),
    [
        (mine(), theirs(), Outcome.GO_ON),
        (mine(), theirs(sent=9), Outcome.GO_ON),
        (mine(received=0), theirs(sent=0, received=3), Outcome.GO_ON),
        (mine(confirmed=False), None, Outcome.UNBORN),
        (mine(), None, Outcome.PEER_FORGOT),
        (mine(), theirs(received=6), Outcome.I_ROLLED_BACK),
        (mine(), theirs(received=2), Outcome.PEER_ROLLED_BACK),
        (mine(), theirs(sent=3), Outcome.PEER_ROLLED_BACK),
        (mine(), theirs(digest=OTHER), Outcome.PARTED),
        (mine(at=None), theirs(), Outcome.PARTED),
    ],
)
def test_two_views(my_view, their_view, outcome):
    """B3, B5: only these disagreements end a session."""
    assert compare(my_view, their_view) is outcome
    assert outcome.rollback == (outcome not in (Outcome.GO_ON, Outcome.UNBORN))


def test_the_newest_common_secret_heals():
    """D3"""
    assert common_heal((2, 3), (3, 4)) == 3
    assert common_heal((1, 2), (3, 4)) is None
    assert common_heal((), ()) is None
