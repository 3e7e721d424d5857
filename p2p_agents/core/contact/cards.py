"""Being introduced: a contact tells us of somebody. What it says is stored, shown, and believed as far as the human
chose.

An introduction makes a contact that is accepted at most. It changes no existing contact, lifts no block, and gives no
petname; an address in it is worth a dial, and a HELLO must prove it (PROTOCOL E4).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from p2p_agents.core.contact import consent
from p2p_agents.core.kernel.effects import Asked, PeersChanged, Wake
from p2p_agents.core.links import seeking
from p2p_agents.crypto.identity import replay
from p2p_agents.errors import BadIdentity, PeerFault, Usage
from p2p_agents.limits import CARD_ADDRESSES, CARD_NODES, DAY_MS, INTRODUCTIONS_PENDING, INTRODUCTIONS_PER_DAY
from p2p_agents.link.admission import Introductions
from p2p_agents.quic.address import format_address, parse_address
from p2p_agents.store import agents, allowed, contacts, introductions
from p2p_agents.store.contacts import Event, Trust
from p2p_agents.store.introductions import Introduction
from p2p_agents.wire.card import Card, Place, decode_card
from p2p_agents.wire.ip import may_be_dialled
from p2p_agents.wire.names import kind_or_nothing, name_or_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.store.contacts import Contact
    from p2p_agents.wire.ip import Address


def on_card(core: Core, hosted: Hosted, introducer: bytes, record: Record) -> None:
    """An introduction was stored. One passed on by another device of ours was already handled there. Raises nothing
    that a peer can cause."""
    policy = Introductions(hosted.local.introductions)
    if record.author != introducer or policy is Introductions.IGNORE or record.content is None:
        return
    try:
        card = decode_card(record.content)
        if not _is_news(core, hosted, introducer, card.agent) or not _has_room(core, hosted, introducer):
            return
        _check_identity(core, card)  # last, because it verifies a signature per entry
    except PeerFault as fault:
        _tell(core, hosted, introducer, "bad_card", f"an introduction that was not kept: {fault.message}")
        return
    agent, now_ms = hosted.local.id, core.now_ms()
    made = Introduction(card.agent, introducer, card.name, card.kind, record.content, now_ms)
    introductions.save(core.db, agent, made)
    if _at_once(core, hosted, introducer, card.agent, policy):
        accept(core, hosted, card.agent)
    else:
        core.effect(Asked(agent, card.agent))
    core.effect(PeersChanged())
    core.effect(Wake(agent))


def _check_identity(core: Core, card: Card) -> None:
    """The log, if any, belongs to this agent, and its devices to nobody else. Raises BadIdentity."""
    if not card.entries:
        return
    identity = replay(card.entries)
    if identity.agent != card.agent:
        raise BadIdentity("the identity log is of another agent than the one named")
    owners = {agents.owner_of(core.db, device) for device in (*identity.devices, *identity.revoked)} - {
        None,
        card.agent,
    }
    if owners:
        raise BadIdentity("the identity log holds another agent's device")


def _is_news(core: Core, hosted: Hosted, introducer: bytes, peer: bytes) -> bool:
    """False for ourselves, the introducer, agents of this node, and those we already know or have refused."""
    if peer == introducer or core.hosted_id(peer) is not None:
        return False
    if introductions.state_of(core.db, hosted.local.id, peer, introducer) in ("pending", "rejected"):
        return False
    contact = contacts.contact(core.db, hosted.local.id, peer)
    return contact is None or not (contact.frozen or contact.trust is Trust.BLOCKED or contact.trust >= Trust.ACCEPTED)


def _has_room(core: Core, hosted: Hosted, introducer: bytes) -> bool:
    """Stops floods, and tells a human of them."""
    agent = hosted.local.id
    today = introductions.count_since(core.db, agent, introducer, core.now_ms() - DAY_MS)
    if today < INTRODUCTIONS_PER_DAY and introductions.count_pending(core.db, agent) < INTRODUCTIONS_PENDING:
        return True
    _tell(core, hosted, introducer, "many_introductions", "more introductions than are kept; the rest was dropped")
    return False


def _at_once(core: Core, hosted: Hosted, introducer: bytes, peer: bytes, policy: Introductions) -> bool:
    """Whether to accept at once: those on the allowlist, and those introduced by somebody trusted to do so, unless they
    were turned away before."""
    agent = hosted.local.id
    if allowed.holds(core.db, agent, peer):
        return True
    request, by = contacts.request(core.db, agent, peer), contacts.contact(core.db, agent, introducer)
    turned_away = request is not None and request.state == "rejected"
    trusted = by is not None and by.trust >= Trust.PAIRED and not by.frozen
    return policy is Introductions.ACCEPT and trusted and not turned_away


def _tell(core: Core, hosted: Hosted, introducer: bytes, kind: str, detail: str) -> None:
    contacts.record(core.db, Event(hosted.local.id, introducer, kind, detail, core.now_ms()))


# --- deciding ---


def accept(core: Core, hosted: Hosted, peer: bytes) -> Contact | None:
    """Accept an introduced peer; returns the contact, or None if nobody introduced it. Raises PeerBlocked."""
    agent = hosted.local.id
    found = introductions.pending(core.db, agent, peer)
    if not found:
        return None
    earlier = contacts.contact(core.db, agent, peer)
    if earlier is not None:
        contacts.check_open(earlier)
    for introduction in found:
        _believe(core, decode_card(introduction.card))
    introductions.settle(core.db, agent, peer, "accepted")
    contacts.settle_request(core.db, agent, peer, "accepted")
    if earlier is None or earlier.trust < Trust.ACCEPTED:
        first = found[0]
        earlier = contacts.save_contact(
            core.db, agent, peer, name=first.name, kind=first.kind, trust=Trust.ACCEPTED, now_ms=core.now_ms()
        )
    consent.regard(core, hosted, peer)
    seeking.seek(core, peer)
    return earlier


def _believe(core: Core, card: Card) -> None:
    """Keep what helps to find and recognize it; a log that is already known is extended only by a HELLO."""
    with suppress(BadIdentity):  # a device of it was bound to another agent meanwhile: left to a HELLO
        _check_identity(core, card)
        if card.entries and agents.load_identity(core.db, card.agent) is None:
            agents.save_identity(core.db, replay(card.entries))
    if contacts.addresses(core.db, card.agent):  # we have met it
        return
    for place in card.places:
        for address in place.addresses:
            introductions.add_lead(core.db, card.agent, place.node, format_address(address))


def reject(core: Core, hosted: Hosted, peer: bytes) -> Introduction | None:
    """The same introducer cannot introduce it again; it may still ask by itself. Returns None if nobody introduced
    it."""
    found = introductions.pending(core.db, hosted.local.id, peer)
    introductions.settle(core.db, hosted.local.id, peer, "rejected")
    return found[0] if found else None


# --- making a card ---


def card_of(core: Core, agent: bytes, name: str, kind: str, own: Sequence[Address] = ()) -> Card:
    """Who an agent is and where it was reached; `own` are addresses of this node, for one of its agents."""
    local = core.hosted_id(agent)
    identity = local.speaker.identity if local else agents.load_identity(core.db, agent)
    places = ((core.node, own),) if local else _reached(core, agent)
    said = tuple(Place(node, tuple(found)[:CARD_ADDRESSES]) for node, found in places if found)[:CARD_NODES]
    name, kind = name_or_nothing(name), kind_or_nothing(kind)
    return Card(agent, name, kind, identity.entries if identity else (), said)


def _reached(core: Core, peer: bytes) -> tuple[tuple[bytes, list[Address]], ...]:
    """Where it was proven to live, newest first, without addresses that mean nothing on another machine."""
    found: dict[bytes, list[Address]] = {}
    for text, node in contacts.addresses(core.db, peer):
        try:
            address = parse_address(text)
        except Usage:  # the interface of a scope is gone
            continue
        if node and "%" not in address[0] and may_be_dialled(address):
            found.setdefault(node, []).append(address)
    return tuple(found.items())
