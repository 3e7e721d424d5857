"""When the other side of a way is asked what it holds and where it may be reached directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.core.relay import ways
from p2p_agents.store import sessions

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Link, Way

ALIVE_SYNC_S = 30.0  # asked this often while there is no direct link: it may have moved
ABSENT_SYNC_S = 60.0  # an absent one is asked after this, then half as often each time
ABSENT_SYNC_MAX_S = 6 * 3600.0  # a queue must not fill with questions


def bridge_came(core: Core, way: Way) -> None:
    """One that serves the way: the peer may be there too, or what lay there may be lost. A bridge that comes and goes
    is no reason to ask an absent peer over and over."""
    since = way.asked + ABSENT_SYNC_S if way.heard < way.asked else core.now()
    way.sync_at = min(max(way.sync_at, core.now()), max(since, core.now()))
    way.patience = 0.0


def something_came(core: Core, way: Way) -> None:
    """A blob may have lain there for days, or be an old one again: whether its writer is there, it is asked."""
    if not ways.is_heard(core, way):
        bridge_came(core, way)


def heard(core: Core, link: Link, key: PairKey) -> None:
    """An answer to our challenge: the peer is there, now."""
    assert link.way is not None
    if not ways.is_heard(core, link.way):
        core.effect(PeersChanged())
    link.way.heard, link.way.patience = core.now(), 0.0
    sessions.note_pair(core.db, *key, link.peer, heard_ms=core.now_ms())


def is_due(core: Core, link: Link, key: PairKey) -> bool:
    """Whether the other side of a way that is open and in use is to be asked now; the next time is set."""
    assert link.way is not None
    due = core.now() >= link.way.sync_at and _has_reason(core, link.way, key)
    if due:
        _schedule(core, link.way)
    return due


def _has_reason(core: Core, way: Way, key: PairKey) -> bool:
    """Something is under way, the peer is there, or nothing was asked since the bridge came."""
    waiting = any(held.frames for held in core.pair_sessions(key))
    return waiting or not way.patience or ways.is_heard(core, way)


def _schedule(core: Core, way: Way) -> None:
    alive = ways.is_heard(core, way)
    way.patience = min(max(2 * way.patience, ABSENT_SYNC_S), ABSENT_SYNC_MAX_S)
    way.sync_at = core.now() + (ALIVE_SYNC_S if alive else way.patience)
    way.asked = core.now()
