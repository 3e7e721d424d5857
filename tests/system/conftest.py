from __future__ import annotations

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.net.namespaces import Lab, lab, obstacle
from tests.system.harness import World

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["lab"]

can_isolate = functools.cache(lambda: obstacle() is None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with its own network if the machine can make one; otherwise only with its own directories."""
    with ExitStack() as stack:
        netns = stack.enter_context(Lab(1)).hosts[0] if can_isolate() else None
        made = World(tmp_path, netns)
        stack.callback(made.close)
        yield made


@pytest.fixture
def apart(tmp_path: Path, lab: object) -> Iterator[tuple[World, Lab]]:
    """Two hosts without any network between them."""
    with ExitStack() as stack:
        hosts = stack.enter_context(Lab(2, connected=False))
        made = World(tmp_path)
        stack.callback(made.close)
        yield made, hosts


@pytest.fixture
def joined(tmp_path: Path, lab: object) -> Iterator[tuple[World, Lab]]:
    """Two hosts on one link."""
    with ExitStack() as stack:
        hosts = stack.enter_context(Lab(2))
        made = World(tmp_path)
        stack.callback(made.close)
        yield made, hosts
