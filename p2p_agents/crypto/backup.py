"""The backup of one agent: a file under a passphrase, holding all that a new installation cannot make itself.

    file   = frame(header) check SHA-256(header || check) frame(piece)…       frame(x) = length as 4 bytes big-endian, x
    header = [1, "p2pa backup", memory KiB, passes, lanes, salt16, stream header24]
    check  = HMAC-SHA256(check key, header)
    piece  = "a" || [name, kind, policy, hidden, [entry…], root seed, next root seed or empty, created ms]  one, first
           | "c" || [agent, name, kind, petname, trust, frozen, final, [entry…]]              one for each contact
           | "l" || chunk of the log
           | empty, tagged final                                                              one, last

Argon2id gives the stream key and the check key, 32 bytes each; the pieces are XChaCha20-Poly1305 secretstream messages
with the header as additional data. Never in it: device keys and sessions, so that a restored agent is a new device that
can neither open an old session nor use a key twice.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import nacl.bindings as sodium
import nacl.exceptions
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from p2p_agents.crypto.identity import Identity, replay
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import (
    BackupDamaged,
    BackupPassphrase,
    BackupTruncated,
    BackupVersion,
    BadIdentity,
    Malformed,
    UnknownVersion,
)
from p2p_agents.limits import (
    BACKUP_CHUNK_BYTES,
    BACKUP_CONTACTS,
    BACKUP_KDF_KIB,
    BACKUP_KDF_LANES,
    BACKUP_KDF_MAX_KIB,
    BACKUP_KDF_MAX_PASSES,
    BACKUP_KDF_PASSES,
    NAME_CHARS,
    REASON_CHARS,
)
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, flag, text, uint, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SALT_BYTES = 16

_T = TypeVar("_T")

_MAGIC = "p2pa backup"
_LENGTH_BYTES = 4
_HASH_BYTES = 32
_HEADER_BYTES = 256
_LEAST_KIB = 8  # Argon2's own minimum for one lane
_AGENT, _CONTACT, _LOG = b"a", b"c", b"l"  # in this order
_PETNAME_CHARS = 2 * NAME_CHARS
_MESSAGE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_STREAM_HEADER_BYTES = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_PIECE_BYTES = 1 + BACKUP_CHUNK_BYTES + sodium.crypto_secretstream_xchacha20poly1305_ABYTES


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one guess at the passphrase: Argon2id's parameters. Out of bounds raises Malformed."""

    kib: int = BACKUP_KDF_KIB
    passes: int = BACKUP_KDF_PASSES
    lanes: int = BACKUP_KDF_LANES

    def __post_init__(self) -> None:
        uint(self.lanes, at_most=BACKUP_KDF_LANES, what="lanes")
        uint(self.passes, at_most=BACKUP_KDF_MAX_PASSES, what="passes")
        uint(self.kib, at_most=BACKUP_KDF_MAX_KIB, what="memory")
        if not (self.lanes and self.passes) or self.kib < _LEAST_KIB * self.lanes:
            raise Malformed("the key derivation costs less than the minimum")


@dataclass(frozen=True, slots=True)
class Pin:
    """A contact as it is kept: what it is called, how far it is trusted, why it is frozen, and its identity log, if it
    ever showed one. A log that is another agent's raises BadIdentity."""

    agent: bytes
    name: str
    kind: str
    petname: str
    trust: str
    frozen: str
    final: bool
    entries: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if self.entries and replay(self.entries).agent != self.agent:
            raise BadIdentity("a contact has another agent's identity log")


@dataclass(frozen=True, slots=True)
class Backup:
    """An agent, as its backup describes it. Keys that do not fit the log raise BadIdentity.

    `next_root` is empty if it is kept elsewhere, which is better: the file alone then cannot take the agent over.
    """

    name: str
    kind: str
    policy: str
    hidden: bool
    identity: Identity
    root: bytes = field(repr=False)
    next_root: bytes = field(repr=False)
    contacts: tuple[Pin, ...]
    created_ms: int

    def __post_init__(self) -> None:
        if SigningKey.from_seed(self.root).public != self.identity.root:
            raise BadIdentity("the root key is not the one in force")
        following = SigningKey.from_seed(self.next_root).public if self.next_root else None
        if following and hashlib.sha256(following).digest() != self.identity.next_root_hash:
            raise BadIdentity("the next root key is not the one committed to")
        if len(self.contacts) > BACKUP_CONTACTS:
            raise Malformed(f"a backup holds at most {BACKUP_CONTACTS} contacts")


def write(
    backup: Backup, log: Iterable[bytes], passphrase: str, salt: bytes, cost: Cost | None = None
) -> Iterator[bytes]:
    """The file, part by part; `log` gives chunks of 1 to BACKUP_CHUNK_BYTES. The library draws the stream's nonce."""
    cost = cost or Cost()
    stream = sodium.crypto_secretstream_xchacha20poly1305_state()
    stream_key, check_key = _derive(passphrase, salt, cost)
    nonce = sodium.crypto_secretstream_xchacha20poly1305_init_push(stream, stream_key)
    header = encode([VERSION, _MAGIC, cost.kib, cost.passes, cost.lanes, salt, nonce])
    check = hmac.digest(check_key, header, "sha256")
    yield _frame(header) + check + hashlib.sha256(header + check).digest()

    def piece(kind: bytes, content: bytes, tag: int = _MESSAGE) -> bytes:
        if len(content) > BACKUP_CHUNK_BYTES:
            raise Malformed(f"a piece of a backup has at most {BACKUP_CHUNK_BYTES} bytes")
        return _frame(sodium.crypto_secretstream_xchacha20poly1305_push(stream, kind + content, header, tag))

    yield piece(_AGENT, _pack_agent(backup))
    for pin in backup.contacts:
        yield piece(_CONTACT, _pack_pin(pin))
    for chunk in log:
        yield piece(_LOG, blob(chunk, what="log chunk"))
    yield piece(b"", b"", _FINAL)


def read(source: Callable[[int], bytes], passphrase: str) -> tuple[Backup, Iterator[bytes]]:
    """The agent, and its log's chunks; `source` gives up to so many bytes, as a file's read does.

    Raises BackupPassphrase, BackupDamaged, BackupTruncated or BackupVersion; the chunks too, as they are taken: only
    who has taken them all knows that the file is whole. A damaged length may read as a truncated file.
    """
    header, cost, salt, nonce, check = _read_header(source)
    stream_key, check_key = _derive(passphrase, salt, cost)
    if not hmac.compare_digest(hmac.digest(check_key, header, "sha256"), check):
        raise BackupPassphrase
    stream = sodium.crypto_secretstream_xchacha20poly1305_state()
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(stream, nonce, stream_key)
    return _read_agent(_pieces(source, stream, header))


def _read_header(source: Callable[[int], bytes]) -> tuple[bytes, Cost, bytes, bytes, bytes]:
    header = _read_frame(source, _HEADER_BYTES)
    check, digest = _exactly(source, _HASH_BYTES), _exactly(source, _HASH_BYTES)
    if not hmac.compare_digest(hashlib.sha256(header + check).digest(), digest):
        raise BackupDamaged
    try:
        fields = array(decode(header), what="header")
        version(fields[0] if fields else None)
        _, magic, kib, passes, lanes, salt, nonce = array(fields, 7, what="header")
        blob(salt, size=SALT_BYTES, what="salt")
        blob(nonce, size=_STREAM_HEADER_BYTES, what="nonce")
        cost = Cost(kib, passes, lanes)
    except UnknownVersion:
        raise BackupVersion from None
    except Malformed as error:
        raise BackupDamaged(f"the backup's header is invalid: {error.message}") from error
    if magic != _MAGIC:
        raise BackupDamaged
    return header, cost, salt, nonce, check


def _pieces(source: Callable[[int], bytes], stream: Any, header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of each piece, in the order of their kinds, up to the final one and the end of the file."""
    before = b""
    while True:
        sealed = _read_frame(source, _PIECE_BYTES)
        try:
            content, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(stream, sealed, header)
        except (nacl.exceptions.CryptoError, ValueError):  # ValueError: shorter than its overhead
            raise BackupDamaged from None
        if tag == _FINAL:
            break
        kind = content[:1]
        if kind < before or kind not in (_AGENT, _CONTACT, _LOG):
            raise BackupDamaged("the backup's pieces are out of order")
        before = kind
        yield kind, content[1:]
    if source(1):
        raise BackupDamaged("the backup has data after its end")


def _read_agent(pieces: Iterator[tuple[bytes, bytes]]) -> tuple[Backup, Iterator[bytes]]:
    contacts: list[Pin] = []
    agent, first = b"", None
    for kind, content in pieces:
        if kind == _LOG:
            first = content
            break
        if kind == _AGENT and not agent:
            agent = content
        elif kind == _CONTACT and len(contacts) < BACKUP_CONTACTS:
            contacts.append(_shaped(_unpack_pin, content))
        else:
            raise BackupDamaged("the backup holds two agents, or too many contacts")
    return _shaped(lambda fields: _unpack_agent(fields, tuple(contacts)), agent), _log(first, pieces)


def _log(first: bytes | None, pieces: Iterator[tuple[bytes, bytes]]) -> Iterator[bytes]:
    if first is not None:
        yield first
    for _, content in pieces:
        yield content


def _pack_agent(backup: Backup) -> bytes:
    keys = [backup.root, backup.next_root]
    settings = [backup.name, backup.kind, backup.policy, backup.hidden]
    return encode([*settings, list(backup.identity.entries), *keys, backup.created_ms])


def _unpack_agent(fields: Any, contacts: tuple[Pin, ...]) -> Backup:
    name, kind, policy, hidden, entries, root, next_root, created_ms = array(fields, 8, what="agent")
    return Backup(
        text(name, at_most=NAME_CHARS, what="name"),
        text(kind, at_most=NAME_CHARS, what="kind"),
        text(policy, at_most=NAME_CHARS, what="policy"),
        flag(hidden, what="hidden"),
        replay(_entries(entries)),
        blob(root, size=32, what="root key"),
        blob(next_root, size=32 if next_root else 0, what="next root key"),
        contacts,
        uint(created_ms, what="created_ms"),
    )


def _pack_pin(pin: Pin) -> bytes:
    known = [pin.agent, pin.name, pin.kind, pin.petname]
    return encode([*known, pin.trust, pin.frozen, pin.final, list(pin.entries)])


def _unpack_pin(fields: Any) -> Pin:
    agent, name, kind, petname, trust, frozen, final, entries = array(fields, 8, what="contact")
    return Pin(
        blob(agent, size=32, what="agent"),
        text(name, at_most=NAME_CHARS, what="name"),
        text(kind, at_most=NAME_CHARS, what="kind"),
        text(petname, at_most=_PETNAME_CHARS, what="petname"),
        text(trust, at_most=NAME_CHARS, what="trust"),
        text(frozen, at_most=REASON_CHARS, what="frozen"),
        flag(final, what="final"),
        _entries(entries),
    )


def _entries(value: Any) -> tuple[bytes, ...]:
    return tuple(blob(each, what="identity entry") for each in array(value, what="identity log"))


def _shaped(unpack: Callable[[Any], _T], data: bytes) -> _T:
    """The fields of a piece. It was sealed under the passphrase, so any fault in it was there when it was written."""
    try:
        return unpack(decode(data))
    except UnknownVersion:
        raise BackupVersion from None
    except (Malformed, BadIdentity) as error:
        raise BackupDamaged(f"the backup was written wrong: {error.message}") from error


def _derive(passphrase: str, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    """The stream key and the check key of a passphrase, however its letters were composed (Unicode NFKC)."""
    blob(salt, size=SALT_BYTES, what="salt")
    kdf = Argon2id(salt=salt, length=64, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.kib)
    key = kdf.derive(unicodedata.normalize("NFKC", passphrase).encode())
    return key[:32], key[32:]


def _frame(content: bytes) -> bytes:
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def _read_frame(source: Callable[[int], bytes], at_most: int) -> bytes:
    length = int.from_bytes(_exactly(source, _LENGTH_BYTES), "big")
    if length > at_most:
        raise BackupDamaged
    return _exactly(source, length)


def _exactly(source: Callable[[int], bytes], count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = source(count - len(found))
        if not more:
            raise BackupTruncated
        found += more
    return found
