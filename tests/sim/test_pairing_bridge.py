"""Pairing between separate networks: both sides know one bridge, and it learns nothing."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import invitation
from p2p_agents.core.kernel.effects import Meet
from p2p_agents.core.pairing.desk import Desk
from p2p_agents.errors import CodeDead, CodeWrong, NobodyFound, PairFailed
from p2p_agents.limits import PAIRING_CODE_MS
from p2p_agents.store import contacts, queues
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import Pair, decode_frame, encode_frame
from tests.sim.bridges import Bridge
from tests.sim.test_pairing import ends, joins, other_words, shows, status, tries, trust
from tests.sim.world import Agent, World


def far_apart(world: World, *, configured: bool = True) -> tuple[Agent, Agent, Bridge]:
    """Strangers on two networks, and a bridge that both know."""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.part(alice, bob)
    world.run(20)
    bridge = world.bridge(*([alice.node, bob.node] if configured else []))
    world.settle()
    return alice, bob, bridge


@pytest.mark.parametrize("what", ["code", "uri"])
def test_two_agents_pair_over_a_bridge_and_talk(world: World, what: str) -> None:
    """F1, G1: and the first word finds its way, though no packet ever passed between them."""
    alice, bob, bridge = far_apart(world)
    shown = shows(alice, "robert")
    met = joins(world, bob, shown[what], "al", wait=6.0)
    assert met["trust"] == "paired"
    assert (trust(alice, bob), trust(bob, alice)) == (Trust.PAIRED, Trust.PAIRED)
    assert status(alice)["state"] == "paired"
    assert not alice.links(bob)
    sent = bob.sends("al", "hello over there")
    alice.sends("robert", "hello you")
    world.settle()
    assert (alice.inbox(), bob.inbox()) == (["hello over there"], ["hello you"])
    assert bob.state(sent) == "delivered"
    assert set(bridge.places) == set(next(iter(alice.core.of(Desk).displays.values())).machines)
    world.run(2 * PAIRING_CODE_MS / 1000)
    assert bridge.places == {}


def test_a_code_that_was_taken_back_is_answered_at_once_over_a_bridge(world: World) -> None:
    alice, bob, _ = far_apart(world)
    code = shows(alice)["code"]
    alice.call(invitation.cancel, code=None)
    attempt = tries(bob, code)
    world.run(6.0)
    assert bob.node.run(lambda core: invitation.is_over(core, attempt))
    with pytest.raises(CodeDead, match="taken back"):
        ends(bob, attempt)


def test_the_lan_comes_first(world: World) -> None:
    """Where both are near, no bridge hears of the code from the joiner."""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.bridge(alice.node, bob.node)
    world.settle()
    joins(world, bob, shows(alice)["code"], wait=1.2)
    assert not any(isinstance(effect, Meet) for effect in bob.node.effects)


def test_a_wrong_word_is_counted_over_a_bridge_too(world: World) -> None:
    """F1: three wrong tags and the code is dead, whatever medium they came by."""
    alice, bob, _ = far_apart(world)
    code = shows(alice)["code"]
    for left in (2, 1, 0):
        with pytest.raises(CodeWrong):
            joins(world, bob, other_words(code), wait=6.0)
        assert status(alice)["tries"] == left
        world.run(3)
    assert status(alice)["state"] == "dead"
    with pytest.raises((CodeDead, NobodyFound)):
        joins(world, bob, code, wait=6.0)
    assert alice.node.events("pairing_wrong")[0].detail.startswith("somebody at bridge ")


@pytest.mark.parametrize("which", range(6))
def test_a_bridge_in_the_middle_that_alters_any_message_is_never_pinned(world: World, which: int) -> None:
    """Each of the exchange's messages once: nobody is kept who did not hold the code."""
    alice, bob, bridge = far_apart(world)
    seen: list[bytes] = []

    def alter(_node: object, _place: str, message: bytes) -> bytes:
        frame = decode_frame(message)
        assert isinstance(frame, Pair)
        seen.append(message)
        if len(seen) - 1 != which:
            return message
        changed = bytearray(frame.message)
        changed[-1] ^= 1
        return encode_frame(Pair(frame.run, frame.joiner, bytes(changed)))

    bridge.overhears = alter
    attempt = tries(bob, shows(alice)["code"])
    world.run(30)
    with pytest.raises((PairFailed, CodeWrong, CodeDead, NobodyFound)):
        ends(bob, attempt)
    assert trust(bob, alice) is None
    if which < 5:  # of the last message, only the joiner's own proof is missing
        assert trust(alice, bob) is None


def test_a_bridge_that_passes_nothing_leaves_nothing(world: World) -> None:
    alice, bob, bridge = far_apart(world)
    bridge.overhears = lambda *_: None
    attempt = tries(bob, shows(alice)["code"])
    world.run(30)
    with pytest.raises((PairFailed, NobodyFound)):
        ends(bob, attempt)
    assert trust(bob, alice) is None
    alice.call(invitation.cancel, code=None)
    world.run(130)
    for agent in (alice, bob):
        assert not queues.pairs(agent.node.db)
        assert not agent.node.db.all("SELECT 1 FROM own_queues"), "what was prepared for nobody is gone"
        assert not contacts.contacts(agent.node.db, agent.hosted.local.id)


def test_no_bridge_no_meeting(world: World) -> None:
    alice, bob, _ = far_apart(world, configured=False)
    with pytest.raises(NobodyFound):
        joins(world, bob, shows(alice)["code"], wait=6.0)
