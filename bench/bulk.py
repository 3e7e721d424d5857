"""A large body between two nodes: how fast beside a bare stream, with how much memory, and what it does to a ping."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import IO, TYPE_CHECKING, Any

from bench import bare
from bench.figure import Figure, figure, quantile
from bench.world import STEP_S, Node, world
from p2p_agents.limits import BULK_PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
TRANSFER = "11" * 32
PATIENCE_S = 30.0  # for a node to start


class CarrierNode(Node):
    """A node process of ours, that takes and gives as it is told."""

    def start(self, *, hidden: bool = False) -> None:
        command = [sys.executable, "-m", "bench.carrier"]
        environment = os.environ | self.environment
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        until = time.monotonic() + PATIENCE_S
        while not os.path.exists(self.home.socket) and time.monotonic() < until:
            time.sleep(0.05)
        super().start(hidden=hidden)

    def stop(self) -> None:
        super().stop()
        self._process.communicate(timeout=STEP_S)

    def tell(self, **said: Any) -> None:
        print(json.dumps(said), file=_open(self._process.stdin), flush=True)

    def hear(self, *news: str) -> str:
        """Wait for one of these; what was said of it."""
        for line in _open(self._process.stdout):
            told: dict[str, str] = json.loads(line)
            if told["news"] in news:
                return told["about"]
            if told["news"] == "Failed":
                raise RuntimeError(told["about"])
        raise RuntimeError("the node ended")


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def measure(quick: bool) -> list[Figure]:
    size = (4 if quick else 1024) * MIB
    bare_size = (4 if quick else 128) * MIB
    with world() as made:
        alice, bob = made.add(CarrierNode(made.root, "alice")), made.add(CarrierNode(made.root, "bob"))
        made.meet(alice, bob)
        source, pieces = _body(made.root, size)
        quiet = _pings(alice, bob, lambda: False, 10 if quick else 300)
        before = bare.measure(bare_size)
        memory, spent = _Memory(alice, bob), alice.processor_s() + bob.processor_s()
        _, seconds = _carry(made.root, source, pieces, size, alice, bob)
        peak, spent = memory.stop(), alice.processor_s() + bob.processor_s() - spent
        done: list[float] = []
        transfer = threading.Thread(target=lambda: done.append(_carry(made.root, source, pieces, size, alice, bob)[1]))
        transfer.start()
        busy = _pings(alice, bob, lambda: not transfer.is_alive(), 10**9)
        transfer.join()
        after = bare.measure(bare_size)
    rate, limit = size / 1e6 / seconds, median([before[0], after[0]])
    costs = {"cpu_ms_mb": 1e9 * spent / size, "bare_cpu_ms_mb": median([before[1], after[1]])}
    return [
        figure(
            "bulk.rate", [rate], "MB/s", over=limit, baseline={"bare": limit} | costs, must="60 % of bare", aims="90 %"
        ),
        figure(
            "bulk.memory", [peak[1] - peak[0]], "MB", baseline={"before": peak[0], "peak": peak[1], "body": size / 1e6}
        ),
        figure(
            "bulk.ping",
            busy,
            "ms",
            value=quantile(busy, 0.99),
            over=quantile(quiet, 0.99),
            baseline={"quiet_p50": quantile(quiet, 0.5), "quiet_p99": quantile(quiet, 0.99)},
            must="p99 2 x without a transfer",
        ),
    ]


def _body(root: str, size: int) -> tuple[str, list[str]]:
    """A file of random bytes, and the hashes of its pieces."""
    place, pieces = os.path.join(root, "source"), []
    with open(place, "wb") as file:
        for _ in range(size // BULK_PIECE_BYTES):
            piece = os.urandom(BULK_PIECE_BYTES)
            pieces.append(hashlib.sha256(piece).hexdigest())
            file.write(piece)
    return place, pieces


def _carry(
    root: str, source: str, pieces: list[str], size: int, giver: CarrierNode, taker: CarrierNode
) -> tuple[str, float]:
    """The file from one node to the other: where it is kept, and the seconds from asking until it is."""
    place = os.path.join(root, "kept")
    began = time.perf_counter()
    taker.tell(take=TRANSFER, peer=giver.id, place=place, size=size, pieces=pieces)
    taker.hear("Begun")
    giver.tell(give=TRANSFER, peer=taker.id, place=source, size=size, offset=0)
    taker.hear("Kept")
    seconds = time.perf_counter() - began
    giver.hear("Given")
    os.unlink(place)
    return place, seconds


def _pings(near: Node, far: Node, is_over: Callable[[], bool], most: int) -> list[float]:
    """Milliseconds of pings in the conversation, one after another."""
    samples: list[float] = []
    client = near.client()
    while len(samples) < most and not (samples and is_over()):
        began = time.perf_counter()
        client.call("ping", {"to": far.id, "timeout": STEP_S})
        samples.append(1000 * (time.perf_counter() - began))
        time.sleep(0.01)
    client.close()
    return samples


class _Memory:
    """Resident MB of nodes, the larger of them: before, and at most until it is stopped."""

    def __init__(self, *nodes: Node) -> None:
        self._nodes = nodes
        self._before = self._peak = self._look()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _look(self) -> float:
        return max(_resident_mb(node.pid) for node in self._nodes)

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._peak = max(self._peak, self._look())

    def stop(self) -> tuple[float, float]:
        self._over.set()
        self._thread.join()
        return self._before, max(self._peak, self._look())


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
