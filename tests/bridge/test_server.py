"""A bridge on real sockets: QUIC and WebSocket over TLS on one port, its store on a disk."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.server import BridgeServer, Settings
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.relay_answers import Done, Fail, Refusal
from tests.bridge.client import Queue, by_quic, by_web, met

Way = Callable[..., Any]


def in_loop(test: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 50))

    return run


@asynccontextmanager
async def serving(data: Path, **settings: Any) -> AsyncIterator[tuple[BridgeServer, BridgeAddress]]:
    server = BridgeServer(Settings(str(data), host="127.0.0.1", port=0, **settings))
    address = await server.start()
    try:
        yield server, address
    finally:
        await server.stop()


@pytest.fixture(params=[by_quic, by_web], ids=["quic", "websocket"])
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


@in_loop
async def test_a_blob_goes_from_a_writer_to_a_reader(tmp_path: Path, way: Way) -> None:
    queue = Queue("for bob")
    async with serving(tmp_path) as (_, address):
        async with met(await way(address), address, "bob") as bob, met(await way(address), address) as alice:
            assert isinstance(await bob.create(queue), Done)
            stored = await alice.put(queue, b"before")
            assert isinstance(stored, Done)
            assert isinstance(await bob.read(queue), Done)
            assert await bob.blobs(queue, 1) == [(stored.cursor, b"before")]
            live = await alice.put(queue, b"live")
            assert await bob.blobs(queue, 1) == [(live.cursor, b"live")]
            assert isinstance(await bob.ack(queue, live.cursor), Done)
        async with met(await way(address), address) as bob:
            await bob.read(queue)
            assert isinstance(await bob.drop(queue), Done)
            assert await bob.put(queue, b"late") == Fail(3, Refusal.GONE)
