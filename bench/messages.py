"""Messages between two nodes: how soon one is there, how long an answer takes, how many pass in a second."""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from statistics import median
from typing import TYPE_CHECKING

from bench import primitives
from bench.figure import Figure, figure
from bench.world import world
from p2p_agents import Agent

if TYPE_CHECKING:
    from bench.world import Node

TEXT = "x" * 200
PAUSE_S = (0.005, 0.025)  # between two messages of the latency figure: each meets a node at rest
PATIENCE_S = 60.0


# --- latency ---


def latency(quick: bool) -> list[Figure]:
    """Milliseconds from the answer to a send until another node's `wait` returns the message."""
    with world() as made:
        alice, bob = made.pair()
        arrived: queue.SimpleQueue[float] = queue.SimpleQueue()
        rounds = 20 if quick else 300
        receiver = threading.Thread(target=_receive, args=(bob, rounds, arrived))
        receiver.start()
        called, accepted, returned = [], [], []
        draw = random.Random(1)
        with alice.client() as client:
            for _ in range(rounds):
                time.sleep(draw.uniform(*PAUSE_S))
                called.append(time.perf_counter())
                client.call("send", {"to": bob.id, "text": TEXT})
                accepted.append(time.perf_counter())
                returned.append(arrived.get(timeout=PATIENCE_S))
        receiver.join()
    samples = [1000 * (end - begin) for begin, end in zip(accepted, returned, strict=True)]
    whole = [1000 * (end - begin) for begin, end in zip(called, returned, strict=True)]
    commit = 1000 * median(primitives.commits(1, 10 if quick else 60))
    return [
        figure(
            "latency",
            samples,
            "ms",
            baseline={"from_call_p50": median(whole), "commit": commit},
            must="p50 5 ms, p99 25 ms",
            aims="p50 2 ms",
        )
    ]


def _receive(bob: Node, rounds: int, arrived: queue.SimpleQueue[float]) -> None:
    with bob.client() as client:
        cursor = client.call("inbox", {"limit": 50})["cursor"]
        for _ in range(rounds):
            page = client.call("wait", {"after": cursor, "timeout": PATIENCE_S})
            arrived.put(time.perf_counter())
            cursor = page["cursor"]


# --- round trip ---


def round_trip(quick: bool) -> list[Figure]:
    """Milliseconds from a send through the Python API to the other agent's answer, durable on both sides."""
    with world() as made:
        alice, bob = made.pair()
        before, rounds = (alice.processor_s(), bob.processor_s()), 20 if quick else 300
        samples = asyncio.run(ping_pong(alice, bob, rounds))
        costs = processor_us(alice, bob, before, rounds)
    commit = median(primitives.commits(1, 10 if quick else 60))
    quic = median(primitives.round_trips(quick))
    seal = primitives.one_message(quick)
    floor = 1000 * (4 * commit + quic + 2 * seal)
    baseline = costs | {"floor": floor, "commit": 1000 * commit, "quic": 1000 * quic, "seal_open": 1000 * seal}
    return [
        figure("round_trip", samples, "ms", over=floor, baseline=baseline, must="2 x floor", aims="1.3 x"),
    ]


async def ping_pong(alice: Node, bob: Node, rounds: int) -> list[float]:
    samples = []
    async with Agent(alice.name, home=alice.home) as near, Agent(bob.name, home=bob.home) as far:
        echo = asyncio.get_running_loop().create_task(_echo(far, alice.id))
        answers = near.messages()
        await anext(answers)  # of the first contact
        for _ in range(rounds):
            began = time.perf_counter()
            await near.send(bob.id, TEXT)
            await asyncio.wait_for(anext(answers), PATIENCE_S)
            samples.append(1000 * (time.perf_counter() - began))
        await answers.aclose()
        echo.cancel()
        await asyncio.gather(echo, return_exceptions=True)
    return samples


async def _echo(agent: Agent, to: str) -> None:
    async for message in agent.messages():
        if message.text == TEXT:
            await agent.send(to, message.text)


# --- rate ---


def rate(quick: bool) -> list[Figure]:
    """Messages a second from one agent to another, sent while earlier ones are under way, counted when delivered."""
    count, rounds = (200, 1) if quick else (5000, 3)
    with world() as made:
        alice, bob = made.pair()
        before = alice.processor_s(), bob.processor_s()
        samples = [asyncio.run(stream(alice, bob, count)) for _ in range(rounds)]
        costs = processor_us(alice, bob, before, rounds * count)
    parts = primitives.shares(quick)
    limit = 1 / sum(parts.values())
    baseline = costs | {"limit": limit} | {f"{name}_us": 1e6 * cost for name, cost in parts.items()}
    return [
        figure(
            "rate",
            samples,
            "msg/s",
            over=limit,
            baseline=baseline,
            must="40 % of the limit, 5000 msg/s",
            aims="70 %, 10000 msg/s",
        )
    ]


def processor_us(alice: Node, bob: Node, before: tuple[float, float], count: int) -> dict[str, float]:
    """What each node spent per message: on a shared machine it says more than the clock."""
    spent = alice.processor_s() - before[0], bob.processor_s() - before[1]
    return {"alice_cpu_us": 1e6 * spent[0] / count, "bob_cpu_us": 1e6 * spent[1] / count}


async def stream(alice: Node, bob: Node, count: int) -> float:
    """The order is the author's, so the last one delivered is all of them."""
    async with Agent(alice.name, home=alice.home) as near:
        began = time.perf_counter()
        await asyncio.gather(*(near.send(bob.id, TEXT) for _ in range(count - 1)))
        await near.send(bob.id, TEXT, wait="delivered", timeout=PATIENCE_S)
        return count / (time.perf_counter() - began)
