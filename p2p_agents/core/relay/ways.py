"""A way: the link of two devices over bridges, with a queue for each direction (PROTOCOL B7, D1, G1).

It needs no opening: both sides were contacts when they gave each other their queues. GREETING replaces HELLO, new
sessions are sealed to the weekly prekey, and a SYNC is fresh only if it answers a challenge. The frames are the same as
on a lane, sealed by the same sessions, so a change of path loses and duplicates nothing: what is not acknowledged is
put again, and what came twice is absorbed.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from p2p_agents.core.kernel import sessions as ended
from p2p_agents.core.kernel.effects import LeaveBridge, ReadQueues
from p2p_agents.core.kernel.state import Bridge, BridgedLink, Floor, Link, Phase, Way
from p2p_agents.crypto.bundle import read_bundle
from p2p_agents.crypto.handshake import offer_hash
from p2p_agents.crypto.outer import KEY_BYTES, queue_name
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.limits import INT_MAX
from p2p_agents.link import approach
from p2p_agents.link.bridge_news import in_words
from p2p_agents.link.credit import Allowance, Meter
from p2p_agents.link.reconcile import MyView, Outcome, compare
from p2p_agents.store import agents, contacts, outbox, queues, sessions
from p2p_agents.store.contacts import Event, Trust
from p2p_agents.store.queues import OwnQueue
from p2p_agents.wire.bridge_address import SCHEME
from p2p_agents.wire.frame import Standing
from p2p_agents.wire.greeting import ADDRESSES, Greeting

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.crypto.introduction import Peer
    from p2p_agents.crypto.kem import KemKey
    from p2p_agents.store.contacts import Contact
    from p2p_agents.store.sessions import Held
    from p2p_agents.wire.claims import SessionView, SyncClaims
    from p2p_agents.wire.route import Route

log = logging.getLogger(__name__)

NO_CONNECTION = 0  # the connection of a link that has none; those of the endpoint begin with 1
INIT = -1  # the position of an init: before every frame of its session
OWN_QUEUES = 2  # bridges at which a peer may reach us: a second one in case the first is down
ALIVE_S = 120.0  # a peer that was heard within this time is considered there
TOLD_AGAIN_S = 3600.0  # before a human is told of the same lie again
SET_ASIDE_S = 30.0  # before a failed way is tried again
CHALLENGE_BYTES = 32


# --- the ways ---


def find(core: Core, key: PairKey, peer: bytes) -> BridgedLink | None:
    """The way of a pair, created if new; None if the peer is no contact or does not have that device."""
    hosted = core.hosted.of_device(key[0])
    contact = contacts.contact(core.db, hosted.local.id, peer) if hosted else None
    identity = agents.load_identity(core.db, peer)
    if hosted is None or contact is None or not _may_be_used(core, contact, identity, key[1]):
        core.ways.remove(key)
        return None
    link = core.ways.get(key)
    if link is None:
        link = core.ways[key] = _fresh(hosted.local.id, peer, key[1])
    link.identity, link.name, link.kind = identity, contact.name, contact.kind
    link.bundle = queues.bundle(core.db, peer, key[1])
    link.way.routes = queues.routes(core.db, *key)
    return link


def _may_be_used(core: Core, contact: Contact, identity: Identity | None, device: bytes) -> bool:
    """If a disk damaged a contact's log, the devices that it named are still known: they show the log again."""
    live = identity.devices if identity is not None else agents.live_devices(core.db, contact.peer)
    return device in live and contact.trust >= Trust.ACCEPTED and not contact.frozen


def _fresh(agent: int, peer: bytes, device: bytes) -> BridgedLink:
    link = BridgedLink(NO_CONNECTION, 0, agent, peer, Phase.SYNCED, b"")
    link.peer_device, link.sync_sent = device, True
    link.standing = link.peer_standing = Standing.ACCEPTS
    link.allowance, link.meter = Allowance(INT_MAX), Meter(INT_MAX, INT_MAX)  # the queue's quota limits both
    return link


def is_open(core: Core, link: Link, key: PairKey) -> bool:
    """Whether frames may be sent: always on a connection; over bridges while one of the peer's is up."""
    if not isinstance(link, BridgedLink):
        return True
    way = link.way
    chosen = next((route for route in way.routes if _serves(core, way, route)), None)
    if chosen is None or find(core, key, link.peer) is None:
        way.using, way.stale = None, True
        return False
    if chosen != way.using:
        way.stale = True
        way.inits.clear()
    way.using = chosen
    if way.stale:
        way.stale = False
        _take_over(core, link, key, chosen)
    return True


def _serves(core: Core, way: Way, route: Route) -> bool:
    bridge = core.bridges.get(route.bridge)
    return bridge is not None and bridge.up and core.now() >= way.avoid.get(route.bridge, (0.0, ""))[0]


def _take_over(core: Core, link: BridgedLink, key: PairKey, route: Route) -> None:
    """Put again all frames that are not acknowledged and not known to be in the queue. A session whose init went
    another way and was never answered has to begin again."""
    done = queues.stored(core.db, route.queue)
    for held in list(core.pair_sessions(key)):
        s = held.session
        if s.initiator and not s.confirmed and s.sid not in link.way.inits:
            ended.retire(core, key, held)
        elif held.frames:
            link.resend[s.sid] = max(held.acked, done.position if done.sid == s.sid else 0)


def set_aside(core: Core, key: PairKey, why: str) -> None:
    """Nothing can be sealed for this pair now: do not use its bridges for SET_ASIDE_S."""
    link = core.ways.get(key)
    if link is not None:
        for route in link.way.routes:
            link.way.avoid[route.bridge] = (core.now() + SET_ASIDE_S, why)


# --- keys ---


def prekey_of(core: Core, link: Link) -> bytes | None:
    """The key for the first flight to an absent peer, as long as the peer can be expected to have its private part."""
    bundle = link.bundle
    return bundle.prekey if bundle is not None and bundle.expires_ms > core.now_ms() else None


def offered(core: Core, link: Link, wanted: bytes) -> KemKey | None:
    """Our prekey that an init from a queue is sealed to."""
    return next((key for key in core.host(link.agent).prekeys if offer_hash(key.public) == wanted), None)


# --- queues ---


def routes_for(core: Core, key: PairKey, peer: bytes, otherwise: str = "") -> tuple[Route, ...]:
    """Where the peer may leave what it cannot deliver directly: our queues for it, created if missing. `otherwise` is
    the bridge of a peer that has not sent routes yet."""
    have = {own.bridge: own for own in queues.own_for(core.db, *key)}
    wanted = [address for address, bridge in core.bridges.items() if bridge.configured]
    if not wanted:  # a bridge that serves the peer serves us
        wanted = [route.bridge for route in queues.routes(core.db, *key)] or ([otherwise] if otherwise else [])
    for address in wanted[:OWN_QUEUES]:
        if address not in have:
            have[address] = make_queue(core, address, key[0], key[1], peer)
            core.bridges.setdefault(address, Bridge())
            core.effect(ReadQueues(address, tuple(queues.readable_at(core.db, address))))
    return tuple(have[address].route for address in wanted[:OWN_QUEUES])


def make_queue(
    core: Core, bridge: str, device: bytes, peer_device: bytes, peer: bytes, *, public: bool = False
) -> OwnQueue:
    """Store a new queue; the bridge learns of it when it is first read."""
    seed = core.entropy.draw(KEY_BYTES)
    name = queue_name(SigningKey.from_seed(seed).public)
    token, key = core.entropy.draw(KEY_BYTES), core.entropy.draw(KEY_BYTES)
    own = OwnQueue(name, bridge, device, peer_device, peer, seed, token, key, 0, public)
    queues.make(core.db, own)
    return own


def prepare(core: Core, device: bytes) -> list[OwnQueue]:
    """Queues for the peer that a code will bring."""
    wanted = [address for address, bridge in core.bridges.items() if bridge.configured]
    return [make_queue(core, address, device, b"", core.entropy.draw(KEY_BYTES)) for address in wanted[:OWN_QUEUES]]


def met(core: Core, hosted: Hosted, agent: bytes, peer: Peer, prepared: tuple[bytes, ...]) -> None:
    """A code brought a peer, a device of `agent`: assign it the prepared queues, and keep its prekey, if it has one
    yet, so that a first message can be sealed to it."""
    key = (hosted.local.device, peer.device)
    sessions.note_pair(core.db, *key, agent, heard_ms=core.now_ms())
    outbox.bind_device(core.db, hosted.local.id, agent, peer.device)
    if peer.bundle:
        queues.keep_bundle(core.db, read_bundle(peer.bundle, peer.device, core.now_ms()), core.now_ms())
    for queue in prepared:
        queues.bind(core.db, queue, peer.device, agent)
    for address in core.bridges:
        core.effect(ReadQueues(address, tuple(queues.readable_at(core.db, address))))
    take_routes(core, key, agent, peer.routes)
    find(core, key, agent)


def learn_routes(core: Core, key: PairKey, peer: bytes, claims: SyncClaims) -> None:
    """The peer says where it can be left messages."""
    sessions.note_pair(core.db, *key, peer, stamp_seen=claims.stamp)
    take_routes(core, key, peer, claims.routes)


def take_routes(core: Core, key: PairKey, peer: bytes, routes: tuple[Route, ...]) -> None:
    link = find(core, key, peer)
    if routes == queues.routes(core.db, *key) or link is None:
        return
    if not link.way.told_routes.take(core.now()):
        log.warning("%s changes its bridges too often", link.name)
        return
    queues.learn(core.db, *key, routes)
    leave_unused(core)
    for route in routes:
        if route.bridge not in core.bridges:
            core.bridges[route.bridge] = Bridge()
            core.effect(ReadQueues(route.bridge, tuple(queues.readable_at(core.db, route.bridge))))
    if find(core, key, peer) is not None:
        core.mark_ready(key)


def leave_unused(core: Core) -> None:
    """Leave bridges that are not configured and that no contact uses any more."""
    used = queues.bridges(core.db)
    for address in [at for at, bridge in core.bridges.items() if not bridge.configured and at not in used]:
        del core.bridges[address]
        core.effect(LeaveBridge(address))


def greeting(core: Core, link: BridgedLink) -> Greeting:
    """Who we are, and where a direct connection may be tried."""
    hosted = core.host(link.agent)
    bridges = [bridge for bridge in core.bridges.values() if bridge.up]
    places = dict.fromkeys([b.observed for b in bridges if b.observed] + [a for b in bridges for a in b.local])
    hidden = () if hosted.local.hidden else tuple(places)[:ADDRESSES]
    return Greeting(hosted.speaker.bundle, hosted.speaker.identity.entries, core.node, hidden)


# --- what both sides hold ---


def challenge(core: Core, link: BridgedLink, key: PairKey) -> bytes:
    """Draw a fresh challenge and note the state of all sessions: an answer to it was written later."""
    link.own_challenge = core.entropy.draw(CHALLENGE_BYTES)
    done = queues.stored(core.db, link.way.using.queue) if link.way.using else None
    link.way.floors = {
        s.sid: Floor(held.acked, s.received, s.sent, done.position if done and done.sid == s.sid else 0)
        for held in core.pair_sessions(key)
        if (s := held.session)
    }
    return link.own_challenge


def reconcile(core: Core, link: BridgedLink, key: PairKey, theirs: dict[bytes, SessionView]) -> None:
    """Compare the peer's views with the state when the challenge was drawn; later changes prove nothing."""
    floors, link.way.floors = link.way.floors, {}
    for held in reversed(list(core.pair_sessions(key))):
        sid = held.session.sid
        floor, view = floors.get(sid), theirs.get(sid)
        if floor is None:
            continue
        outcome = compare(_mine(core, held, floor, view), view)
        if outcome is not Outcome.GO_ON or view is None:
            ended.give_up(core, link, key, held, view, outcome)
        elif held.frames and view.received < floor.sent:
            link.resend[sid] = max(held.acked, view.received)
            if view.received < floor.stored:
                report_lie(core, link, "it claimed to keep messages that the peer, which read on, never got")


def forget_heal(link: Link, theirs: dict[bytes, SessionView], claims: SyncClaims) -> None:
    """An init that inherits what the peer no longer holds would be refused again and again (PROTOCOL D3)."""
    held = theirs[link.heal.dead].heals if link.heal.dead in theirs else ()
    told = claims.dead_heals if claims.dead == link.heal.dead else ()
    if link.heal.common is not None and link.heal.common not in (*held, *told):
        link.heal = replace(link.heal, common=None)


def _mine(core: Core, held: Held, floor: Floor, view: SessionView | None) -> MyView:
    s = held.session
    at = None
    if view is not None:  # no hash is kept of what was acknowledged meanwhile
        at = view.received_hash if view.received < held.acked else ended.hash_at(core, held, view.received)
    return MyView(s.confirmed, s.sent, floor.acked, floor.received, at)


def report_lie(core: Core, link: BridgedLink, what: str) -> None:
    """Tell a human that a bridge does not do what it says."""
    detail = f"{host_of(link.way.using.bridge) if link.way.using else 'a bridge'}: {what}"
    if core.now() >= link.way.told.get(detail, 0.0):
        link.way.told[detail] = core.now() + TOLD_AGAIN_S
        log.warning("%s (%s)", detail, link.name)
        contacts.record(core.db, Event(link.agent, link.peer, "bridge_lied", detail, core.now_ms()))


def trouble(core: Core, agent: int, peer: bytes) -> str | None:
    """Why the bridges do not take what waits for a peer; None if it has no bridges, or one of them takes it."""
    why = None
    for link in core.ways.between(agent, peer):
        for route in link.way.routes:
            bridge = core.bridges.get(route.bridge) or Bridge()
            _, code = link.way.avoid.get(route.bridge, (0.0, ""))
            if bridge.up and not code:
                return None
            why = why or f"bridge {host_of(route.bridge)}: {in_words(code if bridge.up else bridge.why)}"
    return why


def is_heard(core: Core, way: Way) -> bool:
    """Whether something came from the peer recently."""
    return core.now() - way.heard < ALIVE_S


def is_there(core: Core, way: Way) -> bool:
    """Whether the peer was heard recently and a bridge that it reads is up."""
    up = (core.bridges.get(route.bridge) for route in way.routes)
    return is_heard(core, way) and any(bridge is not None and bridge.up for bridge in up)


def why_not_direct(core: Core, link: BridgedLink) -> str:
    """Why the peer is not reached directly, for people: what was tried, and with what result."""
    nodes = dict.fromkeys(node for _, node in contacts.addresses(core.db, link.peer) if node)
    tried = [core.router.tried(node, core.now()) for node in nodes]
    if any(core.router.connections(node) for node in nodes):
        return "its node is connected, but no link with the peer is up"
    if not nodes:
        told = link.way.places is not None
        return "the peer gave no address to try" if told else "the peer has not said yet where it can be reached"
    if any(dials.failed for dials in tried):
        return "no address of the peer answers: a NAT or firewall may stand between" + _no_udp(core)
    if any(dials.under_way for dials in tried):
        return "the peer's addresses are being tried"
    return "the peer's addresses have not been tried yet"


def _no_udp(core: Core) -> str:
    """What the bridges showed about UDP, if there are any: they tell the peer our UDP address."""
    up = {address: bridge for address, bridge in core.bridges.items() if bridge.up}
    if not up or any(bridge.way != approach.Transport.WEBSOCKET for bridge in up.values()):
        return ""
    return f"; UDP does not pass to bridge {host_of(next(iter(up)))} either, which is reached by a WebSocket"


def host_of(bridge: str) -> str:
    """As people know it: without scheme and key."""
    return bridge.removeprefix(SCHEME).partition("#")[0]
