"""A scripted peer on the same network: speaks QUIC and frames, and breaks every rule it is told to."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.endpoint import Endpoint
from tests.system.relay import enter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from p2p_agents.quic.connection import Closed, Connection

PATIENCE_S = 20.0


class Attacker:
    """The handler of its own endpoint: notes what connected and what was closed, and why."""

    def __init__(self) -> None:
        self.connected_ones: list[Connection] = []
        self.heard: dict[Connection, int] = {}
        self.ends: dict[Connection, Closed] = {}
        self._news = asyncio.Event()
        self.endpoint: Endpoint

    async def open(self) -> None:
        self.endpoint = await Endpoint.open(NodeCertificate.from_seed(os.urandom(32)), self)

    def connected(self, connection: Connection) -> None:
        self.connected_ones.append(connection)
        self._news.set()

    def received(self, connection: Connection, data: bytes) -> None:
        self.heard[connection] = self.heard.get(connection, 0) + len(data)
        self._news.set()

    def closed(self, connection: Connection, reason: Closed) -> None:
        self.ends[connection] = reason
        self._news.set()

    async def until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not look():
                self._news.clear()
                await self._news.wait()

    async def dial(self, host: str, port: int) -> Connection:
        """A connection that stands."""
        connection = self.endpoint.dial((host, port))
        await self.until(lambda: connection in self.connected_ones or connection in self.ends)
        return connection

    async def says(self, host: str, port: int, data: bytes) -> Closed:
        """Dial, say that, and wait to be thrown out; why."""
        connection = await self.dial(host, port)
        connection.send(data)
        await self.until(lambda: connection in self.ends)
        return self.ends[connection]


def attack(netns: str | None, script: Callable[[Attacker], Coroutine[Any, Any, Any]]) -> Any:
    """Run the script in a thread inside the namespace; what it returns."""
    results: list[Any] = []

    async def play() -> None:
        attacker = Attacker()
        await attacker.open()
        try:
            results.append(await script(attacker))
        finally:
            await attacker.endpoint.close()

    def run() -> None:
        if netns is not None:
            enter(netns)
        asyncio.run(play())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results, "the attack itself failed"
    return results[0]
