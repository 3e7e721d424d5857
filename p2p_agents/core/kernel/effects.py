"""What a committed batch asks the shell to do. Nothing here happens before the commit it depends on (PROTOCOL A6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p_agents.errors import P2PError
    from p2p_agents.link.routing import Dial
    from p2p_agents.results.messages import Awaited
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
    """Whether a connection carries a contact's link, so that strangers cannot take its place."""

    connection: int
    known: bool


@dataclass(frozen=True, slots=True)
class Proven:
    """A contact spoke on a connection: it is no longer treated as a stranger's."""

    connection: int


@dataclass(frozen=True, slots=True)
class Connect:
    dial: Dial


@dataclass(frozen=True, slots=True)
class Wake:
    """There is a new entry in this agent's log, or one of its own messages changed state."""

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
    """A waiting reader has something to read: its page, or why nothing can be read any more."""

    ticket: int
    page: Awaited | None
    error: P2PError | None = None


@dataclass(frozen=True, slots=True)
class KeysWritten:
    """The key file of `agent` matches the committed store: earlier files are deleted."""

    agent: bytes


@dataclass(frozen=True, slots=True)
class KeysRemoved:
    """Delete the keys of `agent`, and of its device here, from this disk."""

    agent: bytes
    device: bytes


@dataclass(frozen=True, slots=True)
class PairingMoved:
    """A code that is shown or tried may have changed state."""


@dataclass(frozen=True, slots=True)
class PeersChanged:
    """Presence, trust or requests changed: wake watchers."""


@dataclass(frozen=True, slots=True)
class Announce:
    """The hosted agents changed: renew adverts."""


@dataclass(frozen=True, slots=True)
class Post:
    """One frame for a peer's queue at a bridge. The frames of one batch for one queue share as few blobs as possible.

    Answered by `relaying.stored` or `relaying.refused`, with all the posts of the blob.
    """

    route: Route
    frame: bytes = field(repr=False)
    incarnation: int
    pair: tuple[bytes, bytes]  # our device, the peer's
    sid: bytes = b""  # for a session frame
    position: int = 0  # its position there
    rows: tuple[int, ...] = ()  # outbox rows that it carries
    public: bool = False  # for a queue that takes work instead of a token, in a blob of its own


@dataclass(frozen=True, slots=True)
class ReadQueues:
    """All our queues at a bridge: created if missing, and read from their cursors on."""

    bridge: str
    queues: tuple[OwnQueue, ...]


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """Deliver again what our queues there hold and we have not processed."""

    bridge: str


@dataclass(frozen=True, slots=True)
class LeaveBridge:
    """The bridge is no longer used to reach anyone."""

    bridge: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Blobs of our queue up to the cursor are processed: the bridge may delete them (PROTOCOL B7)."""

    bridge: str
    queue: bytes
    cursor: int


@dataclass(frozen=True, slots=True)
class Meet:
    """Take one side of a meeting place at every connected bridge; `leave` gives it up."""

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


@dataclass(frozen=True, slots=True)
class TakeBulk:
    """A body is to come on a bulk stream of a connection, into the file `place`. Answered by `bulk.news`."""

    connection: int
    transfer: bytes
    place: str
    size: int
    pieces: tuple[bytes, ...] = field(repr=False)  # the SHA-256 of each


@dataclass(frozen=True, slots=True)
class GiveBulk:
    """The file `place`, from `offset` on, for a bulk stream of a connection. Answered by `bulk.news`."""

    connection: int
    transfer: bytes
    place: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class DropBulk:
    """A transfer is to end where it is; nothing more is told of it."""

    transfer: bytes


ForEndpoint = Transmit | Hangup | Vouch | Proven | Connect
ForCallers = Wake | Moved | Asked | Echoed | Answered | PairingMoved | PeersChanged
ForBridges = Post | ReadQueues | ReadAgain | LeaveBridge | Kept | Meet | TellPlace
ForLane = TakeBulk | GiveBulk | DropBulk
Outward = ForEndpoint | ForCallers | ForBridges | ForLane | Announce  # what leaves the decider
ForKeys = KeysWritten | KeysRemoved
Effect = Outward | ForKeys
