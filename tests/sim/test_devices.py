"""One agent on two devices: what peers send reaches both, and each has what the other sends or receives."""

from __future__ import annotations

from tests.sim.owners import adds_device, installed
from tests.sim.test_time import days_pass


def two_of_alice(world):
    """(alice, her second device, bob), all linked to each other."""
    alice, bob = world.friends("alice", "bob")
    twin = installed(world, "alice", alice, adds_device(alice, "laptop"), root=False)
    twin.befriends(bob)
    world.run(10)
    world.settle()
    return alice, twin, bob


def texts(agent, peer):
    return [message["text"] for message in agent.history(peer)]


def test_both_devices_get_what_a_peer_sends_and_have_what_either_sends(world):
    """B9: a row per device; the shown state is the best one; author order is per device."""
    alice, twin, bob = two_of_alice(world)
    assert len(bob.links(alice)) == 2
    assert alice.links(alice)
    sent = bob.sends(alice, "to both")
    world.settle()
    assert (alice.inbox(), twin.inbox()) == (["to both"], ["to both"])
    assert bob.state(sent) == "delivered"
    mine, hers = alice.sends(bob, "from the first"), twin.sends(bob, "from the second")
    world.settle()
    assert sorted(bob.inbox()) == ["from the first", "from the second"]
    said = ["from the first", "from the second", "to both"]
    assert (sorted(texts(alice, bob)), sorted(texts(twin, bob))) == (said, said)
    assert [alice.state(mine), alice.state(hers), twin.state(mine), twin.state(hers)] == ["delivered"] * 4
    assert alice.owes(bob) == twin.owes(bob) == bob.owes(alice) == 0


def test_a_device_that_was_away_gets_all_from_the_other(world):
    """B1, B9: whoever wrote it."""
    alice, twin, bob = two_of_alice(world)
    world.part(twin, alice)
    world.part(twin, bob)
    world.run(300)
    bob.sends(alice, "while she was away")
    world.settle()
    alice.sends(bob, "I answer")
    world.settle()
    world.join(twin, alice)
    world.run(40)
    assert twin.inbox() == ["while she was away"]
    assert texts(twin, bob) == texts(alice, bob) == ["while she was away", "I answer"]
    world.join(twin, bob)
    world.run(40)
    assert twin.inbox() == ["while she was away"]
    assert texts(bob, alice) == ["while she was away", "I answer"]


def test_what_one_device_wrote_reaches_the_peer_by_the_other(world):
    """B1: any holder can supply what another misses."""
    alice, twin, bob = two_of_alice(world)
    world.part(twin, bob)
    world.run(20)
    sent = twin.sends(bob, "by way of the other")
    world.run(10)
    assert bob.inbox() == ["by way of the other"]
    assert alice.state(sent) == "delivered"
    world.join(twin, bob)
    world.run(40)
    assert twin.state(sent) == "delivered"
    assert bob.heard(alice) == ["by way of the other"]


def test_a_device_whose_store_went_back_is_given_back_what_it_had(world):
    """A3, B1: also by the other device, with every conversation of the agent."""
    alice, twin, bob = two_of_alice(world)
    copy = twin.node.snapshot()
    bob.sends(alice, "one")
    world.settle()
    twin.sends(bob, "two")
    world.settle()
    world.part(twin, bob)
    twin.node.restore(copy)
    world.run(40)
    assert texts(twin, bob) == texts(alice, bob) == ["one", "two"]
    twin.sends(bob, "three")
    world.join(twin, bob)
    world.run(40)
    assert texts(bob, alice) == texts(twin, bob) == texts(alice, bob) == ["one", "two", "three"]


def test_a_device_that_has_not_heard_of_a_third_is_still_believed(world):
    """E1: its log ends earlier than the one that the peer knows, and says nothing else."""
    alice, twin, bob = two_of_alice(world)
    world.part(twin, alice)
    world.part(twin, bob)
    world.run(30)
    adds_device(alice, "phone")
    world.run(30)
    world.join(twin, bob)
    world.run(40)
    twin.sends(bob, "still me")
    world.run(10)
    assert bob.inbox() == ["still me"]
    world.join(twin, alice)
    world.run(40)
    assert twin.hosted.speaker.identity == alice.hosted.speaker.identity


def test_one_device_that_is_away_for_good_voids_nothing(world):
    """B6: what the other one holds was delivered; the absent one is still owed all of it."""
    alice, twin, bob = two_of_alice(world)
    world.part(twin, alice)
    world.part(twin, bob)
    world.run(30)
    sent = bob.sends(alice, "patience")
    days_pass(world, 16, alice.node, bob.node, twin.node)
    world.run(200)
    assert bob.state(sent) == "delivered"
    world.join(twin, bob)
    world.run(60)
    assert twin.inbox() == ["patience"]


def test_a_device_beside_the_peer_has_what_the_other_one_sends_and_gets(world):
    """A4, B9: entries are kept once per node, so what comes to one agent of it comes to each that it is for."""
    alice, bob = world.friends("alice", "bob")
    twin = installed(world, "alice", alice, adds_device(alice, "laptop"), root=False, node=bob.node)
    twin.befriends(bob)
    world.run(10)
    world.settle()
    world.part(twin, alice)
    world.join(twin, alice)
    sent = [alice.sends(bob, f"word {number}") for number in range(3)]
    world.run(1)
    answered = [bob.sends(alice, f"answer {number}") for number in range(3)]
    world.settle()
    world.run(60)
    said = [*(f"word {number}" for number in range(3)), *(f"answer {number}" for number in range(3))]
    assert sorted(texts(twin, bob)) == sorted(texts(alice, bob)) == sorted(said)
    assert bob.heard(alice) == said[:3]
    assert sorted(twin.heard(bob)) == sorted(alice.heard(bob)) == sorted(said[3:])
    assert [twin.state(each) for each in sent] == [alice.state(each) for each in sent] == ["delivered"] * 3
    assert [bob.state(each) for each in answered] == ["delivered"] * 3
