"""A new kind of entry is one module and one row: here a note, with its own module below."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.conversation.record import write_message
from p2p_agents.core.api import reading
from p2p_agents.core.delivery import outbound
from p2p_agents.core.identity import talks
from p2p_agents.core.kernel.core import Kind
from p2p_agents.core.turn import wiring
from p2p_agents.node import purging
from p2p_agents.store import entries
from tests.sim.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from tests.sim.world import Agent

# --- the module ---

NOTE = "test.note"


class Notes(list[bytes]):
    """The notes that arrived."""


def write(core: Core, hosted: Hosted, peer: bytes, text: str) -> None:
    talk = talks.with_peer(hosted, peer)
    record = write_message(
        hosted.speaker.key,
        hosted.local.agent,
        entries.next_place(core.db, talk.id, hosted.local.device),
        content=text.encode(),
        salt=core.entropy.draw(16),
        content_type="text/plain",
        reply_to=None,
        time_ms=core.now_ms(),
        kind=NOTE,
    )
    outbound.post(core, hosted, talk, record)


def on_note(core: Core, hosted: Hosted, giver: bytes, record: Record) -> None:
    core.of(Notes).append(record.content or b"")


# --- the row ---

ROW = Kind(NOTE, arrive=on_note, unread=True, shown=True)


def add(monkeypatch: pytest.MonkeyPatch, row: Kind) -> None:
    """Add it to the table of nodes started from now on."""
    monkeypatch.setattr(wiring, "HOOKS", replace(wiring.HOOKS, kinds={**wiring.HOOKS.kinds, row.name: row}))


def notes(agent: Agent, to: Agent, text: str) -> None:
    agent.node.run(lambda core: write(core, agent.hosted, to.id, text))


def found(agent: Agent, word: str) -> list[str]:
    agent.node.run(reading.index)
    return [each["text"] for each in agent.call(reading.search, text=word, limit=10)["messages"]]


def purged(agent: Agent, peer: Agent) -> int:
    asked: dict[str, Any] = {"agent": agent.name, "ids": None, "with": peer.name, "before_ms": None, "dry": False}
    _, gone, _ = agent.node.run(lambda core: purging.page(core, asked, 0))
    return int(gone)


def test_a_new_kind_is_one_module_and_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It arrives, is counted and read, shown on both sides, found by its words, and purged."""
    add(monkeypatch, ROW)
    world = World(tmp_path)
    alice, bob = world.friends("alice", "bob")
    notes(alice, bob, "remember the milk")
    world.settle()
    assert bob.core.of(Notes) == [b"remember the milk"]
    assert bob.inbox() == ["remember the milk"]
    for agent, peer in ((alice, bob), (bob, alice)):
        assert [each["text"] for each in agent.history(peer)] == ["remember the milk"]
        assert found(agent, "milk") == ["remember the milk"]
        shown, _ = reading.tail(agent.core, agent.hosted.local.id, 0, 10, None)
        assert [each["text"] for each in shown] == ["remember the milk"]
    assert alice.states(bob) == ["delivered"]
    assert bob.acks() == 1
    assert purged(bob, alice) == 1
    assert found(bob, "milk") == []


def test_a_kind_that_is_not_shown_is_in_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, Kind(NOTE, arrive=on_note))
    world = World(tmp_path)
    alice, bob = world.friends("alice", "bob")
    notes(alice, bob, "between programs")
    world.settle()
    assert bob.core.of(Notes) == [b"between programs"]
    assert (bob.inbox(), bob.history(alice), found(bob, "programs"), purged(bob, alice)) == ([], [], [], 0)


def test_a_node_without_the_row_keeps_what_came_until_it_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored and acknowledged like anything else: an older node loses nothing that a newer one sends."""
    world = World(tmp_path)
    bob = world.agent("bob")
    add(monkeypatch, ROW)
    alice = world.agent("alice")
    alice.befriends(bob)
    bob.befriends(alice)
    world.settle()
    notes(alice, bob, "from the future")
    world.settle()
    assert alice.states(bob) == ["delivered"]
    assert bob.history(alice) == []
    bob.node.restart()
    assert [each["text"] for each in bob.history(alice)] == ["from the future"]
