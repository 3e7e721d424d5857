"""The outer seal of what lies in a bridge's queue: it hides ids, sessions, turns, counters and lengths (PROTOCOL G1).

    blob = nonce24 || XChaCha20-Poly1305(key, nonce, pad([incarnation, [frame…]], floor 4 KiB), aad = H(label, queue))

The key is 32 random bytes that the queue's reader gave away with the write token. Whoever holds them can write; the
session frames inside prove who wrote. The incarnation is the writing node's, as HELLO names it on a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import nacl.bindings as sodium
import nacl.exceptions

from p2p_agents.crypto.digest import H
from p2p_agents.crypto.padding import pad, padded_size, unpad
from p2p_agents.errors import BadSeal
from p2p_agents.limits import BLOB_BYTES, BLOB_FLOOR_BYTES, BLOB_FRAMES
from p2p_agents.wire.cbor import array, array_of, blob, decode, encode, uint

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_BYTES = 32
NONCE_BYTES = 24
TAG_BYTES = 16

_LABEL = "p2pa/1 bridge blob"
_QUEUE_LABEL = "p2pa/1 bridge queue"
_TOKEN_LABEL = "p2pa/1 bridge token"  # noqa: S105 - a label


def queue_name(read_key: bytes) -> bytes:
    """The name of the queue that `read_key` may read, 32 bytes."""
    return H(_QUEUE_LABEL, read_key)


def token_hash(token: bytes) -> bytes:
    """The hash that the bridge keeps of a write token, or of the token of a side."""
    return H(_TOKEN_LABEL, token)


def seal_blob(key: bytes, queue: bytes, incarnation: int, frames: Sequence[bytes], nonce: bytes) -> bytes:
    """`frames` for that queue; `nonce` is 24 fresh random bytes."""
    content = pad(encode([incarnation, list(frames)]), BLOB_FLOOR_BYTES)
    return nonce + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(content, H(_LABEL, queue), nonce, key)


def open_blob(key: bytes, queue: bytes, sealed: bytes) -> tuple[int, list[bytes]]:
    """The incarnation and the frames that `seal_blob` was given. Raises BadSeal or Malformed."""
    nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        content = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, H(_LABEL, queue), nonce, key)
    except (nacl.exceptions.CryptoError, ValueError):  # ValueError: too short to hold a nonce and a tag
        raise BadSeal("the blob does not open") from None
    incarnation, frames = array(decode(unpad(content, BLOB_FLOOR_BYTES), limit=BLOB_BYTES), 2, what="blob")
    found = array_of(frames, BLOB_FRAMES, "frames of a blob")
    return uint(incarnation, what="incarnation"), [blob(frame, what="frame of a blob") for frame in found]


def blob_size(content: int) -> int:
    """Bytes of a blob whose frames take `content` bytes of CBOR."""
    return NONCE_BYTES + padded_size(content, BLOB_FLOOR_BYTES) + TAG_BYTES
