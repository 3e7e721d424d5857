"""The start that a new device of an agent gets, with the last message of the pairing that linked it.

    gift  = [1, [identity entry…], policy, hidden, [floor…]]
    floor = [other side, device, epoch, seq, entry, lamport]

The identity entries follow those that the displayer showed and end with, or before, the one that brings the device in.
A floor names the entry up to which a device's chain is left out of the history that follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES, LINK_FLOORS, NAME_CHARS, PAIRING_MESSAGE_BYTES
from p2p_agents.wire.cbor import VERSION, array, array_of, blob, decode, encode, flag, text, uint, version


@dataclass(frozen=True, slots=True)
class Floor:
    """`peer` is the other side of the conversation, `device` who wrote the chain."""

    peer: bytes
    device: bytes
    epoch: bytes
    seq: int
    entry: bytes
    lamport: int


@dataclass(frozen=True, slots=True)
class Gift:
    entries: tuple[bytes, ...]
    policy: str
    hidden: bool
    floors: tuple[Floor, ...]


def encode_gift(gift: Gift) -> bytes:
    floors = [[f.peer, f.device, f.epoch, f.seq, f.entry, f.lamport] for f in gift.floors]
    return encode([VERSION, list(gift.entries), gift.policy, gift.hidden, floors])


def decode_gift(data: bytes) -> Gift:
    """Raises Malformed or UnknownVersion."""
    fields = array(decode(data, limit=PAIRING_MESSAGE_BYTES), what="gift")
    version(fields[0] if fields else None)
    _, entries, policy, hidden, floors = array(fields, 5, what="gift")
    return Gift(
        tuple(
            blob(entry, at_most=IDENTITY_ENTRY_BYTES, what="identity entry")
            for entry in array_of(entries, IDENTITY_ENTRIES, "identity log")
        ),
        text(policy, at_most=NAME_CHARS, what="policy"),
        flag(hidden, what="hidden"),
        tuple(_floor(each) for each in array_of(floors, LINK_FLOORS, "floors")),
    )


def _floor(value: Any) -> Floor:
    peer, device, epoch, seq, entry, lamport = array(value, 6, what="floor")
    return Floor(
        blob(peer, size=32, what="peer"),
        blob(device, size=32, what="device"),
        blob(epoch, size=8, what="epoch"),
        uint(seq, what="seq"),
        blob(entry, size=32, what="entry"),
        uint(lamport, what="lamport"),
    )
