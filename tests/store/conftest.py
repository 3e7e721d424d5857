import pytest

from p2p_agents.store.database import Database


@pytest.fixture
def db(tmp_path):
    """A fresh store with a transaction open."""
    database = Database.open(str(tmp_path / "store.db"))
    database.begin()
    yield database
    database.close()
