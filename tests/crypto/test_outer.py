"""The outer seal: what a bridge stores reveals neither the sender nor the size."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.outer import blob_size, open_blob, queue_name, seal_blob, token_hash
from p2p_agents.errors import BadSeal, Malformed
from p2p_agents.limits import BLOB_BYTES, BLOB_FLOOR_BYTES, BLOB_FRAMES, BODY_BYTES

KEY, OTHER = b"k" * 32, b"o" * 32
QUEUE = queue_name(b"r" * 32)


def seal(*frames: bytes) -> bytes:
    return seal_blob(KEY, QUEUE, 7, frames, os.urandom(24))


@given(st.lists(st.binary(max_size=2_000), max_size=8))
def test_what_was_sealed_opens(frames):
    assert open_blob(KEY, QUEUE, seal(*frames)) == (7, frames)


def test_short_blobs_all_look_alike():
    """G1: a floor of 4 KiB: a first flight is as long as a word."""
    assert len({len(seal(bytes(n))) for n in range(0, BLOB_FLOOR_BYTES - 16, 50)}) == 1
    assert len(seal(b"", b"", b"x" * 1_335)) == len(seal(b"y")) > BLOB_FLOOR_BYTES


def test_the_same_frames_never_look_the_same():
    assert seal(b"frame") != seal(b"frame")


@pytest.mark.parametrize("place", [0, 23, 24, 2_000, -1])
def test_a_flipped_bit_opens_nothing(place):
    sealed = bytearray(seal(b"frame"))
    sealed[place] ^= 1
    with pytest.raises(BadSeal):
        open_blob(KEY, QUEUE, bytes(sealed))


def test_a_blob_moved_to_another_queue_opens_nothing():
    """A bridge that swaps queues is noticed, even between two that share a key."""
    with pytest.raises(BadSeal):
        open_blob(KEY, queue_name(b"s" * 32), seal(b"frame"))


def test_another_key_opens_nothing():
    with pytest.raises(BadSeal):
        open_blob(OTHER, QUEUE, seal(b"frame"))


@given(st.binary(max_size=100))
def test_garbage_opens_nothing(garbage):
    with pytest.raises(BadSeal):
        open_blob(KEY, QUEUE, garbage)


def test_a_writer_cannot_make_the_reader_decode_more_than_it_may():
    with pytest.raises(Malformed):
        open_blob(KEY, QUEUE, seal(*[b""] * (BLOB_FRAMES + 1)))


def test_the_largest_frame_fits_and_its_size_is_known():
    assert len(seal(bytes(BODY_BYTES + 64 * 1_024))) <= BLOB_BYTES
    frame = bytes(70_000)
    assert blob_size(len(frame) + 8) == len(seal(frame))


def test_names_and_hashes_do_not_run_into_each_other():
    assert queue_name(KEY) != token_hash(KEY)
