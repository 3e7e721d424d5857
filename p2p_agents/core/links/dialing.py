"""The dials that are due, and whether a connected node lacks a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import Connect
from p2p_agents.store import contacts, introductions

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


def dial_due(core: Core) -> None:
    for dial in core.router.due(core.now(), lambda node: _is_missed(core, node)):
        core.effect(Connect(dial))


def _is_missed(core: Core, node: bytes) -> bool:
    """Whether a contact was proven, or is said, to live at the node and no link to it is up: whoever claims to be the
    node may not be it, or the connection is not one where we may ask for that link."""
    led = introductions.led_to(core.db, node)
    said = [pair for pair in contacts.accepted(core.db) if node in core.sightings.get(pair[1], {}) or pair[1] in led]
    homed = contacts.homed_at(core.db, node)
    if any(not any(link.node == node for link in core.links_to(*pair)) for pair in homed):
        return True
    return any(next(core.links_to(*pair), None) is None for pair in said)
