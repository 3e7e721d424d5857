"""Contacts whose release speaks another version of the protocol: their owners are told, for nothing goes either way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import UnknownVersion
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Event

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link, Peering

log = logging.getLogger(__name__)

APART = "its release speaks another version of the protocol: install the same release on both sides"


def differ(core: Core, peering: Peering) -> None:
    """A connection ended for that. Whom TLS proved nothing about, nobody is told of: that side dials too."""
    if not peering.dialed:
        return
    node = peering.server_key
    said = [pair for pair in contacts.accepted(core.db) if _is_only_said(core, pair[1], node)]
    for agent, peer in dict.fromkeys([*contacts.homed_at(core.db, node), *said]):
        if next(core.links_to(agent, peer), None) is None:
            _tell(core, agent, peer)


def _is_only_said(core: Core, peer: bytes, node: bytes) -> bool:
    """A record is a claim, which counts for somebody who was never proven to live anywhere."""
    return node in core.sightings.get(peer, {}) and not contacts.reached_at(core.db, peer)


def differ_over(core: Core, link: Link) -> None:
    """In a queue, a contact's device signed what only another release reads."""
    _tell(core, link.agent, link.peer)


def agree(core: Core, link: Link) -> None:
    """The peer proved itself in words that we speak."""
    core.apart.discard((link.agent, link.peer))


def _tell(core: Core, agent: int, peer: bytes) -> None:
    if (agent, peer) not in core.apart:
        log.warning("%s: %s", id_text(peer)[:10], APART)
    core.apart.add((agent, peer))
    contacts.record(core.db, Event(agent, peer, UnknownVersion.code, APART, core.now_ms()))
