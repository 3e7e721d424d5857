"""Hours of faults in one seeded run: two nodes write to each other without rest while they are killed and cut off.

    scripts/soak --minutes 60 --seed 7 --path direct

Paths are `direct` (a relay between two hosts that loses, doubles, delays and cuts) and `bridge` (two networks, joined
by a bridge that is killed too). What `send` accepted must arrive once and in order; the run ends at the first message
that does not. Prints one JSON line a minute and one at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2p_agents.errors import P2PError
from tests.net.namespaces import Lab
from tests.system.harness import World
from tests.system.islands import MIDDLE, BridgeProcess, Islands, pair, use
from tests.system.relay import CLEAR, CUT, Faults, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.system.harness import Agent, Node

PAGE = 500  # messages read at a time
START_S = 180.0  # a node on a machine that is busy with other things
SETTLE_S = 180.0  # after the last fault, everything has arrived within this
POOR = Faults(loss=0.1, double=0.1, delay_s=0.002, jitter_s=0.02)


@dataclass
class Side:
    """One agent, what it said and what it heard of the other."""

    agent: Agent
    said: int = 0
    heard: int = 0
    cursor: str = "0"
    kills: int = 0
    repeats: int = 0

    def say(self, other: Side, size: int) -> None:
        """One message, repeated under its key until a node answers that it is accepted."""
        text = f"{self.agent.name} {self.said} " + "x" * size
        key = f"{self.agent.name}-{self.said}"
        while True:
            try:
                self.agent.call("send", to=other.agent.id, text=text, id=key)
            except P2PError as fault:
                if not fault.retryable:
                    raise
                self.repeats += 1
                self.revive()
            else:
                self.said += 1
                return

    def listen(self, other: Side) -> None:
        """Read what is there; each message is the next one of its author."""
        more = True
        while more:
            page = self.agent.call("inbox", after=self.cursor, limit=PAGE)
            for message in page["messages"]:
                wanted = f"{other.agent.name} {self.heard} "
                if not message["text"].startswith(wanted):
                    raise AssertionError(f"{self.agent.name} wanted {wanted!r} and got {message['text'][:40]!r}")
                self.heard += 1
            more = bool(page["messages"])
            self.cursor = page["cursor"]

    def kill(self) -> None:
        self.agent.node.kill()
        self.kills += 1
        self.revive()

    def revive(self) -> None:
        process = self.agent.node.process
        if process is None or process.poll() is not None:
            begin(self.agent.node)

    def complaints(self) -> list[str]:
        """What a healthy node never logs."""
        log = Path(self.agent.node.home.log)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        process = self.agent.node.process
        lines += process.lines if process is not None else []
        return [line for line in lines if "Traceback" in line or "an item failed" in line]


def begin(node: Node) -> None:
    node.spawn().until("listening on", START_S)


def settler(world: World, name: str, host: str) -> Agent:
    """A node on that host, and an agent of that name."""
    node = world.node(name, netns=host, hints=f"hints-{name}")
    begin(node)
    return node.agent(name)


@dataclass
class Ground:
    """Two sides and what can go wrong between them."""

    sides: tuple[Side, Side]
    troubles: dict[str, Callable[[random.Random], None]]
    mend: Callable[[], None]
    count: dict[str, int] = field(default_factory=dict)

    def trouble(self, chance: random.Random) -> None:
        name = chance.choice(sorted(self.troubles))
        self.count[name] = self.count.get(name, 0) + 1
        self.troubles[name](chance)


def direct(stack: ExitStack, base: Path, seed: int) -> Ground:
    """Two hosts, and a relay as the only way between them."""
    lab = stack.enter_context(Lab(2, connected=False))
    world = World(base)
    stack.callback(world.close)
    alice, bob = settler(world, "alice", lab.hosts[0]), settler(world, "bob", lab.hosts[1])
    sides = Side(alice), Side(bob)
    hosts = (lab.hosts[0], lab.hosts[1])
    path = stack.enter_context(Relay(hosts, (alice.node.port, bob.node.port), seed))
    alice.node.cli("peers", "add", path.ways[0])
    alice.meets(bob)
    sides[0].cursor, sides[1].cursor = (side.agent.call("inbox", after="0", limit=PAGE)["cursor"] for side in sides)

    def kill(chance: random.Random) -> None:
        number = chance.randrange(2)
        sides[number].kill()
        path.aim(number, sides[number].agent.node.port)

    def cut(chance: random.Random) -> None:
        path.faults = CUT

    def clear(chance: random.Random) -> None:
        path.faults = CLEAR

    def poor(chance: random.Random) -> None:
        path.faults = POOR

    return Ground(sides, {"kill": kill, "cut": cut, "clear": clear, "poor": poor}, lambda: clear(random.Random()))


def bridged(stack: ExitStack, base: Path, seed: int) -> Ground:
    """Two networks, and a bridge as the only way between them."""
    islands = stack.enter_context(Islands())
    world = World(base)
    stack.callback(world.close)
    bridge = BridgeProcess(world, islands.hosts[MIDDLE], base / "bridge").start()
    alice, bob = settler(world, "alice", islands.hosts[0]), settler(world, "bob", islands.hosts[1])
    for agent in (alice, bob):
        use(agent, bridge)
    pair(alice, bob)
    sides = Side(alice), Side(bob)

    def kill(chance: random.Random) -> None:
        sides[chance.randrange(2)].kill()

    def kill_bridge(chance: random.Random) -> None:
        bridge.kill()
        bridge.start()

    def cut(chance: random.Random) -> None:
        islands.cut(chance.randrange(2))

    def mend(chance: random.Random | None = None) -> None:
        islands.mend(0)
        islands.mend(1)

    return Ground(sides, {"kill": kill, "kill bridge": kill_bridge, "cut": cut, "mend": mend}, mend)


PATHS = {"direct": direct, "bridge": bridged}


def soak(ground: Ground, chance: random.Random, seconds: float) -> Iterator[dict[str, Any]]:
    """Trouble without rest, then peace until everything has arrived; a report a minute."""
    began = time.monotonic()
    told = 0
    ground.trouble(chance)
    while (passed := time.monotonic() - began) < seconds:
        step(ground, chance)
        if passed >= 60 * (told + 1):
            told += 1
            yield report(ground, passed)
    ground.mend()
    settle(ground)
    yield report(ground, time.monotonic() - began) | {"ended": True}


def step(ground: Ground, chance: random.Random) -> None:
    first, second = chance.sample(ground.sides, 2)
    for _ in range(chance.randrange(1, 20)):
        first.say(second, chance.choice((0, 20, 200, 4_000)))
    second.listen(first)
    first.listen(second)
    if chance.random() < 0.15:
        ground.trouble(chance)
    threading.Event().wait(chance.choice((0.0, 0.05, 0.3, 1.0)))


def settle(ground: Ground) -> None:
    first, second = ground.sides
    for side in ground.sides:
        side.revive()
    deadline = time.monotonic() + SETTLE_S
    while (second.heard, first.heard) != (first.said, second.said):
        if time.monotonic() > deadline:
            raise AssertionError(f"missing after {SETTLE_S} s: {report(ground, 0)}")
        for reader, author in ((first, second), (second, first)):
            reader.listen(author)
        threading.Event().wait(0.2)


def report(ground: Ground, seconds: float) -> dict[str, Any]:
    sides = ground.sides
    return {
        "seconds": round(seconds),
        "said": [side.said for side in sides],
        "heard": [side.heard for side in reversed(sides)],
        "repeated": [side.repeats for side in sides],
        "troubles": ground.count,
        "rss_mb": [round(side.agent.node.rss_mb(), 1) for side in sides],
        "complaints": sum(len(side.complaints()) for side in sides),
    }


def main(argv: list[str] | None = None) -> int:
    """Run one soak; 1 when something was lost, doubled, reordered or complained about."""
    options = argparse.ArgumentParser(prog="scripts/soak", description="Two nodes under hours of faults.")
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--path", choices=sorted(PATHS), default="direct")
    wanted = options.parse_args(argv)
    last: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as base, ExitStack() as stack:
        ground = PATHS[wanted.path](stack, Path(base), wanted.seed)
        for last in soak(ground, random.Random(wanted.seed), wanted.minutes * 60):
            print(json.dumps({"path": wanted.path, "seed": wanted.seed} | last), flush=True)
        for line in [line for side in ground.sides for line in side.complaints()][:20]:
            print(line, file=sys.stderr)
    return 1 if last.get("complaints") else 0


if __name__ == "__main__":
    sys.exit(main())
