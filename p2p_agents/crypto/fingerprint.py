"""Agent ids as humans see them: base32 text, its prefixes, and the safety number of two agents."""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache

from p2p_agents.errors import Malformed
from p2p_agents.wire.cbor import blob, encode

ID_BYTES = 32
ID_CHARS = 52
PREFIX_CHARS = 6  # 30 bits: the shortest prefix that names an agent

_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")  # RFC 4648 base32, lower case
_SAFETY_LABEL = "p2pa/1 safety number"
_TEXTS_KEPT = 1_024  # of ids: those in use are written with every message
_GROUPS = 12
_GROUP_BYTES = 5


@lru_cache(maxsize=_TEXTS_KEPT)
def id_text(agent: bytes) -> str:
    """The agent id as 52 lower-case base32 characters, unpadded."""
    return base64.b32encode(blob(agent, size=ID_BYTES, what="agent id")).decode().rstrip("=").lower()


def parse_id(text: str) -> bytes:
    """The 32 bytes of an agent id in either case. Raises Malformed."""
    if len(text) != ID_CHARS or not text.isascii():
        raise Malformed(f"an agent id has {ID_CHARS} base32 characters")
    try:
        agent = base64.b32decode(text.upper() + "====")
    except binascii.Error:
        raise Malformed("an agent id has only the characters a-z and 2-7") from None
    if id_text(agent) != text.lower():
        raise Malformed("the last character of the agent id is impossible")
    return agent


def is_id_prefix(text: str) -> bool:
    """Whether `text` could be the start of an agent id, or all of it."""
    return PREFIX_CHARS <= len(text) <= ID_CHARS and _ALPHABET.issuperset(text.lower())


def safety_number(a: bytes, b: bytes) -> str:
    """60 digits in 12 groups of 5, the same from both sides: two people read it to each other."""
    low, high = sorted((blob(a, size=ID_BYTES, what="agent id"), blob(b, size=ID_BYTES, what="agent id")))
    digest = hashlib.sha512(encode([_SAFETY_LABEL, low, high])).digest()
    chunks = (digest[i : i + _GROUP_BYTES] for i in range(0, _GROUPS * _GROUP_BYTES, _GROUP_BYTES))
    return " ".join(f"{int.from_bytes(chunk, 'big') % 100_000:05d}" for chunk in chunks)
