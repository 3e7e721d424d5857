"""Shared by the discovery tests: a recorder of what was found and lost, and an advert."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine

from blockbuster import blockbuster_ctx

from p2p_agents.quic.address import Address
from p2p_agents.wire.advert import Advert

ALICE = Advert(b"A" * 32, "alice", "human", "online", b"\x0a" * 32, 1_000, 4_433)
BOB = Advert(b"B" * 32, "bob", "codex", "online", b"\x0b" * 32, 2_000, 4_434)


def agent(number: int, of: Advert = ALICE) -> Advert:
    return dataclasses.replace(of, agent=number.to_bytes(32, "big"), name=f"agent-{number}")


class Watcher:
    """The callbacks of a discovery, recorded."""

    def __init__(self) -> None:
        self.present: dict[bytes, Advert] = {}
        self.addresses: dict[bytes, tuple[Address, ...]] = {}
        self.found_calls = 0
        self.gone: list[tuple[bytes, int]] = []
        self._news = asyncio.Event()

    def found(self, advert: Advert, addresses: tuple[Address, ...]) -> None:
        self.present[advert.agent] = advert
        self.addresses[advert.agent] = addresses
        self.found_calls += 1
        self._news.set()

    def lost(self, agent: bytes, incarnation: int) -> None:
        self.gone.append((agent, incarnation))
        self.present.pop(agent, None)
        self._news.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._news.clear()
                await self._news.wait()


def run(story: Coroutine[None, None, None]) -> None:
    """Run with every blocking call of ours in the loop an error."""
    with blockbuster_ctx("p2p_agents"):
        asyncio.run(story)
