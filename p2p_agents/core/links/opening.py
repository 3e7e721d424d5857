"""From a bare connection to proven links: NODE, OPEN, HELLO, and how links end."""

from __future__ import annotations

import logging
from collections import deque
from math import inf
from typing import TYPE_CHECKING

import p2p_agents
from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.core.kernel.state import Link, Peering, Phase
from p2p_agents.core.links import crowds, memory, presence, releases, standing
from p2p_agents.core.links import proof as proving
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import IdentityRollback, Malformed, PeerFault, UnknownVersion
from p2p_agents.limits import FRAME_BYTES, LINKS_PER_CONNECTION, ROSTER_AGENTS
from p2p_agents.link import hello as hellos
from p2p_agents.link.hello import Channel
from p2p_agents.link.routing import Target
from p2p_agents.quic.address import is_loopback
from p2p_agents.store import agents, allowed, contacts, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.claims import Role
from p2p_agents.wire.frame import BUSY, GHOST, NO_SUCH_AGENT, Credit, Hello, Node, Open, Refuse, RosterAgent

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.link.hello import Proven
    from p2p_agents.wire.frame import Close

log = logging.getLogger(__name__)

CHALLENGE_BYTES = 32
DECLINED_S = 30.0  # before a declined link is asked for again on the same connection
NOBODY = bytes(32)  # an agent id that no agent has


# --- connections ---


def connected(
    core: Core, connection: int, dialed: bool, address: str, server_key: bytes, target: Target | None
) -> None:
    """A QUIC connection is ready: announce who lives here."""
    challenge = core.entropy.draw(CHALLENGE_BYTES)
    core.peerings[connection] = peering = Peering(
        connection, dialed, address, server_key, target, core.now(), challenge
    )
    peering.carried = peering.opened
    if is_loopback(address):
        peering.come_near()
    core.send(connection, node_frame(core, peering))


def disconnected(core: Core, connection: int, why: str = "") -> None:
    """`why` is the reason that the peer gave, if the peer closed it."""
    peering = core.peerings.get(connection)
    crowds.note_end(core, peering, why)
    if peering is not None and why == UnknownVersion.code:
        releases.differ(core, peering)
    core.drop_peering(connection)


def node_frame(core: Core, peering: Peering) -> Node:
    visible = [h.local for h in core.hosted.values() if not h.local.hidden][:ROSTER_AGENTS]
    roster = tuple(RosterAgent(a.agent, a.name, a.kind, a.status) for a in visible)
    places = tuple(core.hooks.places(core))
    return Node(core.node, core.incarnation, p2p_agents.__version__, peering.own_challenge, roster, places)


def announce_roster(core: Core) -> None:
    """Our agents changed: tell every connection."""
    for peering in core.peerings.values():
        core.send(peering.id, node_frame(core, peering))


def on_node(core: Core, peering: Peering, frame: Node) -> None:
    if peering.dialed and frame.node != peering.server_key:
        raise Malformed("the node names another key than TLS proved")
    if frame.node == core.node:
        core.hang_up(peering.id, "self")
        return
    if peering.node not in (b"", frame.node):
        raise Malformed("the node changed its key")
    peering.node, peering.incarnation = frame.node, frame.incarnation
    peering.program, peering.roster, peering.challenge = frame.program, frame.roster, frame.challenge
    peering.places = frame.places
    crowds.pace(core, peering)
    twin = _twin(core, peering)
    if twin is not None:
        _yield_to(core, peering, twin)
        return
    _route(core, peering)
    core.effect(PeersChanged())
    open_wanted(core, peering)


def _twin(core: Core, peering: Peering) -> Peering | None:
    """An earlier connection to the same node, through another of its addresses."""
    for other in core.router.connections(peering.node) - {peering.id}:
        twin = core.peerings.get(other)
        if twin and twin.dialed and peering.dialed and twin.incarnation == peering.incarnation:
            return twin
    return None


def _yield_to(core: Core, peering: Peering, twin: Peering) -> None:
    """One connection serves every address that led to the node, including those that somebody typed."""
    if peering.target is not None:
        core.router.connected(peering.target, twin.id, twin.incarnation)
    twin.also.add(peering.address)
    core.hang_up(peering.id, "duplicate")
    core.effect(PeersChanged())


def _route(core: Core, peering: Peering) -> None:
    """A dialed node is proven by TLS. An accepted one only keeps us from dialing it, until a contact vouches for it."""
    node = Target(peering.node)
    if peering.dialed:
        for target in {node, peering.target or node}:
            for ghost in core.router.connected(target, peering.id, peering.incarnation):
                core.hang_up(ghost, GHOST)
    elif peering.node < core.node:
        core.router.claimed(peering.node, peering.id)


def open_wanted(core: Core, peering: Peering) -> None:
    """Open a link for every contact that lives there and has none yet, first for those that let us in before."""
    if not peering.node:
        return
    peering.declined = {pair: until for pair, until in peering.declined.items() if until > core.now()}
    peering.seek, peering.seek_at = False, min(peering.declined.values(), default=inf)
    wanted = sorted(
        _wanted(core, peering), key=lambda pair: not sessions.ever_met(core.db, pair[0].local.device, pair[1])
    )
    peering.waiting = deque((hosted.local.id, peer) for hosted, peer in wanted)
    go_on(core, peering)


def _wanted(core: Core, peering: Peering) -> list[tuple[Hosted, bytes]]:
    there = _there(core, peering)
    return [
        (hosted, peer)
        for hosted in core.hosted.values()
        for peer in contacts.linked(core.db, hosted.local.id)
        if (hosted.local.id, peer) not in there and memory.lives_there(core, peering, hosted, peer)
    ]


def open_to(core: Core, peering: Peering, peer: bytes) -> None:
    """Like `open_wanted`, for one peer that was just heard of."""
    there = _there(core, peering).union(peering.waiting)
    for agent, hosted in core.hosted.items():
        if (
            crowds.is_let_in(core, agent, peer)
            and (agent, peer) not in there
            and memory.lives_there(core, peering, hosted, peer)
        ):
            peering.waiting.append((agent, peer))
    go_on(core, peering)


def go_on(core: Core, peering: Peering) -> None:
    """Open the links that wait and are still wanted, as many as the other side takes at once."""
    while peering.waiting and crowds.may_ask(peering):
        agent, peer = peering.waiting[0]
        wanted = crowds.is_let_in(core, agent, peer) and (agent, peer) not in _there(core, peering)
        if wanted and not peering.opens.take(core.now()):
            return
        peering.waiting.popleft()
        if wanted:
            open_link(core, peering, core.hosted[agent], peer)


def open_met(core: Core, peering: Peering, hosted: Hosted, peer: bytes) -> None:
    """Open a link to a peer that was just met on this connection: its HELLO proves whether it lives there."""
    if (hosted.local.id, peer) not in _there(core, peering):
        open_link(core, peering, hosted, peer)


def _there(core: Core, peering: Peering) -> set[tuple[int, bytes]]:
    """(agent, peer) whose link to that node is up or under way, or was declined recently. An agent may live at several
    nodes: each of its devices has a link."""
    linked = {(link.agent, link.peer) for found in core.links.values() for link in found if link.node == peering.node}
    return peering.pairs() | linked | {pair for pair, until in peering.declined.items() if core.now() < until}


def decline(core: Core, peering: Peering, link: Link) -> None:
    """Do not ask for it again soon. Links that strangers opened are never asked for by us, so they leave no trace."""
    if contacts.contact(core.db, link.agent, link.peer) is None:
        return
    peering.declined[link.agent, link.peer] = until = core.now() + DECLINED_S
    peering.seek_at = min(peering.seek_at, until)


# --- links ---


def open_link(core: Core, peering: Peering, hosted: Hosted, peer: bytes) -> None:
    """Ask for a link to `peer` on this connection."""
    if len(peering.links) >= LINKS_PER_CONNECTION:
        return
    known = agents.load_identity(core.db, peer)
    link = Link(
        peering.id,
        peering.claim_number(),
        hosted.local.id,
        peer,
        Phase.OPENING,
        core.entropy.draw(CHALLENGE_BYTES),
        identity=known,
    )
    link.opened = core.now()
    peering.links[link.number] = link
    held = known.n + 1 if known else 0
    proof = hellos.ask(
        hosted.speaker,
        _channel(core, peering, link),
        challenge=link.own_challenge,
        node_challenge=peering.challenge,
        link=link.number,
    )
    head = known.head if known else b""
    local = hosted.local
    core.send_on(link, Open(link.number, local.agent, local.device, peer, link.own_challenge, held, proof, head))


def on_open(core: Core, peering: Peering, frame: Open) -> None:
    ours = frame.link % 2 == (0 if peering.dialed else 1)
    if frame.link == 0 or ours or frame.link in peering.links or len(peering.links) >= LINKS_PER_CONNECTION:
        raise Malformed(f"OPEN names link {frame.link}, which is in use")
    hosted = core.hosted_id(frame.to)
    known = _asker(core, peering, frame)
    if hosted is None or hosted.local.device == frame.device or not _may_ask(core, hosted, frame, known):
        core.send(peering.id, Refuse(frame.link, NO_SUCH_AGENT))
        return
    if known is None and crowds.is_full_of_strangers(core, peering):
        core.send(peering.id, Refuse(frame.link, BUSY))
        return
    link = Link(
        peering.id,
        frame.link,
        hosted.local.id,
        frame.frm,
        Phase.ANSWERED,
        core.entropy.draw(CHALLENGE_BYTES),
        peer_challenge=frame.challenge,
        peer_device=frame.device,
        held_by_peer=frame.held,
        held_head=frame.head,
        identity=agents.load_identity(core.db, frame.frm),
        opened=core.now(),
        standing=standing.towards(core, hosted, frame.frm if known else NOBODY),
    )
    peering.links[frame.link] = link
    _say_hello(core, peering, hosted, link, Role.ACCEPTOR, known)


def _asker(core: Core, peering: Peering, frame: Open) -> Identity | None:
    """The identity of the asker, if it is known and its device proved itself. A peer that only names it is a
    stranger."""
    hellos.check_asker(frame, peering.server_key, peering.own_challenge)
    known = agents.load_identity(core.db, frame.frm)
    return known if known is not None and frame.device in known.devices else None


def _may_ask(core: Core, hosted: Hosted, frame: Open, known: Identity | None) -> bool:
    """Hidden agents are visible only to their contacts and their allowlist, and a blocked peer learns of nobody. A
    frozen contact may show the rotation that lifts the freeze."""
    agent = hosted.local.id
    contact = contacts.contact(core.db, agent, frame.frm) if known else None
    if contact is None or (contact.trust is Trust.UNKNOWN and not contact.frozen):
        listed = known is not None and allowed.holds(core.db, agent, frame.frm)
        return not hosted.local.hidden or listed or _was_a_contacts(core, agent, frame)
    return contact.trust is not Trust.BLOCKED and not contact.final


def _was_a_contacts(core: Core, agent: int, frame: Open) -> bool:
    """A device that a contact, or a thief of its root key, revoked: it may show the rotation that settles this."""
    contact = contacts.contact(core.db, agent, frame.frm)
    identity = agents.load_identity(core.db, frame.frm)
    met = contact is not None and contact.trust >= Trust.ACCEPTED
    return met and identity is not None and frame.device in identity.revoked


def _say_hello(core: Core, peering: Peering, hosted: Hosted, link: Link, role: Role, known: Identity | None) -> None:
    link.offer = core.entropy.kem_key()
    core.send_on(
        link,
        hellos.say(
            hosted.speaker,
            role,
            _channel(core, peering, link),
            link=link.number,
            challenge=link.peer_challenge,
            own_challenge=link.own_challenge if role is Role.ACCEPTOR else b"",
            known=known,
            held_by_peer=link.held_by_peer,
            held_head=link.held_head,
            offer=link.offer.public,
            standing=link.standing,
        ),
    )


def _channel(core: Core, peering: Peering, link: Link) -> Channel:
    peer_node = peering.server_key if peering.dialed else b""
    return Channel(peering.server_key, link.peer, link.peer_device, core.node, core.incarnation, peer_node)


def on_hello(core: Core, peering: Peering, link: Link, frame: Hello) -> None:
    """The peer's proof: first the acceptor's, then the opener's."""
    roles = {Phase.OPENING: Role.ACCEPTOR, Phase.ANSWERED: Role.OPENER}
    if link.phase not in roles:
        raise Malformed("HELLO came on a link that is up")
    role = roles[link.phase]
    hosted = core.host(link.agent)
    link.identity = agents.load_identity(core.db, link.peer)  # it may have grown since the link was asked for
    try:
        proven = hellos.check(
            frame,
            role,
            _channel(core, peering, link),
            hosted.speaker,
            challenge=link.own_challenge,
            known=link.identity,
        )
        proving.check(core, link, proven)
    except PeerFault as fault:
        proving.failed(core, link, fault)
        core.close_link(link, fault.code)
        decline(core, peering, link)
        return
    proving.look_back(core, link, hosted.speaker.identity, proven)
    _prove(link, proven, role)
    if role is Role.ACCEPTOR:
        link.standing = standing.towards(core, hosted, link.peer)
        _say_hello(core, peering, hosted, link, Role.OPENER, proven.identity)
    link_up(core, peering, link)


def _prove(link: Link, proven: Proven, role: Role) -> None:
    claims = proven.claims
    link.identity, link.bundle = proven.identity, proven.bundle
    link.peer_device = claims.device
    link.peer_offer = claims.offer
    link.peer_standing = claims.standing
    link.held_by_peer, link.held_head = claims.held_n, claims.held
    link.node, link.incarnation = claims.node, claims.incarnation
    link.name, link.kind = proven.name, proven.kind
    link.features = claims.extensions.features
    if role is Role.ACCEPTOR:
        link.peer_challenge = claims.own_challenge
    link.phase = Phase.UP


def link_up(core: Core, peering: Peering, link: Link) -> None:
    """Both sides are proven: replace ghosts, grant credit, and start what both standings allow."""
    key = core.pair_key(link)
    for ghost in [old for old in core.links.get(key, []) if old.incarnation < link.incarnation]:
        core.close_link(ghost, GHOST)
    core.list_link(link)
    crowds.thin_out(core, key)
    peering.busy.discard((link.agent, link.peer))
    peering.framer.limit = FRAME_BYTES
    core.hooks.proven(core, link)
    releases.agree(core, link)
    if not peering.dialed and contacts.contact(core.db, link.agent, link.peer) is not None:
        core.router.claimed(link.node, peering.id)
    memory.remember_peer(core, link)
    crowds.vouch(core, peering)
    core.effect(PeersChanged())
    presence.tell(core, link)
    core.hooks.regard(core, core.host(link.agent), link.peer)  # our standing may have changed since OPEN
    total = link.meter.renew()
    assert total is not None  # a fresh meter always grants
    core.send_on(link, Credit(link.number, total))  # after STANDING: from here on the peer knows our standing


def on_refuse(core: Core, peering: Peering, frame: Refuse) -> None:
    link = peering.links.get(frame.link)
    if link is None:
        return
    if link.phase is not Phase.OPENING:  # it is still listed, and removed when the connection ends
        raise Malformed("REFUSE names a link that was already answered")
    del peering.links[frame.link]
    if frame.code == BUSY:
        peering.busy.add((link.agent, link.peer))
    decline(core, peering, link)
    go_on(core, peering)


def on_close(core: Core, link: Link, frame: Close) -> None:
    log.debug("link to %s closed by the peer: %s", id_text(link.peer)[:10], frame.code)
    if frame.code != GHOST:
        decline(core, core.peerings[link.connection], link)
    if frame.code == IdentityRollback.code and link.up:
        proving.fell_behind(core, link)
    core.forget_link(link)
