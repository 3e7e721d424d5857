"""Token buckets, and decisions on requests."""

from __future__ import annotations

import pytest

from p2p_agents.limits import (
    CONTROL_FRAME_BYTES,
    CONTROL_FRAMES_BURST,
    REQUESTS_PENDING,
    REQUESTS_PER_MINUTE,
    UNPROVEN_WORK,
)
from p2p_agents.link.admission import WORK, Answer, Bucket, Gate, Policy, RequestDesk, standing_of
from p2p_agents.wire.frame import Credit, Data, Hello, Node, Open, Presence, Stand, Standing
from p2p_agents.wire.framing import frame_bytes


def test_a_bucket_admits_a_burst_and_then_its_rate():
    bucket = Bucket(burst=3, per_s=2)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]
    assert [bucket.take(99.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_fills_no_bucket():
    bucket = Bucket(burst=1, per_s=1)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)


@pytest.mark.parametrize(
    ("policy", "answer"), [(Policy.OPEN, Answer.ACCEPT), (Policy.ASK, Answer.KEEP), (Policy.CLOSED, Answer.DROP)]
)
def test_a_policy_answers_a_stranger(policy, answer):
    """B11"""
    assert RequestDesk().decide(policy, pending=0, known=False, now=0.0) is answer


def test_a_desk_is_not_flooded():
    """Requests: flood from one or many identities stays under quota."""
    desk = RequestDesk()
    answers = [desk.decide(Policy.ASK, pending=0, known=False, now=0.0) for _ in range(REQUESTS_PER_MINUTE * 3)]
    assert answers.count(Answer.KEEP) == REQUESTS_PER_MINUTE
    assert desk.decide(Policy.ASK, pending=0, known=True, now=0.0) is Answer.KEEP
    full = RequestDesk()  # who is kept takes the place of another, at the same pace
    answers = [full.decide(Policy.ASK, pending=REQUESTS_PENDING, known=False, now=0.0, near=True) for _ in range(50)]
    assert answers.count(Answer.KEEP) == REQUESTS_PER_MINUTE


def test_what_is_near_may_ask_more_but_not_everything():
    """Requests: half of what may be pending is left to everybody else."""
    desk = RequestDesk()
    asked = [desk.decide(Policy.ASK, pending=n, known=False, now=0.0, near=True) for n in range(REQUESTS_PENDING)]
    assert asked.count(Answer.KEEP) == REQUESTS_PENDING // 2 + REQUESTS_PER_MINUTE


def test_how_a_stranger_is_regarded():
    """E4"""
    assert standing_of(Policy.CLOSED, accepted=True) is Standing.ACCEPTS
    assert standing_of(Policy.CLOSED, accepted=False) is Standing.CLOSED
    assert standing_of(Policy.ASK, accepted=False) is standing_of(Policy.OPEN, accepted=False) is Standing.ASK


# --- frames, as they arrive ---


def framed(kind: int, size: int = 64) -> bytes:
    return frame_bytes(bytes((0x83, kind)) + bytes(size - 2))


def gate(work: float = 1e6) -> Gate:
    return Gate(Bucket(work, 0.0), Bucket(0.0, 0.0))


@pytest.mark.parametrize("piece", [1, 3, 5, 6, 7, 70, 4096])
def test_frames_are_counted_whatever_the_pieces_they_arrive_in(piece):
    """C1: the allowance is of frames, not of packets."""
    counting, stream = gate(), framed(Open.TYPE, 64) * 300
    passed = 0
    for at in range(0, len(stream), piece):
        if not counting.passes(stream[at : at + piece], 0.0):
            break
        passed = at + piece
    assert CONTROL_FRAMES_BURST * 0.9 < passed / 68 < CONTROL_FRAMES_BURST + 4096 / 68


def test_a_large_frame_counts_as_several_and_a_light_one_as_less():
    counting = gate()
    assert counting.passes(framed(Hello.TYPE, 255 * CONTROL_FRAME_BYTES), 0.0)
    assert not counting.passes(framed(Stand.TYPE), 0.0)
    light = gate()
    assert light.passes(framed(Presence.TYPE) * 16 * 200, 0.0)


def test_data_of_a_contact_is_counted_by_its_credit_alone():
    known, stranger = gate(), gate()
    known.proven = True
    assert known.passes(framed(Data.TYPE, 1000) * 10_000, 0.0)
    assert not stranger.passes(framed(Data.TYPE, 1000) * 10_000, 0.0)


def test_strangers_share_what_they_may_ask_and_contacts_do_not():
    """C1: by the work that is asked, of all their connections together."""
    shared = Bucket(100.0, 10.0)
    greedy, newcomer, contact = (Gate(shared, Bucket(0.0, 0.0)) for _ in range(3))
    contact.proven = True
    asked = 0
    while greedy.passes(framed(Open.TYPE), 0.0):
        asked += 1
    assert asked == (UNPROVEN_WORK + 100) // WORK[Open.TYPE]
    assert all(newcomer.passes(framed(kind, 256), 0.0) for kind in (Node.TYPE, Open.TYPE, Hello.TYPE, Credit.TYPE))
    assert contact.passes(framed(Open.TYPE) * 100, 0.0)
    assert greedy.passes(framed(Open.TYPE), 10.0)


def test_a_long_identity_log_is_paid_for_by_its_bytes():
    """E1: each of its entries is one or two signatures to verify."""
    shared = Bucket(10_000.0, 0.0)
    assert Gate(shared, Bucket(0.0, 0.0)).passes(framed(Hello.TYPE, 100_000), 0.0)
    assert shared.level < 10_000.0 - 300


def passed(counting: Gate, kind: int) -> int:
    """Frames of a kind that pass at once."""
    return next(number for number in range(100_000) if not counting.passes(framed(kind), 0.0))


def test_what_is_near_and_what_contacts_send_is_bounded_by_its_work_beyond_the_frames_of_all():
    """C1: crowds of agents live on one node, and nothing tells them from a flood but what they ask for."""
    far, near, contact = (Gate(Bucket(10_000, 0.0), Bucket(20_000, 0.0), near=near) for near in (False, True, False))
    contact.proven = True
    frames = passed(gate(), Stand.TYPE)
    assert passed(far, Open.TYPE) == frames
    assert 10_000 // 13 <= passed(near, Open.TYPE) <= (UNPROVEN_WORK + 10_000) // 12
    assert frames + 20_000 // 13 <= passed(contact, Open.TYPE) <= frames + 20_000 // 12
    assert passed(Gate(Bucket(10_000, 0.0), Bucket(0.0, 0.0), near=True), Presence.TYPE) < 16 * frames + 10_000
    large = Gate(Bucket(10_000, 0.0), Bucket(0.0, 0.0), near=True)  # and by its bytes, whatever it is
    assert not large.passes(framed(Data.TYPE, 64 * CONTROL_FRAME_BYTES) * 300, 0.0)
