"""Random walks of two networks and two bridges between them: whatever happens, everything arrives once, in order."""

from __future__ import annotations

import pytest

from tests.sim.bridges import Blobs
from tests.sim.seeds import seeds
from tests.sim.walk import RollbackWalk, Walk
from tests.sim.world import World

HOURS = 14  # an absent peer is asked less and less often, at most every six hours


class Bridged(Walk):
    """The same troubles, and bridges that die, forget, drop, double and hold back. Nothing heals the LAN."""

    def __init__(self, world: World, seed: int, agents: int = 2) -> None:
        super().__init__(world, seed, agents)
        self.bridges = [world.bridge(*(friend.node for friend in self.friends)) for _ in range(2)]
        world.settle()
        self._steps += [
            (2, self.part),
            (2, self.bridge_dies),
            (3, self.bridge_returns),
            (2, self.cut_off),
            (3, self.let_in),
            (1, self.forget),
            (2, self.lie),
            (2, self.be_honest),
        ]

    def one_bridge(self):
        return self.random.choice(self.bridges)

    def bridge_dies(self) -> None:
        self.one_bridge().stop()

    def bridge_returns(self) -> None:
        self.one_bridge().start()

    def cut_off(self) -> None:
        self.one_bridge().cut_off(self.two()[0].node)

    def let_in(self) -> None:
        bridge, node = self.one_bridge(), self.two()[0].node
        if node.running:
            bridge.let_in(node)

    def forget(self) -> None:
        """A store that went back in time, all the way."""
        for blobs in self.one_bridge().queues.values():
            blobs.clear()

    def lie(self) -> None:
        bridge = self.one_bridge()
        keeps = [
            lambda _, blob: [],
            lambda _, blob: [blob, blob],
            lambda _, blob: [blob, self.random.choice(bridge.seen)],
            lambda _, blob: [blob if self.random.random() < 0.5 else bytes(len(blob))],
        ]
        bridge.keeps = self.random.choice(keeps)

    def be_honest(self) -> None:
        self.one_bridge().keeps = lambda _, blob: [blob]

    def heal(self) -> None:
        """Bridges are honest and there is time; the two networks stay apart."""
        self.world.net.cut_at = None
        for one in self.friends:
            one.node.db.die_before = one.node.db.die_after = None
        one, other = self.friends[:2]
        self.world.part(one, other)
        self.world.run(25.0)
        for each in self.friends:
            each.node.db.die_before = each.node.db.die_after = None
        for bridge in self.bridges:
            bridge.keeps = lambda _, blob: [blob]
            bridge.delivers = _all
            bridge.stop()
            for friend in self.friends:
                bridge.nodes[friend.node] = True
            bridge.start()
        for _ in range(HOURS * 60):
            self.world.run(60.0)
            if all(one.owes(other) == 0 for one in self.friends for other in self.friends if one is not other):
                break
        self.world.run(300.0)
        assert not self.friends[0].links(self.friends[1])
        assert any(bridge.puts for bridge in self.bridges)


class BridgedRollback(Bridged, RollbackWalk):
    """And stores of the nodes that go back in time."""


class RejoinedRollback(BridgedRollback):
    """In the end the networks are one again, while what was left at the bridges is still to be read."""

    def heal(self) -> None:
        self.random.choice((self.be_honest, self.lie))()
        for one in self.friends:
            one.node.db.die_before = one.node.db.die_after = None
        self.world.run(3.0)
        one, other = self.friends[:2]
        self.world.join(one, other)
        self.world.run(5.0)
        super().heal()


def _all(_: bytes, blobs: Blobs) -> Blobs:
    return blobs


@pytest.mark.parametrize("seed", seeds(4))
def test_over_bridges_nothing_is_lost_and_nothing_comes_twice(tmp_path, seed):
    """B1, B2, B3, B7: cuts, crashes at commits, partitions, and bridges that fail and lie."""
    walk = Bridged(World(tmp_path, seed), seed)
    walk.take(250)
    walk.heal()
    walk.check()


@pytest.mark.parametrize("seed", seeds(4))
def test_over_bridges_rolled_back_stores_lose_nothing_that_a_peer_holds(tmp_path, seed):
    """A3, B1, B5, B7"""
    walk = BridgedRollback(World(tmp_path, seed), seed)
    walk.take(200)
    walk.heal()
    walk.check()


@pytest.mark.parametrize("seed", seeds(4))
def test_a_network_that_is_whole_again_and_bridges_that_are_read_late_lose_nothing(tmp_path, seed):
    """A3, B1, B5, B7: what an old store left at a bridge comes after views agreed on a direct link."""
    walk = RejoinedRollback(World(tmp_path, seed), seed)
    walk.take(200)
    walk.heal()
    walk.check()
