"""Limits what a contact may make us store: beyond its share nothing more is taken until there is room. Nothing is lost
meanwhile, and both sides are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.core.delivery import sync
from p2p_agents.core.kernel.effects import Moved, PeersChanged
from p2p_agents.core.kernel.state import BridgedLink, Phase
from p2p_agents.limits import CONTACT_BYTES_PER_DAY, CONTACT_UNREAD_BYTES, FULL_PATIENCE_MAX_S, FULL_PATIENCE_S
from p2p_agents.store import contacts, log, outbox
from p2p_agents.store.contacts import Event

if TYPE_CHECKING:
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link, Share

FULL = Backoff(FULL_PATIENCE_S, FULL_PATIENCE_MAX_S)  # until a peer that had no room is offered more
RECOUNT_S = 60.0  # between two counts of unread bytes: at the limit, one takes a second
ROOM = 1 / 64  # part of the limits that must be free before more is taken, so that it is not a message now and then
TOLD = (
    "it sent more than its share, {day} MiB a day and {unread} MiB unread: the rest waits on its side until"
    " messages are read or purged, or a day has passed"
)


# --- on the receiving side ---


def is_full(core: Core, link: Link) -> bool:
    share = core.shares.get((link.agent, link.peer))
    return share is not None and share.full


def takes(core: Core, link: Link, r: Record) -> bool:
    """Whether to store one more entry of the peer; if so, counts it."""
    share = core.share(link.agent, link.peer)
    size = len(r.signed) + len(r.body or b"")
    if _unread(core, link.agent, link.peer, share) + size <= CONTACT_UNREAD_BYTES and share.bytes.take(
        core.now(), size
    ):
        share.unread = (share.unread or 0) + size
        return True
    share.full = True
    detail = TOLD.format(day=CONTACT_BYTES_PER_DAY >> 20, unread=CONTACT_UNREAD_BYTES >> 20)
    contacts.record(core.db, Event(link.agent, link.peer, "contact_full", detail, core.now_ms()))
    core.effect(PeersChanged())
    return False


def _unread(core: Core, agent: int, peer: bytes, share: Share) -> int:
    """An upper bound of the unread bytes: counted when it may have reached the limit, and not too often."""
    if share.unread is None or (share.unread >= CONTACT_UNREAD_BYTES * (1 - ROOM) and core.now() >= share.count_at):
        share.unread = log.unread_bytes(core.db, agent, peer)
        share.count_at = core.now() + RECOUNT_S
    return share.unread


def minute(core: Core) -> None:
    """Tell peers that waited for room when there is some; let those that we wait for be tried again."""
    for (agent, peer), share in core.shares.items():
        if share.full and _has_room(core, agent, peer, share):
            share.full = False
            for link in list(core.paths_to(agent, peer)):
                if link.phase is Phase.SYNCED or isinstance(link, BridgedLink):
                    sync.send_sync(core, link, reply=False)
    for key, pace in core.paces.items():
        if 0.0 < pace.paused <= core.now():
            pace.paused = 0.0
            core.mark_ready(key)


def _has_room(core: Core, agent: int, peer: bytes, share: Share) -> bool:
    share.bytes.take(core.now(), 0.0)
    unread = _unread(core, agent, peer, share)
    return share.bytes.level >= CONTACT_BYTES_PER_DAY * ROOM and unread <= CONTACT_UNREAD_BYTES * (1 - ROOM)


# --- on the sending side ---


def wait(core: Core, link: Link, rows: list[int]) -> None:
    """The peer has no room for these now: keep them, and offer them again later or when it says so."""
    pace = core.pace(core.pair_key(link))
    pace.patience = FULL.following(pace.patience)
    pace.paused = core.now() + pace.patience
    for entry in outbox.wait_for_room(core.db, rows):
        core.effect(Moved(link.agent, entry))


def may_offer(core: Core, link: Link) -> bool:
    """Whether anything may be offered now."""
    return core.pace(core.pair_key(link)).paused <= core.now()


def took(core: Core, link: Link) -> None:
    """The peer stored something, so it has room."""
    pace = core.pace(core.pair_key(link))
    pace.paused = pace.patience = 0.0
