"""Early frames, kept within limits."""

from __future__ import annotations

from p2p_agents.crypto.ratchet import Frame
from p2p_agents.limits import GAP_BYTES, GAP_CANDIDATES, GAP_FRAMES
from p2p_agents.link.gaps import GapBuffer


def early(turn, n, mark=0, size=300):
    return Frame(b"s" * 32, turn, n, b"", bytes(24), b"", mark.to_bytes(32, "big"), size)


def test_a_forgery_does_not_displace_the_real_frame():
    """B5: several candidates for one position; only the ratchet can tell."""
    gaps = GapBuffer()
    frames = [early(0, 3, mark) for mark in range(GAP_CANDIDATES)]
    assert all(gaps.keep(frame) for frame in frames)
    assert not gaps.keep(early(0, 3, 99))
    assert gaps.take(((0, 3),)) == frames
    assert gaps.take(((0, 3),)) == []


def test_the_same_frame_is_kept_once():
    """B5"""
    gaps = GapBuffer()
    assert gaps.keep(early(0, 1))
    assert gaps.keep(early(0, 1))
    assert len(gaps.take(((0, 1),))) == 1


def test_positions_are_bounded():
    """B5"""
    gaps = GapBuffer()
    assert all(gaps.keep(early(0, n)) for n in range(GAP_FRAMES))
    assert not gaps.keep(early(0, GAP_FRAMES))
    assert len(gaps) == GAP_FRAMES


def test_bytes_are_bounded_and_given_back():
    """B5"""
    gaps = GapBuffer()
    half = GAP_BYTES // 2
    assert gaps.keep(early(0, 1, 1, half))
    assert gaps.keep(early(0, 2, 2, half))
    assert not gaps.keep(early(0, 3, 3, 1))
    gaps.take(((0, 1), (2, 0)))
    assert gaps.keep(early(0, 3, 3, half))


def test_it_keeps_ciphertext_only():
    """B5: no message key is derived ahead of its turn, so nothing here needs forgetting."""
    gaps = GapBuffer()
    gaps.keep(early(0, 1))
    assert [type(frame) for frame in gaps.take(((0, 1),))] == [Frame]
