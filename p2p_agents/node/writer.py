"""The one writer thread: takes what is queued, runs it as one batch, hands outcomes and effects to the loop."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Any

from p2p_agents.errors import EnvironmentFault
from p2p_agents.node.batch import run_batch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from p2p_agents.node.batch import Outcome
    from p2p_agents.node.core import Core
    from p2p_agents.node.effects import Effect

    Item = Callable[[Core], Any]
    Done = Callable[[Outcome], None]
    Work = Callable[[Core], None]

log = logging.getLogger(__name__)

BATCH_ITEMS = 256  # items in one transaction: a commit's cost is shared, and nobody waits long for one


def _NOTHING(_core: Core) -> None:
    """The queue is empty."""


class Writer:
    """Runs items in the order they were submitted. `deliver` gets each batch's effects, in the loop's thread."""

    def __init__(
        self,
        core: Core,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Effect]], None],
        died: Callable[[], None],
    ) -> None:
        self._core = core
        self._loop = loop
        self._deliver = deliver
        self._died = died
        self._queue: queue.SimpleQueue[tuple[Item, Done | None] | Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued and end the thread. Blocks; call it off the loop."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, item: Item, done: Done | None = None) -> None:
        """Queue an item; `done` is called with its outcome in the loop's thread, after the commit."""
        self._queue.put((item, done))

    def maintain(self, work: Callable[[Core], None]) -> None:
        """Queue work that needs the database outside of any transaction."""
        self._queue.put(work)

    def call(self, item: Item) -> asyncio.Future[Any]:
        """Queue an item and await what it returns or raises."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if future.cancelled():
                return
            if outcome.error is not None:
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome.value)

        self.submit(item, done)
        return future

    def _live(self) -> None:
        """A node without its writer must not linger: it ends, and the next command starts another."""
        try:
            self._run()
        except Exception:
            log.exception("the writer died")
            self._loop.call_soon_threadsafe(self._died)

    def _run(self) -> None:
        entry = self._queue.get()
        while entry is not None:
            taken: list[tuple[Item, Done | None]] = []
            while isinstance(entry, tuple) and len(taken) < BATCH_ITEMS:
                taken.append(entry)
                entry = self._next()
            if taken:
                outcomes, effects = run_batch(self._core, [item for item, _ in taken])
                self._loop.call_soon_threadsafe(self._finish, [done for _, done in taken], outcomes, effects)
            if entry is _NOTHING:
                entry = self._queue.get()
            elif entry is not None and not isinstance(entry, tuple):
                self._maintain(entry)
                entry = self._queue.get()

    def _next(self) -> tuple[Item, Done | None] | Work | None:
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return _NOTHING

    def _maintain(self, work: Work) -> None:
        try:
            work(self._core)
        except EnvironmentFault as fault:
            log.warning("upkeep of the store: %s", fault.message)

    def _finish(self, dones: list[Done | None], outcomes: list[Outcome], effects: list[Effect]) -> None:
        self._deliver(effects)
        for done, outcome in zip(dones, outcomes, strict=True):
            if done is not None:
                done(outcome)
