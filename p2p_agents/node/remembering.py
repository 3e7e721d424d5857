"""What a proven link teaches about a contact is kept; strangers stay in memory, or anyone could fill the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.node import adopting
from p2p_agents.store import contacts, introductions, outbox, queues, sessions

if TYPE_CHECKING:
    from p2p_agents.node.core import Core
    from p2p_agents.node.state import Link


def remember_peer(core: Core, link: Link) -> None:
    """Keep what a link proved of a contact: its identity, name, address and device."""
    if contacts.contact(core.db, link.agent, link.peer) is None:
        return
    assert link.identity is not None
    now_ms = core.now_ms()
    link.identity = adopting.adopt(core, link.identity)
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
