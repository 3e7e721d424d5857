"""How soon two peers behind NATs that met over a bridge talk directly. Needs root, namespaces and nft."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure, figure
from tests.net.nat import Homes, nat_obstacle
from tests.system.harness import World
from tests.system.islands import BridgeProcess, use

if TYPE_CHECKING:
    from tests.system.harness import Agent

PATIENCE_S = 20.0


def measure(quick: bool) -> list[Figure]:
    """Milliseconds from the end of `pair` until both sides list the other as reached directly."""
    if (why_not := nat_obstacle()) is not None:
        print(f"direct_path is not measured: {why_not}", file=sys.stderr)
        return []
    samples = [_one() for _ in range(1 if quick else 10)]
    return [figure("direct_path", samples, "ms", must="1 s")]


def _one() -> float:
    """New homes and new agents each time; both boxes keep the port."""
    with tempfile.TemporaryDirectory(prefix="p2pa-bench-") as place, Homes(2) as lab:
        world = World(Path(place))
        try:
            bridge = BridgeProcess(world, lab.hosts[0], Path(place, "bridge"), lab.address(0)).start()
            alice = world.agent("alice", netns=lab.homes[0], hints="hints-a")
            bob = world.agent("bob", netns=lab.homes[1], hints="hints-b")
            for agent in (alice, bob):
                use(agent, bridge)
            return _seconds(alice, bob) * 1000
        finally:
            world.close()


def _seconds(alice: Agent, bob: Agent) -> float:
    direct: list[float] = []

    def watch(one: Agent, other: Agent) -> None:
        one.until_peer(other, PATIENCE_S, path="direct")
        direct.append(time.perf_counter())

    watches = [threading.Thread(target=watch, args=pair) for pair in ((alice, bob), (bob, alice))]
    for each in watches:
        each.start()
    shown = alice.call("pair.start")
    bob.call("pair.join", code=shown["code"], timeout=PATIENCE_S)
    paired = time.perf_counter()
    for each in watches:
        each.join()
    return max(0.0, max(direct) - paired)
