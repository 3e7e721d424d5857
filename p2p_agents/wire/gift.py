"""The start that a new device of an agent gets, with the last message of the pairing that linked it.

The identity entries follow those that the displayer showed and end with, or before, the one that brings the device in.
A floor names the entry up to which a device's chain is left out of the history that follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from p2p_agents.limits import LINK_FLOORS, NAME_CHARS, PAIRING_MESSAGE_BYTES
from p2p_agents.wire.kinds import Bool, Bytes, Bytes32, ListOf, Text, Uint53
from p2p_agents.wire.layout import Layout, Versioned
from p2p_agents.wire.parts import IdentityLog


@dataclass(frozen=True, slots=True)
class Floor(Layout):
    """`peer` is the other side of the conversation, `device` who wrote the chain."""

    RULE: ClassVar[str] = "floor"
    peer: Bytes32
    device: Bytes32
    epoch: Annotated[bytes, Bytes(8)]
    seq: Uint53
    entry: Bytes32
    lamport: Uint53


@dataclass(frozen=True, slots=True)
class Gift(Versioned):
    RULE: ClassVar[str] = "gift"
    entries: IdentityLog
    policy: Annotated[str, Text(NAME_CHARS)]
    hidden: Bool
    floors: Annotated[tuple[Floor, ...], ListOf(Floor, LINK_FLOORS)]


def encode_gift(gift: Gift) -> bytes:
    return gift.encoded()


def decode_gift(data: bytes) -> Gift:
    """Raises Malformed or UnknownVersion."""
    return Gift.decoded(data, limit=PAIRING_MESSAGE_BYTES)
