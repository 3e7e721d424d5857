"""When a bridge trusts its clock that blobs are old."""

from __future__ import annotations

from bridge.clock import ClockTrust, now_ms
from p2p_agents.limits import CLOCK_TRUST_S

START = 1_700_000_000_000
YEAR = 365 * 86_400_000


def test_a_clock_is_believed_ten_minutes_after_the_start():
    trust = ClockTrust(START, 50.0)
    assert not trust.trusts(START + 599_000, 649.0)
    assert trust.trusts(START + 600_000, 50.0 + CLOCK_TRUST_S)


def test_a_jump_is_believed_after_ten_minutes_only():
    """B12: a clock that jumps destroys nothing."""
    trust = ClockTrust(START, 0.0)
    assert trust.trusts(START + 1_000_000, 1_000.0)
    assert not trust.trusts(START + YEAR, 1_015.0)
    assert not trust.trusts(START + YEAR + 590_000, 1_605.0)
    assert trust.trusts(START + YEAR + 600_000, 1_615.0)
    assert not trust.trusts(START + 1_700_000, 1_630.0)


def test_a_slow_drift_is_none():
    trust = ClockTrust(START, 0.0)
    assert all(trust.trusts(START + n * 16_000, n * 15.0) for n in range(40, 200))


def test_now_is_in_this_century():
    assert 1_600_000_000_000 < now_ms() < 4_000_000_000_000
