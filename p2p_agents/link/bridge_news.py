"""What the core and people are told about a bridge."""

from __future__ import annotations

from dataclasses import dataclass, field

from p2p_agents.errors import BadBridge, BridgeImpostor, BridgeRefused, BridgeUnreachable
from p2p_agents.wire.relay_answers import Refusal

DOWN = "down"  # the refusal of a blob that the bridge was not reached with, or did not answer for
WORDS: dict[str, str] = {
    "": "it has not been reached yet",
    DOWN: "it does not answer",
    BadBridge.code: "its address cannot be used",
    BridgeImpostor.code: "a server with another key answers in its place",
    BridgeRefused.code: "it accepts no connection of this node",
    BridgeUnreachable.code: "it cannot be reached",
    Refusal.BAD: "it did not accept what this node asked for",
    Refusal.VERSION: "it speaks another version of the protocol",
    Refusal.ADMISSION: "it does not admit this node",
    Refusal.TOKEN: "the queue there accepts nothing from this node",
    Refusal.GONE: "the queue there is gone",
    Refusal.QUOTA: "the queue there is full until its reader fetches what waits",
    Refusal.ACCOUNT: "the reader's share of the bridge is used up",
    Refusal.RATE: "too much at once; it accepts more in a moment",
    Refusal.LARGE: "it accepts nothing that large",
    Refusal.WORK: "it asked for more work than was done",
    Refusal.FULL: "it is full",
    Refusal.CROWDED: "the meeting place is taken",
    Refusal.AWAY: "the meeting place is gone",
    Refusal.RESTARTING: "it is restarting",
}
UNKNOWN = "it refused, and this version does not know why"  # the code may be any text: a person is not shown it


def in_words(code: str) -> str:
    """For a person, what a bridge answered or why it is not reached: a code of WORDS, or one of a later version."""
    return WORDS.get(code, UNKNOWN)


@dataclass(frozen=True, slots=True)
class BridgeUp:
    """It proved itself. `observed` is where it sees our UDP socket, or "". If not admitted, we can only write there."""

    observed: str
    admitted: bool


@dataclass(frozen=True, slots=True)
class BridgeDown:
    """It cannot be used now, and why: the code of BridgeImpostor, BridgeRefused or BridgeUnreachable."""

    code: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The bridge keeps the blob of this `put`."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The bridge does not keep it, or nobody knows (DOWN); no later blob of that queue went ahead of this one.

    `code` is a wire.relay_answers.Refusal or DOWN; another try may help after `retry_ms`, 0 if unknown.
    """

    ticket: int
    code: str
    retry_ms: int


@dataclass(frozen=True, slots=True)
class Work:
    """A stamp of `bits` over the claim is asked for, on this connection: for the blob of this `put`, to a public queue,
    or of our account, where the ticket is None and the queue empty."""

    ticket: int | None
    queue: bytes
    claim: bytes
    bits: int


@dataclass(frozen=True, slots=True)
class Came:
    """Blobs of a queue of ours; cursors rise. After a reconnection they come again until acknowledged."""

    queue: bytes
    blobs: tuple[tuple[int, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unread:
    """A queue of ours cannot be created or read now; it is tried again."""

    queue: bytes
    code: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A public queue of ours exists and is being read: its address may be given out."""

    queue: bytes


@dataclass(frozen=True, slots=True)
class PlaceTold:
    """A message from the other side of a meeting place. Empty: the other side is there, or the place is gone."""

    place: str
    message: bytes = field(repr=False)
    gone: bool


News = BridgeUp | BridgeDown | Stored | Refused | Work | Came | Unread | Opened | PlaceTold
