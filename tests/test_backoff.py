"""Waits that grow."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from p2p_agents.backoff import Backoff

SOURCES = sorted((Path(__file__).parent.parent / "p2p_agents").rglob("*.py"))
BY_HAND = re.compile(r"_S \* \d(\.\d+)? ?\*\*|min\(max\(\w*_S, \d|min\(max\(\d \* [\w.]+, \w+_S")


def test_each_wait_is_longer_up_to_the_longest() -> None:
    waits = Backoff(0.25, 30.0)
    assert [waits.after(earlier) for earlier in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [Backoff(1, 100, factor=4).after(earlier) for earlier in range(5)] == [1, 4, 16, 64, 100]


@pytest.mark.parametrize("factor", [2, 4])
def test_no_number_of_failures_is_too_many(factor: int) -> None:
    assert Backoff(0.25, 30.0, factor).after(10**9) == 30.0
    assert Backoff(10.0, math.inf, factor).after(10**9) < math.inf


def test_a_wait_follows_from_the_one_before() -> None:
    waits, wait, found = Backoff(60, 900), 0.0, []
    for _ in range(6):
        wait = waits.following(wait)
        found.append(wait)
    assert found == [60, 120, 240, 480, 900, 900] == [waits.after(earlier) for earlier in range(6)]


def test_a_spread_wait_lies_in_the_upper_half() -> None:
    waits = Backoff(1, 8)
    assert [waits.spread(2, draw) for draw in (0.0, 0.5)] == [2.0, 3.0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_module_has_a_formula_of_its_own(path: Path) -> None:
    assert BY_HAND.findall(path.read_text()) == []
