"""The work that one bridge asks of a newcomer: only once it asks, and only so much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.crypto.work import newcomer_bits, newcomer_claim
from p2p_agents.limits import WORK_BITS_DONE
from p2p_agents.link.bridge_news import Work
from p2p_agents.wire.relay_answers import Done, Fail, Refusal
from p2p_agents.wire.relay_requests import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.link.bridge_line import Line
    from p2p_agents.link.bridge_news import News

STAMPS = 8  # of a newcomer on one connection: a bridge that wants more keeps us hashing


class Toll:
    """The stamps that a nearly full bridge asks of a newcomer, for requests that it refused. One is made at a time, and
    then all requests that wait for one are made again."""

    def __init__(self, report: Callable[[News], None], account: bytes) -> None:
        self._report = report
        self._account = account
        self._line: Line | None = None
        self._paid = 0
        self._waiting: list[Callable[[], None]] = []

    def up(self, line: Line) -> None:
        self._line, self._paid = line, 0
        self._waiting.clear()

    def down(self) -> None:
        self._line = None

    def due(self, fail: Fail, again: Callable[[], None]) -> bool:
        """Whether a stamp helps against the refusal: `again` is called once it was accepted."""
        line = self._line
        if fail.code != Refusal.WORK or line is None or self._paid >= STAMPS:
            return False
        if newcomer_bits(line.terms.work_bits) > WORK_BITS_DONE:
            return False
        self._waiting.append(again)
        if len(self._waiting) == 1:
            self._report(Work(None, b"", self._claim(line), newcomer_bits(line.terms.work_bits)))
        return True

    def worked(self, work: Work, stamp: bytes) -> None:
        """Ignored if the connection it was done for is gone."""
        line = self._line
        if line is not None and self._waiting and work.claim == self._claim(line):
            line.ask(lambda number: Stamp(number, stamp), self._answered)

    def _answered(self, answer: Done | Fail, now: float) -> None:
        """If it was not accepted, the requests fail as they would have."""
        self._paid = self._paid + 1 if isinstance(answer, Done) else STAMPS
        waiting, self._waiting = self._waiting, []
        for again in waiting:
            again()

    def _claim(self, line: Line) -> bytes:
        return newcomer_claim(line.bridge, line.challenge, self._account, self._paid)
