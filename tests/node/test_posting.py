"""How frames for peers' queues become blobs."""

from __future__ import annotations

import dataclasses
import os

from p2p_agents.core.kernel.effects import Post
from p2p_agents.crypto.outer import open_blob
from p2p_agents.limits import BLOB_BYTES, BLOB_FLOOR_BYTES, BLOB_FRAMES, BRIDGE_WAITING_BYTES, KIB
from p2p_agents.node.posting import Posting
from p2p_agents.wire.route import Route

BRIDGE = "bridge://bridge.example:4433#" + "a" * 52
BOB, CAROL = (Route(BRIDGE, name * 32, b"t" * 32, b"k" * 32) for name in (b"b", b"c"))


def post(frame: bytes, route: Route = BOB, incarnation: int = 7) -> Post:
    return Post(route, frame, incarnation, (b"d" * 32, b"p" * 32))


def posting(*posts: Post) -> Posting:
    made = Posting(os.urandom)
    assert all(made.add(each) for each in posts)
    return made


def opened(sealed, route=BOB):
    return open_blob(route.key, route.queue, sealed.blob)


def test_what_comes_together_travels_together():
    """G1: one blob reveals less than many."""
    (sealed,) = posting(post(b"one"), post(b"two")).ready()
    assert opened(sealed) == (7, [b"one", b"two"])
    assert (sealed.queue, sealed.token) == (BOB.queue, BOB.token)
    assert len(sealed.blob) >= BLOB_FLOOR_BYTES


def test_each_queue_has_its_own():
    made = posting(post(b"one"), post(b"two", CAROL))
    one, two = made.ready()
    assert opened(one) == (7, [b"one"])
    assert opened(two, CAROL) == (7, [b"two"])


def test_what_comes_while_a_blob_is_under_way_gathers():
    made = posting(post(b"one"))
    (first,) = made.ready()
    for frame in (b"two", b"three"):
        assert made.add(post(frame))
    assert made.ready() == []
    assert [each.frame for each in made.stored(first.ticket)] == [b"one"]
    (second,) = made.ready()
    assert opened(second) == (7, [b"two", b"three"])
    made.stored(second.ticket)
    assert made.ready() == []
    assert len(made) == 0


def test_of_a_queue_that_is_refused_nothing_goes_ahead():
    """B7: what waits behind it goes back to its sender too, in order."""
    made = posting(post(b"one"), post(b"other", CAROL))
    first, other = made.ready()
    assert made.add(post(b"two"))
    assert [each.frame for each in made.refused(first.ticket)] == [b"one", b"two"]
    assert made.ready() == []
    assert [each.frame for each in made.stored(other.ticket)] == [b"other"]
    assert len(made) == 0


def test_a_blob_keeps_its_bounds():
    made = posting(*(post(b"x" * 100 * KIB) for _ in range(6)))
    frames = []
    while sealed := made.ready():
        assert len(sealed[0].blob) <= BLOB_BYTES
        frames.append(len(opened(sealed[0])[1]))
        made.stored(sealed[0].ticket)
    assert frames == [5, 1]
    made = posting(*(post(b"x") for _ in range(BLOB_FRAMES + 1)))
    (sealed,) = made.ready()
    assert len(opened(sealed)[1]) == BLOB_FRAMES


def test_a_bridge_that_takes_less_is_given_less():
    made = posting(*(post(b"x" * 3_000) for _ in range(4)))
    (sealed,) = made.ready(8_200)
    assert len(opened(sealed)[1]) == 2


def test_frames_of_two_runs_of_the_node_share_no_blob():
    made = posting(post(b"one"), post(b"two", incarnation=8))
    (sealed,) = made.ready()
    assert opened(sealed) == (7, [b"one"])


def test_what_waits_is_bounded_and_has_room_again():
    made = Posting(os.urandom)
    each = post(b"x" * KIB * 256)
    count = sum(made.add(each) for _ in range(BRIDGE_WAITING_BYTES // len(each.frame) + 5))
    assert count == BRIDGE_WAITING_BYTES // len(each.frame)
    (sealed,) = made.ready()
    made.refused(sealed.ticket)
    assert len(made) == 0
    assert made.add(each)


def test_what_nobody_will_answer_for_is_given_back():
    made = posting(post(b"one"))
    made.ready()
    made.add(post(b"two"))
    assert [each.frame for each in made.drain()] == [b"one", b"two"]
    assert len(made) == 0


def test_an_answer_to_what_was_never_sent_is_nobodys():
    assert posting(post(b"one")).stored(99) == []


def test_a_request_travels_alone():
    """Two of one node's agents that ask the same peer are two strangers to it."""
    made = posting(*(dataclasses.replace(post(name), public=True) for name in (b"one", b"two")))
    (first,) = made.ready()
    assert first.public
    assert opened(first) == (7, [b"one"])
    made.stored(first.ticket)
    (second,) = made.ready()
    assert opened(second) == (7, [b"two"])
