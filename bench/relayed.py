"""What the longer way costs: messages over a bridge beside the same between two other nodes that talk directly."""

from __future__ import annotations

import asyncio
import os
from statistics import median
from typing import TYPE_CHECKING

from bench.bridge import running
from bench.figure import Figure, figure
from bench.messages import ping_pong, processor_us, stream
from bench.world import world

if TYPE_CHECKING:
    from bench.bridge import Bridge
    from bench.world import Node

Pair = tuple["Node", "Node"]


def measure(quick: bool) -> list[Figure]:
    """In turns, so that both ways meet the same machine; the bridge has its usual bounds."""
    with world() as made, running(os.path.join(made.root, "bridge"), ()) as bridge:
        direct, relayed = made.pair(), made.pair_over(str(bridge.address))
        found = [_round_trip(direct, relayed, bridge, quick), _rate(direct, relayed, bridge, quick)]
        for node, peer in (relayed, relayed[::-1]):
            went = node.call("ping", to=peer.id)["path"]
            if went != "bridge":
                raise SystemExit(f"measured the wrong way: {went}")
    return found


def _rate(direct: Pair, relayed: Pair, bridge: Bridge, quick: bool) -> Figure:
    count, times = (200, 1) if quick else (5_000, 3)
    over, straight = [], []
    spent, before = bridge.processor_s(), (relayed[0].processor_s(), relayed[1].processor_s())
    for _ in range(times):
        over.append(asyncio.run(stream(*relayed, count)))
        straight.append(asyncio.run(stream(*direct, count)))
    costs = processor_us(*relayed, before, times * count)
    costs |= {"bridge_cpu_us": 1e6 * (bridge.processor_s() - spent) / (times * count), "direct": median(straight)}
    return figure("relayed.rate", over, "msg/s", over=median(straight), baseline=costs, must="50 % of direct")


def _round_trip(direct: Pair, relayed: Pair, bridge: Bridge, quick: bool) -> Figure:
    """Before anything else was said: who answers, answers whatever is unread."""
    rounds = 5 if quick else 300
    spent, before = bridge.processor_s(), (relayed[0].processor_s(), relayed[1].processor_s())
    over = asyncio.run(ping_pong(*relayed, rounds))
    costs = processor_us(*relayed, before, rounds)
    costs["bridge_cpu_us"] = 1e6 * (bridge.processor_s() - spent) / rounds
    straight = asyncio.run(ping_pong(*direct, rounds))
    costs["direct"] = median(straight)
    return figure("relayed.round_trip", over, "ms", over=median(straight), baseline=costs, must="3 x direct")
