"""Token buckets, and what becomes of requests."""

from __future__ import annotations

import pytest

from p2p_agents.limits import REQUESTS_PENDING, REQUESTS_PER_MINUTE
from p2p_agents.link.admission import Answer, Bucket, Policy, RequestDesk, standing_of
from p2p_agents.wire.frame import Standing


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
    assert RequestDesk().decide(Policy.ASK, pending=REQUESTS_PENDING, known=False, now=0.0) is Answer.DROP


def test_how_a_stranger_is_regarded():
    """E4"""
    assert standing_of(Policy.CLOSED, accepted=True) is Standing.ACCEPTS
    assert standing_of(Policy.CLOSED, accepted=False) is Standing.CLOSED
    assert standing_of(Policy.ASK, accepted=False) is standing_of(Policy.OPEN, accepted=False) is Standing.ASK
