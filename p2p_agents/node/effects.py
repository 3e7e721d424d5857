"""What a committed batch asks of the world. Nothing here happens before the commit it depends on (PROTOCOL A6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2p_agents.errors import P2PError
    from p2p_agents.link.routing import Dial


@dataclass(frozen=True, slots=True)
class Transmit:
    """Bytes, already framed, for a connection's message stream."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Hangup:
    connection: int
    code: str


@dataclass(frozen=True, slots=True)
class Connect:
    dial: Dial


@dataclass(frozen=True, slots=True)
class Wake:
    """Something new stands in this agent's log, or one of its own messages changed state."""

    agent: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A message of `agent` changed state; `entry` is its row id."""

    agent: int
    entry: int


@dataclass(frozen=True, slots=True)
class Asked:
    """`peer` asks to be accepted by `agent`."""

    agent: int
    peer: bytes


@dataclass(frozen=True, slots=True)
class Echoed:
    """The answer to a ping came back."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A waiting reader has something to read: the page it gets, or why it cannot be read any more."""

    ticket: int
    page: dict[str, Any] | None
    error: P2PError | None = None


@dataclass(frozen=True, slots=True)
class PairingMoved:
    """A code that is shown or tried may have come to something."""


@dataclass(frozen=True, slots=True)
class PeersChanged:
    """Presence, trust or requests changed: watchers look again."""


@dataclass(frozen=True, slots=True)
class Announce:
    """The hosted agents changed: adverts are to be renewed."""


Effect = Transmit | Hangup | Connect | Wake | Moved | Asked | Echoed | Answered | PairingMoved | PeersChanged | Announce
