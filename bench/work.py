"""What a message costs two deciders in work: statements, commits and calls, which no other load of a machine changes.

Both run in this process, over the simulated network, with real stores; calls are those of Python functions inside a
decider's turns.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figure import Figure, figure
from p2p_agents.core.api import commands
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Trust
from tests.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sim.world import Agent

TEXT = "x" * 200
ALONE = 20  # messages measured one by one
STREAM = 100  # in one turn
APART_S = 0.1  # of simulated time: the message is acknowledged, and no second of idling falls between
CONTACTS = (10, 100, 1_000)
ENTRIES = (100, 1_000, 10_000)


@dataclass(slots=True)
class Work:
    """What one node's decider did."""

    statements: int = 0
    commits: int = 0
    calls: int = 0

    def said(self, sql: str) -> None:
        self.statements += 1
        self.commits += sql == "COMMIT"

    def called(self, _frame: object, event: str, _argument: object) -> None:
        self.calls += event == "call"

    def each(self, messages: int) -> dict[str, float]:
        return {name: getattr(self, name) / messages for name in ("statements", "commits", "calls")}


def measure(quick: bool) -> list[Figure]:
    """Statements a message; beside them commits and calls. And how calls grow with what a node knows and holds."""
    with tempfile.TemporaryDirectory(prefix="p2pa-bench-") as home:
        world = World(Path(home))
        alice, bob = world.friends("alice", "bob")
        alice.sends(bob, "hello")
        world.settle()
        figures = [
            *_figures("alone", _alone(world, alice, bob), ALONE, must="10"),
            *_figures("stream", _stream(world, alice, bob), STREAM, must="5"),
        ]
        held = ENTRIES[: 2 if quick else 3]
        figures += [
            _growth("contacts", [(many, _with_contacts(world, alice, bob, many)) for many in CONTACTS]),
            _growth("entries", [(many, _with_entries(world, alice, bob, many)) for many in held]),
        ]
    return figures


def _figures(way: str, works: list[Work], messages: int, must: str) -> list[Figure]:
    found = []
    for side, work in zip(("sent", "received"), works, strict=True):
        each = work.each(messages)
        found.append(figure(f"work.{side}_{way}", [each.pop("statements")], "statements", baseline=each, must=must))
    return found


def _growth(of: str, costs: list[tuple[int, float]]) -> Figure:
    """Calls a message at the most, over those at the fewest."""
    named = {f"{of}_{many}": calls for many, calls in costs}
    calls = [calls for _, calls in costs]
    return figure(f"work.{of}", calls, "calls", value=calls[-1], over=calls[0], baseline=named, must="1.1 x")


# --- what is watched ---


@contextmanager
def _watched(*agents: Agent) -> Iterator[list[Work]]:
    works = [Work() for _ in agents]
    for agent, work in zip(agents, works, strict=True):
        agent.core.db._connection.set_trace_callback(work.said)
        agent.node._attempt = partial(_profiled, agent.node._attempt, work)  # type: ignore[method-assign]
    yield works
    for agent in agents:
        agent.core.db._connection.set_trace_callback(None)
        del agent.node._attempt


def _profiled(attempt: Any, work: Work, items: Any) -> Any:
    sys.setprofile(work.called)
    try:
        return attempt(items)
    finally:
        sys.setprofile(None)


def _alone(world: World, alice: Agent, bob: Agent) -> list[Work]:
    with _watched(alice, bob) as works:
        for _ in range(ALONE):
            alice.sends(bob, TEXT)
            world.run(APART_S)
    return works


def _stream(world: World, alice: Agent, bob: Agent, messages: int = STREAM) -> list[Work]:
    asked = {"agent": alice.name, "to": bob.name, "text": TEXT, "type": "text/plain", "id": None, "reply_to": None}
    with _watched(alice, bob) as works:
        alice.node._attempt([partial(commands.send, params=asked) for _ in range(messages)])
        world.run(1.0)
    return works


# --- growth ---


def _with_contacts(world: World, alice: Agent, bob: Agent, many: int) -> float:
    """Calls a message at its sender, who writes to an id."""
    agent, db = alice.hosted.local.id, alice.core.db
    for number in range(len(contacts.contacts(db, agent)), many):
        name = f"contact-{number}"
        contacts.save_contact(db, agent, os.urandom(32), name=name, kind="other", trust=Trust.ACCEPTED, now_ms=1)
    return _calls(world, alice, bob)


def _with_entries(world: World, alice: Agent, bob: Agent, many: int) -> float:
    held = alice.core.db.one("SELECT count(*) FROM entries")
    assert held is not None
    for _ in range(held[0], many, STREAM):
        _stream(world, alice, bob)
    return _calls(world, alice, bob)


def _calls(world: World, alice: Agent, bob: Agent) -> float:
    alice.call(commands.send, to=id_text(bob.id), text=TEXT, type="text/plain", id=None, reply_to=None)
    world.run(APART_S)  # what is remembered of a contact is read now
    with _watched(alice) as (work,):
        for _ in range(ALONE):
            alice.call(commands.send, to=id_text(bob.id), text=TEXT, type="text/plain", id=None, reply_to=None)
            world.run(APART_S)
    return work.each(ALONE)["calls"]
