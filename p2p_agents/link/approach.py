"""Connecting to a bridge: QUIC first, a WebSocket beside it if UDP does not pass, then again with backoff.

While a WebSocket serves, QUIC is tried now and then: only over it does the bridge see where peers can reach us.

Sans-IO. There is at most one connection each way; whoever carries out the moves forgets one that was hung up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.crypto.signing import verify
from p2p_agents.errors import BadSignature, BridgeImpostor, BridgeRefused, BridgeUnreachable, PeerFault
from p2p_agents.limits import (
    BACKOFF_MAX_S,
    BACKOFF_MIN_S,
    BRIDGE_KNOCK_S,
    BRIDGE_QUIC_LEAD_S,
    BRIDGE_STEADY_S,
    BRIDGE_UPGRADE_S,
)
from p2p_agents.wire.framing import frame_bytes
from p2p_agents.wire.relay import WELCOME_LABEL, encode_message, welcome_claim
from p2p_agents.wire.relay_requests import KEY_BYTES, Knock

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.wire.relay_answers import Welcome

AGAIN = Backoff(BACKOFF_MIN_S, BACKOFF_MAX_S)


class Transport(StrEnum):
    """How to talk to a bridge."""

    QUIC = "quic"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect this way: `opened` follows, or `closed`."""

    way: Transport


@dataclass(frozen=True, slots=True)
class Send:
    """Frames for the message stream."""

    way: Transport
    frames: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close it, or give up dialling; nothing more is heard of it."""

    way: Transport


Move = Dial | Send | Hangup


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: an error's code, and what happened, for people."""

    code: str
    why: str


# Of two failures the worse is shown: somebody else answering matters more than nobody answering.
_GRAVITY = (BridgeImpostor.code, BridgeRefused.code, BridgeUnreachable.code)


class Approach:
    """Attempts to reach the bridge that holds `key`. `draw` gives secret bytes, `jitter` draws from [0, 1)."""

    def __init__(self, key: bytes, draw: Callable[[int], bytes], jitter: Callable[[], float]) -> None:
        self._key = key
        self._draw = draw
        self._jitter = jitter
        self._attempts = 0
        self._began: float | None = None  # the attempt under way
        self._dialled: set[Transport] = set()
        self._nonces: dict[Transport, bytes] = {}
        self._failures: dict[Transport, Failure] = {}
        self._through: Transport | None = None
        self.due = 0.0  # the next attempt
        self.failure: Failure | None = None  # of the last attempt that ended

    @property
    def trying(self) -> bool:
        return self._began is not None

    def deadline(self) -> float | None:
        """When `tick` is due; None while the bridge is reached."""
        if self._through is Transport.QUIC:
            return None
        if self._began is None:
            return self.due
        last = self._through or Transport.WEBSOCKET in self._dialled
        lead = BRIDGE_KNOCK_S if last else BRIDGE_QUIC_LEAD_S
        return self._began + lead

    def tick(self, now: float) -> list[Move]:
        """Start an attempt, widen it, or give it up."""
        if self._through is Transport.QUIC:
            return []
        if self._began is None:
            return self._begin(now) if now >= self.due else []
        if now >= self._began + BRIDGE_KNOCK_S:
            return self._give_up(Failure(BridgeUnreachable.code, "no answer in time"), now)
        if now >= self._began + BRIDGE_QUIC_LEAD_S:
            return self._widen()
        return []

    def opened(self, way: Transport) -> list[Move]:
        """A connection is open, but it is not known to whom."""
        nonce = self._nonces[way] = self._draw(KEY_BYTES)
        return [Send(way, (frame_bytes(encode_message(Knock(nonce))),))]

    def welcomed(self, way: Transport, welcome: Welcome, now: float) -> list[Move]:
        """The other end proved to be the bridge, or failed to; then look at `through`. The slower way is hung up."""
        try:
            if welcome.key != self._key:
                raise BadSignature
            claim = welcome_claim(welcome.key, self._nonces[way], welcome.challenge)
            if verify(welcome.key, welcome.proof, WELCOME_LABEL) != claim:
                raise BadSignature
        except PeerFault:
            return [Hangup(way), *self.closed(way, Failure(BridgeImpostor.code, "another key answered"), now)]
        slower = self._alive() - {way} | ({self._through} if self._through else set())
        self._rest()
        self._through, self.due = way, now + BRIDGE_UPGRADE_S
        return [Hangup(other) for other in sorted(slower)]

    @property
    def through(self) -> Transport | None:
        """The way on which the bridge proved itself last, while its connection stands."""
        return self._through

    def closed(self, way: Transport, failure: Failure, now: float) -> list[Move]:
        """A way of the attempt under way ended."""
        if self._began is None or way not in self._alive():
            return []
        self._failures[way] = failure
        if not self._alive() and (self._through or Transport.WEBSOCKET in self._dialled):
            return self._give_up(failure, now)
        return self._widen()

    def lost(self, now: float, since: float, failure: Failure, due: float | None = None) -> list[Move]:
        """The connection that got through at `since` ended; `due` is when the bridge asked to be tried again."""
        self._through = None
        alive = sorted(self._alive())
        self._rest()
        if now - since >= BRIDGE_STEADY_S:
            self._attempts = 0
        self._fail(failure, now)
        if due is not None:
            self.due = due
        return [Hangup(way) for way in alive]

    def resumed(self, now: float) -> None:
        """The machine slept, its networks changed, or the bridge is wanted now."""
        self._attempts, self.due = 0, min(self.due, now)

    def _begin(self, now: float) -> list[Move]:
        self._rest()
        self._began = now
        return self._dial(Transport.QUIC)

    def _widen(self) -> list[Move]:
        """Try the other way too, unless it serves already."""
        return [] if self._through else self._dial(Transport.WEBSOCKET)

    def _dial(self, way: Transport) -> list[Move]:
        if way in self._dialled:
            return []
        self._dialled.add(way)
        return [Dial(way)]

    def _alive(self) -> set[Transport]:
        return self._dialled - self._failures.keys()

    def _give_up(self, failure: Failure, now: float) -> list[Move]:
        alive = sorted(self._alive())
        if self._through:
            self._rest()
            self.due = now + BRIDGE_UPGRADE_S
            return [Hangup(way) for way in alive]
        found = [*self._failures.values(), *([failure] if alive else [])]
        self._rest()
        graver = min(found, key=lambda one: _GRAVITY.index(one.code))
        told = dict.fromkeys(one.why for one in found if one.code == graver.code)
        self._fail(Failure(graver.code, "; ".join(told)), now)
        return [Hangup(way) for way in alive]

    def _fail(self, failure: Failure, now: float) -> None:
        self.failure = failure
        self.due = now + AGAIN.spread(self._attempts, self._jitter())
        self._attempts += 1

    def _rest(self) -> None:
        self._began = None
        self._dialled.clear()
        self._nonces.clear()
        self._failures.clear()
