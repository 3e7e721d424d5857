"""Identity: a short hash-chained log, signed by a root key, that says which devices are an agent's.

Entry 0 commits to the hash of the next root key, so that a stolen root cannot take the identity over; its own
hash is the agent id. Every entry is `Sign(root, [1, n, SHA-256(entry n-1), kind, ...])`; one table lists the kinds.
A rotate is signed by the key it brings in, which must be the pre-image of the commitment, and overrides what a thief
of the old root wrote (PROTOCOL E2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from p2p_agents.crypto.signing import SigningKey, unverified_payload, verify
from p2p_agents.errors import BadIdentity, BadSignature, IdentityFork, IdentityRollback, Malformed
from p2p_agents.limits import (
    IDENTITY_ENTRIES,
    IDENTITY_ENTRY_BYTES,
    LONG_LOGS_KEPT,
    NAME_CHARS,
    SHORT_LOG,
    SHORT_LOGS_KEPT,
)
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, text, uint, version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IDENTITY_LABEL = "p2pa/1 id"
DEVICE_LABEL = "p2pa/1 id device"  # under which a device agrees to belong to an agent
ROTATE_LABEL = "p2pa/1 id rotate"  # under which a root key, when it is not lost, agrees to its successor

_INCEPTION = "inception"
ADD_DEVICE = "add-device"
_REVOKE_DEVICE = "revoke-device"
_ROTATE = "rotate"
_KIND_CHARS = 32
_HEAD = 4  # [version, n, prev, kind], then the fields of the kind


@dataclass(frozen=True, slots=True)
class Identity:
    """The state that a verified log leads to: agent, last position `n`, root key, live devices in order of addition."""

    agent: bytes
    n: int
    root: bytes
    next_root_hash: bytes
    created_ms: int
    devices: tuple[bytes, ...]
    entries: tuple[bytes, ...]
    revoked: tuple[bytes, ...] = ()
    rotated: int = 0  # position of the last rotate, 0 before the first

    @property
    def head(self) -> bytes:
        """SHA-256 of the last entry, which the next one names."""
        return _hash(self.entries[-1])

    def owed(self, held: int, head: bytes) -> tuple[int, tuple[bytes, ...]]:
        """(start, entries) to show a peer that holds `held` entries, the last with the hash `head`: what it lacks, or
        all where it holds another branch."""
        ours = 0 < held <= len(self.entries) and _hash(self.entries[held - 1]) == head
        start = held if ours else 0
        return start, self.entries[start:]


@dataclass(frozen=True, slots=True)
class Said:
    """One entry of a log, for people: with `device` and `name` if it is about a device."""

    n: int
    kind: str
    device: bytes = b""
    name: str = ""


def read_out(identity: Identity) -> list[Said]:
    """The entries of a verified log, in order."""
    return [_read_out(n, signed) for n, signed in enumerate(identity.entries)]


def _read_out(n: int, signed: bytes) -> Said:
    _, kind, said = _parts(unverified_payload(signed), n)
    if kind not in (ADD_DEVICE, _REVOKE_DEVICE):
        return Said(n, kind)
    return Said(n, kind, said[0], said[1] if kind == ADD_DEVICE else "")


def inception(root: SigningKey, next_root_public: bytes, created_ms: int) -> bytes:
    """Entry 0 of a new identity; SHA-256 of these bytes is the agent id."""
    blob(next_root_public, size=32, what="next root key")
    said = [root.public, _hash(next_root_public), uint(created_ms, what="created_ms")]
    return root.sign(encode([VERSION, 0, b"", _INCEPTION, *said]), IDENTITY_LABEL)


def add_device(identity: Identity, root: SigningKey, device: SigningKey, name: str) -> bytes:
    """The next entry, adding `device`: signed by the root, and by the device over [agent id, n, prev]."""
    return _next(identity, root, ADD_DEVICE, _admission(device.public, name, consent(identity, device)))


def consent(identity: Identity, device: SigningKey) -> bytes:
    """The device's agreement to be added in the next entry."""
    return device.sign(encode([identity.agent, identity.n + 1, identity.head]), DEVICE_LABEL)


def admit_device(identity: Identity, root: SigningKey, device: bytes, name: str, agreed: bytes) -> bytes:
    """The next entry, adding another installation's device. Raises BadIdentity unless it agreed to exactly that."""
    entry = _next(identity, root, ADD_DEVICE, _admission(device, name, agreed))
    _follow(identity, entry)
    return entry


def check_consent(identity: Identity, device: bytes, agreed: bytes) -> None:
    """Raises BadIdentity, BadSignature or Malformed unless `device` agreed to be added in the next entry."""
    if verify(device, agreed, DEVICE_LABEL) != encode([identity.agent, identity.n + 1, identity.head]):
        raise BadIdentity("the device agreed to something else")


def revoke_device(identity: Identity, root: SigningKey, device: bytes) -> bytes:
    """The next entry, revoking `device`: entries it signed that nobody holds yet need a cut (PROTOCOL E3)."""
    return _next(identity, root, _REVOKE_DEVICE, [blob(device, size=32, what="device key")])


def rotate(identity: Identity, new_root: SigningKey, next_root_public: bytes, old_root: SigningKey | None) -> bytes:
    """The next entry, putting the committed root in force and committing to the one after it.

    Signed by the new root, which suffices, and by the old one unless it is lost.
    """
    blob(next_root_public, size=32, what="next root key")
    agreed = old_root.sign(_succession(identity, new_root.public), ROTATE_LABEL) if old_root else b""
    return _next(identity, new_root, _ROTATE, [new_root.public, _hash(next_root_public), agreed])


def _admission(device: bytes, name: str, agreed: bytes) -> list[Any]:
    return [device, text(name, at_most=NAME_CHARS, what="device name"), agreed]


def _next(identity: Identity, root: SigningKey, kind: str, said: list[Any]) -> bytes:
    return root.sign(encode([VERSION, identity.n + 1, identity.head, kind, *said]), IDENTITY_LABEL)


def replay(entries: Sequence[bytes]) -> Identity:
    """The identity that a whole log describes. Raises BadIdentity, or UnknownVersion.

    A log that was verified before is not verified again: the result depends only on its bytes.
    """
    try:
        log = tuple(_bounded(signed) for signed in entries)
    except Malformed as error:
        raise BadIdentity(error.message) from error
    if not log:
        raise BadIdentity("the identity log has no entries")
    return _verified_short(log) if len(log) <= SHORT_LOG else _verified_long(log)


def _verified(log: tuple[bytes, ...]) -> Identity:
    return _extend(_begin(log[0]), log[1:])


_verified_short = lru_cache(maxsize=SHORT_LOGS_KEPT)(_verified)
_verified_long = lru_cache(maxsize=LONG_LOGS_KEPT)(_verified)


def merge(known: Identity | None, start: int, offered: Sequence[bytes]) -> Identity:
    """The known identity, extended by a peer's entries from position `start` on, or superseded by a rotate among them.

    Raises IdentityRollback for a log that ends before what is known, or that a rotate has superseded; IdentityFork for
    two rotates of one commitment, which is `final`, or for another entry that the root did sign at a known position
    when neither branch rotates; BadIdentity for anything else that does not follow; UnknownVersion.
    """
    if known is None:
        if start != 0:
            raise BadIdentity(f"the identity log starts at entry {start}")
        return replay(offered)
    if not 0 <= start <= known.n + 1:
        raise BadIdentity(f"identity entries begin at {start}, but {known.n} is the last one known")
    for position, signed in enumerate(offered[: known.n + 1 - start], start):
        if signed != known.entries[position]:
            return _part(known, position, offered[position - start :])
    if start + len(offered) <= known.n:
        raise IdentityRollback(f"the identity log ends before entry {known.n}, which is known")
    return _extend(known, offered[known.n + 1 - start :])


def _part(known: Identity, position: int, branch: Sequence[bytes]) -> Identity:
    """Which of two branches that part at `position` to believe: the one that rotates (PROTOCOL E2).

    Only rotates change the commitment, so the first rotates of both branches would use the same one.
    """
    if position == 0:
        raise BadIdentity("the identity log is another agent's")
    base = replay(known.entries[:position])
    try:
        _root_entry(base, position, branch[0])
    except (Malformed, BadSignature, BadIdentity) as error:
        why = f"identity entry {position} is not the one known, and its root did not sign it"
        raise BadIdentity(why) from error
    other, fault = _as_far(base, branch)
    if other.rotated < position <= known.rotated:
        raise IdentityRollback(f"the identity log was superseded by a rotation at entry {known.rotated}")
    if (other.rotated >= position) == (known.rotated >= position):
        raise IdentityFork(
            f"there are two different identity entries {position}", final=bool(known.rotated >= position)
        )
    if fault:
        raise fault
    return other


def _extend(identity: Identity, entries: Sequence[bytes]) -> Identity:
    for signed in entries:
        identity = _follow(identity, signed)
    return identity


def _as_far(identity: Identity, entries: Sequence[bytes]) -> tuple[Identity, BadIdentity | None]:
    """`identity` after as many entries as are valid, and the fault of the next one."""
    for signed in entries:
        try:
            identity = _follow(identity, signed)
        except BadIdentity as fault:
            return identity, fault
    return identity, None


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
        raise BadIdentity("the identity log does not begin with its inception")
    return Identity(_hash(signed), 0, root, next_root_hash, created_ms, (), (signed,))


def _follow(identity: Identity, signed: bytes) -> Identity:
    """`identity` after one more entry. Raises BadIdentity, IdentityFork, UnknownVersion."""
    n = identity.n + 1
    if n >= IDENTITY_ENTRIES:
        raise BadIdentity(f"the identity log has more than {IDENTITY_ENTRIES} entries")
    try:
        prev, kind, said = _root_entry(identity, n, signed)
        if prev != identity.head:
            parted = BadIdentity if kind == _ROTATE else IdentityFork  # a rotate may settle it in the end
            raise parted(f"identity entry {n} follows another entry {identity.n} than the one known")
        if kind not in _KINDS:
            raise BadIdentity(f"identity entry {n} is of an unknown kind")
        after = _KINDS[kind](identity, said)
    except (Malformed, BadSignature) as error:
        raise BadIdentity(f"identity entry {n}: {error.message}") from error
    return replace(after, n=n, entries=(*identity.entries, signed))


def _add_device(identity: Identity, said: list[Any]) -> Identity:
    device, name, agreed = array(said, 3, what=ADD_DEVICE)
    blob(device, size=32, what="device key")
    text(name, at_most=NAME_CHARS, what="device name")
    check_consent(identity, device, blob(agreed, what="the device's consent"))
    if device in identity.devices or device in identity.revoked:
        raise BadIdentity("a device is added twice")
    return replace(identity, devices=(*identity.devices, device))


def _revoke_device(identity: Identity, said: list[Any]) -> Identity:
    (device,) = array(said, 1, what=_REVOKE_DEVICE)
    if blob(device, size=32, what="device key") not in identity.devices:
        raise BadIdentity("a device is revoked that is not the agent's")
    devices = tuple(each for each in identity.devices if each != device)
    return replace(identity, devices=devices, revoked=(*identity.revoked, device))


def _rotate(identity: Identity, said: list[Any]) -> Identity:
    root, next_root_hash, agreed = array(said, 3, what=_ROTATE)
    blob(next_root_hash, size=32, what="next root hash")
    if next_root_hash == identity.next_root_hash:
        raise BadIdentity("the rotation commits to the key that it brings in")
    if blob(agreed, what="the old root's consent") and (
        verify(identity.root, agreed, ROTATE_LABEL) != _succession(identity, root)
    ):
        raise BadIdentity("the old root agreed to something else")
    return replace(identity, root=root, next_root_hash=next_root_hash, rotated=identity.n + 1)


_KINDS: dict[str, Callable[[Identity, list[Any]], Identity]] = {
    ADD_DEVICE: _add_device,
    _REVOKE_DEVICE: _revoke_device,
    _ROTATE: _rotate,
}


def _root_entry(identity: Identity, n: int, signed: bytes) -> tuple[bytes, str, list[Any]]:
    """(prev, kind, fields) of an entry `n` that the root signed, or for a rotate the committed next root."""
    _, kind, said = parts = _parts(unverified_payload(_bounded(signed)), n)
    verify(_committed(identity, said) if kind == _ROTATE else identity.root, signed, IDENTITY_LABEL)
    return parts


def _committed(identity: Identity, said: list[Any]) -> bytes:
    root = blob(said[0] if said else None, size=32, what="new root key")
    if _hash(root) != identity.next_root_hash:
        raise BadIdentity("the rotation does not match the commitment before it")
    return root


def _succession(identity: Identity, new_root: bytes) -> bytes:
    return encode([identity.agent, identity.n + 1, identity.head, new_root])


def _parts(payload: bytes, n: int) -> tuple[bytes, str, list[Any]]:
    fields = array(decode(payload), what="identity entry")
    version(fields[0] if fields else None)
    if len(fields) < _HEAD or fields[1] != n or type(fields[1]) is not int:
        raise Malformed(f"this is not entry {n}")
    prev = blob(fields[2], size=32 if n else 0, what="prev")
    return prev, text(fields[3], at_most=_KIND_CHARS, what="kind"), fields[_HEAD:]


def _bounded(signed: bytes) -> bytes:
    return blob(signed, at_most=IDENTITY_ENTRY_BYTES, what="identity entry")


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
