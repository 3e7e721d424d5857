"""Identity: a short hash-chained log, signed by a root key, that says which devices are an agent's.

Entry 0 commits to the hash of the next root key, so that a stolen root cannot take the identity over; its own
hash is the agent id. Every entry is `Sign(root, [1, n, SHA-256(entry n-1), kind, ...])`; the kinds stand in
one table.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from p2p_agents.crypto.signing import SigningKey, unverified_payload, verify
from p2p_agents.errors import BadIdentity, BadSignature, IdentityFork, IdentityRollback, Malformed
from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES, NAME_CHARS
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, text, uint, version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IDENTITY_LABEL = "p2pa/1 id"
DEVICE_LABEL = "p2pa/1 id device"  # under which a device agrees to belong to an agent

_INCEPTION = "inception"
_ADD_DEVICE = "add-device"
_KIND_CHARS = 32
_HEAD = 4  # [version, n, prev, kind], then what the kind says


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified log says: agent, last position `n`, root key, devices in the order they were added."""

    agent: bytes
    n: int
    root: bytes
    next_root_hash: bytes
    created_ms: int
    devices: tuple[bytes, ...]
    entries: tuple[bytes, ...]

    @property
    def head(self) -> bytes:
        """SHA-256 of the last entry: what the next one names."""
        return _hash(self.entries[-1])


def inception(root: SigningKey, next_root_public: bytes, created_ms: int) -> bytes:
    """Entry 0 of a new identity; SHA-256 of these bytes is the agent id."""
    blob(next_root_public, size=32, what="next root key")
    said = [root.public, _hash(next_root_public), uint(created_ms, what="created_ms")]
    return root.sign(encode([VERSION, 0, b"", _INCEPTION, *said]), IDENTITY_LABEL)


def add_device(identity: Identity, root: SigningKey, device: SigningKey, name: str) -> bytes:
    """The next entry, adding `device`: signed by the root, and by the device over [agent id, n, prev]."""
    n, prev = identity.n + 1, identity.head
    consent = device.sign(encode([identity.agent, n, prev]), DEVICE_LABEL)
    said = [device.public, text(name, at_most=NAME_CHARS, what="device name"), consent]
    return root.sign(encode([VERSION, n, prev, _ADD_DEVICE, *said]), IDENTITY_LABEL)


def replay(entries: Sequence[bytes]) -> Identity:
    """The identity that a whole log says. Raises BadIdentity, or UnknownVersion."""
    if not entries:
        raise BadIdentity("an identity log without entries")
    identity = _begin(entries[0])
    for signed in entries[1:]:
        identity = _follow(identity, signed)
    return identity


def merge(known: Identity | None, start: int, offered: Sequence[bytes]) -> Identity:
    """What is known, extended by a peer's entries from position `start` on.

    Raises IdentityRollback for a log that ends before what is known, IdentityFork for another entry that the
    root did sign at a known position, BadIdentity for everything that does not follow, UnknownVersion.
    """
    if known is None:
        if start != 0:
            raise BadIdentity(f"an identity log that starts at entry {start}")
        return replay(offered)
    if not 0 <= start <= known.n + 1:
        raise BadIdentity(f"identity entries from {start} on, when {known.n} is the last one known")
    for position, signed in enumerate(offered[: known.n + 1 - start], start):
        if signed != known.entries[position]:
            raise _difference(known, position, signed)
    if start + len(offered) <= known.n:
        raise IdentityRollback(f"identity log ends before entry {known.n}, which is known")
    identity = known
    for signed in offered[known.n + 1 - start :]:
        identity = _follow(identity, signed)
    return identity


def _begin(signed: bytes) -> Identity:
    try:
        _, kind, said = _parts(unverified_payload(_bounded(signed)), 0)
        root, next_root_hash, created_ms = array(said, 3, what=_INCEPTION)
        verify(blob(root, size=32, what="root key"), signed, IDENTITY_LABEL)
        blob(next_root_hash, size=32, what="next root hash")
        uint(created_ms, what="created_ms")
    except (Malformed, BadSignature) as error:
        raise BadIdentity(f"identity entry 0: {error.message}") from error
    if kind != _INCEPTION:
        raise BadIdentity("an identity log that does not begin with its inception")
    return Identity(_hash(signed), 0, root, next_root_hash, created_ms, (), (signed,))


def _follow(identity: Identity, signed: bytes) -> Identity:
    """`identity` after one more entry. Raises BadIdentity, IdentityFork, UnknownVersion."""
    n = identity.n + 1
    if n >= IDENTITY_ENTRIES:
        raise BadIdentity(f"an identity log of more than {IDENTITY_ENTRIES} entries")
    try:
        prev, kind, said = _root_entry(identity, n, signed)
        if prev != identity.head:
            raise IdentityFork(f"identity entry {n} follows another entry {identity.n} than the one known")
        if kind not in _KINDS:
            raise BadIdentity(f"identity entry {n} is of an unknown kind")
        after = _KINDS[kind](identity, said)
    except (Malformed, BadSignature) as error:
        raise BadIdentity(f"identity entry {n}: {error.message}") from error
    return replace(after, n=n, entries=(*identity.entries, signed))


def _add_device(identity: Identity, said: list[Any]) -> Identity:
    device, name, consent = array(said, 3, what=_ADD_DEVICE)
    blob(device, size=32, what="device key")
    text(name, at_most=NAME_CHARS, what="device name")
    agreed = verify(device, blob(consent, what="the device's consent"), DEVICE_LABEL)
    if agreed != encode([identity.agent, identity.n + 1, identity.head]):
        raise BadIdentity("a device that agreed to something else")
    if device in identity.devices:
        raise BadIdentity("a device added twice")
    return replace(identity, devices=(*identity.devices, device))


_KINDS: dict[str, Callable[[Identity, list[Any]], Identity]] = {_ADD_DEVICE: _add_device}


def _difference(known: Identity, position: int, signed: bytes) -> BadIdentity:
    """What another entry at a known position means: only one that the root signed proves a fork."""
    if position == 0:
        return BadIdentity("the identity log of another agent")
    try:
        _root_entry(known, position, signed)
    except (Malformed, BadSignature):
        return BadIdentity(f"identity entry {position} is not the one known, and its root did not sign it")
    return IdentityFork(f"two different identity entries {position}")


def _root_entry(identity: Identity, n: int, signed: bytes) -> tuple[bytes, str, list[Any]]:
    """(prev, kind, what it says) of an entry `n` that the root signed."""
    return _parts(verify(identity.root, _bounded(signed), IDENTITY_LABEL), n)


def _parts(payload: bytes, n: int) -> tuple[bytes, str, list[Any]]:
    fields = array(decode(payload), what="identity entry")
    version(fields[0] if fields else None)
    if len(fields) < _HEAD or fields[1] != n or type(fields[1]) is not int:
        raise Malformed(f"not an entry {n}")
    prev = blob(fields[2], size=32 if n else 0, what="prev")
    return prev, text(fields[3], at_most=_KIND_CHARS, what="kind"), fields[_HEAD:]


def _bounded(signed: bytes) -> bytes:
    return blob(signed, at_most=IDENTITY_ENTRY_BYTES, what="identity entry")


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
