"""First contact: an unknown peer may deliver one request; who accepts whom decides the rest (PROTOCOL B11, E4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2p_agents.crypto.signing import verify
from p2p_agents.errors import Malformed, RequestUnknown
from p2p_agents.link.admission import Answer, Policy
from p2p_agents.node import adopting, asking, remembering, syncing
from p2p_agents.node.effects import Asked, PeersChanged, Wake
from p2p_agents.node.state import Phase
from p2p_agents.store import allowed, contacts, introductions
from p2p_agents.store.contacts import Contact, Trust
from p2p_agents.store.contacts import Request as Kept
from p2p_agents.wire.claims import REQUEST_LABEL, RequestClaims, decode_request
from p2p_agents.wire.frame import NO_SUCH_AGENT, Request, Stand, Standing

if TYPE_CHECKING:
    from p2p_agents.node.core import Core
    from p2p_agents.node.state import Hosted, Link

ENTRY_BYTES = 32  # the id of an entry


def proceed(core: Core, link: Link) -> None:
    """Standings are known or changed: exchange views, or ask to be let in, or give up what is refused."""
    if not link.up:
        return
    if link.standing is Standing.ACCEPTS and link.peer_standing is Standing.ACCEPTS:
        if not link.sync_sent:
            syncing.send_sync(core, link, reply=False)
    elif link.standing is Standing.ACCEPTS:
        asking.ask(core, link)


# --- being asked ---


def on_request(core: Core, link: Link, frame: Request) -> None:
    """Raises Malformed, BadSignature or BadSeal; what a flood sends is dropped without a word."""
    hosted = core.host(link.agent)
    claims = _open(hosted, link, frame)
    contact = contacts.contact(core.db, link.agent, link.peer)
    if link.standing is not Standing.ASK or (contact is not None and contact.trust >= Trust.ACCEPTED):
        return
    earlier = contacts.request(core.db, link.agent, link.peer)
    answer = hosted.desk.decide(
        Policy(hosted.local.policy),
        pending=contacts.pending_requests(core.db, link.agent),
        known=earlier is not None and earlier.state == "pending",
        now=core.now(),
    )
    if answer is Answer.DROP:
        return
    _keep(core, link, claims, earlier)
    if answer is Answer.ACCEPT:
        accept(core, hosted, link.peer)
    elif earlier is None or earlier.state != "pending":
        core.effect(Asked(link.agent, link.peer))
    core.effect(PeersChanged())
    core.effect(Wake(link.agent))


def _open(hosted: Hosted, link: Link, frame: Request) -> RequestClaims:
    signed = hosted.unseal(frame.payload, asking.request_info(link.peer, hosted.local.agent))
    claims = decode_request(verify(link.peer_device, signed, REQUEST_LABEL))
    if (claims.agent, claims.device, claims.peer) != (link.peer, link.peer_device, hosted.local.agent):
        raise Malformed("a request that names other agents than its link")
    return claims


def _keep(core: Core, link: Link, claims: RequestClaims, earlier: Kept | None) -> None:
    assert link.identity is not None
    link.identity = adopting.adopt(core, link.identity)
    time_ms = earlier.time_ms if earlier else core.now_ms()
    contacts.save_request(
        core.db,
        link.agent,
        Kept(link.peer, link.name, link.kind, claims.entry, claims.text, time_ms, "pending"),
    )
    contacts.save_contact(
        core.db,
        link.agent,
        link.peer,
        name=link.name,
        kind=link.kind,
        trust=Trust.REQUESTED,
        now_ms=core.now_ms(),
    )


# --- deciding ---


def welcome(core: Core, link: Link) -> None:
    """Who stands on the allowlist and proved it needs no request. Blocked and frozen count for more."""
    contact = contacts.contact(core.db, link.agent, link.peer)
    if contact is not None and (contact.frozen or contact.trust is Trust.BLOCKED or contact.trust >= Trust.ACCEPTED):
        return
    if not allowed.holds(core.db, link.agent, link.peer):
        return
    assert link.identity is not None
    link.identity = adopting.adopt(core, link.identity)
    contacts.settle_request(core.db, link.agent, link.peer, "accepted")
    contacts.save_contact(
        core.db,
        link.agent,
        link.peer,
        name=link.name,
        kind=link.kind,
        trust=Trust.ACCEPTED,
        now_ms=core.now_ms(),
    )


def accept(core: Core, hosted: Hosted, peer: bytes) -> Contact:
    """Raises RequestUnknown when the peer asked nothing."""
    return _decide(core, hosted, peer, Trust.ACCEPTED, "accepted")


def reject(core: Core, hosted: Hosted, peer: bytes) -> Contact:
    """The sender is told; a later request of the same peer is not looked at, whether or not it was allowlisted."""
    allowed.remove(core.db, hosted.local.id, peer)
    return _decide(core, hosted, peer, Trust.UNKNOWN, "rejected")


def block(core: Core, hosted: Hosted, peer: bytes, name: str, kind: str) -> Contact:
    """Whether it asked or not. It is told nothing, and finds no agent here any more."""
    contacts.settle_request(core.db, hosted.local.id, peer, "blocked")
    introductions.settle(core.db, hosted.local.id, peer, "blocked")
    contact = contacts.save_contact(
        core.db,
        hosted.local.id,
        peer,
        name=name,
        kind=kind,
        trust=Trust.BLOCKED,
        now_ms=core.now_ms(),
    )
    for link in list(core.links_to(hosted.local.id, peer)):
        core.close_link(link, NO_SUCH_AGENT)
    return contact


def _decide(core: Core, hosted: Hosted, peer: bytes, trust: Trust, state: str) -> Contact:
    agent = hosted.local.id
    now_ms = core.now_ms()
    request, known = contacts.request(core.db, agent, peer), contacts.contact(core.db, agent, peer)
    asker = request or known
    if asker is None:
        raise RequestUnknown
    if request is None:  # it never had to ask: what was decided holds all the same
        request = Kept(peer, asker.name, asker.kind, bytes(ENTRY_BYTES), "", now_ms, state)
    contacts.save_request(core.db, agent, replace(request, state=state))
    if known is not None and trust is Trust.ACCEPTED:
        trust = max(trust, known.trust)
    contact = contacts.save_contact(core.db, agent, peer, name=asker.name, kind=asker.kind, trust=trust, now_ms=now_ms)
    regard(core, hosted, peer)
    return contact


def regard(core: Core, hosted: Hosted, peer: bytes) -> None:
    """Our standing towards a peer may have changed: tell it on every live link, and go on from there."""
    core.seek_links()
    for link in list(core.links_to(hosted.local.id, peer)):
        now = asking.standing(core, hosted, peer)
        if now is not link.standing:
            link.standing = now
            core.send_on(link, Stand(link.number, now))
            remembering.remember_peer(core, link)
            _fall_back(link)
        proceed(core, link)
    core.effect(PeersChanged())


def on_standing(core: Core, link: Link, frame: Stand) -> None:
    """The peer's regard for us changed."""
    link.peer_standing = frame.standing
    _fall_back(link)
    proceed(core, link)


def _fall_back(link: Link) -> None:
    """Views count no more once one side takes nothing: they are exchanged anew if it changes its mind."""
    if Standing.ACCEPTS is not link.standing or Standing.ACCEPTS is not link.peer_standing:
        link.sync_sent = False
        if link.phase is Phase.SYNCED:
            link.phase = Phase.UP
