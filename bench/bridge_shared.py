"""What a frame costs a bridge: one process with its file, one over Redis, three over the same Redis.

A frame is put by one client, pushed to another at whatever process that one is connected to, and acknowledged. Where
bridge, Redis and clients share few cores, frames a second say little: processor time for each frame is the figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure, figure
from p2p_agents.wire.bridge_address import BridgeAddress, parse_bridge
from p2p_agents.wire.relay_answers import Deliver, Done, Fail
from p2p_agents.wire.relay_requests import Ack, Put
from tests.bridge.client import Client, Queue, by_quic

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 8
BLOB = bytes(4_096)  # the least there is: a short message, sealed
IN_FLIGHT = 32  # of one writer
START_S = 20.0


def measure(quick: bool) -> list[Figure]:
    """Microseconds of the bridges' processor time for a frame; `redis_us` is Redis' own, `frames_s` for orientation."""
    if shutil.which("redis-server") is None:
        raise SystemExit("bridges are measured over redis-server, which is not here (Debian: apt install redis-server)")
    frames, rounds = (20, 1) if quick else (500, 3)
    found = []
    for name, count, shared in (("file", 1, False), ("redis", 1, True), ("redis_three", 3, True)):
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pb-")))
            redis = stack.enter_context(_redis(directory)) if shared else None
            store = f"unix://{directory}/redis.sock" if shared else ""
            bridges = [stack.enter_context(_bridge(directory / str(n), store)) for n in range(count)]
            samples = [asyncio.run(_round(bridges, redis, frames, n)) for n in range(rounds)]
        beside = {"redis_us": _median(s[1] for s in samples), "frames_s": _median(s[2] for s in samples)}
        found.append(figure(f"bridge_shared.{name}", [s[0] for s in samples], "us", baseline=beside))
    return found


Running = tuple[subprocess.Popen[bytes], BridgeAddress]


@contextmanager
def _bridge(data: Path, store: str) -> Iterator[Running]:
    words = ["-m", "bridge", "run", "--json", "--data", str(data), "--host", "127.0.0.1", "--port", "0"]
    words += ["--rate", "1000000"]
    first = data.parent / "0" / "bridge.key"
    if first.exists():
        data.mkdir(mode=0o700)
        shutil.copy2(first, data)
    environment = os.environ | {"P2P_BRIDGE_STORE": store}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, *words], env=environment, **streams) as run:
        assert run.stdout
        yield run, parse_bridge(json.loads(run.stdout.readline())["address"])
        run.terminate()


@contextmanager
def _redis(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = ["--port", "0", "--unixsocket", f"{directory}/redis.sock", "--dir", str(directory), "--save", ""]
    words += ["--appendonly", "yes", "--appendfsync", "always"]
    with subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + START_S
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(f"{directory}/redis.sock") and time.monotonic() < deadline:
                time.sleep(0.02)
        yield run
        run.terminate()


async def _round(
    bridges: list[Running], redis: subprocess.Popen[bytes] | None, frames: int, number: int
) -> tuple[float, float, float]:
    """Microseconds a frame of the bridges, of Redis, and frames a second."""
    pairs = [await _pair(bridges, n, number) for n in range(PAIRS)]
    before, spent = [_cpu_us(run.pid) for run, _ in bridges], _cpu_us(redis.pid) if redis else 0.0
    began = time.perf_counter()
    await asyncio.gather(*(asyncio.gather(_write(*pair, frames), _read(*pair, frames)) for pair in pairs))
    took, total = time.perf_counter() - began, frames * PAIRS
    used = sum(_cpu_us(run.pid) for run, _ in bridges) - sum(before)
    redis_us = (_cpu_us(redis.pid) - spent) if redis else 0.0
    for reader, writer, _ in pairs:
        await reader.close()
        await writer.close()
    return used / total, redis_us / total, total / took


async def _pair(bridges: list[Running], n: int, number: int) -> tuple[Client, Client, Queue]:
    """A reader and a writer, at different processes where there are several."""
    queue = Queue(f"{number} {n}")
    clients = []
    for _, address in (bridges[n % len(bridges)], bridges[(n + 1) % len(bridges)]):
        client = await by_quic(address)
        await client.knock(address.key)
        clients.append(client)
    reader, writer = clients
    for answer in (await reader.login(f"{number} {n}"), await reader.create(queue), await reader.read(queue)):
        if not isinstance(answer, Done):
            raise SystemExit(f"a bridge refused: {answer}")
    return reader, writer, queue


async def _write(reader: Client, writer: Client, queue: Queue, frames: int) -> None:
    said = kept = 0
    while kept < frames:
        while said < min(frames, kept + IN_FLIGHT):
            writer.say(Put(1_000 + said, queue.name, queue.token, BLOB))
            said += 1
        answers = [await writer.hear(Done | Fail), *writer.said]  # type: ignore[arg-type]  # of several kinds
        writer.said.clear()
        if refused := [answer for answer in answers if not isinstance(answer, Done)]:
            raise SystemExit(f"a bridge refused: {refused[0]}")
        kept += len(answers)


async def _read(reader: Client, writer: Client, queue: Queue, frames: int) -> None:
    numbers = iter(range(1_000_000, 2_000_000))
    came = 0
    while came < frames:
        delivered = await reader.hear(Deliver)
        reader.said = [message for message in reader.said if isinstance(message, Deliver)]  # nobody waits for DONE
        came += len(delivered.blobs)
        reader.say(Ack(next(numbers), queue.name, delivered.blobs[-1][0]))


def _cpu_us(pid: int) -> float:
    """Of all threads, by the scheduler's own count."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1_000


def _median(values: Iterator[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
