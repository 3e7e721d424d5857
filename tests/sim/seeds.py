"""The seeds of the random walks: the same few in every test run, others if WALK_SEEDS="FIRST END" is set."""

from __future__ import annotations

import os


def seeds(count: int) -> range:
    """The seeds 0 to count, or those that WALK_SEEDS names."""
    first, end = map(int, os.environ.get("WALK_SEEDS", f"0 {count}").split())
    return range(first, end)
