"""Frames cut from a byte stream, in any pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed
from p2p_agents.limits import FRAME_BYTES
from p2p_agents.wire.framing import PREFIX_BYTES, Framer, frame_bytes


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 300), max_size=12))
def test_frames_come_out_as_they_went_in(payloads, cuts):
    stream = b"".join(map(frame_bytes, payloads))
    framer, found = Framer(), []
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    for start, end in itertools.pairwise(places):
        found += framer.feed(stream[start:end])
    assert found == payloads
    assert framer.pending == 0


def test_the_largest_frame_passes_and_a_larger_one_is_refused_by_its_length():
    """A2: before a byte of it was kept."""
    framer = Framer()
    assert framer.feed(frame_bytes(bytes(FRAME_BYTES))) == [bytes(FRAME_BYTES)]
    with pytest.raises(Malformed):
        framer.feed((FRAME_BYTES + 1).to_bytes(PREFIX_BYTES, "big"))
    with pytest.raises(Malformed):
        frame_bytes(bytes(FRAME_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_wait_or_are_refused(data):
    framer = Framer()
    try:
        found = framer.feed(data)
    except Malformed:
        return
    assert sum(PREFIX_BYTES + len(frame) for frame in found) + framer.pending == len(data)
