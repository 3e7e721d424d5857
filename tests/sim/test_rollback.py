"""Stores that were rolled back: nothing new is dropped as a replay, and what was lost is sent back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from p2p_agents.core.delivery import holdings, sync
from p2p_agents.crypto.signing import unverified_payload
from p2p_agents.errors import CursorUnknown
from p2p_agents.wire.cbor import decode
from p2p_agents.wire.frame import Init
from tests.sim.wire import rewriting
from tests.sim.world import settled


def five(prefix):
    return [f"{prefix}{number}" for number in range(5)]


def test_a_sender_that_was_rolled_back_loses_none_of_its_new_messages(world):
    """A3, B1, B5: five messages, a restored store, five new ones; the receiver has all ten, the sender too."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "before")
    world.settle()
    copy = alice.node.snapshot()
    for text in five("old"):
        alice.sends(bob, text)
    world.settle()
    alice.node.restore(copy)
    for text in five("new"):
        alice.sends(bob, text)
    world.settle()
    assert sorted(bob.heard(alice)) == sorted(["before", *five("old"), *five("new")])
    assert [text for text in bob.heard(alice) if text.startswith("new")] == five("new")
    written = [m["text"] for m in alice.history(bob)]
    assert sorted(written) == sorted(["before", *five("old"), *five("new")])
    assert settled(alice.states(bob))
    assert alice.node.events("rollback")
    assert bob.node.events("rollback")


def test_a_receiver_that_was_rolled_back_is_given_everything_again(world):
    """A3, B1: SYNC reopens what was settled."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "before")
    world.settle()
    copy = bob.node.snapshot()
    for text in five("a"):
        alice.sends(bob, text)
        bob.sends(alice, f"answer to {text}")
    world.settle()
    bob.reads()
    world.settle()
    assert alice.states(bob) == ["read"] * 6
    bob.node.restore(copy)
    for text in five("later"):
        alice.sends(bob, text)
    world.settle()
    assert bob.heard(alice) == ["before", *five("a"), *five("later")]
    assert [m["text"] for m in bob.history(alice) if m["from"]["name"] == "bob"] == [
        f"answer to {t}" for t in five("a")
    ]
    assert alice.heard(bob) == [f"answer to {text}" for text in five("a")]
    assert alice.owes(bob) == bob.owes(alice) == 0


def test_both_may_have_been_rolled_back(world):
    """A3, B1"""
    alice, bob = world.friends("alice", "bob")
    copies = [one.node.snapshot() for one in (alice, bob)]
    alice.sends(bob, "gone on both sides")
    world.settle()
    alice.node.restore(copies[0])
    bob.node.restore(copies[1])
    alice.sends(bob, "after")
    bob.sends(alice, "after")
    world.settle()
    assert bob.heard(alice) == alice.heard(bob) == ["after"]


def test_a_rollback_during_an_exchange_loses_nothing(world):
    """B3, B5: the copy was taken while frames were under way."""
    alice, bob = world.friends("alice", "bob")
    for number in range(4):
        alice.sends(bob, f"a{number}")
        bob.sends(alice, f"b{number}")
        world.run(0.003)
    copy = alice.node.snapshot()
    world.settle()
    alice.node.restore(copy)
    alice.sends(bob, "new")
    world.settle()
    assert bob.heard(alice) == ["a0", "a1", "a2", "a3", "new"]
    assert alice.heard(bob) == ["b0", "b1", "b2", "b3"]
    assert settled(alice.states(bob) + bob.states(alice))


def test_old_cursors_are_errors_after_a_rollback(world):
    """A4: positions mean something else now, so the store answers with a new generation."""
    alice, bob = world.friends("alice", "bob")
    copy = bob.node.snapshot()
    bob.sends(alice, "makes the loss visible")
    alice.sends(bob, "one")
    world.settle()
    cursor = bob.page()["cursor"]
    bob.node.restore(copy)
    world.settle()
    with pytest.raises(CursorUnknown):
        bob.inbox(after=cursor)
    assert bob.inbox(after="0") == ["one"]


def test_a_session_given_up_is_healed_into_the_next(world):
    """D3: the new session inherits the newest turn that both still hold."""
    alice, bob = world.friends("alice", "bob")
    for number in range(3):
        alice.sends(bob, f"{number}")
        world.run(1.5)
        bob.sends(alice, f"{number}")
        world.run(1.5)
    copy = alice.node.snapshot()
    alice.sends(bob, "lost by one side")
    world.settle()
    inits = []
    world.net.tamper = rewriting(lambda frame: inits.append(frame) or frame if isinstance(frame, Init) else frame)
    alice.node.restore(copy)
    alice.sends(bob, "new")
    world.settle()
    assert inits
    for frame in inits:
        claims = decode(unverified_payload(frame.payload))
        dead, heal_id = claims[7], claims[8]
        assert dead
        assert heal_id is not None
    assert bob.heard(alice)[-1] == "new"


def test_what_the_old_store_left_at_a_bridge_is_given_back_too(world):
    """A3, B1, B7: the views agreed when the links came up; what the bridge then brings, the author has lost."""
    alice, bob = world.friends("alice", "bob")
    bridge = world.bridge(alice.node, bob.node)
    alice.sends(bob, "before")
    bob.sends(alice, "before")
    world.settle()
    copy = alice.node.snapshot()
    bridge.cut_off(bob.node)
    world.part(alice, bob)
    world.run(15)
    for text in five("old"):
        alice.sends(bob, text)
        world.run(1.0)
    assert alice.states(bob)[-5:] == ["relayed"] * 5
    alice.node.restore(copy)
    world.join(alice, bob)
    world.settle()
    assert bob.heard(alice) == ["before"]
    bridge.let_in(bob.node)
    world.run(120)
    assert bob.heard(alice) == ["before", *five("old")]
    assert [m["text"] for m in alice.history(bob) if m["from"]["name"] == "alice"] == ["before", *five("old")]
    assert alice.owes(bob) == bob.owes(alice) == 0


def test_what_a_peer_says_it_lacks_is_given_back_whenever_it_says_so(world, monkeypatch):
    """B1: the peer's process went on all the time, and it names none of the entries that it acknowledged."""
    alice, bob = world.friends("alice", "bob")
    for text in five("a"):
        alice.sends(bob, text)
        bob.sends(alice, f"answer to {text}")
    world.settle()
    say = holdings.say

    def forgetful(core, link, talk):
        return replace(say(core, link, talk), tips={})

    with monkeypatch.context() as patch:
        patch.setattr(holdings, "say", forgetful)
        bob.node.run(lambda core: sync.send_sync(core, bob.links(alice)[0], reply=False))
    before = world.net.carried
    world.run(0.004)
    assert alice.owes(bob) == 10
    world.settle()
    assert world.net.carried - before > 10 * 256
    assert alice.owes(bob) == 0
    assert settled(alice.states(bob))
    assert bob.heard(alice) == five("a")
