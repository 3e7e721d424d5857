"""A full disk, at any write: nothing is half-written, and the node continues when there is room again."""

from __future__ import annotations

import pytest

from p2p_agents.core.agents import hosting
from p2p_agents.errors import P2PError, StoreFull, StoreUncertain
from p2p_agents.store import agents
from tests.sim.world import World, settled


def chat(world, alice, bob):
    """Send, receive, acknowledge, read; whatever fails is tried again once, as a client with a key does."""
    for number in range(2):
        for one, other in ((alice, bob), (bob, alice)):
            for _ in range(2):
                try:
                    one.sends(other, f"{number}", id=f"k{number}")
                    break
                except (StoreFull, StoreUncertain):
                    continue
        world.run(0.3)
    for one in (alice, bob):
        try:
            one.reads()
        except (StoreFull, StoreUncertain):
            one.reads()


def statements_of_a_chat(tmp_path):
    (tmp_path / "whole").mkdir()
    world = World(tmp_path / "whole")
    alice, bob = world.friends("alice", "bob")
    before = bob.node.db.statements
    chat(world, alice, bob)
    return bob.node.db.statements - before


def test_a_disk_may_be_full_at_any_statement(tmp_path):
    """A6: each of them once, in a chat of both; every message arrives once and ends read."""
    total = statements_of_a_chat(tmp_path)
    for at in range(1, total, 7):
        home = tmp_path / f"{at}"
        home.mkdir()
        world = World(home)
        alice, bob = world.friends("alice", "bob")
        bob.node.db.full_at = bob.node.db.statements + at
        chat(world, alice, bob)
        world.run(5)
        world.settle()
        assert bob.heard(alice) == alice.heard(bob) == ["0", "1"], at
        assert settled(alice.states(bob) + bob.states(alice)), at
        assert bob.node.db.one("PRAGMA integrity_check") == ("ok",)


@pytest.mark.parametrize("takes_effect", [True, False], ids=["took effect", "did not"])
def test_any_commit_may_fail_and_have_taken_effect_or_not(tmp_path, takes_effect):
    """A6, B10: each of them once, in a chat of both. Nobody is told what is not known, and what is repeated under its
    key is there once."""
    (tmp_path / "whole").mkdir()
    world = World(tmp_path / "whole")
    alice, bob = world.friends("alice", "bob")
    before = bob.node.db.commits
    chat(world, alice, bob)
    for at in range(1, bob.node.db.commits - before + 1):
        home = tmp_path / f"{at}"
        home.mkdir()
        world = World(home)
        alice, bob = world.friends("alice", "bob")
        disk = bob.node.db
        disk.takes_effect, disk.fail_at = takes_effect, disk.commits + at
        epoch = disk.epoch
        chat(world, alice, bob)
        world.run(5)
        world.settle()
        assert not disk.is_lost
        assert disk.epoch != epoch  # it was opened anew
        assert bob.heard(alice) == alice.heard(bob) == ["0", "1"], at
        assert settled(alice.states(bob) + bob.states(alice)), at


@pytest.mark.parametrize("takes_effect", [True, False], ids=["took effect", "did not"])
def test_memory_follows_what_a_failed_commit_left(world, takes_effect):
    """A6: an agent whose creation may or may not have been committed exists afterwards, or does not, in both."""
    alice = world.agent("alice")
    disk = alice.node.db
    disk.takes_effect, disk.fail_at = takes_effect, disk.commits + 1
    with pytest.raises(StoreUncertain):
        alice.node.run(lambda core: hosting.create(core, name="ghost", kind="other", policy="ask", hidden=False))
    alice.node.run(lambda core: None)
    assert [hosted.local.name for hosted in alice.core.hosted.values()] == (
        ["alice", "ghost"] if takes_effect else ["alice"]
    )
    assert (agents.agent_named(disk, "ghost") is not None) is takes_effect


def give_back(home, at=None):
    """Bob's store goes back in time; alice's disk is full at a statement of hers, while she gives back what he lost."""
    home.mkdir()
    world = World(home)
    alice, bob = world.friends("alice", "bob")
    copy = bob.node.snapshot()
    for number in range(3):
        alice.sends(bob, f"{number}")
    world.settle()
    before = alice.node.db.statements
    alice.node.db.full_at = None if at is None else before + at
    bob.node.restore(copy)
    world.run(3)
    used = alice.node.db.statements - before
    world.run(5)
    world.settle()
    return used, bob.heard(alice)


def test_what_a_full_disk_interrupts_is_given_back_all_the_same(tmp_path):
    """A6, B1: views that were not committed were not compared."""
    total, _ = give_back(tmp_path / "whole")
    for at in range(1, total, 2):
        assert give_back(tmp_path / f"{at}", at)[1] == ["0", "1", "2"], at


def test_a_disk_that_stays_full_refuses_and_recovers(world):
    """A6: what is answered `store_full` was not accepted, what was accepted before is kept."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "before")
    world.settle()
    pages = bob.node.db.one("PRAGMA page_count")[0]
    bob.node.db.run(f"PRAGMA max_page_count = {pages}")
    for number in range(20):
        alice.sends(bob, f"{number} " + "x" * 5_000)
    with pytest.raises(StoreFull):
        bob.sends(alice, "x" * 100_000)
    world.run(20)
    assert len(bob.heard(alice)) < 21
    bob.node.db.run("PRAGMA max_page_count = 1000000")
    world.run(60)
    world.settle()
    assert len(bob.heard(alice)) == 21
    assert settled(alice.states(bob))
    assert alice.heard(bob) == []


def test_an_agent_that_could_not_be_stored_does_not_exist(world):
    """A6: memory adopts nothing before its commit."""
    alice = world.agent("alice")
    node = alice.node
    for at in range(1, 12):
        node.db.full_at = node.db.statements + at
        with pytest.raises(StoreFull):
            node.run(lambda core: hosting.create(core, name="ghost", kind="other", policy="ask", hidden=False))
        assert [hosted.local.name for hosted in node.core.hosted.values()] == ["alice"]
        assert agents.agent_named(node.db, "ghost") is None
    ghost = world.agent("ghost", node)
    assert ghost.hosted.local.name == "ghost"


def test_an_item_that_fails_spares_its_neighbours(world):
    """A6: a SAVEPOINT per item."""
    alice, bob = world.friends("alice", "bob")

    def bad(core):
        core.db.run("INSERT INTO places VALUES ('nowhere', 1)")
        raise P2PError("refused")

    outcomes = alice.node._attempt([bad, lambda core: core.db.run("INSERT INTO places VALUES ('somewhere', 1)")])
    assert [outcome.error is None for outcome in outcomes] == [False, True]
    assert alice.core.db.all("SELECT address FROM places") == [("somewhere",)]
    assert alice.links(bob)


def test_a_failed_batch_forgets_its_dials(world):
    """A6: an effect that was never carried out is due again."""
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.befriends(bob)
    bob.befriends(alice)
    alice.node.db.full_at = alice.node.db.statements + 2
    world.run(20)
    world.settle()
    assert alice.links(bob)
