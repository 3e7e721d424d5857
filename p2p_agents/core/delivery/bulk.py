"""Transfers of large bodies beside the message stream: who may have one, and what becomes of it.

The bytes never come here: the node's lane carries them between files and connections, and tells `news`. A feature
calls `take` on the side that wants a body; once told Begun it asks the other side, by a sealed message, for the rest,
and there `give` is called. Bodies are opaque: they are sealed by who announces them. Nothing of this is stored: what a
file holds already is found by its hashes, so whoever wants the body after a lost link takes it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import DropBulk, GiveBulk, TakeBulk
from p2p_agents.errors import Busy, NotReachable, TooLarge, Usage
from p2p_agents.limits import BULK_BYTES, BULK_PIECE_BYTES, BULK_TRANSFERS
from p2p_agents.wire.bulk import BulkEnd
from p2p_agents.wire.frame import Standing

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """The place is ready, and `offset` bytes of the body are in it and hold: the rest may be asked for."""

    offset: int


@dataclass(frozen=True, slots=True)
class Verified:
    """All of it came, and every piece is what was announced."""


@dataclass(frozen=True, slots=True)
class Kept:
    """It is on the disk under its name. The last word."""


@dataclass(frozen=True, slots=True)
class Given:
    """The other side's QUIC acknowledged all of what we gave. The last word there."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The last word: what came of it and holds stays beside the place, for the next attempt."""

    why: BulkEnd


News = Begun | Verified | Kept | Given | Failed
Told = Callable[["Core", News], None]


@dataclass(frozen=True, slots=True)
class Body:
    """What is to come: its size, and the SHA-256 of each of its pieces of BULK_PIECE_BYTES, the last one shorter."""

    size: int
    pieces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Transfer:
    link: Link
    told: Told


@dataclass(slots=True)
class Transfers:
    """Those under way, by id. An id names one transfer of this node at a time."""

    open: dict[bytes, Transfer] = field(default_factory=dict)


def take(core: Core, link: Link, transfer: bytes, body: Body, place: str, told: Told) -> None:
    """Want `body` from the other end of a link, as the file `place`. `told` is called in items of their own.

    Raises NotReachable over a bridge, or where either side does not accept the other; Busy, TooLarge, Usage.
    """
    if len(body.pieces) != -(-body.size // BULK_PIECE_BYTES) or any(len(piece) != 32 for piece in body.pieces):
        raise Usage("a transfer needs the SHA-256 of each of its pieces")
    _begin(core, link, transfer, body.size, told)
    core.effect(TakeBulk(link.connection, transfer, place, body.size, body.pieces))


def give(core: Core, link: Link, transfer: bytes, place: str, offset: int, size: int, told: Told) -> None:
    """Send the file `place`, which has `size` bytes, from `offset` on. Raises as `take` does."""
    if not 0 <= offset < size:
        raise Usage("a transfer begins inside of its body")
    _begin(core, link, transfer, size, told)
    core.effect(GiveBulk(link.connection, transfer, place, offset, size))


def drop(core: Core, transfer: bytes) -> None:
    """It is not wanted any more; nothing is told of it."""
    if _forget(core, transfer) is not None:
        core.effect(DropBulk(transfer))


def news(core: Core, transfer: bytes, told: News) -> None:
    """The lane has something to tell of a transfer; of one that was dropped nobody hears."""
    found = core.of(Transfers).open.get(transfer)
    if found is None:
        return
    if not isinstance(told, Begun | Verified):
        _forget(core, transfer)
    log.debug("transfer %s: %s", transfer.hex()[:12], told)
    found.told(core, told)


def second(core: Core) -> None:
    """Once a second: a transfer ends with its link, and where one side does not accept the other any more."""
    for transfer, found in list(core.of(Transfers).open.items()):
        if not _is_open(core, found.link):
            core.effect(DropBulk(transfer))
            news(core, transfer, Failed(BulkEnd.GONE))


def _begin(core: Core, link: Link, transfer: bytes, size: int, told: Told) -> None:
    under_way = core.of(Transfers).open
    if not _is_open(core, link):
        raise NotReachable("large bodies pass only directly between agents that accept each other")
    if not 0 < size <= BULK_BYTES:
        raise TooLarge(f"a transfer has 1 to {BULK_BYTES} bytes")
    if transfer in under_way or len(under_way) >= BULK_TRANSFERS:
        raise Busy("too many transfers are under way")
    under_way[transfer] = Transfer(link, told)
    core.undo.append(partial(under_way.pop, transfer, None))


def _forget(core: Core, transfer: bytes) -> Transfer | None:
    under_way = core.of(Transfers).open
    found = under_way.pop(transfer, None)
    if found is not None:
        core.undo.append(partial(under_way.__setitem__, transfer, found))
    return found


def _is_open(core: Core, link: Link) -> bool:
    """Whether it is a proven link of a connection, not one over bridges, between agents that accept each other."""
    peering = core.peerings.get(link.connection)
    stands = peering is not None and peering.links.get(link.number) is link and link.up
    return stands and link.standing is Standing.ACCEPTS and link.peer_standing is Standing.ACCEPTS
