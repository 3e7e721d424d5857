"""Two agents on separate networks: their messages wait at a bridge that is honest, down, or lies."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from p2p_agents.conversation.states import State
from p2p_agents.core.kernel.core import Core
from p2p_agents.core.kernel.effects import Connect, LeaveBridge, Post
from p2p_agents.core.kernel.state import Link
from p2p_agents.core.relay import ways
from p2p_agents.core.turn import relays
from p2p_agents.limits import INT_MAX
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.route import Route
from tests.sim.bridges import Blobs, Bridge
from tests.sim.test_pairing import shows
from tests.sim.world import Agent, World

DAY_S = 86_400.0
TEXTS = [f"message {n}" for n in range(20)]


def apart(world: World) -> tuple[Agent, Agent, Bridge]:
    """Friends that know one bridge, met once, and then went to different networks."""
    alice, bob = world.friends("alice", "bob")
    bridge = world.bridge(alice.node, bob.node)
    world.settle()
    world.part(alice, bob)
    world.run(20)
    assert not alice.links(bob)
    return alice, bob, bridge


def patiently(world: World, *, hours: float = 1.0) -> None:
    """What is lost on the way is asked for now and then, not at once."""
    for _ in range(int(hours * 60)):
        world.run(60)


def test_messages_pass_where_no_packet_does(world: World) -> None:
    alice, bob, _ = apart(world)
    sent = alice.sends(bob, "over the bridge")
    world.settle()
    assert bob.inbox() == ["over the bridge"]
    assert alice.state(sent) == "delivered"
    bob.sends(alice, "and back")
    bob.reads()
    world.settle()
    assert alice.inbox() == ["and back"]
    assert alice.state(sent) == "read"


def test_relayed_is_no_delivery(world: World) -> None:
    """B7: what the bridge accepted is `relayed` and stays ours until the peer has it."""
    alice, bob, _ = apart(world)
    bob.node.crash()
    sent = [alice.sends(bob, text) for text in TEXTS]
    world.settle()
    assert {alice.state(message) for message in sent} == {"relayed"}
    assert alice.owes(bob) == len(TEXTS)
    bob.node.restart()
    world.settle()
    assert bob.inbox() == TEXTS
    assert {alice.state(message) for message in sent} == {"delivered"}
    assert alice.owes(bob) == 0


def test_days_apart(world: World) -> None:
    """A peer that comes back after days finds everything, in order, once."""
    alice, bob, _ = apart(world)
    bob.node.crash()
    for text in TEXTS[:5]:
        alice.sends(bob, text)
        world.run(DAY_S / 2)
    bob.node.restart()
    patiently(world, hours=0.5)
    assert bob.inbox() == TEXTS[:5]


def test_both_at_once(world: World) -> None:
    alice, bob, _ = apart(world)
    for n in range(10):
        alice.sends(bob, f"a{n}")
        bob.sends(alice, f"b{n}")
    world.settle()
    assert bob.inbox() == [f"a{n}" for n in range(10)]
    assert alice.inbox() == [f"b{n}" for n in range(10)]


def test_a_conversation_that_begins_at_the_bridge(world: World) -> None:
    """D1: a first session is sealed to the weekly prekey of one who is absent."""
    alice, bob = world.friends("alice", "bob")
    world.bridge(alice.node, bob.node)
    world.settle()
    assert not alice.core.pair_sessions((alice.device, bob.device))
    world.part(alice, bob)
    bob.node.crash()
    world.run(20)
    alice.sends(bob, "the first word")
    world.settle()
    alice.node.crash()
    bob.node.restart()
    world.settle()
    assert bob.inbox() == ["the first word"]


# --- changing over ---


def test_from_direct_to_the_bridge_and_back_in_mid_conversation(world: World) -> None:
    """Nothing is lost and nothing comes twice, whatever was under way when the path changed."""
    alice, bob = world.friends("alice", "bob")
    world.bridge(alice.node, bob.node)
    world.settle()
    said: list[str] = []
    for turn in range(6):
        change = world.part if turn % 2 == 0 else world.join
        for n in range(8):
            said.append(f"{turn}.{n}")
            alice.sends(bob, said[-1])
            bob.sends(alice, said[-1])
            world.run(0.001 * n)
            if n == 4:
                change(alice, bob)
        world.run(15)
    world.settle()
    assert bob.heard(alice) == alice.heard(bob) == said


def test_together_again_they_talk_directly(world: World) -> None:
    alice, bob, bridge = apart(world)
    alice.sends(bob, "one")
    world.settle()
    world.join(alice, bob)
    world.settle()
    assert alice.links(bob)
    before = bridge.puts
    alice.sends(bob, "two")
    world.settle()
    assert bob.inbox() == ["one", "two"]
    assert bridge.puts == before


def test_a_card_from_the_bridge_leads_to_a_direct_link(world: World) -> None:
    """Nobody announces anything here: the addresses came sealed, over the bridge."""
    alice, bob, _ = apart(world)
    world.net.join(alice.node.address, bob.node.address)
    alice.sends(bob, "hello")
    world.run(120)
    assert alice.links(bob)


def test_who_has_no_bridge_uses_the_contacts(world: World) -> None:
    """A contact's card is all the configuration there is."""
    alice, bob = world.friends("alice", "bob")
    world.bridge(alice.node)
    world.settle()
    world.part(alice, bob)
    world.run(20)
    sent = alice.sends(bob, "hello")
    bob.sends(alice, "hello too")
    world.settle()
    assert bob.inbox() == ["hello"]
    assert alice.inbox() == ["hello too"]
    assert alice.state(sent) == "delivered"


def test_a_second_bridge_when_the_first_is_away(world: World) -> None:
    alice, bob = world.friends("alice", "bob")
    one, two = (world.bridge(alice.node, bob.node) for _ in range(2))
    world.settle()
    world.part(alice, bob)
    world.run(20)
    alice.sends(bob, "over one")
    world.settle()
    one.stop()
    alice.sends(bob, "over two")
    world.settle()
    assert bob.inbox() == ["over one", "over two"]
    assert one.puts
    assert two.puts


# --- bridges that fail ---


def test_a_bridge_that_dies_in_mid_flow(world: World) -> None:
    alice, bob, bridge = apart(world)
    for n, text in enumerate(TEXTS):
        alice.sends(bob, text)
        world.run(0.004)
        if n == 9:
            bridge.stop()
    world.settle()
    assert State.QUEUED in alice.states(bob)
    bridge.start()
    world.settle()
    assert bob.inbox() == TEXTS


def test_a_bridge_that_forgot_everything(world: World) -> None:
    """Its store was rolled back: the sender still has what nobody acknowledged."""
    alice, bob, bridge = apart(world)
    bridge.cut_off(bob.node)
    for text in TEXTS:
        alice.sends(bob, text)
    world.settle()
    assert set(alice.states(bob)) == {"relayed"}
    for blobs in bridge.queues.values():
        blobs.clear()
    bridge.let_in(bob.node)
    patiently(world)
    assert bob.inbox() == TEXTS


@pytest.mark.parametrize("which", ["full", "gone"])
def test_a_queue_that_takes_no_more(world: World, which: str) -> None:
    """The message stays queued, says why, and goes when there is room."""
    alice, bob, bridge = apart(world)
    kept = dict(bridge.queues)
    if which == "full":
        bridge.full.update(bridge.queues)
    else:
        bridge.queues.clear()
    sent = alice.sends(bob, "hello")
    world.settle()
    assert alice.state(sent) == "queued"
    assert which in (alice.why(sent) or "")
    bridge.full.clear()
    bridge.queues.update(kept)
    world.run(60)
    assert bob.inbox() == ["hello"]


# --- bridges that lie ---


def lies(world: World) -> list[str]:
    return [event.detail for node in world.nodes for event in node.events("bridge_lied")]


def test_a_bridge_that_drops(world: World) -> None:
    alice, bob, bridge = apart(world)
    dropped: list[bytes] = []

    def drop_some(_: bytes, blob: bytes) -> list[bytes]:
        if len(dropped) < 3:
            dropped.append(blob)
            return []
        return [blob]

    alice.sends(bob, "a session first")
    world.settle()
    bridge.keeps = drop_some
    for text in TEXTS:
        alice.sends(bob, text)
        world.run(0.1)
    patiently(world)
    assert len(dropped) == 3
    assert bob.inbox() == ["a session first", *TEXTS]
    assert any("never got" in detail for detail in lies(world))


def test_a_bridge_that_doubles_and_replays(world: World) -> None:
    alice, bob, bridge = apart(world)
    bridge.keeps = lambda _, blob: [blob, blob, bridge.seen[0]]
    for text in TEXTS:
        alice.sends(bob, text)
        world.run(0.05)
    patiently(world)
    assert bob.inbox() == TEXTS


def test_a_bridge_that_reorders(world: World) -> None:
    alice, bob, bridge = apart(world)
    bridge.delivers = lambda _, blobs: [
        (cursor, blob) for (cursor, _), (_, blob) in zip(blobs, reversed(blobs), strict=True)
    ]
    bridge.cut_off(bob.node)
    for text in TEXTS:
        alice.sends(bob, text)
        world.run(0.05)
    bridge.let_in(bob.node)
    patiently(world)
    assert bob.inbox() == TEXTS


@pytest.mark.parametrize("where", [0, 30, -1])
def test_a_bridge_that_alters(world: World, where: int) -> None:
    alice, bob, bridge = apart(world)

    def flip(_: bytes, blob: bytes) -> list[bytes]:
        if bridge.puts % 2:
            return [blob]
        changed = bytearray(blob)
        changed[where] ^= 1
        return [bytes(changed)]

    bridge.keeps = flip
    for text in TEXTS:
        alice.sends(bob, text)
        world.run(0.05)
    patiently(world, hours=4)
    assert bob.inbox() == TEXTS
    assert any("cannot have sealed" in detail for detail in lies(world))


def test_a_bridge_that_swaps_queues(world: World) -> None:
    alice, bob, bridge = apart(world)
    bridge.delivers = lambda queue, blobs: [
        (cursor, bridge.seen[0]) if bridge.queues[queue] and bridge.puts < 6 else (cursor, blob)
        for cursor, blob in blobs
    ]
    alice.sends(bob, "for bob")
    bob.sends(alice, "for alice")
    patiently(world)
    assert bob.inbox() == ["for bob"]
    assert alice.inbox() == ["for alice"]


def test_a_bridge_that_claims_to_have_stored(world: World) -> None:
    """It frees nothing at the sender, and a second path carries what it kept back."""
    alice, bob, bridge = apart(world)
    bridge.keeps = lambda *_: []
    sent = [alice.sends(bob, text) for text in TEXTS]
    patiently(world, hours=0.2)
    assert {alice.state(message) for message in sent} == {"relayed"}
    world.join(alice, bob)
    world.settle()
    assert bob.inbox() == TEXTS
    assert {alice.state(message) for message in sent} == {"delivered"}


def test_a_bridge_that_delays_a_day(world: World) -> None:
    """An old SYNC is no rollback, and old frames are absorbed."""
    alice, bob, bridge = apart(world)
    late: list[tuple[bytes, Blobs]] = []

    def keep_back(queue: bytes, blobs: Blobs) -> Blobs:
        late.append((queue, blobs))
        return []

    bridge.delivers = keep_back
    for text in TEXTS:
        alice.sends(bob, text)
    world.settle()
    world.join(alice, bob)
    world.settle()
    assert bob.inbox() == TEXTS
    world.part(alice, bob)
    world.run(DAY_S)
    bridge.delivers = lambda _, blobs: blobs
    for queue, blobs in late:
        bridge.deliver(queue, blobs)
    patiently(world)
    alice.sends(bob, "after")
    world.settle()
    assert bob.inbox() == [*TEXTS, "after"]
    assert not alice.node.events("rollback")
    assert not bob.node.events("rollback")


# --- what it sees ---


def test_a_bridge_sees_nothing(world: World) -> None:
    """G1: no id, device, name, session, or length of a short text stands in what it keeps."""
    alice, bob, bridge = apart(world)
    for size in (1, 50, 1_000):
        alice.sends(bob, "secret " * size)
    world.settle()
    posts = [e for e in alice.node.effects if isinstance(e, Post)]
    told = [alice.id, bob.id, alice.device, bob.device, b"alice", b"secret", *(p.sid for p in posts if p.sid)]
    assert bridge.seen
    assert not any(part in blob for part in told for blob in bridge.seen)
    assert len({len(blob) for blob in bridge.seen}) <= 4


def test_a_stolen_store_of_the_sender_is_seen_as_a_rollback(world: World) -> None:
    """A rolled-back sender over a bridge loses nothing."""
    alice, bob, _ = apart(world)
    alice.sends(bob, "before")
    world.settle()
    copy = alice.node.snapshot()
    alice.sends(bob, "after the copy")
    world.settle()
    alice.node.restore(copy)
    world.settle()
    alice.sends(bob, "after the rollback")
    patiently(world, hours=2)
    assert sorted(bob.inbox()) == sorted(["before", "after the copy", "after the rollback"])


def test_a_receiver_rolled_back(world: World) -> None:
    """Five messages must not vanish as replays."""
    alice, bob, _ = apart(world)
    alice.sends(bob, "before")
    world.settle()
    copy = bob.node.snapshot()
    for text in TEXTS[:5]:
        alice.sends(bob, text)
    world.settle()
    bob.node.restore(copy)
    patiently(world, hours=2)
    assert bob.inbox() == ["before", *TEXTS[:5]]


def test_a_queue_that_is_not_made_yet_takes_it_a_moment_later(world: World) -> None:
    """Its reader told of it a moment before the bridge heard of it."""
    alice, bob, bridge = apart(world)
    queues, bridge.queues = bridge.queues, {}
    sent = alice.sends(bob, "a little early")
    world.run(0.2)
    assert alice.state(sent) == "queued"
    bridge.queues = queues
    world.run(2.0)
    assert bob.inbox() == ["a little early"]


def test_a_bridge_that_comes_and_goes_is_not_filled_with_questions(world: World) -> None:
    """An absent peer is asked at most once a minute, however often the bridge is reached anew."""
    alice, bob, bridge = apart(world)
    bob.node.crash()
    world.run(130.0)
    before = bridge.puts
    for _ in range(60):
        bridge.cut_off(alice.node)
        bridge.let_in(alice.node)
        world.run(2.0)
    assert bridge.puts - before <= 3


# --- found by attack ---


def test_one_false_number_does_not_deafen_a_queue(world: World) -> None:
    """An attack: a cursor beyond any clock, once, would have made everything after it count as worked off."""
    alice, bob, bridge = apart(world)
    alice.sends(bob, "before")
    world.settle()
    for queue in list(bridge.queues):
        bridge.deliver(queue, [(INT_MAX, bytes(5_000))])
    world.settle()
    alice.sends(bob, "after")
    world.settle()
    assert bob.inbox() == ["before", "after"]
    assert any("message numbers are ahead" in detail for detail in lies(world))


def test_an_old_word_is_no_presence(world: World) -> None:
    """An attack, and an honest bridge too: what lay in a queue for days says nothing of now."""
    alice, bob, bridge = apart(world)
    alice.node.crash()
    bob.sends(alice, "bye")
    world.settle()
    bob.node.crash()
    world.run(3_600)
    alice.node.start()
    world.run(30)
    assert alice.inbox() == ["bye"]
    assert not alice.sees(bob)["reachable"]
    for queue in list(bridge.queues):
        bridge.delivers = lambda _, blobs: blobs
        bridge.cursor += 1
        bridge.deliver(queue, [(bridge.cursor, bridge.seen[-1])])
    world.run(30)
    assert not alice.sees(bob)["reachable"]
    bob.node.start()
    world.run(120)
    assert alice.sees(bob)["reachable"]


def test_a_contact_may_not_fill_the_table_of_bridges(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attack: a new bridge of its choice with every SYNC."""
    alice, mallory = world.friends("alice", "mallory")
    world.bridge(alice.node)
    world.settle()
    real, made = ways.routes_for, itertools.count(1)

    def invented(core: Core, *rest: Any) -> tuple[Route, ...]:
        if core is not mallory.core:
            return real(core, *rest)
        n = next(made)
        key = n.to_bytes(32, "big")
        return (Route(str(BridgeAddress(f"h{n}.evil.example", 4433, key)), key, key, key),)

    monkeypatch.setattr(ways, "routes_for", invented)
    for _ in range(60):
        for link in mallory.links(alice):
            link.disagrees = True
        world.run(1.5)
    assert next(made) > 20
    assert len(alice.core.bridges) <= 2
    left = {effect.bridge for effect in alice.node.effects if isinstance(effect, LeaveBridge)}
    assert len(left) > 5  # those that it names no more


def test_a_bridge_that_a_contact_named_hears_of_no_code(world: World) -> None:
    """An attack: its operator would use up every code that is shown."""
    alice, mallory = world.friends("alice", "mallory")
    world.bridge(alice.node)
    hers = world.bridge(mallory.node)
    world.settle()
    assert hers.address in alice.core.bridges
    shows(alice)
    world.run(5)
    assert not hers.places


def test_words_of_a_contact_make_few_dials(world: World) -> None:
    """An attack: every greeting names other addresses of somebody else."""
    alice, mallory, _ = apart(world)
    before = dials(alice)
    honest = ways.greeting(mallory.core, its_way(mallory, alice))
    for n in range(120):
        forged = replace(honest, addresses=tuple(f"203.0.113.{n}:{1_000 + k}" for k in range(12)))
        alice.node.run(lambda core, g=forged: relays.on_greeting(core, its_way(alice, mallory), g))  # type: ignore[misc]
        world.run(1)
    assert dials(alice) - before < 60


def dials(agent: Agent) -> int:
    return sum(isinstance(e, Connect) and "203.0.113" in str(e.dial.addresses) for e in agent.node.effects)


def its_way(agent: Agent, peer: Agent) -> Link:
    return agent.core.ways[agent.device, peer.device]
