"""What one device of an agent tells the others about a contact, as the body of an entry of the kind `own.contact`.

Only changes are sent: a field that is left out stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import BODY_BYTES
from p2p_agents.wire.card import Card, decode_card, encode_card
from p2p_agents.wire.cbor import uint
from p2p_agents.wire.kinds import Bytes, Custom, ListOf, Maybe, Uint
from p2p_agents.wire.layout import Versioned
from p2p_agents.wire.names import told_name

HIGHEST_TRUST = 5


@dataclass(frozen=True, slots=True)
class Share:
    """`trust` None: not sent. `renamed`: `petname` is sent, and None means no petname."""

    card: Card
    trust: int | None = None
    petname: str | None = None
    renamed: bool = False

    def __post_init__(self) -> None:
        if self.trust is not None:
            uint(self.trust, at_most=HIGHEST_TRUST, what="trust")
        if self.petname is not None:
            told_name(self.petname)
            if not self.renamed:
                raise Malformed("a petname must be text")


@dataclass(frozen=True, slots=True)
class ShareParts(Versioned):
    """A share as sent."""

    RULE: ClassVar[str] = "share"
    card: Annotated[bytes, Bytes(at_most=BODY_BYTES)]
    trust: Annotated[int | None, Maybe(Uint(HIGHEST_TRUST))]
    petname: Annotated[tuple[str | None, ...], ListOf(Maybe(Custom("agent-name", told_name)), 1, label="petname")]


def encode_share(share: Share) -> bytes:
    """The content of the entry's body; if it exceeds BODY_BYTES, the caller leaves the identity log out."""
    return ShareParts(encode_card(share.card), share.trust, (share.petname,) if share.renamed else ()).encoded()


def decode_share(data: bytes) -> Share:
    """Raises Malformed or UnknownVersion."""
    parts = ShareParts.decoded(data, limit=BODY_BYTES)
    petname = parts.petname[0] if parts.petname else None
    return Share(decode_card(parts.card), parts.trust, petname, bool(parts.petname))
