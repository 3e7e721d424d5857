"""A human decides how far a peer is trusted."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import trust
from p2p_agents.errors import NotAContact, NumberDiffers


def shown(agent, peer):
    return agent.call(trust.show, peer=peer.name)


def test_both_sides_see_one_number(world):
    """E4"""
    alice, bob = world.friends("alice", "bob")
    assert shown(alice, bob)["safety_number"] == shown(bob, alice)["safety_number"]
    assert shown(alice, bob)["trust"] == "accepted"
    assert shown(alice, bob)["events"] == []


def test_a_compared_number_verifies_and_another_does_not(world):
    """E4"""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    other = shown(alice, carol)["safety_number"]
    with pytest.raises(NumberDiffers):
        alice.call(trust.verify, peer="bob", digits=other)
    assert shown(alice, bob)["trust"] == "accepted"
    digits = shown(alice, bob)["safety_number"].replace(" ", "")
    assert alice.call(trust.verify, peer="bob", digits=digits)["contact"]["trust"] == "verified"


def test_only_a_contact_is_verified_and_only_a_blocked_one_unblocked(world):
    """E4"""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.settle()
    with pytest.raises(NotAContact):
        alice.call(trust.verify, peer="bob", digits=shown(alice, bob)["safety_number"])
    with pytest.raises(NotAContact):
        alice.call(trust.unblock, peer="bob")
    assert alice.call(trust.block, peer="bob")["contact"]["trust"] == "blocked"
    assert alice.call(trust.unblock, peer="bob")["contact"]["trust"] == "unknown"
    bob.sends(alice, "me again")
    world.settle()
    assert alice.requests() == ["me again"]
