"""Key files: 0600 from their first byte, whole or absent, named by what they belong to and never by a person's words.

node.key        [1, seed of the TLS key]
<agent id>.key  [1, root seed, next root seed, device seed]
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from p2p_agents.errors import Malformed, StoreBroken
from p2p_agents.store.database import translated
from p2p_agents.wire.cbor import array, blob, decode, encode, uint

VERSION = 1
SEED_BYTES = 32
KEY_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class AgentSecrets:
    root: bytes = field(repr=False)
    next_root: bytes = field(repr=False)
    device: bytes = field(repr=False)


def write_agent_key(directory: str, agent: bytes, secrets: AgentSecrets) -> None:
    """On disk, and synced, before it returns."""
    _write(_agent_path(directory, agent), encode([VERSION, secrets.root, secrets.next_root, secrets.device]))


def read_agent_key(directory: str, agent: bytes) -> AgentSecrets:
    """Raises StoreBroken when the file is missing or is not a key file."""
    path = _agent_path(directory, agent)
    seeds = _read(path, 4)
    return AgentSecrets(*seeds)


def node_seed(directory: str, fresh: bytes) -> bytes:
    """The seed of the node's TLS key; `fresh` becomes it on the first call ever."""
    path = os.path.join(directory, "node.key")
    if not os.path.exists(path):
        _write(path, encode([VERSION, fresh]))
    return _read(path, 2)[0]


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


def _read(path: str, length: int) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            fields = array(decode(file.read(KEY_FILE_BYTES)), length, what="key file")
        if uint(fields[0], what="version") != VERSION:
            raise Malformed(f"version {fields[0]}")
        return [blob(seed, size=SEED_BYTES, what="seed") for seed in fields[1:]]
    except (OSError, Malformed) as error:
        raise StoreBroken(f"the key file {os.path.basename(path)} cannot be used: {error}") from error
