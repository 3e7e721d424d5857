"""Key files: 0600 from their first byte, whole or absent, named by ids and never by text that a person chose.

node.key        [1, seed of the TLS key]
linking.key     [1, seed of the device key that is to be linked to an agent]
<agent id>.key  [1, root seed or empty, next root seed or empty, device seed, [identity entry...]]

The identity log is stored with the keys that it names, so that the two always agree: writing the file makes a
rotation. The store's copy follows it, also when the store is an older one. The file of before stays beside the new one,
as `<agent id>.key.<n>.old`, until the transaction that wrote it has ended.
"""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import KeysBroken, Malformed, StoreBroken
from p2p_agents.files import sync_directory, write_whole
from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES
from p2p_agents.store.database import translated
from p2p_agents.wire.cbor import array, array_of, blob, decode, encode, uint

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
SEED_BYTES = 32
_LINKING = "linking.key"
_LOST = "restore it from a copy of the home, or delete it: a new key is made, and contacts find the node again"
KEY_FILE_BYTES = 4096 + IDENTITY_ENTRIES * (IDENTITY_ENTRY_BYTES + 3)


@dataclass(frozen=True, slots=True)
class AgentSecrets:
    root: bytes = field(repr=False)  # empty on an installation that another one linked
    next_root: bytes = field(repr=False)  # empty once it was exported: this machine then cannot rotate alone
    device: bytes = field(repr=False)
    entries: tuple[bytes, ...] = ()  # of the identity log, which names these keys


def write_agent_key(directory: str, agent: bytes, secrets: AgentSecrets) -> str:
    """Write the file, synced to disk; returns where the previous file is kept, "" if there was none."""
    path, kept = _agent_path(directory, agent), ""
    seeds = [secrets.root, secrets.next_root, secrets.device]
    with translated():
        if os.path.exists(path):
            kept = f"{path}.{len(_kept(path))}.old"
            os.link(path, kept)
        try:
            write_whole(path, encode([VERSION, *seeds, list(secrets.entries)]))
        except BaseException:
            if kept:
                _unlink(kept)
            raise
    return kept


def put_back(directory: str, agent: bytes, kept: str) -> None:
    """The transaction that wrote the file was undone: restore the earlier file, if any. Needs no disk space."""
    path = _agent_path(directory, agent)
    with translated():
        if kept:
            os.rename(kept, path)
        else:
            _unlink(path)
        sync_directory(directory)


def settle(directory: str, agent: bytes) -> None:
    """The transaction that wrote the file is durable: delete the earlier files."""
    with translated():
        for kept in _kept(_agent_path(directory, agent)):
            _unlink(kept)


def read_agent_key(directory: str, agent: bytes, *, restore: bool = True) -> AgentSecrets:
    """If the file cannot be read and an earlier one can, read that one, and put it back if `restore`. Raises
    KeysBroken."""
    path = _agent_path(directory, agent)
    try:
        return _read_agent(path)
    except StoreBroken as broken:
        for kept in reversed(_kept(path)):
            with suppress(StoreBroken):
                found = _read_agent(kept)
                if restore:
                    put_back(directory, agent, kept)
                return found
        raise KeysBroken(broken.message) from broken


def _read_agent(path: str) -> AgentSecrets:
    with _readable(path, 4, 5) as (root, next_root, device, *log):
        entries = log[0] if log else []  # earlier, the log was only in the store
        return AgentSecrets(
            blob(root, size=SEED_BYTES if root else 0, what="seed"),
            blob(next_root, size=SEED_BYTES if next_root else 0, what="seed"),
            blob(device, size=SEED_BYTES, what="seed"),
            tuple(blob(e, at_most=IDENTITY_ENTRY_BYTES, what="e") for e in array_of(entries, IDENTITY_ENTRIES, "log")),
        )


def destroy_agent_key(directory: str, agent: bytes, device: bytes = b"") -> None:
    """For a removed agent. Its device key is also deleted where it was kept for the attempt that linked it."""
    settle(directory, agent)
    with translated():
        _unlink(_agent_path(directory, agent))
        sync_directory(directory)
    if device and _linking_device(directory) == device:
        end_linking(directory)


def _linking_device(directory: str) -> bytes:
    """The public part of the key that linking attempts offer; empty if there is none."""
    path = os.path.join(directory, _LINKING)
    return SigningKey.from_seed(_seed(path, b"")).public if os.path.exists(path) else b""


def node_seed(directory: str, fresh: bytes) -> bytes:
    """The seed of the node's TLS key; `fresh` becomes it on the first call ever."""
    return _seed(os.path.join(directory, "node.key"), fresh)


def linking_seed(directory: str, fresh: bytes) -> bytes:
    """The seed of the device key that every linking attempt offers, until one has ended: an attempt that broke off
    after the other side had added the device is repeated with the same key."""
    return _seed(os.path.join(directory, _LINKING), fresh)


def end_linking(directory: str) -> None:
    """The key is used for no other attempt."""
    with translated():
        _unlink(os.path.join(directory, _LINKING))
        sync_directory(directory)


def _seed(path: str, fresh: bytes) -> bytes:
    """Raises StoreBroken."""
    if not os.path.exists(path):
        with translated():
            write_whole(path, encode([VERSION, fresh]))
    with _readable(path, 2, 2) as (seed,):
        return blob(seed, size=SEED_BYTES, what="seed")


def _agent_path(directory: str, agent: bytes) -> str:
    return os.path.join(directory, f"{agent.hex()}.key")


def _kept(path: str) -> list[str]:
    """Previous files, oldest first: only as many as one transaction wrote."""
    numbered = (f"{path}.{number}.old" for number in itertools.count())
    return list(itertools.takewhile(os.path.exists, numbered))


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


@contextmanager
def _readable(path: str, at_least: int, at_most: int) -> Iterator[list[Any]]:
    """The fields of a key file after its version; errors name the file, never its content."""
    try:
        with open(path, "rb") as file:
            fields = array(decode(file.read(KEY_FILE_BYTES)), at_least, at_most, what="key file")
        if uint(fields[0], what="version") != VERSION:
            raise Malformed(f"it has version {fields[0]}")
        yield fields[1:]
    except (OSError, Malformed) as error:
        why = getattr(error, "strerror", None) or error
        raise StoreBroken(f"the key file {os.path.basename(path)} cannot be used: {why}", hint=_LOST) from error
