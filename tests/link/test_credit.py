"""Credit of one link, both sides of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Flood
from p2p_agents.limits import CREDIT_POOL_BYTES, LINK_CREDIT_BYTES, LINK_CREDIT_LEAST_BYTES, SESSION_FRAME_BYTES
from p2p_agents.link.credit import Allowance, Meter, window_for


def test_a_grant_is_never_taken_back():
    """C1: grants may overtake each other."""
    allowance = Allowance()
    allowance.grant(100)
    allowance.sent = 30
    allowance.grant(50)
    assert allowance.left == 70


def test_more_than_granted_is_a_flood():
    """C1: to the byte."""
    meter = Meter()
    total = meter.renew()
    meter.take(total)
    with pytest.raises(Flood):
        meter.take(1)


def test_nothing_was_granted_before_the_first_grant():
    """C1"""
    with pytest.raises(Flood):
        Meter().take(1)


@given(st.lists(st.integers(1, SESSION_FRAME_BYTES), max_size=40), st.sampled_from([1, 64, 90, 4_096]))
def test_a_sender_that_waits_for_credit_never_waits_for_ever(sizes, links):
    """C1: half a window is always left, however many links share the pool."""
    meter, allowance = Meter(window_for(links)), Allowance()
    for size in sizes:
        total = meter.renew()
        if total is not None:
            allowance.grant(total)
        assert allowance.left >= size
        allowance.sent += size
        meter.take(size)


def test_a_pool_is_shared_down_to_what_the_largest_frame_needs():
    """C1"""
    assert window_for(0) == window_for(1) == LINK_CREDIT_BYTES
    assert window_for(80) == CREDIT_POOL_BYTES // 80
    assert window_for(10_000) == LINK_CREDIT_LEAST_BYTES
    assert window_for(10_000) // 2 == SESSION_FRAME_BYTES
