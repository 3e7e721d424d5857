"""How soon an agent that comes to the network is listed by a node that is there already."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from bench.figure import Figure, figure, quantile
from bench.world import world
from p2p_agents import errors

if TYPE_CHECKING:
    from bench.world import Node

PATIENCE_S = 15.0


def measure(quick: bool) -> list[Figure]:
    """Milliseconds, p95, from the answer to `init` until the other node's `peers.watch` tells of the agent.

    On a node that just started, where `launch_p95` counts from the start of its process, and on one that runs.
    """
    with world() as made:
        alice = made.node("alice")
        watch = Watch(alice)
        new_nodes, launches, new_agents = [], [], []
        for number in range(2 if quick else 8):
            node = made.node(f"node-{number}")
            new_nodes.append(watch.until(node.id, node.announced))
            launches.append(watch.until(node.id, node.launched))
        for number in range(2 if quick else 30):
            agent = node.call("init", name=f"agent-{number}")["agent"]["id"]
            new_agents.append(watch.until(agent, time.perf_counter()))
    return [
        _figure("discovery.node", new_nodes, launch_p95=quantile(launches, 0.95)),
        _figure("discovery.agent", new_agents),
    ]


def _figure(name: str, samples: list[float], **baseline: float) -> Figure:
    return figure(
        name, samples, "ms", value=quantile(samples, 0.95), baseline=baseline, must="p95 500 ms", aims="p95 100 ms"
    )


class Watch:
    """Follows one node's peers and keeps when each was first told of."""

    def __init__(self, node: Node) -> None:
        self._seen: dict[str, float] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._follow, args=(node,), daemon=True).start()

    def until(self, agent: str, began: float) -> float:
        """Milliseconds since `began`, at least 0: news may overtake the answer."""
        with self._news:
            if not self._news.wait_for(lambda: agent in self._seen, PATIENCE_S):
                raise SystemExit(f"{agent} was not found within {PATIENCE_S:g} s")
            return max(0.0, 1000 * (self._seen[agent] - began))

    def _follow(self, node: Node) -> None:
        with closing(node.client()) as client, suppress(errors.NodeUnreachable):  # the world's end
            for event in client.stream("peers.watch"):
                with self._news:
                    self._seen.setdefault(event.get("id", ""), time.perf_counter())
                    self._news.notify_all()
