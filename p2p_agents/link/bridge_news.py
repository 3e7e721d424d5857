"""What the core is told of a bridge."""

from __future__ import annotations

from dataclasses import dataclass, field

DOWN = "down"  # the refusal of a blob that the bridge was not reached with, or did not answer for


@dataclass(frozen=True, slots=True)
class BridgeUp:
    """It proved itself. `observed` is where it sees our UDP socket, or ""; not admitted, we can write there only."""

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
    """It does not, or nobody knows (DOWN); no later blob of that queue went ahead of this one.

    `code` is a wire.relay_answers.Refusal or DOWN; another try may help after `retry_ms`, 0 when nobody knows.
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
    """Blobs of a queue of ours; cursors rise. After a reconnection they come again, until they were acknowledged."""

    queue: bytes
    blobs: tuple[tuple[int, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unread:
    """A queue of ours cannot be made or read now; it is tried again."""

    queue: bytes
    code: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A public queue of ours is there, and read: its address may be given out."""

    queue: bytes


@dataclass(frozen=True, slots=True)
class PlaceTold:
    """From the other side of a meeting place. Empty: the other side is there, or the place is gone."""

    place: str
    message: bytes = field(repr=False)
    gone: bool


News = BridgeUp | BridgeDown | Stored | Refused | Work | Came | Unread | Opened | PlaceTold
