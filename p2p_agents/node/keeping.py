"""The control methods that read or write the user's files: file access in a thread, decisions in the writer."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.core.agents import ownership, restoration
from p2p_agents.core.agents.restoration import Found
from p2p_agents.core.api import showing
from p2p_agents.crypto import backup as backups
from p2p_agents.errors import BadPassphrase, FileUnusable, P2PError
from p2p_agents.limits import PASSPHRASE_CHARS, PASSPHRASE_CHARS_LEAST
from p2p_agents.node import vault
from p2p_agents.store import archive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.crypto.backup import Backup, Cost
    from p2p_agents.node.writer import Writer
    from p2p_agents.results.identity import Restored

Json = dict[str, Any]


class Keeping:
    """What outlives this machine: the next root key, and backups."""

    def __init__(self, writer: Writer, reader: Callable[[Callable[[Core], Any]], Awaitable[Any]]) -> None:
        self._writer = writer
        self._reader = reader
        self.methods: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "identity.rotate": self._rotate,
            "identity.export": self._export_next_root,
            "backup.export": self._export,
            "backup.import": self._import,
        }

    # --- the next root key ---

    async def _rotate(self, params: Json) -> Json:
        if params["path"] is not None:
            agent = await self._writer.call(lambda core: core.acting(params["agent"]).local.agent)
            params = params | {"seed": await asyncio.to_thread(vault.read_next_root, params["path"], agent)}
        rotated: Json = await self._writer.call(partial(ownership.rotate, params=params), long=True)
        return rotated

    async def _export_next_root(self, params: Json) -> Json:
        """Write the file first and read it back; only then delete the key from this machine's own files."""
        path = params["path"]
        agent, seed = await self._writer.call(lambda core: ownership.next_root(core, params))
        await asyncio.to_thread(vault.write_next_root, path, agent, seed)
        try:
            shown: Json = await self._writer.call(lambda core: ownership.forget_next_root(core, params, seed))
        except P2PError:
            await asyncio.to_thread(vault.delete, path)
            raise
        return {"path": path, **shown}

    # --- backups ---

    async def _export(self, params: Json) -> Json:
        path, passphrase = params["path"], params["passphrase"]
        agent, backup = await self._writer.call(lambda core: restoration.gather(core, params), long=True)

        def write(core: Core) -> int:
            return write_backup(path, backup, archive.chunks(core.db, agent), passphrase)

        size: int = await self._reader(write)
        where = ownership.HERE if backup.next_root else ownership.EXPORTED
        return {"path": path, "bytes": size, "contacts": len(backup.contacts), "next_root": where}

    async def _import(self, params: Json) -> Json:
        """Checking the passphrase takes a second, in a thread; one item imports everything from the file, which stays
        open until then."""
        files = ExitStack()
        try:
            file = await asyncio.to_thread(files.enter_context, vault.opened(params["path"]))
            backup, log = await asyncio.to_thread(backups.read, file.read, params["passphrase"])
            if params["next_root"] is not None:
                read = partial(vault.read_next_root, params["next_root"], backup.identity.agent)
                params = params | {"seed": await asyncio.to_thread(read)}
        except BaseException:
            files.close()
            raise

        def restore(core: Core) -> Restored:
            return showing.restored(core, restoration.restore(core, params, Found(backup, log)))

        taken_in = self._writer.call(restore, long=True)
        taken_in.add_done_callback(lambda _: files.close())
        restored: Json = await asyncio.shield(taken_in)
        return restored


def check_passphrase(passphrase: str) -> None:
    """Raises BadPassphrase."""
    if not PASSPHRASE_CHARS_LEAST <= len(passphrase) <= PASSPHRASE_CHARS:
        raise BadPassphrase


def write_backup(path: str, backup: Backup, log: Iterable[bytes], passphrase: str, cost: Cost | None = None) -> int:
    """Write a new file, then open it with the passphrase and compare; returns its size. Blocks for seconds.

    Raises BadPassphrase, FileExists or FileUnusable, and then leaves no file behind.
    """
    check_passphrase(passphrase)
    written = hashlib.sha256()

    def noted() -> Iterator[bytes]:
        for chunk in log:
            written.update(chunk)
            yield chunk

    vault.write_new(path, backups.write(backup, noted(), passphrase, os.urandom(backups.SALT_BYTES), cost))
    try:
        return _check_written(path, backup, passphrase, written.digest())
    except BaseException:
        vault.delete(path)
        raise


def _check_written(path: str, backup: Backup, passphrase: str, log: bytes) -> int:
    with vault.opened(path) as file:
        found, chunks = backups.read(file.read, passphrase)
        read = hashlib.sha256()
        for chunk in chunks:
            read.update(chunk)
        if found != backup or read.digest() != log:
            raise FileUnusable(f"{path} does not read back as it was written")
        return os.fstat(file.fileno()).st_size
