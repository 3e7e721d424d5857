"""An acknowledgement alone waits a moment to travel with a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2p_agents.core.delivery import sync
from p2p_agents.core.kernel.effects import Transmit

if TYPE_CHECKING:
    from tests.sim.world import Agent, World

PATIENCE_S = 0.5  # long enough to look, and over before the next tick


@pytest.fixture
def pair(world: World) -> tuple[Agent, Agent]:
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "a session stands")
    bob.sends(alice, "both ways")
    world.settle()
    bob.core.patience = PATIENCE_S
    return alice, bob


def frames(agent: Agent) -> int:
    return sum(isinstance(effect, Transmit) for effect in agent.node.effects)


def test_an_acknowledgement_rides_with_a_quick_answer(world: World, pair: tuple[Agent, Agent]) -> None:
    """B3: data frames carry it too."""
    alice, bob = pair
    before = frames(bob)
    question = alice.sends(bob, "question")
    world.run(PATIENCE_S / 2)
    assert bob.inbox()[-1:] == ["question"]
    assert (frames(bob), alice.state(question)) == (before, "queued")
    bob.sends(alice, "answer")
    world.run(PATIENCE_S / 4)
    assert (frames(bob), alice.state(question)) == (before + 1, "delivered")


def test_without_an_answer_it_goes_alone(world: World, pair: tuple[Agent, Agent]) -> None:
    alice, bob = pair
    before = frames(bob)
    question = alice.sends(bob, "question")
    world.run(PATIENCE_S / 2)
    due = bob.core.due_in()
    assert due is not None
    assert 0 < due < PATIENCE_S
    world.run(PATIENCE_S)
    bob.node.run(lambda core: None)  # what a driver does when something is due
    world.run(0.1)
    assert (frames(bob), alice.state(question)) == (before + 1, "delivered")
    assert bob.core.due_in() is None


def test_who_has_nothing_to_say_asks_for_nothing(world, monkeypatch):
    """B3: acknowledgements are not acknowledged, and that is no silence: two idle nodes compared views every 11 s."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "a word")
    world.settle()
    asked, ask = [], sync.ask_again
    monkeypatch.setattr(sync, "ask_again", lambda *said: asked.append(said[2]) or ask(*said))
    world.run(600)
    assert asked == []
    assert bob.heard(alice) == ["a word"]
