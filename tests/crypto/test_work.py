"""Proof of work: found, checked, and valid for one blob on one connection."""

from __future__ import annotations

from p2p_agents.crypto.work import (
    STAMP_BYTES,
    newcomer_bits,
    newcomer_claim,
    seek_stamp,
    work_claim,
    work_done,
)
from tests.stamps import find_stamp

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


def test_a_search_in_pieces_finds_the_same():
    """Work may be left off at any time."""
    claim = work_claim(BRIDGE, CHALLENGE, QUEUE, b"blob")
    found = [stamp for start in range(0, 2**15, 256) if (stamp := seek_stamp(claim, 10, start, 256))]
    assert found[0] == find_stamp(claim, 10)
    assert seek_stamp(claim, 10, 0, 0) is None


def test_a_newcomers_work_serves_once():
    stamp = find_stamp(newcomer_claim(BRIDGE, CHALLENGE, QUEUE, 0), 12)
    for other in (
        newcomer_claim(BRIDGE, CHALLENGE, QUEUE, 1),
        newcomer_claim(BRIDGE, CHALLENGE, BRIDGE, 0),
        newcomer_claim(BRIDGE, QUEUE, QUEUE, 0),
        work_claim(BRIDGE, CHALLENGE, QUEUE, bytes(8)),
    ):
        assert work_done(other, stamp) < 12


def test_a_newcomer_works_more_but_not_without_end():
    assert [newcomer_bits(bits) for bits in (0, 18, 20, 22, 25)] == [4, 22, 22, 22, 25]
