"""KNOCK, the frame by which a stranger asks over a bridge to be accepted: it travels in public queues only.

Its claims are signed by the device and sealed to the peer's prekey: outsiders see nothing of the sender. They hold
all that HELLO and REQUEST say on a link, and where the answer is to be left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from p2p_agents.limits import KNOCK_BYTES
from p2p_agents.wire.kinds import Bytes, Bytes32, Uint53
from p2p_agents.wire.layout import Typed, Versioned
from p2p_agents.wire.names import AgentKind, AgentName
from p2p_agents.wire.parts import Bundle, IdentityLog, Preview
from p2p_agents.wire.route import Routes

KNOCK_LABEL = "p2pa/1 knock"


@dataclass(frozen=True, slots=True)
class Knock(Typed):
    TYPE: ClassVar[int] = 15
    NEXT: ClassVar[tuple[int, ...]] = (0,)
    RULE: ClassVar[str] = "knock"
    sealed: Annotated[bytes, Bytes(at_most=KNOCK_BYTES)]  # HPKE(signed knock)


@dataclass(frozen=True, slots=True)
class KnockClaims(Versioned):
    """A stranger's request. Building one out of bounds raises Malformed."""

    RULE: ClassVar[str] = "knock-claims"
    CHECKED: ClassVar[bool] = True
    agent: Bytes32
    device: Bytes32
    peer: Bytes32
    entry: Bytes32  # the first entry that waits to be delivered
    text: Preview  # of it
    stamp: Uint53  # as in SYNC: rises with every word of this device
    entries: IdentityLog  # the whole one
    bundle: Bundle
    name: AgentName
    kind: AgentKind
    routes: Routes = field(repr=False)  # where the answer may be left

    def __post_init__(self) -> None:
        self.check()


def encode_knock(claims: KnockClaims) -> bytes:
    """The bytes that the device signs."""
    return claims.encoded()


def decode_knock(data: bytes) -> KnockClaims:
    """Raises Malformed or UnknownVersion."""
    return KnockClaims.decoded(data, limit=KNOCK_BYTES)
