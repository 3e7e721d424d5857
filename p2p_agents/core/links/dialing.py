"""The dials that are due, and whether a connected node lacks a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import Connect
from p2p_agents.store import contacts, introductions

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


Pair = tuple[int, bytes]  # an agent of ours, the contact


def dial_due(core: Core) -> None:
    said: dict[bytes, list[Pair]] = {}

    def missed(node: bytes) -> bool:
        if not said:
            said.update(_said(core))
        return _is_missed(core, node, said.get(node, []))

    for dial in core.router.due(core.now(), missed):
        core.effect(Connect(dial))


def _said(core: Core) -> dict[bytes, list[Pair]]:
    """The contacts that records place at each node. Made once for all nodes: nodes times contacts would be too many."""
    by_node: dict[bytes, list[Pair]] = {b"": []}
    for pair in contacts.accepted(core.db):
        for node in core.sightings.get(pair[1], ()):
            by_node.setdefault(node, []).append(pair)
    return by_node


def _is_missed(core: Core, node: bytes, said: list[Pair]) -> bool:
    """Whether a contact was proven, or is said, to live at the node and no link to it is up: whoever claims to be the
    node may not be it, or the connection is not one where we may ask for that link."""
    if led := introductions.led_to(core.db, node):
        said = said + [pair for pair in contacts.accepted(core.db) if pair[1] in led]
    homed = contacts.homed_at(core.db, node)
    if any(not any(link.node == node for link in core.links_to(*pair)) for pair in homed):
        return True
    return any(next(core.links_to(*pair), None) is None for pair in said)
