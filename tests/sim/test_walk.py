"""Random walks: whatever happens on the way, in the end everything has arrived, once and in order."""

from __future__ import annotations

import pytest

from tests.sim.walk import RollbackWalk, Walk
from tests.sim.world import World


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_and_nothing_comes_twice(tmp_path, seed):
    """A6, B1, B2, B3, B4, B5, B8, D4: two nodes, cuts, crashes at commits, partitions."""
    walk = Walk(World(tmp_path, seed), seed)
    walk.take(250)
    walk.heal()
    walk.check()


@pytest.mark.parametrize("seed", range(2))
def test_three_nodes_do_not_disturb_each_other(tmp_path, seed):
    """B1, B9: three nodes, the same troubles."""
    walk = Walk(World(tmp_path, seed), seed, agents=3)
    walk.take(250)
    walk.heal()
    walk.check()


@pytest.mark.parametrize("seed", range(4))
def test_stores_that_go_back_in_time_lose_nothing_that_a_peer_holds(tmp_path, seed):
    """A3, B1, B5: the same troubles, and snapshots restored in the middle of them."""
    walk = RollbackWalk(World(tmp_path, seed), seed)
    walk.take(200)
    walk.heal()
    walk.check()
