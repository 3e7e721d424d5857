"""Removes an agent from this node in one transaction, after which nothing here speaks for it; its keys are deleted with
the commit.

Its messages are deleted page by page afterwards (`remains`). Contacts are not told: to them it is offline.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.core.agents import hosting
from p2p_agents.core.api import reading
from p2p_agents.core.contact.knocking import Knocks
from p2p_agents.core.kernel.effects import Answered, KeysRemoved, Moved, PairingMoved, ReadQueues, Wake
from p2p_agents.core.links import memory
from p2p_agents.core.pairing import exchange
from p2p_agents.core.pairing.desk import Desk
from p2p_agents.core.pairing.linking import NO_AGENT
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import BadParams, KeysBroken, NoAgent
from p2p_agents.store import agents, queues, removals
from p2p_agents.wire.frame import NO_SUCH_AGENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.store.agents import LocalAgent
    from p2p_agents.store.removals import Left

Json = dict[str, Any]


def remove(core: Core, params: Json) -> Json:
    """What is removed with it, and the default agent afterwards; with `dry` nothing is done. Raises NoAgent."""
    local = _meant(core, params["name"])
    stake = removals.stake(core.db, local)
    if not params["dry"]:
        _remove(core, local)
    return {
        "agent": {"id": id_text(local.agent), "name": local.name},
        "owed": stake.owed,
        "unread": stake.unread,
        "other_devices": stake.devices,
        "default_agent": next((each.name for each in agents.agents(core.db) if each.chosen), None),
    }


def _meant(core: Core, name: str) -> LocalAgent:
    """An agent whose keys are broken can be removed too."""
    if not name:  # that would mean the default agent
        raise BadParams("name must name an agent", param="name")
    try:
        return core.acting(name).local
    except KeysBroken:
        return next(broken.local for broken in core.unusable.values() if broken.local.name.lower() == name.lower())


def _remove(core: Core, local: LocalAgent) -> None:
    _close_links(core, local.id)  # while it is known whose they are
    left = removals.remove(core.db, local, core.now_ms())
    _swap(core, "hosted", core.hosted.without(local.id))
    _swap(core, "unusable", {number: broken for number, broken in core.unusable.items() if number != local.id})
    forget_absent(core)
    _let_go(core, left)
    if local.chosen:
        _choose_another(core)
    core.effect(KeysRemoved(local.agent, local.device))
    for entry in left.failed:
        core.effect(Moved(local.id, entry))
    core.effect(Wake(local.id))
    hosting.reload(core)


def _close_links(core: Core, agent: int) -> None:
    """Including half-open ones."""
    for peering in core.peerings.values():
        for link in list(peering.links.values()):
            if link.agent == agent:
                core.close_link(link, NO_SUCH_AGENT)


def _let_go(core: Core, left: Left) -> None:
    """Drop the dials, queues and sessions that were for it alone."""
    for peer in left.peers:
        memory.forget_peer(core, peer)
    for sid in left.sessions:
        core.forget_session(sid)
    for bridge in left.bridges:
        core.effect(ReadQueues(bridge, tuple(queues.readable_at(core.db, bridge))))  # tell the bridge before it is left


def _choose_another(core: Core) -> None:
    """The oldest agent, preferring those that can act."""
    other = next(iter((*core.hosted, *core.unusable)), None)
    if other is not None:
        agents.choose(core.db, other)


# --- memory ---


def forget_absent(core: Core) -> None:
    """Drop everything that memory has of agents that no longer live here, and answer callers that wait for them. Their
    links are already closed."""
    devices = {hosted.local.device for hosted in core.hosted.values()}
    _swap(core, "ways", core.ways.only(lambda pair: pair[0] in devices))
    for name in ("paces", "ready", "quiet"):
        _keep(core, name, lambda key, _: key[0] in devices)
    for name in ("shares", "owed"):
        _keep(core, name, lambda key, _: key[0] in core.hosted)
    for name in ("claims", "init_links"):
        _keep(core, name, lambda _, each: each.agent in core.hosted)
    knocks = core.of(Knocks)
    for pair in [pair for pair in knocks if pair[0] not in core.hosted]:
        core.undo.append(partial(knocks.__setitem__, pair, knocks.pop(pair)))
    for peering in core.peerings.values():
        peering.declined = {pair: until for pair, until in peering.declined.items() if pair[0] in core.hosted}
        peering.busy = {pair for pair in peering.busy if pair[0] in core.hosted}
    for ticket in [ticket for ticket, waiter in core.waiters.items() if waiter.agent not in core.hosted]:
        reading.dismiss(core, ticket, Answered(ticket, None, NoAgent("the agent was removed from this node")))
    _end_pairings(core)


def _end_pairings(core: Core) -> None:
    """End the codes that it shows or tries."""
    here = {NO_AGENT, *core.hosted}
    desk = core.of(Desk)
    for attempt in [join for join in desk.joins.values() if join.agent not in here]:
        exchange.leave(core, attempt)
        core.effect(PairingMoved())
    for display in [display for display in desk.displays.values() if display.agent not in here]:
        exchange.withdraw(core, display)
        core.undo.append(partial(desk.displays.__setitem__, display.id, desk.displays.pop(display.id)))


def _keep(core: Core, name: str, stays: Callable[[Any, Any], bool]) -> None:
    _swap(core, name, {key: value for key, value in getattr(core, name).items() if stays(key, value)})


def _swap(core: Core, name: str, after: object) -> None:
    core.undo.append(partial(setattr, core, name, getattr(core, name)))
    setattr(core, name, after)
