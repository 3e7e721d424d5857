"""Messages between two nodes: once, in order, and with honest states."""

from __future__ import annotations


def test_a_message_arrives_and_its_states_tell_the_truth(world):
    """A6, B3, B8: queued, delivered, read, each only when it is so."""
    alice, bob = world.friends("alice", "bob")
    hello = alice.sends(bob, "hello")
    assert alice.state(hello) == "queued"
    world.settle()
    assert alice.state(hello) == "delivered"
    assert bob.inbox() == ["hello"]
    assert alice.state(hello) == "delivered"
    assert bob.acks() == 1
    world.settle()
    assert alice.state(hello) == "read"
