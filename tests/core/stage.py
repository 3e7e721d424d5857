"""A core on a real store, with no network and no thread: what a batch item sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from p2p_agents.core.api import commands
from p2p_agents.core.kernel.core import Core
from p2p_agents.core.kernel.state import Link, Phase
from p2p_agents.core.links import opening
from p2p_agents.core.turn.batch import run_batch
from p2p_agents.core.turn.wiring import assemble
from p2p_agents.node.machine import SystemClock, SystemEntropy
from p2p_agents.store.database import Database
from p2p_agents.wire.frame import RosterAgent, Standing
from tests.shapes import check_answer_of, declared_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from p2p_agents.core.kernel.effects import Effect

Json = dict[str, Any]
DEFAULTS: Json = {
    "agent": None,
    "after": None,
    "before": None,
    "from": None,
    "limit": 50,
    "reader": "default",
    "type": "text/plain",
    "id": None,
    "reply_to": None,
    "cursor": None,
}


def make_core(place: Path) -> Core:
    """A fresh node's core; `close` its database when done."""
    keys = place / "keys"
    keys.mkdir(mode=0o700)
    database = Database.open(str(place / "store.db"))
    return assemble(database, str(keys), os.urandom(32), SystemClock(), SystemEntropy(), lambda: 0.5)


def does(core: Core, item: Callable[[Core], Any]) -> Any:
    """Run one item as a batch of its own; returns its result, or raises its error."""
    return effects_of(core, item)[0]


def effects_of(core: Core, item: Callable[[Core], Any]) -> tuple[Any, list[Effect]]:
    outcomes, effects = run_batch(core, [item])
    if outcomes[0].error is not None:
        raise outcomes[0].error
    return outcomes[0].value, effects


def asks(core: Core, method: Callable[[Core, Json], Any], **params: Any) -> Json:
    """Call one method with the registry's defaults filled in."""
    with declared_errors(method):
        answer: Json = does(core, lambda core: method(core, DEFAULTS | params))
    check_answer_of(method, answer)
    return answer


def hosts(core: Core, name: str, **params: Any) -> str:
    """Create an agent; returns its id."""
    wanted = {"kind": "other", "policy": "ask", "hidden": False} | params
    return str(asks(core, commands.init, name=name, **wanted)["agent"]["id"])


def meet(core: Core, agent: bytes, name: str, status: str = "online") -> None:
    """A connection exists whose node lists this agent."""
    opening.connected(core, 7, True, "192.0.2.7:4433", b"k" * 32, None)
    core.peerings[7].node, core.peerings[7].roster = b"k" * 32, (RosterAgent(agent, name, "human", status),)


def reach(core: Core, agent: bytes, standing: Standing) -> None:
    """A proven link to the agent exists, with this standing towards ours."""
    link = Link(7, 1, core.acting(None).local.id, agent, Phase.UP, b"", peer_device=agent, peer_standing=standing)
    core.links[core.pair_key(link)] = [link]
