"""First contact: an unknown peer may deliver one request; whether it is accepted decides the rest (PROTOCOL B11,
E4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from p2p_agents.core.contact import petition, reply
from p2p_agents.core.delivery import failures, sync
from p2p_agents.core.identity import adoption
from p2p_agents.core.kernel.effects import Asked, PeersChanged, Proven, Wake
from p2p_agents.core.kernel.state import Phase
from p2p_agents.core.links import memory, standing
from p2p_agents.crypto.signing import verify
from p2p_agents.errors import Malformed, RequestUnknown
from p2p_agents.limits import REQUESTS_PENDING, REQUESTS_STAY
from p2p_agents.link.admission import Answer, Policy
from p2p_agents.store import allowed, contacts, doors, introductions, strangers
from p2p_agents.store.contacts import Contact, Trust
from p2p_agents.store.contacts import Request as Kept
from p2p_agents.wire.claims import REQUEST_LABEL, RequestClaims, decode_request
from p2p_agents.wire.frame import NO_SUCH_AGENT, Request, Stand, Standing

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link

FORGOTTEN_AT_ONCE = 200  # strangers
ENTRY_BYTES = 32  # the id of an entry
REMOVED = "the contact was removed"  # why a message to it failed


@dataclass(frozen=True, slots=True)
class Said:
    """A request from a peer that proved to be `peer`; the other fields are its own claims."""

    peer: bytes
    name: str
    kind: str
    entry: bytes
    text: str


def proceed(core: Core, link: Link) -> None:
    """Standings are known or changed: exchange views, or ask to be accepted, or give up what is refused."""
    if not link.up:
        return
    if link.standing is Standing.ACCEPTS and link.peer_standing is Standing.ACCEPTS:
        if not link.sync_sent:
            sync.send_sync(core, link, reply=False)
    elif link.standing is Standing.ACCEPTS:
        petition.ask(core, link)


# --- receiving requests ---


def on_request(core: Core, link: Link, frame: Request) -> None:
    """Raises Malformed, BadSignature or BadSeal; requests of a flood are dropped silently."""
    hosted = core.host(link.agent)
    claims = _open(hosted, link, frame)
    contact = contacts.contact(core.db, link.agent, link.peer)
    if link.standing is not Standing.ASK or (contact is not None and contact.trust >= Trust.ACCEPTED):
        return
    earlier = contacts.request(core.db, link.agent, link.peer)
    if earlier is not None and (earlier.state, earlier.entry) == ("pending", claims.entry):
        return  # it cannot know that its first request was kept
    answer = judge(core, hosted, link.peer, near=core.peerings[link.connection].near)
    if answer is not Answer.DROP:
        assert link.identity is not None
        link.identity = adoption.adopt(core, link.identity)
        keep(core, hosted, Said(link.peer, link.name, link.kind, claims.entry, claims.text), answer)


def _open(hosted: Hosted, link: Link, frame: Request) -> RequestClaims:
    signed = hosted.unseal(frame.payload, petition.request_info(link.peer, hosted.local.agent))
    claims = decode_request(verify(link.peer_device, signed, REQUEST_LABEL))
    if (claims.agent, claims.device, claims.peer) != (link.peer, link.peer_device, hosted.local.agent):
        raise Malformed("the request names other agents than its link")
    return claims


def judge(core: Core, hosted: Hosted, peer: bytes, *, near: bool = False) -> Answer:
    """Decide on a request from a peer that proved who it is. The request is counted: ask once."""
    earlier = contacts.request(core.db, hosted.local.id, peer)
    return hosted.desk.decide(
        Policy(hosted.local.policy),
        pending=contacts.pending_requests(core.db, hosted.local.id),
        known=earlier is not None and earlier.state == "pending",
        now=core.now(),
        near=near,
    )


def keep(core: Core, hosted: Hosted, said: Said, answer: Answer) -> None:
    """Store a request that was judged; its sender's identity is stored already."""
    agent, now_ms = hosted.local.id, core.now_ms()
    earlier = contacts.request(core.db, agent, said.peer)
    if answer is Answer.KEEP and (earlier is None or earlier.state != "pending"):
        _make_room(core, hosted)
    time_ms = earlier.time_ms if earlier else now_ms
    kept = Kept(said.peer, said.name, said.kind, said.entry, said.text, time_ms, "pending")
    contacts.save_request(core.db, agent, kept)
    trust = Trust.REQUESTED
    contacts.save_contact(core.db, agent, said.peer, name=said.name, kind=said.kind, trust=trust, now_ms=now_ms)
    if answer is Answer.ACCEPT:
        accept(core, hosted, said.peer)
    elif earlier is None or earlier.state != "pending":
        core.effect(Asked(agent, said.peer))
    core.effect(PeersChanged())
    core.effect(Wake(agent))


def _make_room(core: Core, hosted: Hosted) -> None:
    """If all places are taken, drop the request that has waited longest in the places that rotate. Its sender may ask
    again."""
    agent = hosted.local.id
    while contacts.pending_requests(core.db, agent) >= REQUESTS_PENDING:
        peer = contacts.longest_pending(core.db, agent, REQUESTS_STAY)
        assert peer is not None
        contacts.forget_request(core.db, agent, peer)
        doors.forget_asker(core.db, agent, peer)
        _forget(core, agent, peer)


def forget_strangers(core: Core) -> None:
    """Keep nothing of strangers whose request nobody answered: their logs would fill the store."""
    for agent, peer in strangers.only_asked(core.db, FORGOTTEN_AT_ONCE):
        _forget(core, agent, peer)


def _forget(core: Core, agent: int, peer: bytes) -> None:
    memory.forget_peer(core, peer)
    if strangers.forget(core.db, agent, peer) and core.hosted_id(peer) is None:
        strangers.forget_agent(core.db, peer)
    core.effect(PeersChanged())


# --- deciding ---


def welcome(core: Core, link: Link) -> None:
    """A peer on the allowlist that proved its identity needs no request. A block or freeze takes precedence."""
    if not is_welcome(core, link.agent, link.peer):
        return
    assert link.identity is not None
    link.identity = adoption.adopt(core, link.identity)
    take_in(core, link.agent, link.peer, link.name, link.kind)


def is_welcome(core: Core, agent: int, peer: bytes) -> bool:
    """Whether a peer that is no contact yet should become one at once."""
    contact = contacts.contact(core.db, agent, peer)
    if contact is not None and (contact.frozen or contact.trust is Trust.BLOCKED or contact.trust >= Trust.ACCEPTED):
        return False
    return allowed.holds(core.db, agent, peer)


def take_in(core: Core, agent: int, peer: bytes, name: str, kind: str) -> None:
    """Make a contact without a request."""
    contacts.settle_request(core.db, agent, peer, "accepted")
    contacts.save_contact(core.db, agent, peer, name=name, kind=kind, trust=Trust.ACCEPTED, now_ms=core.now_ms())


def accept(core: Core, hosted: Hosted, peer: bytes) -> Contact:
    """Raises RequestUnknown if the peer asked nothing."""
    return _decide(core, hosted, peer, Trust.ACCEPTED, "accepted")


def reject(core: Core, hosted: Hosted, peer: bytes) -> Contact:
    """The sender is told; later requests of the peer are ignored, even if it was on the allowlist."""
    allowed.remove(core.db, hosted.local.id, peer)
    return _decide(core, hosted, peer, Trust.UNKNOWN, "rejected")


def block(core: Core, hosted: Hosted, peer: bytes, name: str, kind: str) -> Contact:
    """Whether or not it asked. It is told nothing, and finds no agent here any more."""
    contacts.settle_request(core.db, hosted.local.id, peer, "blocked")
    doors.forget_asker(core.db, hosted.local.id, peer)
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


def remove(core: Core, hosted: Hosted, peer: bytes) -> None:
    """Make a contact a stranger again, for this agent alone: what it was still owed fails, and its name is free for
    others (PROTOCOL E5). What is known of its keys stays, and so does the conversation."""
    agent = hosted.local.id
    failures.fail_all(core, agent, peer, REMOVED)
    adoption.part(core, hosted, peer)
    doors.forget(core.db, agent, peer)
    doors.forget_asker(core.db, agent, peer)
    introductions.settle(core.db, agent, peer, "rejected")
    contacts.forget_pins(core.db, peer, agent)
    contacts.set_petname(core.db, agent, peer, None)
    memory.forget_peer(core, peer)
    regard(core, hosted, peer)


def _decide(core: Core, hosted: Hosted, peer: bytes, trust: Trust, state: str) -> Contact:
    agent = hosted.local.id
    now_ms = core.now_ms()
    request, known = contacts.request(core.db, agent, peer), contacts.contact(core.db, agent, peer)
    asker = request or known
    if asker is None:
        raise RequestUnknown
    if request is None:  # it never had to ask: the decision holds all the same
        request = Kept(peer, asker.name, asker.kind, bytes(ENTRY_BYTES), "", now_ms, state)
    contacts.save_request(core.db, agent, replace(request, state=state))
    if known is not None and trust is Trust.ACCEPTED:
        trust = max(trust, known.trust)
    contact = contacts.save_contact(core.db, agent, peer, name=asker.name, kind=asker.kind, trust=trust, now_ms=now_ms)
    regard(core, hosted, peer)
    return contact


def regard(core: Core, hosted: Hosted, peer: bytes) -> None:
    """Our standing towards a peer may have changed: send it on every live link, and act on it."""
    core.seek_links()
    reply.answer(core, hosted, peer)
    for link in list(core.links_to(hosted.local.id, peer)):
        now = standing.towards(core, hosted, peer)
        if now is not link.standing:
            link.standing = now
            core.send_on(link, Stand(link.number, now))
            memory.remember_peer(core, link)
            _fall_back(link)
        if now is Standing.ACCEPTS:
            core.effect(Proven(link.connection))
        proceed(core, link)
    core.effect(PeersChanged())


def on_standing(core: Core, link: Link, frame: Stand) -> None:
    """The peer's standing towards us changed."""
    link.peer_standing = frame.standing
    _fall_back(link)
    proceed(core, link)


def _fall_back(link: Link) -> None:
    """Views are void once one side takes nothing: they are exchanged again if it changes its mind."""
    if Standing.ACCEPTS is not link.standing or Standing.ACCEPTS is not link.peer_standing:
        link.sync_sent = False
        if link.phase is Phase.SYNCED:
            link.phase = Phase.UP
