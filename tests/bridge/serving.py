"""A bridge in this process, on real sockets, for tests."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge.bounds import Quotas
from bridge.server import BridgeServer
from bridge.settings import Settings
from p2p_agents.wire.bridge_address import BridgeAddress

ROOMY = Quotas(disk_reserve=0)


def in_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """Run an async test, within a bound."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 50))

    return run


@asynccontextmanager
async def serving(data: Path, **settings: Any) -> AsyncIterator[tuple[BridgeServer, BridgeAddress]]:
    settings = {"host": "127.0.0.1", "port": 0, "quotas": ROOMY} | settings
    server = BridgeServer(Settings(str(data), **settings))
    address = await server.start()
    try:
        yield server, address
    finally:
        await server.stop()


async def until(holds: Callable[[], Any]) -> Any:
    """Look again every few milliseconds, within the test's bound: for what has no event."""
    loop = asyncio.get_running_loop()
    while not (found := holds()):
        again = asyncio.Event()
        loop.call_later(0.005, again.set)
        await again.wait()
    return found
