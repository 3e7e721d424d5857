"""Whole nodes over real QUIC connections on a bad network."""

from __future__ import annotations

import pytest

from tests.sim.packets import Packets
from tests.sim.world import World, settled


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, net=Packets)


def test_a_message_passes(world):
    """C1, C2: with the key that TLS proved in both HELLOs."""
    alice, bob = world.friends("alice", "bob")
    hello = alice.sends(bob, "hello")
    world.run(2)
    assert bob.reads() == ["hello"]
    world.run(2)
    assert alice.state(hello) == "read"


@pytest.mark.parametrize("seed", [1, 2])
def test_exactly_once_and_in_order_over_a_bad_network(tmp_path, seed):
    """B1, B2, B3: 30 % loss, duplication, reordering, and ten minutes without any network."""
    world = World(tmp_path, seed, lambda time: Packets(time, seed))
    alice, bob = world.friends("alice", "bob")
    world.net.loss, world.net.duplication, world.net.jitter = 0.3, 0.1, 0.02
    for number in range(30):
        alice.sends(bob, f"a{number} " + "x" * (number * 40))
        bob.sends(alice, f"b{number}")
        world.run(0.3)
        if number == 15:
            world.part(alice, bob)
            world.run(600)
            world.join(alice, bob)
    world.run(120)
    assert [text.split()[0] for text in bob.heard(alice)] == [f"a{number}" for number in range(30)]
    assert alice.heard(bob) == [f"b{number}" for number in range(30)]
    assert settled(alice.states(bob) + bob.states(alice))


def test_a_restarted_node_is_found_at_once(world):
    """C3: long before QUIC's idle timeout."""
    alice, bob = world.friends("alice", "bob")
    world.run(3)
    bob.node.restart()
    world.run(2)
    alice.sends(bob, "welcome back")
    world.run(1)
    assert bob.heard(alice) == ["welcome back"]
