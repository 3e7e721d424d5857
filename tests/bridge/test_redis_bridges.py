"""Several bridge processes over one Redis look like one bridge, whichever of them a client uses."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge import keys
from p2p_agents.wire.bridge_address import BridgeAddress, parse_bridge
from p2p_agents.wire.relay_answers import Done, Fail, Refusal, Told
from p2p_agents.wire.relay_requests import Side
from tests.bridge.client import Client, Queue, by_quic, by_web, met
from tests.bridge.redis_server import RedisServer, serving
from tests.bridge.store_contract import in_loop

START_S = 20.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    yield from serving()


class Process:
    """One `p2p-bridge run`; all have the key of the first."""

    def __init__(self, run: asyncio.subprocess.Process, address: BridgeAddress) -> None:
        self.run = run
        self.address = address

    async def end(self, by: signal.Signals) -> int:
        self.run.send_signal(by)
        return await self.run.wait()


async def start(data: Path, store: str, *options: str) -> Process:
    words = ["-m", "bridge", "run", "--json", "--data", str(data), "--host", "127.0.0.1", "--port", "0"]
    environment = os.environ | {"P2P_BRIDGE_STORE": store}
    run = await asyncio.create_subprocess_exec(
        sys.executable, *words, *options, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert run.stdout
    async with asyncio.timeout(START_S):
        ready = json.loads(await run.stdout.readline())
    assert ready["type"] == "ready", ready
    return Process(run, parse_bridge(ready["address"]))


@asynccontextmanager
async def bridges(directory: Path, server: RedisServer, *options: str) -> AsyncIterator[tuple[Process, Process]]:
    here = await start(directory / "here", server.url, *options)
    (directory / "there").mkdir(mode=0o700)
    shutil.copy2(directory / "here" / keys.NAME, directory / "there" / keys.NAME)
    there = await start(directory / "there", server.url, *options)
    assert here.address.key == there.address.key
    try:
        yield here, there
    finally:
        for process in (here, there):
            if process.run.returncode is None:
                assert await process.end(signal.SIGTERM) == 0


@in_loop
async def test_the_sender_is_at_one_and_the_reader_at_the_other(tmp_path: Path, server: RedisServer) -> None:
    queue = Queue("for bob")
    async with (
        bridges(tmp_path, server) as (here, there),
        met(await by_quic(there.address), there.address, "bob") as bob,
        met(await by_web(here.address), here.address) as alice,
    ):
        assert isinstance(await bob.create(queue), Done)
        before = await alice.put(queue, b"before")
        assert isinstance(await bob.read(queue), Done)
        assert isinstance(before, Done)
        assert await bob.blobs(queue, 1) == [(before.cursor, b"before")]
        for n in range(200):
            assert isinstance(await alice.put(queue, b"%d" % n), Done)
            if n % 50 == 49:
                found = await bob.blobs(queue, 50)
                assert [blob for _, blob in found] == [b"%d" % m for m in range(n - 49, n + 1)]
                assert isinstance(await bob.ack(queue, found[-1][0]), Done)


@in_loop
async def test_two_sides_meet_through_two_processes(tmp_path: Path, server: RedisServer) -> None:
    async with (
        bridges(tmp_path, server) as (here, there),
        met(await by_quic(here.address), here.address, "alice") as shows,
        met(await by_quic(there.address), there.address) as comes,
    ):
        assert isinstance(await shows.meet("7Q2MX", Side.DISPLAYER, b"s" * 32), Done)
        assert isinstance(await comes.meet("7Q2MX", Side.JOINER, b"c" * 32), Done)
        assert await shows.told() == await comes.told() == Told("7Q2MX", b"")
        for n in range(3):
            await comes.tell("7Q2MX", b"%d" % n)
            assert (await shows.told()).message == b"%d" % n
            await shows.tell("7Q2MX", b"%d" % -n)
            assert (await comes.told()).message == b"%d" % -n
        await comes.leave("7Q2MX")
        assert await shows.told() == Told("7Q2MX", b"", gone=True)


@in_loop
async def test_of_a_process_that_is_killed_the_other_has_everything(tmp_path: Path, server: RedisServer) -> None:
    queue = Queue("for bob")
    async with bridges(tmp_path, server) as (here, there):
        async with met(await by_quic(here.address), here.address, "bob") as bob:
            await bob.create(queue)
            await bob.read(queue)
            answers = [await bob.put(queue, b"%d" % n) for n in range(20)]
            seen = await bob.blobs(queue, 20)
            await bob.ack(queue, seen[9][0])
            await here.end(signal.SIGKILL)
        async with met(await by_quic(there.address), there.address, "bob") as bob:
            assert isinstance(await bob.create(queue), Done)
            assert isinstance(await bob.read(queue, seen[9][0]), Done)
            assert await bob.blobs(queue, 10) == seen[10:]
            assert [pair[0] for pair in seen] == [answer.cursor for answer in answers if isinstance(answer, Done)]


@in_loop
async def test_while_redis_is_away_a_client_is_told_and_then_it_goes_on(tmp_path: Path, server: RedisServer) -> None:
    queue = Queue("for bob")
    async with (
        bridges(tmp_path, server) as (here, there),
        met(await by_quic(there.address), there.address, "bob") as bob,
        met(await by_quic(here.address), here.address) as alice,
    ):
        await bob.create(queue)
        await bob.read(queue)
        await alice.put(queue, b"kept")
        server.kill()
        refused = await alice.put(queue, b"not kept")
        assert isinstance(refused, Fail)
        assert (refused.code, refused.retry_ms > 0) == (Refusal.FULL, True)
        assert isinstance(await bob.meet("7Q2MX", Side.DISPLAYER, b"s" * 32), Fail)
        server.start()
        assert isinstance(await alice.put(queue, b"after"), Done)
        assert [blob for _, blob in await both(bob, queue)] == [b"kept", b"after"]


async def both(client: Client, queue: Queue) -> list[tuple[int, bytes]]:
    found = await client.blobs(queue, 1)
    return found if len(found) > 1 else found + await client.blobs(queue, 1)


@in_loop
async def test_an_operator_speaks_to_all_of_them_at_once(tmp_path: Path, server: RedisServer) -> None:
    def operate(*words: str) -> dict:
        environment = os.environ | {"P2P_BRIDGE_STORE": server.url}
        done = subprocess.run([sys.executable, "-m", "bridge", *words], capture_output=True, env=environment, text=True)
        return json.loads(done.stdout)

    async with bridges(tmp_path, server, "--admission", "token") as (here, there):
        token = (await asyncio.to_thread(operate, "token", "create", "--label", "team"))["token"]
        for process, name in ((here, "alice"), (there, "bob")):
            client = await by_quic(process.address)
            await client.knock(process.address.key)
            assert isinstance(await client.login(name, "wrong"), Fail)
            assert isinstance(await client.login(name, token), Done)
            assert isinstance(await client.create(Queue("of " + name)), Done)
            await client.close()
        found = await asyncio.to_thread(operate, "stats")
        assert (found["ok"], found["queues"], found["accounts"], len(found["largest"])) == (True, 2, 2, 2)
        assert (await asyncio.to_thread(operate, "token", "list"))["tokens"][0]["used"] == 2
        checks = (await asyncio.to_thread(operate, "doctor", "--data", str(tmp_path / "here")))["checks"]
        assert [check["ok"] for check in checks if check["name"] == "store"] == [True]
        refused = await asyncio.to_thread(operate, "backup", str(tmp_path / "copy"))
        assert (refused["ok"], refused["error"]["code"]) == (False, "usage")


@pytest.mark.parametrize("url", ["redis://:hush@localhost/0", "redis://localhost/0?password=hush"])
def test_a_password_is_not_taken_from_the_command_line(url: str) -> None:
    words = ["stats", "--store", url]
    done = subprocess.run([sys.executable, "-m", "bridge", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"
    assert "hush" not in done.stdout + done.stderr
