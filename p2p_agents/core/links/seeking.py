"""Where to look for a peer: dials to keep up, and links to open on existing connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.links import opening
from p2p_agents.link.routing import Target
from p2p_agents.store import contacts, introductions

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


def remember_places(core: Core) -> None:
    """At start: dial the given addresses, and those where contacts were last reached."""
    for place in contacts.places(core.db):
        core.router.want(Target(b"", place), [place], core.now())
    for hosted in core.hosted.values():
        for peer in contacts.linked(core.db, hosted.local.id):
            want(core, peer)


def want(core: Core, peer: bytes) -> None:
    """Keep dialing where the peer was reached or is said to live; knock if it takes requests by a bridge."""
    core.hooks.wanted(core, peer)
    for address, node in contacts.reached_at(core.db, peer):
        if node:
            core.router.want(Target(node), (), core.now(), peer=peer, proven=[address])
    for address, node in contacts.addresses(core.db, peer):
        core.router.want(Target(node) if node else Target(b"", address), [address], core.now())
    for node, address in introductions.leads(core.db, peer):
        core.router.want(Target(node), [address], core.now())


def seek(core: Core, peer: bytes) -> None:
    """Keep dialing where the peer was reached or seen, and open a link on an existing connection."""
    want(core, peer)
    for node in core.sightings.get(peer, {}):
        core.router.want(Target(node), (), core.now())
    for peering in list(core.peerings.values()):
        opening.open_wanted(core, peering)
