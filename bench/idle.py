"""What a node costs that does nothing: processor time and memory, with one agent and with many."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bench.figure import Figure, figure
from bench.world import world

if TYPE_CHECKING:
    from bench.world import Node

AGENTS = 50


def measure(quick: bool) -> list[Figure]:
    """Percent of a core and MB of a node that is connected to another one."""
    seconds, settling, agents = (1.0, 0.0, 3) if quick else (20.0, 10.0, AGENTS)
    with world() as made:
        alice, _ = made.pair()
        time.sleep(settling)  # what a start and an announcement bring with them is not idling
        one_cpu, one_mb = _watch(alice, seconds)
        for number in range(1, agents):
            alice.call("init", name=f"alice-{number}")
        time.sleep(settling)
        many_cpu, many_mb = _watch(alice, seconds)
    further = (many_mb - one_mb) / (agents - 1)
    return [
        figure("idle.cpu", [one_cpu], "% of a core", must="0.3 %", aims="0.15 %"),
        figure("idle.memory", [one_mb], "MB", must="90 MB", aims="45 MB"),
        figure("idle.cpu_many", [many_cpu], "% of a core", baseline={"agents": agents}, must="0.3 %", aims="0.15 %"),
        figure("idle.memory_agent", [further], "MB", baseline={"whole": many_mb}, must="0.3 MB", aims="0.15 MB"),
    ]


def _watch(node: Node, seconds: float) -> tuple[float, float]:
    """(percent of a core over so many seconds, resident MB at their end)."""
    began, spent = time.perf_counter(), node.processor_s()
    time.sleep(seconds)
    spent = node.processor_s() - spent
    return 100 * spent / (time.perf_counter() - began), _resident_mb(node.pid)


def _resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
