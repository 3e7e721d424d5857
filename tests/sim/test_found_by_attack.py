"""Flaws that an attack on an earlier draft showed, each held by a test."""

from __future__ import annotations

import pytest

from p2p_agents.errors import Malformed
from p2p_agents.node import inbound, syncing
from p2p_agents.node.asking import void
from p2p_agents.store import outbox, sessions
from p2p_agents.wire.payload import Verdict


def friends(world):
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "first")
    world.settle()
    return alice, bob


def test_a_void_that_a_rolled_back_peer_lost_is_given_again(world):
    """B6, B1: the chain would have a hole for ever, and everything after it would wait."""
    alice, bob = friends(world)
    world.part(alice, bob)
    world.run(20)
    lost = alice.sends(bob, "expires")
    (row,) = outbox.queued_for(alice.core.db, alice.hosted.local.id, bob.id, 10)
    alice.node.run(lambda core: void(core, row.agent, row.id, row.entry, "expired"))
    copy = bob.node.snapshot()
    world.join(alice, bob)
    alice.sends(bob, "second")
    world.settle()
    assert bob.heard(alice) == ["first", "second"]
    bob.node.restore(copy)
    world.settle()
    alice.sends(bob, "third")
    world.run(10)
    assert bob.heard(alice) == ["first", "second", "third"]
    assert alice.state(lost) == "failed"


def test_a_rolled_back_clock_and_store_do_not_stop_a_peer(world):
    """B1, A3: what was said before the rollback must not make what is said after it look old."""
    alice, bob = friends(world)
    copy = bob.node.snapshot()
    bob.sends(alice, "lost")
    world.settle()
    bob.node.clock.wall_offset_ms -= 3_600_000
    bob.node.restore(copy)
    alice.sends(bob, "after")
    world.run(5)
    assert bob.heard(alice) == ["first", "after"]
    assert alice.heard(bob) == ["lost"]


def test_a_generation_far_ahead_is_refused(world):
    """D3: it would use up the counter of our own inits."""
    alice, bob = friends(world)
    key = (alice.device, bob.device)
    with pytest.raises(Malformed):
        syncing._gen_floor(alice.core, key, 2**53 - 1)
    assert sessions.pair(alice.core.db, *key).gen_sent < 2**53 - 1


def test_claims_of_loss_renew_cursors_once_an_opening(world):
    """A4: a peer that says so again and again must not break every reader each time."""
    alice, bob = friends(world)
    link = alice.links(bob)[0]
    before = alice.core.db.generation
    alice.node.run(lambda core: syncing._noticed_loss(core, link))
    once = alice.core.db.generation
    alice.node.run(lambda core: syncing._noticed_loss(core, link))
    assert before != once == alice.core.db.generation


def test_gap_verdicts_cost_no_stream_of_frames(world, monkeypatch):
    """B5: a peer that answers GAP to everything is asked for its view once a second, and sent nothing in between."""
    alice, bob = friends(world)
    monkeypatch.setattr(inbound, "_take_item", lambda core, link, item: Verdict.GAP)
    alice.sends(bob, "x" * 20_000)
    world.run(10)
    (held,) = alice.core.pair_sessions((alice.device, bob.device))
    assert 10 < held.session.sent < 100
