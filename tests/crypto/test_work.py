"""Proof of work: found, checked, and good for one blob on one connection."""

from __future__ import annotations

from p2p_agents.crypto.work import STAMP_BYTES, find_stamp, work_claim, work_done

BRIDGE, CHALLENGE, QUEUE = b"b" * 32, b"c" * 32, b"q" * 32


def test_work_is_found_and_holds():
    claim = work_claim(BRIDGE, CHALLENGE, QUEUE, b"blob")
    stamp = find_stamp(claim, 12)
    assert len(stamp) == STAMP_BYTES
    assert work_done(claim, stamp) >= 12


def test_work_serves_once():
    stamp = find_stamp(work_claim(BRIDGE, CHALLENGE, QUEUE, b"blob"), 12)
    for other in (
        work_claim(CHALLENGE, BRIDGE, QUEUE, b"blob"),
        work_claim(BRIDGE, BRIDGE, QUEUE, b"blob"),
        work_claim(BRIDGE, CHALLENGE, BRIDGE, b"blob"),
        work_claim(BRIDGE, CHALLENGE, QUEUE, b"another"),
    ):
        assert work_done(other, stamp) < 12


def test_no_work_is_nothing():
    claim = work_claim(BRIDGE, CHALLENGE, QUEUE, b"blob")
    assert find_stamp(claim, 0) == bytes(STAMP_BYTES)
