"""Clocks that jump, machines that sleep: when the wall may be believed."""

from __future__ import annotations

import time

import pytest

from p2p_agents.limits import CLOCK_JUMP_MS, CLOCK_TRUST_S
from p2p_agents.node.clock import SystemClock, Trusted


class Hands:
    """A machine's three clocks, moved by hand: seconds since boot, of them asleep, and the wall's error."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asleep = 0.0
        self.error_ms = 0

    def wall_ms(self) -> int:
        return 1_800_000_000_000 + int(self.now * 1000) + self.error_ms

    def monotonic(self) -> float:
        return self.now - self.asleep

    def boot(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_a_wall_that_goes_with_the_time_is_believed(hands: Hands) -> None:
    trusted = Trusted(hands)
    for _ in range(100):
        hands.now += 60
        assert trusted.look()


@pytest.mark.parametrize("jump_ms", [CLOCK_JUMP_MS + 1, -CLOCK_JUMP_MS - 1, 10**12, -(10**12)])
def test_a_jump_is_doubted_for_ten_minutes(hands: Hands, jump_ms: int) -> None:
    """B12: forwards and backwards."""
    trusted = Trusted(hands)
    hands.error_ms = jump_ms
    assert not trusted.look()
    hands.now += CLOCK_TRUST_S - 1
    assert not trusted.look()
    hands.now += 1
    assert trusted.look()


def test_a_small_correction_is_none(hands: Hands) -> None:
    trusted = Trusted(hands)
    hands.error_ms = CLOCK_JUMP_MS
    assert trusted.look()


def test_many_small_steps_are_no_jump(hands: Hands) -> None:
    """A clock that is slewed is compared with its last look, not with the first."""
    trusted = Trusted(hands)
    for _ in range(20):
        hands.error_ms += CLOCK_JUMP_MS // 2
        hands.now += 1
        assert trusted.look()


def test_a_second_jump_starts_the_ten_minutes_anew(hands: Hands) -> None:
    trusted = Trusted(hands)
    hands.error_ms = 2 * CLOCK_JUMP_MS
    assert not trusted.look()
    hands.now += CLOCK_TRUST_S - 1
    hands.error_ms = 0
    assert not trusted.look()
    hands.now += CLOCK_TRUST_S - 1
    assert not trusted.look()


def test_a_peer_that_agrees_ends_the_doubt(hands: Hands) -> None:
    """B12."""
    trusted = Trusted(hands)
    hands.error_ms = 10 * CLOCK_JUMP_MS
    assert not trusted.look()
    trusted.confirm(hands.wall_ms() - CLOCK_JUMP_MS - 1)
    assert not trusted.look()
    trusted.confirm(hands.wall_ms() - CLOCK_JUMP_MS)
    assert trusted.look()


def test_sleep_is_noticed_once_and_is_no_jump(hands: Hands) -> None:
    trusted = Trusted(hands)
    assert not trusted.slept()
    hands.now += 3600
    hands.asleep += 3600
    assert trusted.slept()
    assert not trusted.slept()
    assert trusted.look()


def test_the_system_clock_tells_this_machines_time() -> None:
    clock = SystemClock()
    assert abs(clock.wall_ms() - time.time() * 1000) < 5_000
    first = clock.monotonic(), clock.boot()
    assert first <= (clock.monotonic(), clock.boot())
