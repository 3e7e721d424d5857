"""A random walk over all possible faults, and what must be true after it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.sim.world import Agent, World, settled


class Walk:
    """Friends that write, read, lose connections, processes and networks. What `send` accepted is remembered."""

    def __init__(self, world: World, seed: int, agents: int = 2) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.friends = world.friends(*("alice", "bob", "carol")[:agents])
        self.accepted: dict[tuple[str, str], list[str]] = {}
        self.ids: list[tuple[Agent, str]] = []
        self._steps: list[tuple[int, Callable[[], None]]] = [
            (10, self.send),
            (3, self.burst),
            (6, self.read),
            (12, self.wait),
            (2, self.cut),
            (2, self.cut_soon),
            (1, self.crash),
            (2, self.crash_at_a_commit),
            (1, self.part),
            (2, self.join),
        ]

    def take(self, steps: int) -> None:
        weights = [weight for weight, _ in self._steps]
        for _ in range(steps):
            self.random.choices(self._steps, weights)[0][1]()

    def heal(self) -> None:
        """Everything works again, and there is time."""
        self.world.net.cut_at = None
        for one in self.friends:
            one.node.db.die_before = one.node.db.die_after = None
            for other in self.friends:
                if other is not one:
                    self.world.net.join(one.node.address, other.node.address)
        self.world.run(3.0)
        for one in self.friends:
            one.node.db.die_before = one.node.db.die_after = None
            self.world.introduce(one.node)
        self.world.run(45.0)
        self.world.settle()

    def check(self) -> None:
        """Every accepted message is held once, in its author's order, and its author knows."""
        for one in self.friends:
            for other in self.friends:
                if one is not other:
                    assert other.heard(one) == self.accepted.get((one.name, other.name), [])
                    assert settled(one.states(other)), one.states(other)
                    assert one.owes(other) == 0

    # --- steps ---

    def two(self) -> tuple[Agent, Agent]:
        one, other = self.random.sample(self.friends, 2)
        return one, other

    def send(self) -> None:
        one, other = self.two()
        if one.node.running:
            said = self.accepted.setdefault((one.name, other.name), [])
            text = f"{one.name} to {other.name} {len(said)} " + "x" * self.random.choice((0, 10, 5_000))
            one.sends_or_dies(other, text)
            if one.node.running or one.node.db.die_after == one.node.db.commits:
                said.append(text)

    def burst(self) -> None:
        for _ in range(self.random.randrange(2, 12)):
            self.send()

    def read(self) -> None:
        one, _ = self.two()
        if one.node.running:
            one.reads_or_dies()

    def wait(self) -> None:
        self.world.run(self.random.choice((0.0006, 0.001, 0.003, 0.01, 0.1, 1.2)))

    def cut(self) -> None:
        self.world.net.cut()

    def cut_soon(self) -> None:
        self.world.net.cut_at = self.world.net.carried + self.random.randrange(20_000)

    def crash(self) -> None:
        one, _ = self.two()
        if one.node.running:
            one.node.crash()
            self.world.time.at(self.world.time.now + self.random.choice((0.01, 2.0)), one.node.start)

    def crash_at_a_commit(self) -> None:
        one, _ = self.two()
        if one.node.running:
            at = one.node.db.commits + self.random.randrange(1, 6)
            before = self.random.random() < 0.5
            one.node.db.die_before = at if before else None
            one.node.db.die_after = None if before else at

    def part(self) -> None:
        self.world.part(*self.two())

    def join(self) -> None:
        one, other = self.two()
        if one.node.running and other.node.running:
            self.world.join(one, other)


class RollbackWalk(Walk):
    """The same, with stores that go back in time: what was written since may be gone, unless a peer has it."""

    def __init__(self, world: World, seed: int, agents: int = 2) -> None:
        super().__init__(world, seed, agents)
        self.copies: dict[str, Path] = {}
        self.saved: dict[tuple[str, str], set[str]] = {}  # held by the peer when its author's store was restored
        self._steps += [(1, self.copy), (1, self.restore)]

    def copy(self) -> None:
        one, _ = self.two()
        if one.node.running and one.node.db.die_before is None and one.node.db.die_after is None:
            self.copies[one.name] = one.node.snapshot()

    def restore(self) -> None:
        one, _ = self.two()
        if not (one.node.running and one.name in self.copies):
            return
        for other in self.friends:
            if other is not one and other.node.running:
                self.saved.setdefault((one.name, other.name), set()).update(other.heard(one))
            self.saved.pop((other.name, one.name), None)  # what both have lost is lost
        one.node.restore(self.copies[one.name])

    def check(self) -> None:
        """Nothing twice; both sides hold the same; what a peer held when its author lost it is there."""
        for one in self.friends:
            for other in self.friends:
                if one is not other:
                    heard = other.heard(one)
                    written = [m["text"] for m in one.history(other) if m["from"]["name"] == one.name]
                    assert len(heard) == len(set(heard))
                    assert set(heard) == set(written)
                    assert self.saved.get((one.name, other.name), set()) <= set(heard)
                    assert settled(one.states(other)), one.states(other)
                    assert one.owes(other) == 0
