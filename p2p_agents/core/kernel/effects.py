"""What a committed batch asks of the world. Nothing here happens before the commit it depends on (PROTOCOL A6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2p_agents.errors import P2PError
    from p2p_agents.link.routing import Dial
    from p2p_agents.store.queues import OwnQueue
    from p2p_agents.wire.route import Route


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
class Vouch:
    """Whether a connection carries a link of a contact: strangers do not take its place."""

    connection: int
    known: bool


@dataclass(frozen=True, slots=True)
class Proven:
    """A contact spoke on a connection: what comes there is no stranger's any more."""

    connection: int


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
class KeysWritten:
    """The key file of `agent` belongs to the store as it is now: those of before go."""

    agent: bytes


@dataclass(frozen=True, slots=True)
class KeysRemoved:
    """The keys of `agent` are to be on this disk no more, nor that of its device here."""

    agent: bytes
    device: bytes


@dataclass(frozen=True, slots=True)
class PairingMoved:
    """A code that is shown or tried may have come to something."""


@dataclass(frozen=True, slots=True)
class PeersChanged:
    """Presence, trust or requests changed: watchers look again."""


@dataclass(frozen=True, slots=True)
class Announce:
    """The hosted agents changed: adverts are to be renewed."""


@dataclass(frozen=True, slots=True)
class Post:
    """One frame for a peer's queue at a bridge. Those of one batch for one queue travel in as few blobs as hold them.

    Answered by `relaying.stored` or `relaying.refused`, with every post of the blob.
    """

    route: Route
    frame: bytes = field(repr=False)
    incarnation: int
    pair: tuple[bytes, bytes]  # our device, the peer's
    sid: bytes = b""  # of a session frame
    position: int = 0  # and its place there
    rows: tuple[int, ...] = ()  # of the outbox, that it carries
    public: bool = False  # for a queue that takes work in place of a token, in a blob of its own


@dataclass(frozen=True, slots=True)
class ReadQueues:
    """The queues of ours at a bridge, all of them: made where they are missing, and read from their cursors on."""

    bridge: str
    queues: tuple[OwnQueue, ...]


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """What our queues there hold and was not worked off is to be delivered once more."""

    bridge: str


@dataclass(frozen=True, slots=True)
class LeaveBridge:
    """Nobody is reached there any more."""

    bridge: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Blobs of a queue of ours up to the cursor are worked off: the bridge may forget them (PROTOCOL B7)."""

    bridge: str
    queue: bytes
    cursor: int


@dataclass(frozen=True, slots=True)
class Meet:
    """Take a side of a meeting place at every bridge that is up; `leave` gives it up."""

    place: str
    displayer: bool
    token: bytes = field(repr=False)
    leave: bool = False


@dataclass(frozen=True, slots=True)
class TellPlace:
    """A message for the other side of a meeting place at a bridge."""

    bridge: str
    place: str
    message: bytes


ForEndpoint = Transmit | Hangup | Vouch | Proven | Connect
ForCallers = Wake | Moved | Asked | Echoed | Answered | PairingMoved | PeersChanged
ForBridges = Post | ReadQueues | ReadAgain | LeaveBridge | Kept | Meet | TellPlace
Outward = ForEndpoint | ForCallers | ForBridges | Announce  # what leaves the decider
ForKeys = KeysWritten | KeysRemoved
Effect = Outward | ForKeys
