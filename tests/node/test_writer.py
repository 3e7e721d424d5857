"""The writer's thread: order, outcomes after the commit, and its death."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.errors import BadParams, Bug, StoreFull
from p2p_agents.node.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from p2p_agents.core.kernel.core import Core


class Told:
    """What the loop was told."""

    def __init__(self) -> None:
        self.effects: list[Any] = []
        self.deaths = 0

    def died(self) -> None:
        self.deaths += 1


def play(core: Core, script: Callable[[Writer, Told], Coroutine[Any, Any, Any]], *, start: bool = True) -> Told:
    """Run the script beside a started writer, then stop it."""
    told = Told()

    async def run() -> None:
        writer = Writer(core, asyncio.get_running_loop(), told.effects.extend, told.died)
        if start:
            writer.start()
        await script(writer, told)
        await asyncio.to_thread(writer.stop)

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
    """A6: and nothing of it happened."""

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
        gate = threading.Event()
        writer.submit(lambda core: gate.wait(10))
        future = writer.call(remember(7))
        future.cancel()
        gate.set()
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
    """The batch it ran and what is queued behind it fail at once; the node is told."""

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


def test_a_batch_that_nobody_waits_for_does_not_wake_the_loop(core: Core) -> None:
    async def script(writer: Writer, told: Told) -> None:
        woken: list[Any] = []
        loop = asyncio.get_running_loop()
        told_soon = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda call, *args: woken.append(call) or told_soon(call, *args)  # type: ignore[method-assign]  # watched
        ran = threading.Event()
        writer.submit(lambda core: ran.set())
        await asyncio.to_thread(ran.wait)
        await writer.call(remember(1))
        assert woken.count(writer._finish) == 1

    play(core, script)
