"""Root keys are replaced in the middle of all possible faults."""

from __future__ import annotations

import contextlib

import pytest

from p2p_agents.crypto.signing import SigningKey
from tests.sim.owners import frozen, identity_of, knows, rotates, secrets_of
from tests.sim.seeds import seeds
from tests.sim.walk import RollbackWalk, Walk
from tests.sim.world import Crashed, World


class Rotating(Walk):
    """Friends that rotate too, now and then, whatever else happens to them."""

    def __init__(self, world: World, seed: int, agents: int = 2) -> None:
        super().__init__(world, seed, agents)
        self._steps += [(3, self.rotate)]

    def rotate(self) -> None:
        one, _ = self.two()
        if one.node.running and identity_of(one).n < 60:
            with contextlib.suppress(Crashed):
                rotates(one)

    def check(self) -> None:
        super().check()
        for one in self.friends:
            assert SigningKey.from_seed(secrets_of(one).root).public == identity_of(one).root
            for other in self.friends:
                if one is not other:
                    assert knows(other, one) == identity_of(one)
                    assert frozen(other, one) is None


class RotatingRollback(Rotating, RollbackWalk):
    """With stores that go back in time; the keys and the log beside them do not."""


@pytest.mark.parametrize("seed", seeds(4))
def test_rotations_cost_no_message(tmp_path, seed):
    """E2, B1"""
    walk = Rotating(World(tmp_path, seed), seed)
    walk.rotate()
    walk.take(250)
    walk.heal()
    walk.check()


@pytest.mark.parametrize("seed", seeds(4))
def test_rotations_and_rolled_back_stores(tmp_path, seed):
    """E2, A3: an old store is no old identity."""
    walk = RotatingRollback(World(tmp_path, seed), seed)
    walk.rotate()
    walk.take(250)
    walk.heal()
    walk.check()
