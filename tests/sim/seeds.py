"""Which seeds the random walks take: the same few in every test run, others where WALK_SEEDS="FIRST END" says so."""

from __future__ import annotations

import os


def seeds(count: int) -> range:
    """The seeds 0 to count, or those that WALK_SEEDS names."""
    first, end = map(int, os.environ.get("WALK_SEEDS", f"0 {count}").split())
    return range(first, end)
