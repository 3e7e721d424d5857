"""Bridges as the core sees them: which are up, what they delivered, what they keep, and when to ask the other side."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.core.contact import callers, knocking
from p2p_agents.core.delivery import inbound, sync
from p2p_agents.core.identity import adoption
from p2p_agents.core.kernel.effects import Kept, Moved, PeersChanged, ReadAgain, ReadQueues
from p2p_agents.core.kernel.state import Bridge, BridgedLink
from p2p_agents.core.links import releases
from p2p_agents.core.links.dialing import dial_due
from p2p_agents.core.pairing import exchange, places
from p2p_agents.core.relay import questions, ways
from p2p_agents.crypto.bundle import read_bundle
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.identity import replay
from p2p_agents.crypto.outer import open_blob
from p2p_agents.errors import BadIdentity, Flood, PeerFault, UnknownVersion, Usage
from p2p_agents.limits import BACKOFF_MIN_S, DAY_MS
from p2p_agents.link.bridge_news import DOWN
from p2p_agents.link.routing import Target
from p2p_agents.quic.address import format_address, parse_address
from p2p_agents.store import contacts, outbox, queues, sessions
from p2p_agents.wire.frame import Data, Init, Stand, Sync, decode_frame
from p2p_agents.wire.greeting import Greeting
from p2p_agents.wire.relay_answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.effects import Post
    from p2p_agents.core.kernel.state import Way
    from p2p_agents.store.queues import OwnQueue

log = logging.getLogger(__name__)

CLOCKS_APART_MS = DAY_MS  # a bridge's clock may be ahead of ours by a day
REFUSED = Backoff(  # before a queue that took nothing is tried again, unless the bridge gives a time
    first_s=0.5,  # one that its reader just named may be about to be created
    most_s=15.0,
)


# --- bridges come and go ---


def restored(core: Core, bridges: Sequence[str]) -> None:
    """The configured bridges, in order, at start and whenever they change."""
    earlier = core.bridges
    core.bridges = {address: earlier.get(address) or Bridge() for address in bridges}
    for bridge in core.bridges.values():
        bridge.configured = True
    for address in sorted(queues.bridges(core.db) - core.bridges.keys()):
        core.bridges[address] = earlier.get(address) or Bridge()
        core.bridges[address].configured = False
    for address in core.bridges:
        core.effect(ReadQueues(address, tuple(queues.readable_at(core.db, address))))
    for device, peer_device, peer in queues.pairs(core.db):
        ways.find(core, (device, peer_device), peer)
    for found in core.links.values():
        for link in found:
            link.disagrees = True  # so that contacts learn where they may leave messages
    knocking.restored(core)


def bridge_up(core: Core, bridge: str, observed: str, local: Sequence[str], way: str = "quic") -> None:
    """A bridge admitted us. `observed` is our UDP socket's address as it sees it ("" over a WebSocket), `local` our own
    addresses, all as host:port; `way` is "quic" or "websocket"."""
    found = core.bridges.setdefault(bridge, Bridge())
    found.up, found.why, found.way, found.observed, found.local = True, "", way, observed, tuple(local)
    for key, link in core.ways.items():
        if any(route.bridge == bridge for route in link.way.routes):
            questions.bridge_came(core, link.way)
            core.mark_ready(key)
    knocking.bridge_up(core, bridge)
    core.effect(PeersChanged())


def bridge_down(core: Core, bridge: str, code: str) -> None:
    """A bridge cannot be used now; `code` says why."""
    found = core.bridges.setdefault(bridge, Bridge())
    found.up, found.why = False, code
    places.lost(core, bridge)
    for key, link in core.ways.items():
        if link.way.using is not None and link.way.using.bridge == bridge:
            link.way.stale = True
            core.mark_ready(key)
    core.effect(PeersChanged())


# --- what it keeps ---


def stored(core: Core, posts: Sequence[Post]) -> None:
    """The bridge keeps them: their messages are `relayed`, which frees nothing (PROTOCOL B7)."""
    for post in posts:
        if post.public:
            knocking.stored(core, post)
            continue
        link = core.ways.get(post.pair)
        if link is not None:
            link.way.avoid.pop(post.route.bridge, None)
            link.way.refusals = 0
        if post.sid and post.position >= 0:
            queues.note_stored(core.db, post.route.queue, post.sid, post.position + 1)
            rows = sessions.items_at(core.db, post.sid, post.position)
            for agent, entry in outbox.relayed(core.db, rows, core.now_ms()):
                core.effect(Moved(agent, entry))


def refused(core: Core, posts: Sequence[Post], code: str, retry_ms: int) -> None:
    """The bridge does not keep them; we must send the frames again. `code` is a wire.relay_answers.Refusal, or DOWN."""
    for post in posts:
        if post.public:
            knocking.refused(core, post, code, retry_ms, down=code == DOWN)
            continue
        link = core.ways.get(post.pair)
        if link is None:
            continue
        link.way.using, link.way.stale = None, True
        if post.position == ways.INIT:
            link.way.inits.discard(post.sid)
        if not post.sid:  # unlike what is owed, a question is not sent again by itself
            link.way.sync_at, link.way.patience = core.now(), 0.0
    if code != DOWN:
        for pair, route in {(post.pair, post.route): None for post in posts}:
            if (link := core.ways.get(pair)) is not None:
                wait_s = max(retry_ms / 1000, BACKOFF_MIN_S) if retry_ms else _refused_s(link.way)
                link.way.avoid[route.bridge] = (core.now() + wait_s, code)
    core.effect(PeersChanged())


def _refused_s(way: Way) -> float:
    way.refusals += 1
    return REFUSED.after(way.refusals - 1)


# --- what it delivers ---


def came(core: Core, bridge: str, queue: bytes, blobs: Sequence[tuple[int, bytes]]) -> None:
    """Handle blobs of one of our queues, in order. Raises nothing that a peer or a bridge can cause."""
    own = queues.own(core.db, queue)
    if own is None or not (own.peer_device or own.public) or not blobs:
        return
    take = callers.open_knock if own.public else _open
    possible = [(cursor, blob) for cursor, blob in blobs if cursor <= _latest_cursor(core)]
    if len(possible) < len(blobs):  # following it would count everything after it as processed
        _report(
            core,
            own,
            "its message numbers are ahead of any clock, or this machine's clock is behind: the messages are not taken",
        )
        core.untimely[bridge] = min(cursor for cursor, _ in blobs if cursor > _latest_cursor(core))
    if not possible:
        return
    for cursor, blob in possible:
        if cursor > own.cursor:
            take(core, own, blob)
    last = max(cursor for cursor, _ in possible)
    queues.worked_off(core.db, queue, last)
    core.effect(Kept(bridge, queue, last))


def minute(core: Core) -> None:
    """Once a minute: fetch what was refused because our clock was behind, once the clock is right again."""
    for bridge in [at for at, cursor in core.untimely.items() if cursor <= _latest_cursor(core)]:
        del core.untimely[bridge]
        core.effect(ReadAgain(bridge))


def _latest_cursor(core: Core) -> int:
    """Cursors are times in microseconds, or the previous cursor plus one."""
    return (core.now_ms() + CLOCKS_APART_MS) * 1_000


def _report(core: Core, own: OwnQueue, what: str) -> None:
    link = ways.find(core, (own.device, own.peer_device), own.peer) if own.peer_device else None
    if link is not None:
        ways.report_lie(core, link, what)


def _open(core: Core, own: OwnQueue, blob: bytes) -> None:
    key = (own.device, own.peer_device)
    link = ways.find(core, key, own.peer)
    if link is None:
        return  # of somebody who is no contact any more
    try:
        incarnation, frames = open_blob(own.key, own.queue, blob)
    except PeerFault:
        ways.report_lie(core, link, "it delivered something that the peer cannot have sealed")
        return
    link.incarnation = incarnation  # of the run that wrote this blob, perhaps an earlier run than that of the last blob
    questions.something_came(core, link.way)
    for bridge in [at for at, (_, why) in link.way.avoid.items() if why in (Refusal.GONE, Refusal.QUOTA)]:
        del link.way.avoid[bridge]  # the peer is there, so it has created its queue and reads it
    for frame in frames:
        try:
            _take(core, link, frame)
        except PeerFault as fault:  # a fault in one frame does not affect the next
            if isinstance(fault, UnknownVersion):
                releases.differ_over(core, link)
            log.info("from a queue of %s: %s: %s", id_text(own.peer)[:10], fault.code, fault.message)


def _take(core: Core, link: BridgedLink, data: bytes) -> None:
    frame = decode_frame(data)
    if not isinstance(frame, Data) and not link.way.bucket.take(core.now()):  # of unknown types too
        raise Flood("too many frames carry no message")
    handler = _HANDLERS.get(type(frame))
    if handler is None or (link.identity is None and not isinstance(frame, Greeting)):
        return  # the disk damaged the peer's log: nothing can be verified before a greeting shows it again
    handler(core, link, frame)


def on_greeting(core: Core, link: BridgedLink, frame: Greeting) -> None:
    """The peer's identity log, key bundle, and addresses for a direct connection. Raises BadIdentity and related
    errors."""
    offered = replay(frame.entries)
    if offered.agent != link.peer:
        raise BadIdentity("the greeting is another agent's")
    identity = adoption.adopt(core, offered)
    if link.peer_device not in identity.devices:
        raise BadIdentity("the greeting is of a device that is not the agent's")
    bundle = read_bundle(frame.bundle, link.peer_device, core.now_ms())
    if bundle.agent != link.peer:
        raise BadIdentity("the key bundle is another agent's")
    queues.keep_bundle(core.db, bundle, core.now_ms())
    link.identity, link.bundle = identity, bundle
    _try_directly(core, link, frame)


def _try_directly(core: Core, link: BridgedLink, frame: Greeting) -> None:
    """Both sides dial as soon as they heard of each other, which opens a way through two NATs."""
    if next(core.links_to(link.agent, link.peer), None) is not None:
        return
    if not link.way.told_places.take(core.now()):
        return
    places = [place for place in map(_place, frame.addresses) if place]
    for place in places:
        contacts.remember_address(core.db, link.peer, place, frame.node, core.now_ms(), told=True)
    link.way.places = len(places)
    core.router.urge(Target(frame.node), places, core.now())
    dial_due(core)


def _place(address: str) -> str:
    """The canonical spelling of an address; empty for an invalid one."""
    try:
        return format_address(parse_address(address))
    except Usage:
        return ""


_HANDLERS: dict[type, Callable[..., None]] = {
    Greeting: on_greeting,
    Sync: sync.on_sync,
    Init: inbound.on_init,
    Data: inbound.on_data,
    Stand: knocking.on_standing,
}


def told(core: Core, bridge: str, place: str, message: bytes, gone: bool) -> None:
    """A message from the other side of a meeting place."""
    exchange.told(core, bridge, place, message, gone)


# --- by time ---


def second(core: Core) -> None:
    """Once a second: doors to knock at, ways that may be used again, and questions that are due."""
    knocking.second(core)
    for key, link in list(core.ways.items()):
        if core.newest_link(key) is not link:
            continue
        if link.way.using is None:
            if not ways.is_open(core, link, key):
                continue
            core.mark_ready(key)
        sync.ask_due(core, link)
        if questions.is_due(core, link, key):
            sync.send_sync(core, link, reply=True)
