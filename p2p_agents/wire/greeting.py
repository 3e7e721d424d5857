"""GREETING, the frame by which the writer of a queue says who it is: it rides ahead of SYNC, and only there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from p2p_agents.limits import BUNDLE_BYTES, IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES
from p2p_agents.wire.cbor import array, array_of, blob, text, uint

ADDRESSES = 12  # observed, local, IPv4 and IPv6: as many as are dialled in parallel
ADDRESS_CHARS = 64


@dataclass(frozen=True, slots=True)
class Greeting:
    """[14, 0, key bundle, [identity entry…], node key, [address…]]: on a link, HELLO says all this."""

    TYPE: ClassVar[int] = 14
    bundle: bytes
    entries: tuple[bytes, ...]  # the whole identity log
    node: bytes  # the TLS key that answers at the addresses
    addresses: tuple[str, ...]  # IP literals with ports: tried, never believed

    def pack(self) -> list[object]:
        return [14, 0, self.bundle, list(self.entries), self.node, list(self.addresses)]

    @classmethod
    def unpack(cls, f: list[Any]) -> Greeting:
        _, link, bundle, entries, node, addresses = array(f, 6, what="GREETING")
        uint(link, at_most=0, what="link")
        entries = array_of(entries, IDENTITY_ENTRIES, "identity entries")
        addresses = array_of(addresses, ADDRESSES, "addresses")
        return cls(
            blob(bundle, at_most=BUNDLE_BYTES, what="bundle"),
            tuple(blob(e, at_most=IDENTITY_ENTRY_BYTES, what="identity entry") for e in entries),
            blob(node, size=32, what="node"),
            tuple(text(a, at_most=ADDRESS_CHARS, what="address") for a in addresses),
        )
