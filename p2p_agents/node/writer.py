"""Runs the decider in the loop's own thread: what came in one turn of the loop is one transaction.

A thread is used only where the wait would be noticed: for commits while the disk is slow, which is measured, and for
work declared to be long. Meanwhile the loop handles packets and heartbeats, and new items wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from p2p_agents.core.turn.batch import Outcome, commit, conclude, decide
from p2p_agents.errors import Bug, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.effects import Outward
    from p2p_agents.core.turn.batch import Turn

    Item = Callable[[Core], Any]
    Done = Callable[[Outcome], None]
    Work = Callable[[Core], None]

log = logging.getLogger(__name__)

TURN_ITEMS = 128  # items in one transaction: they share the cost of a commit, and packets do not wait long for it
LINGER_S = 0.003  # items without hurry are committed together with what comes within this time
SLOW_COMMIT_S = 0.01  # commits that take longer hold up packets that are due
COMMIT_WEIGHT = 1 / 4  # of the last commit in the mean: one of 40 ms is enough, one of 20 ms may be chance


@dataclass(frozen=True, slots=True)
class _Queued:
    item: Item
    done: Done | None
    long: bool = False  # it has a turn of its own, in a thread


class Writer:
    """Runs items in the order of submission. `deliver` gets each batch's effects. All of it is called in the loop's
    thread."""

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
        self._queue: deque[_Queued | Work] = deque()
        self._taken: list[_Queued] = []  # from the queue and not finished
        self._next: asyncio.Handle | None = None  # the scheduled turn
        self._due = 0.0  # its time, by the loop's clock
        self._is_open = False
        self._away: asyncio.Future[Any] | None = None  # while a thread has the core
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._commit_s = 0.0  # what commits take, a moving mean

    # --- lifecycle ---

    def start(self) -> None:
        self._is_open = True
        self._plan(0.0)

    async def stop(self) -> None:
        """Finish what is queued; nothing runs afterwards."""
        while self._is_open and (self._queue or self._away is not None):
            if self._away is None:
                self._run()
            else:
                await asyncio.wait([self._away])
                await asyncio.sleep(0)  # its callbacks come first
        self._is_open = False
        self._put_off()
        self._thread.shutdown(wait=False)

    # --- submitting ---

    def submit(self, item: Item, done: Done | None = None) -> None:
        """Queue an item; `done` is called with its outcome after the commit."""
        self._queue.append(_Queued(item, done))
        self._plan(0.0)

    def later(self, item: Item, done: Done | None = None) -> None:
        """Queue an item without hurry: it joins the next one's transaction, or runs LINGER_S from now."""
        self._queue.append(_Queued(item, done))
        self._plan(LINGER_S)

    def maintain(self, work: Work) -> None:
        """Queue work that needs the database outside of any transaction; it runs in a thread."""
        self._queue.append(work)
        self._plan(0.0)

    def call(self, item: Item, *, hurry: bool = True, long: bool = False) -> asyncio.Future[Any]:
        """Queue an item and await its result or error. A `long` one runs in a thread while all others wait."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.append(_Queued(item, partial(_settle, future), long))
        self._plan(0.0 if hurry else LINGER_S)
        return future

    # --- turns ---

    def _plan(self, wait_s: float) -> None:
        """Schedule a turn within so many seconds; 0: once the loop's ready callbacks have run."""
        if not self._is_open or self._away is not None:
            return
        due = self._loop.time() + wait_s
        if self._next is not None:
            if self._due <= due:
                return
            self._next.cancel()
        self._due = due
        self._next = self._loop.call_later(wait_s, self._run) if wait_s > 0 else self._loop.call_soon(self._run)

    def _put_off(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _run(self) -> None:
        """A node whose decider fails must not linger: it ends, and the next command starts another."""
        self._put_off()
        try:
            if self._queue and not isinstance(self._queue[0], _Queued):
                self._go_away(self._maintain, self._queue.popleft())
            else:
                self._turn()
        except Exception:
            self._bury()

    def _turn(self) -> None:
        self._taken = taken = self._take()
        items = [queued.item for queued in taken]
        if taken and taken[0].long:
            self._go_away(self._work, items)
            return
        turn = decide(self._core, items)
        if self._commit_s > SLOW_COMMIT_S:
            self._go_away(self._commit, turn)
        else:
            self._commit(turn)
            self._finish(turn)

    def _take(self) -> list[_Queued]:
        """The items of one transaction."""
        taken: list[_Queued] = []
        while self._queue and len(taken) < TURN_ITEMS:
            head = self._queue[0]
            if not isinstance(head, _Queued) or (head.long and taken):
                break
            self._queue.popleft()
            taken.append(head)
            if head.long:
                break
        return taken

    def _commit(self, turn: Turn) -> Turn:
        began = monotonic()
        commit(self._core, turn)
        self._commit_s += COMMIT_WEIGHT * (monotonic() - began - self._commit_s)
        return turn

    def _finish(self, turn: Turn) -> None:
        outcomes, effects = conclude(self._core, turn)
        dones = [queued.done for queued in self._taken]
        self._taken = []
        self._tell(dones, outcomes, effects)
        self._go_on()

    def _go_on(self) -> None:
        due = 0.0 if self._queue else self._core.due_in()
        if due is not None:
            self._plan(due)

    def _tell(self, dones: list[Done | None], outcomes: list[Outcome], effects: list[Outward]) -> None:
        self._deliver(effects)
        for done, outcome in zip(dones, outcomes, strict=True):
            if done is not None:
                done(outcome)

    # --- in the thread ---

    def _go_away(self, work: Callable[..., Any], *given: Any) -> None:
        """The thread has the core until it is done."""
        self._away = self._loop.run_in_executor(self._thread, work, *given)
        self._away.add_done_callback(self._back)

    def _back(self, away: asyncio.Future[Any]) -> None:
        self._away = None
        try:
            turn = away.result()
            if turn is not None:
                self._finish(turn)
            else:
                self._go_on()
        except Exception:
            self._bury()

    def _work(self, items: list[Item]) -> Turn:
        return self._commit(decide(self._core, items))

    def _maintain(self, work: Work) -> None:
        try:
            work(self._core)
        except EnvironmentFault as fault:
            log.warning("upkeep of the store: %s", fault.message)

    def _bury(self) -> None:
        """The writer failed: answer everything that it took or was given."""
        log.exception("the writer died")
        left = [*self._taken, *(entry for entry in self._queue if isinstance(entry, _Queued))]
        self._queue.clear()
        self._taken = []
        self._is_open = False
        self._tell([queued.done for queued in left], [Outcome(error=Bug("the writer died"))] * len(left), [])
        self._died()


def _settle(future: asyncio.Future[Any], outcome: Outcome) -> None:
    if future.cancelled():
        return
    if outcome.error is not None:
        future.set_exception(outcome.error)
    else:
        future.set_result(outcome.value)
