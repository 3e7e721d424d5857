"""KNOCK, the frame by which a stranger asks over a bridge to be accepted: it travels in public queues only.

    knock = [1, agent, device, peer agent, entry hash, text, stamp, [identity entry…], key bundle, name, kind, [route…]]

Signed by the device and sealed to the peer's prekey: outsiders see nothing of the sender. It holds all that
HELLO and REQUEST say on a link, and where the answer is to be left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import (
    BUNDLE_BYTES,
    IDENTITY_ENTRIES,
    IDENTITY_ENTRY_BYTES,
    KNOCK_BYTES,
    TEXT_PREVIEW_BYTES,
)
from p2p_agents.wire.cbor import VERSION, array, array_of, blob, decode, encode, text, uint, version
from p2p_agents.wire.names import told_kind, told_name
from p2p_agents.wire.route import Route, unpack_routes

KNOCK_LABEL = "p2pa/1 knock"


@dataclass(frozen=True, slots=True)
class Knock:
    """[15, 0, HPKE(signed knock)]"""

    TYPE: ClassVar[int] = 15
    sealed: bytes

    def pack(self) -> list[object]:
        return [15, 0, self.sealed]

    @classmethod
    def unpack(cls, f: list[Any]) -> Knock:
        _, link, sealed = array(f, 3, what="KNOCK")
        uint(link, at_most=0, what="link")
        return cls(blob(sealed, at_most=KNOCK_BYTES, what="sealed"))


@dataclass(frozen=True, slots=True)
class KnockClaims:
    """A stranger's request. Building one out of bounds raises Malformed."""

    agent: bytes
    device: bytes
    peer: bytes
    entry: bytes  # the first entry that waits to be delivered
    text: str  # a preview of it, at most TEXT_PREVIEW_BYTES
    stamp: int  # as in SYNC: rises with every word of this device
    entries: tuple[bytes, ...]  # the whole identity log
    bundle: bytes
    name: str
    kind: str
    routes: tuple[Route, ...] = field(repr=False)  # where the answer may be left

    def __post_init__(self) -> None:
        for what in ("agent", "device", "peer", "entry"):
            blob(getattr(self, what), size=32, what=what)
        preview = text(self.text, at_most=TEXT_PREVIEW_BYTES, what="text")
        if len(preview.encode()) > TEXT_PREVIEW_BYTES:
            raise Malformed(f"the knock's text has more than {TEXT_PREVIEW_BYTES} bytes")
        uint(self.stamp, what="stamp")
        for entry in array_of(list(self.entries), IDENTITY_ENTRIES, "identity entries"):
            blob(entry, at_most=IDENTITY_ENTRY_BYTES, what="identity entry")
        blob(self.bundle, at_most=BUNDLE_BYTES, what="bundle")
        told_name(self.name)
        told_kind(self.kind)


def encode_knock(c: KnockClaims) -> bytes:
    """The bytes that the device signs."""
    said = [c.agent, c.device, c.peer, c.entry, c.text, c.stamp]
    routes = [route.pack() for route in c.routes]
    return encode([VERSION, *said, list(c.entries), c.bundle, c.name, c.kind, routes])


def decode_knock(data: bytes) -> KnockClaims:
    """Raises Malformed or UnknownVersion."""
    fields = decode(data, limit=KNOCK_BYTES)
    version(fields[0] if isinstance(fields, list) and fields else None)
    _, agent, device, peer, entry, said, stamp, entries, bundle, name, kind, routes = array(fields, 12, what="knock")
    log = tuple(array(entries, what="identity log"))
    return KnockClaims(agent, device, peer, entry, said, stamp, log, bundle, name, kind, unpack_routes(routes))
