"""Clocks that jump, machines that sleep: when the wall clock can be trusted."""

from __future__ import annotations

import time

import pytest

from p2p_agents.core.kernel.clock import Lived, Trusted
from p2p_agents.limits import CLOCK_JUMP_MS, CLOCK_TRUST_S
from p2p_agents.node.machine import SystemClock
from p2p_agents.store.lived import Mark

NEW = Mark(1, "", 0, 0)  # of a store that was made now


class Hands:
    """A machine's three clocks, set by hand: seconds since boot, seconds of these asleep, and the wall clock's
    error."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asleep = 0.0
        self.error_ms = 0
        self.started = "once"

    def wall_ms(self) -> int:
        return 1_800_000_000_000 + int(self.now * 1000) + self.error_ms

    def monotonic(self) -> float:
        return self.now - self.asleep

    def boot(self) -> float:
        return self.now

    def boot_id(self) -> str:
        return self.started


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_a_wall_that_goes_with_the_time_is_believed(hands: Hands) -> None:
    trusted = Trusted(hands, NEW)
    for _ in range(100):
        hands.now += 60
        assert trusted.look()


@pytest.mark.parametrize("jump_ms", [CLOCK_JUMP_MS + 1, -CLOCK_JUMP_MS - 1, 10**12, -(10**12)])
def test_a_jump_is_doubted_for_ten_minutes(hands: Hands, jump_ms: int) -> None:
    """B12: forwards and backwards."""
    trusted = Trusted(hands, NEW)
    hands.error_ms = jump_ms
    assert not trusted.look()
    hands.now += CLOCK_TRUST_S - 1
    assert not trusted.look()
    hands.now += 1
    assert trusted.look()


def test_a_small_correction_is_none(hands: Hands) -> None:
    trusted = Trusted(hands, NEW)
    hands.error_ms = CLOCK_JUMP_MS
    assert trusted.look()


def test_many_small_steps_are_no_jump(hands: Hands) -> None:
    """A clock that is slewed is compared with the previous look, not with the first."""
    trusted = Trusted(hands, NEW)
    for _ in range(20):
        hands.error_ms += CLOCK_JUMP_MS // 2
        hands.now += 1
        assert trusted.look()


def test_a_second_jump_starts_the_ten_minutes_anew(hands: Hands) -> None:
    trusted = Trusted(hands, NEW)
    hands.error_ms = 2 * CLOCK_JUMP_MS
    assert not trusted.look()
    hands.now += CLOCK_TRUST_S - 1
    hands.error_ms = 0
    assert not trusted.look()
    hands.now += CLOCK_TRUST_S - 1
    assert not trusted.look()


def test_a_peer_that_agrees_ends_the_doubt(hands: Hands) -> None:
    """B12."""
    trusted = Trusted(hands, NEW)
    hands.error_ms = 10 * CLOCK_JUMP_MS
    assert not trusted.look()
    trusted.confirm(hands.wall_ms() - CLOCK_JUMP_MS - 1)
    assert not trusted.look()
    trusted.confirm(hands.wall_ms() - CLOCK_JUMP_MS)
    assert trusted.look()


def test_sleep_is_noticed_once_and_is_no_jump(hands: Hands) -> None:
    trusted = Trusted(hands, NEW)
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


def test_a_jump_over_a_restart_is_doubted_too(hands: Hands) -> None:
    """B12: the clock was moved while no node ran."""
    hands.now += 100
    mark = Lived(hands, NEW).mark()
    assert Trusted(hands, mark).look()
    hands.error_ms = 20 * 86_400_000
    trusted = Trusted(hands, mark)
    assert not trusted.look()
    hands.now += CLOCK_TRUST_S
    assert trusted.look()


def test_what_the_clock_says_after_the_machine_was_off_is_doubted(hands: Hands) -> None:
    """B12: nothing here saw that time pass."""
    mark = Lived(hands, NEW).mark()
    hands.started = "again"
    trusted = Trusted(hands, mark)
    assert not trusted.look()
    trusted.confirm(hands.wall_ms())
    assert trusted.look()


def test_time_is_counted_as_it_passes_and_not_as_the_wall_tells_it(hands: Hands) -> None:
    """B12: awake, asleep, and between two runs on one start of the machine."""
    lived = Lived(hands, NEW)
    hands.now += 10
    hands.asleep += 5
    hands.error_ms = 10**12
    assert lived.now_ms() == 10_001
    mark = lived.mark()
    hands.now += 20
    assert Lived(hands, mark).now_ms() == 30_001


def test_time_in_which_the_machine_was_off_is_not_counted(hands: Hands) -> None:
    """B12: only a wall clock could tell whether it was an hour or a year."""
    lived = Lived(hands, NEW)
    hands.now += 10
    mark = lived.mark()
    hands.started = "again"
    hands.error_ms += 86_400_000
    hands.now = 3.0
    again = Lived(hands, mark)
    assert again.now_ms() == 10_001
    hands.now += 1
    assert again.now_ms() == 11_001
    hands.started = ""
    assert Lived(hands, again.mark()).now_ms() == 11_001
