import pytest

from tests.sim.world import World


@pytest.fixture
def world(tmp_path):
    """An empty world."""
    return World(tmp_path)
