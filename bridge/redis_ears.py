"""Messages between the processes of one bridge, over Redis channels: a hint to look, never relied upon.

Whoever listens to a channel is told `heard` for a message, and `missed` when some may have gone by: once the channel
is first listened to, and whenever the connection was lost. What it then does is look.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.redis_link import Link

PING_S = 15.0  # a connection that is silent for twice this is dead
AGAIN_S = (0.25, 2.0)  # before another connection is tried
AT_ONCE = 512  # channels of one SUBSCRIBE

_SELF = "p2pb:ears"  # nobody speaks here: a connection that listens to nothing cannot wait

log = logging.getLogger(__name__)


class Ears:
    """Channels that this process listens to. Made and closed in the loop's thread."""

    def __init__(self, link: Link, heard: Callable[[str, bytes], None], missed: Callable[[str], None]) -> None:
        self._link = link
        self._heard = heard
        self._missed = missed
        self._wanted: set[str] = set()
        self._asked: set[str] = set()
        self._hears = True
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def listen(self, channel: str) -> None:
        self._wanted.add(channel)
        self._changed.set()

    def unlisten(self, channel: str) -> None:
        self._wanted.discard(channel)
        self._changed.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._connected()
            except* (RedisError, OSError, TimeoutError) as errors:
                if self._hears:  # an outage is one line in the log
                    log.warning("the channels of the store are away: %s", errors.exceptions[0])
                self._hears = False
            await asyncio.sleep(random.uniform(*AGAIN_S))  # noqa: S311 - so that processes do not come back as one

    async def _connected(self) -> None:
        self._asked = set()
        self._changed.set()
        async with self._link.client.pubsub() as channels, asyncio.TaskGroup() as tasks:
            await channels.subscribe(_SELF)
            self._hears = True
            tasks.create_task(self._keep(channels))
            tasks.create_task(self._hear(channels))

    async def _keep(self, channels: Any) -> None:
        """Ask for what is wanted and not asked for yet, and ping."""
        while True:
            try:
                async with asyncio.timeout(PING_S):
                    await self._changed.wait()
            except TimeoutError:
                await channels.ping()
            self._changed.clear()
            await self._ask(channels.unsubscribe, self._asked - self._wanted)
            await self._ask(channels.subscribe, self._wanted - self._asked)

    async def _ask(self, command: Any, names: set[str]) -> None:
        ordered = sorted(names)
        for n in range(0, len(ordered), AT_ONCE):
            some = ordered[n : n + AT_ONCE]
            self._asked.symmetric_difference_update(some)
            await command(*some)

    async def _hear(self, channels: Any) -> None:
        while True:
            async with asyncio.timeout(2 * PING_S):
                message = await channels.parse_response(block=True)
            kind, *rest = message if isinstance(message, list) else (b"pong",)
            if kind == b"message":
                self._heard(rest[0].decode(), rest[1])
            elif kind == b"subscribe" and rest[0].decode() in self._wanted:
                self._missed(rest[0].decode())
