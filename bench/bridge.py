"""What a bridge does a second, what a connected device costs it, and how soon it is back with much to keep."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.figure import Figure, figure
from bridge import sqlite_store
from bridge.bounds import Quotas
from bridge.keeping import STORE_NAME
from bridge.sqlite_store import SqliteStore
from bridge.store import Guest
from p2p_agents.crypto.outer import BLOB_FLOOR_BYTES, blob_size
from p2p_agents.wire.bridge_address import parse_bridge
from p2p_agents.wire.relay_answers import Admission
from p2p_agents.wire.relay_requests import Ack, Put
from tests.bridge.client import Client, Queue, by_quic, by_web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

ROOT = Path(__file__).parent.parent
ENDLESS = Quotas(queue_blobs=10**9, queue_bytes=2**50, account_bytes=2**50, network_bytes=2**50, open_bytes=2**50)
SIZES = ("--queue-size", "10G", "--account-size", "1T", "--network-size", "1T", "--open-size", "1T")
UNBOUNDED = ("--rate", "1000000", "--queue-blobs", "1000000", *SIZES)
BLOB = os.urandom(blob_size(BLOB_FLOOR_BYTES - 64))
QUEUES = 100
GUEST = Guest(b"a" * 32, b"origin", Admission.OPEN)
OUTSTANDING = 4_096
ABREAST = 32  # connections being made at once
ROUNDS = 3


def measure(quick: bool) -> list[Figure]:
    return [*asyncio.run(_stored(quick)), *asyncio.run(_carried(quick)), *_devices(quick), *_restart(quick)]


# --- the store alone ---


async def _stored(quick: bool) -> list[Figure]:
    """Blobs of the smallest size, kept durably by the store, over bare inserts of the same in SQLite."""
    count = 2_000 if quick else 40_000
    rates, floors = [], []
    for _ in range(1 if quick else ROUNDS):
        with _directory() as data:
            store = await SqliteStore.open_file(os.path.join(data, STORE_NAME), ENDLESS)
            names = [os.urandom(32) for _ in range(QUEUES)]
            for name in names:
                await store.create(name, GUEST, b"t" * 32, False, 1)
            rates.append(await _put_all(store, names, count))
            await store.close()
        floors.append(await asyncio.to_thread(_bare, count))
    about = {"bare SQLite": median(floors), "bytes a blob": len(BLOB)}
    return [figure("bridge.stored", rates, "blobs/s", over=median(floors), baseline=about, must="20,000 frames/s")]


async def _put_all(store: SqliteStore, names: list[bytes], count: int) -> float:
    done = 0
    news = asyncio.Event()

    def kept(future: asyncio.Future[object]) -> None:
        nonlocal done
        future.result()
        done += 1
        news.set()

    began = time.perf_counter()
    for number in range(count):
        while number - done > OUTSTANDING:
            news.clear()
            await news.wait()
        store.put(names[number % QUEUES], b"t" * 32, BLOB, 1).add_done_callback(kept)
    while done < count:
        news.clear()
        await news.wait()
    return count / (time.perf_counter() - began)


def _bare(count: int) -> float:
    with _directory() as data:
        path = os.path.join(data, STORE_NAME)
        sqlite_store.prepare(path)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        began = time.perf_counter()
        for first in range(0, count, 1_000):
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO blobs (queue, cursor, time_ms, size, content) VALUES (?, ?, 1, ?, ?)",
                ((number % QUEUES, number, len(BLOB), BLOB) for number in range(first, min(first + 1_000, count))),
            )
            connection.execute("COMMIT")
        spent = time.perf_counter() - began
        connection.close()
    return count / spent


# --- a bridge process ---


class Bridge:
    """A running `p2p-bridge`."""

    def __init__(self, data: str, options: Sequence[str]) -> None:
        began = time.perf_counter()
        command = [sys.executable, "-m", "bridge", "run", "--json", "--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *options, "--data", data], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        self.address = parse_bridge(json.loads(self.process.stdout.readline())["address"])
        self.start_s = time.perf_counter() - began

    def resident_kb(self) -> float:
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e3

    def processor_s(self) -> float:
        spent = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="ascii") as file:
                spent += int(file.read().split()[0])
        return spent / 1e9

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def running(data: str, options: Sequence[str] = UNBOUNDED) -> Iterator[Bridge]:
    bridge = Bridge(data, options)
    try:
        yield bridge
    finally:
        bridge.stop()


async def _carried(quick: bool) -> list[Figure]:
    """One writer, one reader, each on a connection of its own: put, kept, pushed, acknowledged, forgotten."""
    count = 500 if quick else 10_000
    found = []
    for way, connect in (("quic", by_quic), ("websocket", by_web)):
        with _directory() as data, running(data) as bridge:
            async with _client(bridge, connect) as writer, _client(bridge, connect) as reader:
                queue = Queue("measured")
                await reader.login("reader")
                await reader.create(queue)
                await reader.read(queue)
                spent = bridge.processor_s()
                began = time.perf_counter()
                await asyncio.gather(_write(writer, queue, count), _read(reader, queue, count))
                rate = count / (time.perf_counter() - began)
                spent = (bridge.processor_s() - spent) / count * 1e6
                pings = [await _there(writer, reader, queue) for _ in range(50 if quick else 500)]
        found.append(figure(f"bridge.carried_{way}", [rate], "blobs/s", baseline={"processor us a blob": spent}))
        found.append(figure(f"bridge.latency_{way}", pings, "ms"))
    return found


async def _write(writer: Client, queue: Queue, count: int) -> None:
    for number in range(1, count + 1):
        writer.say(Put(1_000 + number, queue.name, queue.token, BLOB))
        if number % 64 == 0 or number == count:
            await writer.answer(1_000 + number)
            writer.said.clear()


async def _read(reader: Client, queue: Queue, count: int) -> None:
    taken = 0
    while taken < count:
        blobs = await reader.blobs(queue, 1)
        taken += len(blobs)
        reader.say(Ack(10_000 + taken, queue.name, blobs[-1][0]))
        reader.said.clear()


async def _there(writer: Client, reader: Client, queue: Queue) -> float:
    """Milliseconds from a put to its delivery, the store's commit between."""
    began = time.perf_counter()
    writer.say(Put(next(writer.numbers), queue.name, queue.token, BLOB))
    [(cursor, _)] = await reader.blobs(queue, 1)
    spent = time.perf_counter() - began
    await reader.ack(queue, cursor)
    return spent * 1e3


# --- many devices ---


def _devices(quick: bool) -> list[Figure]:
    """Resident memory of the bridge for each device that is connected, logged in and reads a queue."""
    count = 20 if quick else 1_000
    found = []
    for way, connect in (("quic", by_quic), ("websocket", by_web)):
        with _directory() as data, running(data) as bridge:
            each, idle = asyncio.run(_connect_many(bridge, connect, count, 1.0 if quick else 10.0))
        found.append(
            figure(
                f"bridge.device_{way}",
                [each],
                "KB",
                baseline={"devices": count, "percent of a core, idle": idle},
                must="150 KB",
                aims="60 KB",
            )
        )
    return found


async def _connect_many(
    bridge: Bridge, connect: Callable[..., Awaitable[Client]], count: int, watched_s: float
) -> tuple[float, float]:
    async with _client(bridge, connect) as first:
        await first.login("warm")
        before = bridge.resident_kb()
        clients: list[Client] = []
        while len(clients) < count:
            clients += await asyncio.gather(
                *(_device(bridge, connect, len(clients) + n) for n in range(min(ABREAST, count - len(clients))))
            )
        each = (bridge.resident_kb() - before) / count
        spent = bridge.processor_s()
        await asyncio.sleep(watched_s)
        idle = 100 * (bridge.processor_s() - spent) / watched_s
        await asyncio.gather(*(client.close() for client in clients))
    return each, idle


async def _device(bridge: Bridge, connect: Callable[..., Awaitable[Client]], number: int) -> Client:
    client = await connect(bridge.address)
    queue = Queue(f"device {number}")
    await client.knock(bridge.address.key)
    await client.login(f"device {number}")
    await client.create(queue)
    await client.read(queue)
    return client


@asynccontextmanager
async def _client(bridge: Bridge, connect: Callable[..., Awaitable[Client]]) -> AsyncIterator[Client]:
    client = await connect(bridge.address)
    await client.knock(bridge.address.key)
    try:
        yield client
    finally:
        await client.close()


# --- much to keep ---


def _restart(quick: bool) -> list[Figure]:
    """From the start of the process to its first line, with a blob in each of many queues."""
    count = 1_000 if quick else 100_000
    with _directory() as data:
        path = os.path.join(data, STORE_NAME)
        sqlite_store.prepare(path)
        _fill(path, count)
        starts = []
        for _ in range(1 if quick else ROUNDS):
            with running(data) as bridge:
                starts.append(bridge.start_s)
    with _directory() as data, running(data) as bridge:
        bare = bridge.start_s
    return [figure("bridge.start", starts, "s", baseline={"queues": count, "with none": bare}, must="3 s")]


def _fill(path: str, count: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO accounts (id, key, queues, bytes, seen_ms) VALUES (1, x'00', ?, ?, 1)", (count, count * len(BLOB))
    )
    connection.executemany(
        "INSERT INTO queues (id, name, account, token_hash, public, blobs, bytes, last, read_ms)"
        " VALUES (?, ?, 1, x'00', 0, 1, ?, 1, ?)",
        ((number, os.urandom(32), len(BLOB), time.time_ns() // 10**6) for number in range(count)),
    )
    connection.executemany(
        "INSERT INTO blobs (queue, cursor, time_ms, size, content) VALUES (?, 1, ?, ?, ?)",
        ((number, time.time_ns() // 10**6, len(BLOB), BLOB) for number in range(count)),
    )
    connection.commit()
    connection.close()


@contextmanager
def _directory() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="p2pa-bench-")
    try:
        yield path
    finally:
        shutil.rmtree(path)
