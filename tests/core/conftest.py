from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core.stage import hosts, make_core

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from p2p_agents.core.kernel.core import Core


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = make_core(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def pair(core: Core) -> Core:
    """Alice, the default agent, and bob, of one node."""
    hosts(core, "alice")
    hosts(core, "bob")
    return core
