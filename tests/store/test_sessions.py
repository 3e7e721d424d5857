"""Sessions, frames in flight, digests of received ones, counters of pairs."""

from __future__ import annotations

import pytest

from p2p_agents.limits import UNACKED_FRAMES
from p2p_agents.store import sessions
from p2p_agents.store.sessions import SentFrame

SID, OURS, THEIRS = b"s" * 32, b"o" * 32, b"t" * 32


@pytest.fixture
def flight(db):
    """Four frames in flight: two of turn 0, two of turn 2."""
    for pos, (turn, n) in enumerate([(0, 0), (0, 1), (2, 0), (2, 1)]):
        digest = bytes([pos]) * 32
        sessions.keep_frame(db, SID, SentFrame(pos, turn, n, digest, (pos,), 10), b"frame %d" % pos)


def test_an_acknowledgement_covers_all_before_it(db, flight):
    """B3: turns count before positions in them."""
    assert [frame.pos for frame in sessions.frames_through(db, SID, 2, 0)] == [0, 1, 2]
    assert [frame.pos for frame in sessions.frames_through(db, SID, 0, 9)] == [0, 1]
    sessions.forget_frames(db, SID, 1)
    assert sessions.frame_at(db, SID, 1) is None
    assert sessions.frame_at(db, SID, 2) == b"frame 2"
    assert sessions.hash_at(db, SID, 3) == bytes([2]) * 32
    assert sessions.hash_at(db, SID, 2) is None


def test_digests_of_received_frames_are_kept_for_two_windows(db):
    """B3: a replay can be told from a rollback for as long as it can come."""
    for pos in range(3 * UNACKED_FRAMES):
        sessions.note_received(db, SID, pos, 0, pos, pos.to_bytes(32, "big"))
    newest = 3 * UNACKED_FRAMES - 1
    assert sessions.received_digest(db, SID, 0, newest) == newest.to_bytes(32, "big")
    assert sessions.received_digest(db, SID, 0, newest - 2 * UNACKED_FRAMES + 1) is not None
    assert sessions.received_digest(db, SID, 0, 0) is None


def test_a_dropped_session_leaves_nothing(db, flight):
    """B2, D4"""
    sessions.note_received(db, SID, 0, 1, 0, bytes(32))
    sessions.drop(db, SID)
    for table in ("sessions", "frames", "received"):
        assert db.one(f"SELECT count(*) FROM {table}") == (0,)


def test_pairs_remember_what_never_goes_back(db):
    """D3: gens and stamps outlive their sessions."""
    assert sessions.pair(db, OURS, THEIRS).gen_seen == 0
    assert not sessions.ever_met(db, OURS, b"peer")
    sessions.note_pair(db, OURS, THEIRS, b"peer", gen_seen=7)
    sessions.note_pair(db, OURS, THEIRS, b"peer", stamp_sent=9, heard_ms=3)
    found = sessions.pair(db, OURS, THEIRS)
    assert (found.gen_seen, found.stamp_sent, found.heard_ms) == (7, 9, 3)
    assert sessions.ever_met(db, OURS, b"peer")
    assert sessions.peer_devices(db, OURS, b"peer") == [THEIRS]
    with pytest.raises(AssertionError):
        sessions.note_pair(db, OURS, THEIRS, b"peer", anything=1)
