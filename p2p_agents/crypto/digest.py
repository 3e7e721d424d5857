"""The one labelled hash of structured values."""

from __future__ import annotations

import hashlib
from typing import Any

from p2p_agents.wire.cbor import encode


def H(label: str, *parts: Any) -> bytes:
    """SHA-256 over deterministic CBOR [label, *parts], 32 bytes: parts cannot run into each other."""
    return hashlib.sha256(encode([label, *parts])).digest()
