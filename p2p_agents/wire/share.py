"""What one device of an agent tells the others of a contact, as the body of an entry of the kind `own.contact`.

    share = [1, card, trust or nothing, [] or [petname or nothing]]

Only what changed is told: whatever is left out stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p_agents.errors import Malformed
from p2p_agents.limits import BODY_BYTES
from p2p_agents.wire.card import Card, decode_card, encode_card
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, uint, version
from p2p_agents.wire.names import told_name

HIGHEST_TRUST = 5


@dataclass(frozen=True, slots=True)
class Share:
    """`trust` None: not told. `renamed`: `petname` is told, None being no petname."""

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


def encode_share(share: Share) -> bytes:
    """The content of the entry's body; beyond BODY_BYTES the caller leaves the identity log out."""
    return encode([VERSION, encode_card(share.card), share.trust, [share.petname] if share.renamed else []])


def decode_share(data: bytes) -> Share:
    """Raises Malformed or UnknownVersion."""
    fields = array(decode(data, limit=BODY_BYTES), what="share")
    version(fields[0] if fields else None)
    _, card, trust, petname = array(fields, 4, what="share")
    named = array(petname, what="petname")
    if len(named) > 1:
        raise Malformed("there is more than one petname")
    return Share(
        decode_card(blob(card, at_most=BODY_BYTES, what="card")),
        None if trust is None else uint(trust, at_most=HIGHEST_TRUST, what="trust"),
        named[0] if named else None,
        bool(named),
    )
