"""Random walks: whatever happens on the way, in the end everything has arrived, once and in order."""

from __future__ import annotations

import pytest

from tests.sim.seeds import seeds
from tests.sim.test_linking import links
from tests.sim.walk import RollbackWalk, Walk
from tests.sim.world import World, settled


@pytest.mark.parametrize("seed", seeds(6))
def test_nothing_is_lost_and_nothing_comes_twice(tmp_path, seed):
    """A6, B1, B2, B3, B4, B5, B8, D4: two nodes, cuts, crashes at commits, partitions."""
    walk = Walk(World(tmp_path, seed), seed)
    walk.take(250)
    walk.heal()
    walk.check()


@pytest.mark.parametrize("seed", seeds(2))
def test_three_nodes_do_not_disturb_each_other(tmp_path, seed):
    """B1, B9: three nodes, the same troubles."""
    walk = Walk(World(tmp_path, seed), seed, agents=3)
    walk.take(250)
    walk.heal()
    walk.check()


@pytest.mark.parametrize("seed", seeds(4))
def test_stores_that_go_back_in_time_lose_nothing_that_a_peer_holds(tmp_path, seed):
    """A3, B1, B5: the same troubles, and snapshots restored in the middle of them."""
    walk = RollbackWalk(World(tmp_path, seed), seed)
    walk.take(200)
    walk.heal()
    walk.check()


class FamilyWalk(Walk):
    """An agent on two devices and a friend: each of the three writes, all troubles happen to all of them."""

    def __init__(self, world, seed):
        super().__init__(world, seed)
        self.alice, self.bob = self.friends
        self.twin = links(world, self.alice)
        self.friends = [self.alice, self.twin, self.bob]
        self.said = {each.device: [] for each in self.friends}

    def send(self):
        one, other = self.random.choice([(self.alice, self.bob), (self.twin, self.bob), (self.bob, self.alice)])
        if one.node.running:
            said = self.said[one.device]
            text = f"{one.device.hex()[:4]} {len(said)} " + "x" * self.random.choice((0, 10, 5_000))
            one.sends_or_dies(other, text)
            if one.node.running or one.node.db.die_after == one.node.db.commits:
                said.append(text)

    def check(self):
        """Everybody has all of it once, each device's in its order, and every author knows."""
        everything = sorted(text for said in self.said.values() for text in said)
        for one, peer in ((self.alice, self.bob), (self.twin, self.bob), (self.bob, self.alice)):
            assert sorted(m["text"] for m in one.history(peer)) == everything
            assert settled([m["state"] for m in one.history(peer) if m["trust"] == "own"])
            assert one.owes(peer) == 0
        assert self.alice.heard(self.bob) == self.twin.heard(self.bob) == self.said[self.bob.device]
        heard = self.bob.held_from(self.alice)
        for each in (self.alice, self.twin):
            assert [(r.content or b"").decode() for r in heard if r.device == each.device] == self.said[each.device]
        assert self.alice.owes(self.alice) == self.twin.owes(self.twin) == 0
        for each in (self.alice, self.twin):
            each.reads()
        self.world.run(20)
        assert self.alice.inbox() == self.twin.inbox() == []


@pytest.mark.parametrize("seed", seeds(4))
def test_two_devices_of_one_agent_keep_each_other_whole(tmp_path, seed):
    """A6, B1, B9: three nodes, cuts, crashes at commits, partitions."""
    walk = FamilyWalk(World(tmp_path, seed), seed)
    walk.take(200)
    walk.heal()
    walk.check()
