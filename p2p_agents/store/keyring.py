"""Key files: 0600 from their first byte, whole or absent, named by what they belong to and never by a person's words.

node.key        [1, seed of the TLS key]
linking.key     [1, seed of the device key that is to be linked to an agent]
<agent id>.key  [1, root seed or empty, next root seed or empty, device seed, [identity entry...]]

The identity log stands beside the keys that it names, so that the two never part: writing the file is what makes a
rotation. The store's copy follows it, also when the store is an older one.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from p2p_agents.errors import Malformed, StoreBroken
from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES
from p2p_agents.store.database import sync_directory, translated
from p2p_agents.wire.cbor import array, array_of, blob, decode, encode, uint

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
SEED_BYTES = 32
_LINKING = "linking.key"
KEY_FILE_BYTES = 4096 + IDENTITY_ENTRIES * (IDENTITY_ENTRY_BYTES + 3)


@dataclass(frozen=True, slots=True)
class AgentSecrets:
    root: bytes = field(repr=False)  # empty on an installation that another one took in
    next_root: bytes = field(repr=False)  # empty once it was exported: this machine then cannot rotate alone
    device: bytes = field(repr=False)
    entries: tuple[bytes, ...] = ()  # of the identity log, which names these keys


def write_agent_key(directory: str, agent: bytes, secrets: AgentSecrets) -> None:
    """On disk, and synced, before it returns."""
    seeds = [secrets.root, secrets.next_root, secrets.device]
    _write(_agent_path(directory, agent), encode([VERSION, *seeds, list(secrets.entries)]))


def read_agent_key(directory: str, agent: bytes) -> AgentSecrets:
    """Raises StoreBroken when the file is missing or is not a key file."""
    with _readable(_agent_path(directory, agent), 5) as (root, next_root, device, entries):
        return AgentSecrets(
            blob(root, size=SEED_BYTES if root else 0, what="seed"),
            blob(next_root, size=SEED_BYTES if next_root else 0, what="seed"),
            blob(device, size=SEED_BYTES, what="seed"),
            tuple(blob(e, at_most=IDENTITY_ENTRY_BYTES, what="e") for e in array_of(entries, IDENTITY_ENTRIES, "log")),
        )


def destroy_agent_key(directory: str, agent: bytes) -> None:
    """An agent that was not kept after all."""
    with translated(), suppress(FileNotFoundError):
        os.unlink(_agent_path(directory, agent))


def node_seed(directory: str, fresh: bytes) -> bytes:
    """The seed of the node's TLS key; `fresh` becomes it on the first call ever."""
    return _seed(os.path.join(directory, "node.key"), fresh)


def linking_seed(directory: str, fresh: bytes) -> bytes:
    """The seed of the device key that every attempt to be linked offers, until one has come to its end: an attempt
    that broke off when the other side had taken the device in is made again with the same key."""
    return _seed(os.path.join(directory, _LINKING), fresh)


def end_linking(directory: str) -> None:
    """That key serves no other attempt."""
    with translated(), suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, _LINKING))


def _seed(path: str, fresh: bytes) -> bytes:
    if not os.path.exists(path):
        _write(path, encode([VERSION, fresh]))
    with _readable(path, 2) as (seed,):
        return blob(seed, size=SEED_BYTES, what="seed")


def _agent_path(directory: str, agent: bytes) -> str:
    return os.path.join(directory, f"{agent.hex()}.key")


def _write(path: str, content: bytes) -> None:
    draft = f"{path}.new"
    with translated():
        descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(draft, path)
        sync_directory(os.path.dirname(path))


@contextmanager
def _readable(path: str, length: int) -> Iterator[list[Any]]:
    """The fields of a key file behind its version; what is wrong with one is said of its name alone."""
    try:
        with open(path, "rb") as file:
            fields = array(decode(file.read(KEY_FILE_BYTES)), length, what="key file")
        if uint(fields[0], what="version") != VERSION:
            raise Malformed(f"version {fields[0]}")
        yield fields[1:]
    except (OSError, Malformed) as error:
        raise StoreBroken(f"the key file {os.path.basename(path)} cannot be used: {error}") from error
