"""`python -m tests.system.abuser ADDRESS`: a client that does everything a bridge must not suffer from, all at once,
until its stdin ends; then it says how often the bridge did what."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections import Counter

from p2p_agents.wire.bridge_address import BridgeAddress, parse_bridge
from p2p_agents.wire.relay_answers import Fail
from p2p_agents.wire.relay_requests import Put
from tests.bridge.client import Client, Queue, by_quic, by_web, met

HALF_OPEN = 100  # connections that say nothing
QUEUES = 10_000
HUGE = 2**31
BLOB = bytes(200_000)

AT_WORK = {"guess", "queue", "unread", "huge", "half open"}

counts: Counter[str] = Counter()
begun: set[str] = set()
all_begun = asyncio.Event()


def count(what: str, how: str) -> None:
    counts[f"{what}: {how}"] += 1
    begun.add(what)
    if begun >= AT_WORK:
        all_begun.set()


def note(what: str, answer: object) -> None:
    count(what, answer.code if isinstance(answer, Fail) else "done")


async def guesses(address: BridgeAddress) -> None:
    """Write tokens that are not the queue's."""
    async with met(await by_quic(address), address) as client:
        for queue in itertools.cycle((Queue("hoard 0"), Queue("of nobody"))):
            note("guess", await client.put(queue, b"x" * 4096, os.urandom(32)))


async def hoards(address: BridgeAddress) -> None:
    """Queues, and then queues."""
    async with met(await by_web(address), address, "hoarder") as client:
        for number in range(QUEUES):
            note("queue", await client.create(Queue(f"hoard {number}")))


async def reads_nothing(address: BridgeAddress) -> None:
    """Fills a queue of its own, reads it, and acknowledges nothing; then does it again."""
    queue = Queue("never read")
    while True:
        async with met(await by_web(address), address, "slow") as client:
            await client.create(queue)
            await client.read(queue)
            for _ in range(200):
                note("unread", await client.put(queue, BLOB))


async def shouts(address: BridgeAddress) -> None:
    """As much as the connection takes, without waiting for an answer."""
    queue = Queue("shouted at")
    while True:
        client = await by_quic(address)
        await client.knock(address.key)
        await client.login("shouter")
        await client.create(queue)
        for _ in range(2_000):
            client.say(Put(next(client.numbers), queue.name, queue.token, b"x" * 4096))
            if client.ended is not None:
                break
            await asyncio.sleep(0)
        count("shout", "ended" if client.ended is not None else "borne")
        await client.close()


async def frames_too_large(address: BridgeAddress) -> None:
    while True:
        client = await by_quic(address)
        await client.knock(address.key)
        assert client.transport is not None
        client.transport.send(HUGE.to_bytes(4, "big") + bytes(4096))
        await client.gone()
        count("huge", "ended")
        await client.close()


async def says_nothing(address: BridgeAddress) -> None:
    """Connections by TCP and by QUIC that stay half open."""
    held: list[asyncio.StreamWriter | Client] = []
    for _ in range(HALF_OPEN):
        _, writer = await asyncio.open_connection("127.0.0.1", address.port)
        held += [writer, await by_quic(address)]
        count("half open", "held")
    await asyncio.Event().wait()


async def main(address: BridgeAddress) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    abuses = (guesses, hoards, reads_nothing, shouts, frames_too_large, says_nothing)
    tasks = [asyncio.get_running_loop().create_task(abuse(address), name=abuse.__name__) for abuse in abuses]
    await all_begun.wait()
    print("abusing", flush=True)
    await ended.wait()
    for task in tasks:
        task.cancel()
    for task, outcome in zip(tasks, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
        if not isinstance(outcome, asyncio.CancelledError | None):
            counts[f"{task.get_name()}: {outcome}"[:100]] += 1
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(parse_bridge(sys.argv[1])))
