"""One connection to a bridge that proved itself: its challenge and terms, and the requests made on it.

Requests are numbered, at most so many are in flight, and each is answered once. They end with the connection, and
are made again on the next one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.limits import (
    BRIDGE_REQUEST_S,
    BRIDGE_REQUESTS,
    BRIDGE_REQUESTS_BYTES,
    BRIDGE_RESTART_S,
    BRIDGE_RETRY_S,
)
from p2p_agents.wire.framing import frame_bytes
from p2p_agents.wire.relay import encode_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.link.approach import Transport
    from p2p_agents.wire.relay import Request
    from p2p_agents.wire.relay_answers import Done, Fail, Welcome

    Make = Callable[[int], Request]
    Answered = Callable[[Done | Fail, float], None]


def retry_ms(fail: Fail) -> int:
    """After how long another try may help, bounded whatever the bridge says. 0: it did not say."""
    return min(fail.retry_ms, int(BRIDGE_RESTART_S * 1000))


@dataclass(frozen=True, slots=True)
class _Asked:
    answered: Answered
    size: int
    at: float


class Line:
    """`admitted` is None until admission was asked for and answered."""

    def __init__(self, way: Transport, bridge: bytes, welcome: Welcome, now: float) -> None:
        self.way = way
        self.bridge = bridge
        self.challenge = welcome.challenge
        self.terms = welcome.terms
        self.since = now
        self.admitted: bool | None = None
        self.restart_at: float | None = None
        self.round_trip_s: float | None = None
        self._waiting: deque[tuple[Make, Answered]] = deque()
        self._asked: dict[int, _Asked] = {}
        self._bytes = 0
        self._last = 0
        self._later: list[tuple[float, Callable[[], None]]] = []

    def ask(self, make: Make, answered: Answered) -> None:
        """Queue a request; `make` is given its number when it goes."""
        self._waiting.append((make, answered))

    def again(self, fail: Fail, now: float, ask: Callable[[], None]) -> None:
        """Call it once the bridge may have changed its mind."""
        self._later.append((now + (retry_ms(fail) / 1000 or BRIDGE_RETRY_S), ask))

    def outgoing(self, now: float) -> tuple[bytes, ...]:
        """The frames that may go now; none to a bridge that is restarting."""
        frames = []
        while self._waiting and self._has_room() and self.restart_at is None:
            make, answered = self._waiting.popleft()
            self._last += 1
            frame = frame_bytes(encode_message(make(self._last)))
            self._asked[self._last] = _Asked(answered, len(frame), now)
            self._bytes += len(frame)
            frames.append(frame)
        return tuple(frames)

    def answer(self, answer: Done | Fail, now: float) -> None:
        """An answer to no request, or to one that was answered before, is ignored."""
        asked = self._asked.pop(answer.request, None)
        if asked is not None:
            self._bytes -= asked.size
            self.round_trip_s = now - asked.at
            asked.answered(answer, now)

    def due(self, now: float) -> None:
        """Do what was put off."""
        ready = [ask for at, ask in self._later if at <= now]
        self._later = [entry for entry in self._later if entry[0] > now]
        for ask in ready:
            ask()

    def overdue(self, now: float) -> str:
        """Why to give the connection up: the bridge answers nothing, or restarts. "" to keep it."""
        if self.restart_at is not None and now >= self.restart_at:
            return "the bridge restarts"
        return "the bridge no longer answers" if self._asked and now >= self._patience() else ""

    def deadline(self) -> float | None:
        """When `due` or `overdue` is to be called."""
        times = [at for at, _ in self._later]
        times += [self._patience()] if self._asked else []
        times += [self.restart_at] if self.restart_at is not None else []
        return min(times, default=None)

    def _patience(self) -> float:
        return next(iter(self._asked.values())).at + BRIDGE_REQUEST_S

    def _has_room(self) -> bool:
        return len(self._asked) < BRIDGE_REQUESTS and self._bytes < BRIDGE_REQUESTS_BYTES
