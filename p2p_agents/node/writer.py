"""The one writer thread: takes what is queued, runs it as one batch, hands outcomes and effects to the loop."""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from p2p_agents.core.turn.batch import Outcome, run_batch
from p2p_agents.errors import Bug, EnvironmentFault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.effects import Outward

    Item = Callable[[Core], Any]
    Done = Callable[[Outcome], None]
    Work = Callable[[Core], None]

log = logging.getLogger(__name__)

BATCH_ITEMS = 256  # items in one transaction: a commit's cost is shared, and nobody waits long for one
LINGER_S = 0.003  # items that nobody hurries are committed together with what comes within this


class _Queue(Enum):
    EMPTY = auto()  # what _get returns instead of an entry


@dataclass(frozen=True, slots=True)
class _Queued:
    item: Item
    done: Done | None
    hurry: bool


if TYPE_CHECKING:
    _Entry = _Queued | Work | None  # None: end


class Writer:
    """Runs items in the order they were submitted. `deliver` gets each batch's effects, in the loop's thread."""

    def __init__(
        self,
        core: Core,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Outward]], None],
        died: Callable[[], None],
    ) -> None:
        self._core = core
        self._loop = loop
        self._deliver = deliver
        self._died = died
        self._queue: queue.SimpleQueue[_Entry] = queue.SimpleQueue()
        self._taken: list[_Queued] = []  # from the queue and not done yet
        self._thread = threading.Thread(target=self._live, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued and end the thread. Blocks; call it off the loop."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, item: Item, done: Done | None = None) -> None:
        """Queue an item; `done` is called with its outcome in the loop's thread, after the commit."""
        self._queue.put(_Queued(item, done, hurry=True))

    def later(self, item: Item, done: Done | None = None) -> None:
        """Queue an item that nobody hurries: it joins the next one's transaction, or runs LINGER_S from now."""
        self._queue.put(_Queued(item, done, hurry=False))

    def maintain(self, work: Callable[[Core], None]) -> None:
        """Queue work that needs the database outside of any transaction."""
        self._queue.put(work)

    def call(self, item: Item, *, hurry: bool = True) -> asyncio.Future[Any]:
        """Queue an item and await what it returns or raises."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if future.cancelled():
                return
            if outcome.error is not None:
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome.value)

        self._queue.put(_Queued(item, done, hurry))
        return future

    def _live(self) -> None:
        """A node without its writer must not linger: it ends, and the next command starts another."""
        try:
            self._run()
        except Exception:
            log.exception("the writer died")
            self._loop.call_soon_threadsafe(self._bury)

    def _bury(self) -> None:
        """Nobody waits for a dead writer: what it took or was given is answered. Runs in the loop's thread."""
        left = self._taken
        while (entry := self._get(0.0)) is not _Queue.EMPTY:
            left += [entry] if isinstance(entry, _Queued) else []
        self._finish([queued.done for queued in left], [Outcome(error=Bug("the writer died"))] * len(left), [])
        self._died()

    def _run(self) -> None:
        entry = self._get(None)
        while entry is not None:
            if isinstance(entry, _Queued) or entry is _Queue.EMPTY:
                entry = self._batch(entry)
            else:
                self._maintain(entry)
                entry = _Queue.EMPTY
            if entry is _Queue.EMPTY:
                entry = self._get(self._core.due_in())

    def _batch(self, entry: _Entry | _Queue) -> _Entry | _Queue:
        """Run what is queued, and what the core has due by itself; the entry after it."""
        taken: list[_Queued] = []
        hurry, until = False, time.monotonic() + LINGER_S
        while isinstance(entry, _Queued) and len(taken) < BATCH_ITEMS:
            taken.append(entry)
            hurry = hurry or entry.hurry
            entry = self._get(0.0 if hurry else until - time.monotonic())
        self._taken = [*taken, entry] if isinstance(entry, _Queued) else taken
        outcomes, effects = run_batch(self._core, [queued.item for queued in taken])
        dones = [queued.done for queued in taken]
        if effects or any(dones):  # else nobody waits, and an idle loop sleeps on
            self._loop.call_soon_threadsafe(self._finish, dones, outcomes, effects)
        self._taken = []
        return entry

    def _get(self, timeout: float | None) -> _Entry | _Queue:
        """The next entry; _Queue.EMPTY when none comes within so many seconds."""
        try:
            return self._queue.get() if timeout is None else self._queue.get(timeout > 0, max(timeout, 0))
        except queue.Empty:
            return _Queue.EMPTY

    def _maintain(self, work: Work) -> None:
        try:
            work(self._core)
        except EnvironmentFault as fault:
            log.warning("upkeep of the store: %s", fault.message)

    def _finish(self, dones: list[Done | None], outcomes: list[Outcome], effects: list[Outward]) -> None:
        self._deliver(effects)
        for done, outcome in zip(dones, outcomes, strict=True):
            if done is not None:
                done(outcome)
