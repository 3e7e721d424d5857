"""The address of a bridge as people pass it on: bridge://HOST:PORT#KEY, the key in base32.

One port serves QUIC on UDP and WebSocket over TLS on TCP. The key is the bridge's own, whatever certificate its
TLS shows: clients pin this key.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from p2p_agents.errors import BadBridge

SCHEME = "bridge://"
KEY_BYTES = 32
HOST_CHARS = 253  # RFC 1035 section 2.3.4, written without the last dot
ADDRESS_CHARS = len(SCHEME) + HOST_CHARS + 2 + 6 + 1 + 52
PORT_MAX = 65_535

_SHAPE = re.compile(r"bridge://(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})#([A-Za-z2-7]{52})", re.ASCII)


@dataclass(frozen=True, slots=True)
class BridgeAddress:
    """Where a bridge is, and who it must be. `host` is a name or an IP literal, without brackets."""

    host: str
    port: int
    key: bytes

    def __post_init__(self) -> None:
        if not 0 < self.port <= PORT_MAX:
            raise BadBridge(f"not a port (1 to {PORT_MAX}): {self.port}")
        if len(self.key) != KEY_BYTES or not 0 < len(self.host) <= HOST_CHARS:
            raise BadBridge

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        key = base64.b32encode(self.key).decode().rstrip("=").lower()
        return f"{SCHEME}{host}:{self.port}#{key}"


def parse_bridge(text: str) -> BridgeAddress:
    """The inverse of str(). Raises BadBridge."""
    found = _SHAPE.fullmatch(text.strip()) if len(text) <= ADDRESS_CHARS + 8 else None
    if found is None:
        raise BadBridge(f"not a bridge's address: {text[:80]!r}")
    host, port, key = found.groups()
    address = BridgeAddress(host.strip("[]"), int(port), base64.b32decode(key.upper() + "===="))
    if not str(address).endswith(key.lower()):  # its last character holds four bits only
        raise BadBridge("the key in the bridge's address is incomplete")
    return address
