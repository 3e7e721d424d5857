"""The mDNS TXT record of one agent (RFC 6763 section 6). It proves nothing: it says who may be asked, and where."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import INT_MAX
from p2p_agents.wire.names import told_kind, told_name

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = b"1"
ID_BYTES = 32
PORT_MAX = 65_535
STATUSES = ("online", "busy", "idle")
NUMBER_RE = re.compile(rb"0|[1-9][0-9]{0,15}")
NODE_LABEL_CHARS = 10  # 50 bits of the node's key: one agent may live on several nodes


@dataclass(frozen=True, slots=True)
class Advert:
    """One agent as a node announces it. `incarnation` is when the node started, in ms. Raises Malformed."""

    agent: bytes
    name: str
    kind: str
    status: str
    node: bytes
    incarnation: int
    port: int

    def __post_init__(self) -> None:
        if len(self.agent) != ID_BYTES or len(self.node) != ID_BYTES:
            raise Malformed(f"an advert's agent id and node key have {ID_BYTES} bytes")
        told_name(self.name)
        told_kind(self.kind)
        if self.status not in STATUSES:
            raise Malformed("the advert's status is unknown")
        if not 0 <= self.incarnation <= INT_MAX or not 0 < self.port <= PORT_MAX:
            raise Malformed("a number in the advert is out of range")


def encode_txt(advert: Advert) -> dict[str, bytes]:
    """Short keys, raw ids; under 300 bytes in all."""
    return {
        "v": VERSION,
        "a": advert.agent,
        "n": advert.name.encode(),
        "k": advert.kind.encode(),
        "s": advert.status.encode(),
        "t": advert.node,
        "i": str(advert.incarnation).encode(),
    }


def decode_txt(properties: Mapping[bytes, bytes | None] | Mapping[str, bytes | None], port: int) -> Advert:
    """The advert of a TXT record and its SRV port; unknown keys are skipped.

    Raises Malformed, UnknownVersion.
    """
    values = {_text(key): value for key, value in properties.items()}
    if values.get("v") != VERSION:
        raise UnknownVersion("the advert has another version")
    found = {key: values.get(key) for key in "ankstiv"}
    incarnation = found["i"] or b""
    if NUMBER_RE.fullmatch(incarnation) is None:
        raise Malformed("the advert's incarnation is not a number")
    return Advert(
        agent=found["a"] or b"",
        name=_text(found["n"] or b""),
        kind=_text(found["k"] or b""),
        status=_text(found["s"] or b""),
        node=found["t"] or b"",
        incarnation=int(incarnation),
        port=port,
    )


def instance_label(agent: bytes, node: bytes) -> str:
    """The DNS label of an agent on a node, 63 bytes: no other pair has it, so no probing is needed."""
    return f"{_base32(agent)}-{_base32(node)[:NODE_LABEL_CHARS]}"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _text(value: bytes | str) -> str:
    """ASCII text; anything else becomes text that no check accepts."""
    return value if isinstance(value, str) else value.decode("ascii", "replace")
