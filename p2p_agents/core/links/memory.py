"""Stores what a proven link tells about a contact, and decides by it where the contact lives; strangers stay in memory,
or anyone could fill the store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.core.identity import adoption
from p2p_agents.errors import AddressUnknown
from p2p_agents.link.routing import Target
from p2p_agents.store import agents, contacts, introductions, outbox, queues, sessions
from p2p_agents.store.contacts import Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link, Peering

PLACES_SHOWN = 8  # addresses in a hint: it should be a line or two


def remember_peer(core: Core, link: Link) -> None:
    """Store what a link proved about a contact: its identity, name, address and device."""
    contact = contacts.contact(core.db, link.agent, link.peer)
    if contact is None or contact.trust is Trust.UNKNOWN:
        return
    assert link.identity is not None
    now_ms = core.now_ms()
    link.identity = adoption.adopt(core, link.identity)
    if link.bundle is not None:
        queues.keep_bundle(core.db, link.bundle, core.now_ms())
    contacts.announce(core.db, link.agent, link.peer, link.name, link.kind)
    peering = core.peerings[link.connection]
    contacts.remember_address(core.db, link.peer, peering.address, link.node, now_ms)
    core.router.reached(link.node, link.peer, peering.address)
    introductions.forget_leads(core.db, link.peer)
    device = core.host(link.agent).local.device
    sessions.note_pair(core.db, device, link.peer_device, link.peer, heard_ms=now_ms)
    outbox.bind_device(core.db, link.agent, link.peer, link.peer_device)


def lives_there(core: Core, peering: Peering, hosted: Hosted, peer: bytes) -> bool:
    """Whether to send an OPEN there: it reveals whom our agent knows, so it goes where the peer was proven to live.
    Before the first proof, and while the peer has a device whose home is not known, it goes where the peer is said to
    live: to a node that we dialed or, if something is owed, to one that dialed us."""
    homes = {node for _, node in contacts.addresses(core.db, peer)}
    by_hand = peering.target is not None and bool(peering.target.place)
    if homes and not by_hand and len(agents.live_devices(core.db, peer)) <= len(homes):
        return peering.dialed and peering.node in homes
    if not _is_said_to_live(core, peering, peer):
        return False
    return peering.dialed or (not hosted.local.hidden and outbox.is_awaited(core.db, hosted.local.id, peer))


def _is_said_to_live(core: Core, peering: Peering, peer: bytes) -> bool:
    """By the node's roster, a record or an introducer: rosters leave out hidden agents and have a size limit."""
    if peering.node in core.sightings.get(peer, {}) or any(entry.agent == peer for entry in peering.roster):
        return True
    return any(node == peering.node for node, _ in introductions.leads(core.db, peer))


def forget_peer(core: Core, peer: bytes) -> None:
    """Forget where it was reached and stop dialing there, unless it is a contact of one of our agents or another
    contact lives there."""
    if contacts.is_linked(core.db, peer):
        return
    known = [*contacts.addresses(core.db, peer), *((a, node) for node, a in introductions.leads(core.db, peer))]
    contacts.forget_addresses(core.db, peer)
    given = contacts.places(core.db)
    for address, node in known:
        if contacts.homed_at(core.db, node) if node else address in given:
            continue
        target = Target(node) if node else Target(b"", address)
        core.router.leave(target)
        core.undo.append(partial(core.router.want, target, (), core.now()))


def forget_places(core: Core, addresses: Sequence[str]) -> list[str]:
    """Stop dialing addresses that were added, unless contacts are said to be there. Raises AddressUnknown."""
    kept = contacts.places(core.db)
    given = [address for address in addresses if address in kept]
    if not given:
        raise AddressUnknown(f"{' or '.join(addresses)} was not added", hint=_hint(kept))
    for address in given:
        contacts.remove_place(core.db, address)
        if not contacts.is_told(core.db, address):
            target = Target(b"", address)
            core.router.leave(target)
            core.undo.append(partial(core.router.want, target, (), core.now()))
    return given


def _hint(kept: Sequence[str]) -> str:
    return f"added are: {', '.join(kept[:PLACES_SHOWN])}" if kept else "no address was added here"
