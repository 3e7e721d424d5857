"""The control methods that read or write a file of the human's: files in a thread, decisions in the writer."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.errors import P2PError
from p2p_agents.node import owning, vault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2p_agents.node.writer import Writer

Json = dict[str, Any]


class Keeping:
    """What outlives this machine: the next root key."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.methods: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "identity.rotate": self._rotate,
            "identity.export": self._export_next_root,
        }

    async def _rotate(self, params: Json) -> Json:
        if params["path"] is not None:
            agent = await self._writer.call(lambda core: core.acting(params["agent"]).local.agent)
            params = params | {"seed": await asyncio.to_thread(vault.read_next_root, params["path"], agent)}
        rotated: Json = await self._writer.call(partial(owning.rotate, params=params))
        return rotated

    async def _export_next_root(self, params: Json) -> Json:
        """The file first, and read again; only then does the key leave this machine's own files."""
        path = params["path"]
        agent, seed = await self._writer.call(lambda core: owning.next_root(core, params))
        await asyncio.to_thread(vault.write_next_root, path, agent, seed)
        try:
            shown: Json = await self._writer.call(lambda core: owning.forget_next_root(core, params, seed))
        except P2PError:
            await asyncio.to_thread(vault.delete, path)
            raise
        return {"path": path, **shown}
