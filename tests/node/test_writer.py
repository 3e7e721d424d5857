"""Turns of the decider: order, outcomes after the commit, what leaves the loop's thread, and how it fails."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.errors import BadParams, Bug, StoreFull
from p2p_agents.node import writer as writing
from p2p_agents.node.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from p2p_agents.core.kernel.core import Core


class Told:
    """What the loop received."""

    def __init__(self) -> None:
        self.effects: list[Any] = []
        self.deaths = 0

    def died(self) -> None:
        self.deaths += 1


def play(core: Core, script: Callable[[Writer, Told], Coroutine[Any, Any, Any]]) -> Told:
    """Run the script beside a started writer, then stop it."""
    told = Told()

    async def run() -> None:
        writer = Writer(core, asyncio.get_running_loop(), told.effects.extend, told.died)
        writer.start()
        await script(writer, told)
        await writer.stop()

    asyncio.run(run())
    return told


def remember(number: int) -> Callable[[Core], int]:
    def item(core: Core) -> int:
        core.db.remember("number", number)
        return number

    return item


def fails(error: Exception) -> Callable[[Core], None]:
    def item(core: Core) -> None:
        core.db.remember("number", 666)
        raise error

    return item


def test_items_run_in_order_and_return_what_they_return(core: Core) -> None:
    async def script(writer: Writer, told: Told) -> None:
        assert await asyncio.gather(*(writer.call(remember(n)) for n in range(1000))) == list(range(1000))
        assert await writer.call(lambda core: core.db.remembered("number")) == 999

    play(core, script)


def test_an_outcome_is_told_after_its_commit_and_its_effects(core: Core) -> None:
    """A6: nobody is told before the commit."""
    heard: list[tuple[bool, int]] = []

    def item(core: Core) -> None:
        core.effect(PeersChanged())

    async def script(writer: Writer, told: Told) -> None:
        done = asyncio.Event()

        def note(outcome: Any) -> None:
            heard.append((core.db.in_transaction, len(told.effects)))
            done.set()

        writer.submit(item, note)
        await done.wait()

    play(core, script)
    assert heard == [(False, 1)]


def test_a_failed_item_spares_its_neighbours(core: Core) -> None:
    async def script(writer: Writer, told: Told) -> None:
        good, bad, bug, last = (
            writer.call(remember(1)),
            writer.call(fails(BadParams("no"))),
            writer.call(fails(ZeroDivisionError("oops"))),
            writer.call(lambda core: core.db.remembered("number")),
        )
        assert await good == 1
        with pytest.raises(BadParams, match="no"):
            await bad
        with pytest.raises(Bug, match="ZeroDivisionError"):
            await bug
        assert await last == 1

    play(core, script)


def test_when_the_store_fails_every_item_of_the_batch_learns_it(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A6: and nothing of it has happened."""

    def full() -> None:
        raise StoreFull

    async def script(writer: Writer, told: Told) -> None:
        await writer.call(remember(1))
        monkeypatch.setattr(core.db, "commit", full)
        outcomes = await asyncio.gather(*(writer.call(remember(n)) for n in (2, 3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreFull, StoreFull]
        monkeypatch.undo()
        assert await writer.call(lambda core: core.db.remembered("number")) == 1

    assert play(core, script).deaths == 0


def test_a_caller_that_gave_up_is_not_told(core: Core) -> None:
    async def script(writer: Writer, told: Told) -> None:
        future = writer.call(remember(7))
        future.cancel()
        assert await writer.call(lambda core: core.db.remembered("number")) == 7

    play(core, script)


def test_maintenance_runs_outside_any_transaction_and_its_failure_ends_nothing(core: Core) -> None:
    seen: list[bool] = []

    def work(core: Core) -> None:
        seen.append(core.db.in_transaction)
        raise StoreFull

    async def script(writer: Writer, told: Told) -> None:
        writer.maintain(work)
        assert await writer.call(remember(3)) == 3

    play(core, script)
    assert seen == [False]


def test_stopping_finishes_what_is_queued(core: Core) -> None:
    async def script(writer: Writer, told: Told) -> None:
        for number in range(100):
            writer.submit(remember(number))

    play(core, script)
    assert core.db.remembered("number") == 99


def test_a_writer_that_dies_leaves_nobody_waiting(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch in progress and what is queued behind it fail at once; the node is told."""

    def breaks() -> None:
        raise RuntimeError("a fault nobody foresaw")

    async def script(writer: Writer, told: Told) -> None:
        assert await writer.call(remember(1)) == 1
        monkeypatch.setattr(core.db, "begin", breaks)
        calls = [writer.call(remember(n)) for n in range(600)]
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Bug}

    assert play(core, script).deaths == 1


def test_what_nobody_hurries_joins_the_next_item_s_transaction(core: Core) -> None:
    batches: list[int] = []

    def item(core: Core) -> None:
        core.effect(PeersChanged())
        batches.append(len(core.effects))  # effects leave with their batch

    async def script(writer: Writer, told: Told) -> None:
        writer.later(item)
        await writer.call(item)
        await writer.call(item, hurry=False)

    play(core, script)
    assert batches == [1, 2, 1]


# --- what leaves the loop's thread ---


def threads(core: Core, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each commit, whether it ran in the loop's thread."""
    loops, real, found = threading.current_thread(), core.db.commit, []

    def commit() -> None:
        found.append(threading.current_thread() is loops)
        real()

    monkeypatch.setattr(core.db, "commit", commit)
    return found


def test_on_a_quick_disk_no_thread_is_used(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLOW_COMMIT_S", math.inf)
    commits = threads(core, monkeypatch)

    async def script(writer: Writer, told: Told) -> None:
        await writer.call(remember(1))
        await writer.call(remember(2))

    play(core, script)
    assert commits == [True, True]


def test_after_a_slow_commit_the_next_ones_leave_the_loop_to_packets(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = threads(core, monkeypatch)
    released = threading.Event()
    committed = core.db.commit

    def stuck() -> None:
        assert released.wait(10)
        committed()

    async def script(writer: Writer, told: Told) -> None:
        await writer.call(remember(1))
        monkeypatch.setattr(writing, "SLOW_COMMIT_S", -1.0)  # whatever the last one took was too long
        monkeypatch.setattr(core.db, "commit", stuck)
        stored, behind = writer.call(remember(2)), writer.call(remember(3))
        await asyncio.sleep(0)
        later = writer.call(remember(4))
        await asyncio.sleep(0)  # the loop goes on while the disk does not
        assert not stored.done()
        released.set()
        assert await asyncio.gather(stored, behind, later) == [2, 3, 4]

    play(core, script)
    assert commits == [True, False, False]


def test_a_disk_that_recovered_is_trusted_again(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(writing, "monotonic", lambda: now)
    commits = threads(core, monkeypatch)
    committed = core.db.commit

    def slow() -> None:
        nonlocal now
        now += 1.0
        committed()

    async def script(writer: Writer, told: Told) -> None:
        nonlocal now
        monkeypatch.setattr(core.db, "commit", slow)
        await writer.call(remember(1))
        monkeypatch.setattr(core.db, "commit", committed)
        for number in range(2, 40):
            await writer.call(remember(number))

    play(core, script)
    assert commits[:2] == [True, False]
    assert commits[-1]


def test_one_commit_that_took_a_little_long_is_chance(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(writing, "monotonic", lambda: now)
    commits = threads(core, monkeypatch)
    committed = core.db.commit

    def longer() -> None:
        nonlocal now
        now += 2 * writing.SLOW_COMMIT_S
        committed()

    async def script(writer: Writer, told: Told) -> None:
        monkeypatch.setattr(core.db, "commit", longer)
        await writer.call(remember(1))
        monkeypatch.setattr(core.db, "commit", committed)
        await writer.call(remember(2))

    play(core, script)
    assert commits == [True, True]


def test_long_work_runs_in_a_thread_and_keeps_its_place(core: Core) -> None:
    seen: list[tuple[int, bool]] = []
    loops, released = threading.current_thread(), threading.Event()

    def note(number: int) -> Callable[[Core], None]:
        return lambda core: seen.append((number, threading.current_thread() is loops))

    def long(core: Core) -> None:
        assert released.wait(10)
        note(2)(core)

    async def script(writer: Writer, told: Told) -> None:
        calls = [writer.call(note(1)), writer.call(long, long=True), writer.call(note(3))]
        await asyncio.wait(calls[:1])
        await asyncio.sleep(0)
        assert not calls[1].done()
        released.set()
        await asyncio.gather(*calls)

    play(core, script)
    assert seen == [(1, True), (2, False), (3, True)]
