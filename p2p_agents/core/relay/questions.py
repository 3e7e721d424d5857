"""When to ask the other side of a way what it holds and where it can be reached directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.core.relay import ways
from p2p_agents.store import sessions

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import BridgedLink, Way

ALIVE_SYNC_S = 30.0  # asked this often while there is no direct link: the peer may have moved
ABSENT = Backoff(60.0, 6 * 3600.0)  # between questions to an absent peer, so that a queue does not fill with them


def bridge_came(core: Core, way: Way) -> None:
    """A bridge that serves the way came up: the peer may be there too, or what was stored there may be lost. A bridge
    that comes and goes is no reason to keep asking an absent peer."""
    since = way.asked + ABSENT.first_s if way.heard < way.asked else core.now()
    way.sync_at = min(max(way.sync_at, core.now()), max(since, core.now()))
    way.patience = 0.0


def something_came(core: Core, way: Way) -> None:
    """A blob may be days old, or a replay of an old one: ask whether its writer is there."""
    if not ways.is_heard(core, way):
        bridge_came(core, way)


def heard(core: Core, link: BridgedLink, key: PairKey) -> None:
    """The peer answered our challenge: it is there now."""
    if not ways.is_heard(core, link.way):
        core.effect(PeersChanged())
    link.way.heard, link.way.patience = core.now(), 0.0
    sessions.note_pair(core.db, *key, link.peer, heard_ms=core.now_ms())


def is_due(core: Core, link: BridgedLink, key: PairKey) -> bool:
    """Whether to ask the other side of an open way in use now; if so, schedules the next time."""
    due = core.now() >= link.way.sync_at and _has_reason(core, link.way, key)
    if due:
        _schedule(core, link.way)
    return due


def _has_reason(core: Core, way: Way, key: PairKey) -> bool:
    """Frames are in flight, the peer is there, or nothing was asked since the bridge came up."""
    waiting = any(held.frames for held in core.pair_sessions(key))
    return waiting or not way.patience or ways.is_heard(core, way)


def _schedule(core: Core, way: Way) -> None:
    alive = ways.is_heard(core, way)
    way.patience = ABSENT.following(way.patience)
    way.sync_at = core.now() + (ALIVE_SYNC_S if alive else way.patience)
    way.asked = core.now()
