"""Where one device puts what another is to find: a queue at a bridge, and what opens it.

    route = [bridge address, queue, write token, outer key]

Its reader drew the token and the key and gives them to one device of one contact, sealed: in SYNC, or at the end of a
pairing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from p2p_agents.wire.bridge_address import ADDRESS_CHARS
from p2p_agents.wire.cbor import array, array_of, blob, text

ROUTES = 4  # told to one peer: more bridges than that are no safer
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Route:
    """Building one out of bounds raises Malformed. Whether the address is one, its user finds out."""

    bridge: str
    queue: bytes
    token: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        text(self.bridge, at_most=ADDRESS_CHARS, what="bridge address")
        for name in ("queue", "token", "key"):
            blob(getattr(self, name), size=KEY_BYTES, what=name)

    def pack(self) -> list[object]:
        return [self.bridge, self.queue, self.token, self.key]


def unpack_routes(value: Any) -> tuple[Route, ...]:
    """Raises Malformed."""
    return tuple(Route(*array(route, 4, what="route")) for route in array_of(value, ROUTES, "routes"))
