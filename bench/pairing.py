"""How soon two agents have paired once the code is given, on nodes that have found each other."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from bench.figure import Figure, figure, quantile
from bench.world import world

if TYPE_CHECKING:
    from bench.world import Node

PATIENCE_S = 15.0
READING_S = 2.0  # from a code's showing to its typing
BUDGET = {"must": "p95 1 s", "aims": "p95 0.2 s"}


def measure(quick: bool) -> list[Figure]:
    """Milliseconds from `pair.join` with the code until both sides are told of their new contact, p95.

    Each time by two new agents; `scanned_p95` by the picture's text, `at_once_p95` without time to read the code.
    """
    rounds = 2 if quick else 20
    with world() as made:
        alice, bob = made.node("alice"), made.node("bob")
        alice.find(bob)
        bob.find(alice)
        pairs = Pairs(alice, bob)
        typed = [pairs.meet("code", READING_S) for _ in range(rounds)]
        scanned = [pairs.meet("uri", READING_S) for _ in range(rounds // 2)]
        at_once = [pairs.meet("code", 0.0) for _ in range(rounds // 2)]
    beside = {"scanned_p95": quantile(scanned, 0.95), "at_once_p95": quantile(at_once, 0.95)}
    return [figure("pairing", typed, "ms", value=quantile(typed, 0.95), baseline=beside, **BUDGET)]


class Pairs:
    """Pairs agents of two nodes, new ones each time, hidden so that no announcement is measured."""

    def __init__(self, alice: Node, bob: Node) -> None:
        self._alice, self._bob = alice, bob
        self._made = 0

    def meet(self, what: str, pause: float) -> float:
        """Milliseconds until the later of both sides knows."""
        self._made += 1
        near, far = f"alice-{self._made}", f"bob-{self._made}"
        self._alice.call("init", name=near, hidden=True)
        self._bob.call("init", name=far, hidden=True)
        time.sleep(READING_S - pause)
        shown = self._alice.call("pair.start", agent=near)
        told: list[float] = []
        waiter = threading.Thread(target=self._wait, args=(near, shown["id"], told))
        waiter.start()
        time.sleep(pause)
        began = time.perf_counter()
        self._bob.call("pair.join", agent=far, code=shown[what], timeout=PATIENCE_S)
        told.append(time.perf_counter())
        waiter.join(PATIENCE_S)
        if len(told) < 2:
            raise SystemExit(f"{near} was not told of {far} within {PATIENCE_S:g} s")
        return 1000 * (max(told) - began)

    def _wait(self, agent: str, code: str, told: list[float]) -> None:
        with self._alice.client() as client:
            client.call("pair.wait", {"agent": agent, "code": code, "timeout": 2 * PATIENCE_S})
            told.append(time.perf_counter())
