"""A contact card: how an introducer describes one agent to another, as the body of a `contact.card` entry.

    card = [1, agent, name, kind, [identity entry…], [[node, [[address, port]…]]…]]

The entry's author is the introducer. All of it is hearsay until the agent itself proves its id in a HELLO.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import (
    BODY_BYTES,
    CARD_ADDRESSES,
    CARD_NODES,
    IDENTITY_ENTRIES,
    IDENTITY_ENTRY_BYTES,
)
from p2p_agents.wire.cbor import VERSION, array, array_of, blob, decode, encode, version
from p2p_agents.wire.ip import Address, may_be_dialled, pack_address, unpack_address
from p2p_agents.wire.names import told_kind, told_name

_ITEMS = 32 + IDENTITY_ENTRIES + CARD_NODES * (3 + 3 * CARD_ADDRESSES)  # values in one card


@dataclass(frozen=True, slots=True)
class Place:
    """A node that the agent is said to live at: its TLS key, and where it answers."""

    node: bytes
    addresses: tuple[Address, ...]

    def __post_init__(self) -> None:
        blob(self.node, size=32, what="node key")
        if not 0 < len(self.addresses) <= CARD_ADDRESSES:
            raise Malformed(f"a node in a card has 1 to {CARD_ADDRESSES} addresses")
        if not all(map(may_be_dialled, self.addresses)):
            raise Malformed("the card has an address that nobody can be dialled at")


@dataclass(frozen=True, slots=True)
class Card:
    """Building one out of bounds raises Malformed. Without identity entries, a HELLO has to show them."""

    agent: bytes
    name: str
    kind: str
    entries: tuple[bytes, ...]
    places: tuple[Place, ...]

    def __post_init__(self) -> None:
        blob(self.agent, size=32, what="agent id")
        told_name(self.name, optional=True)
        told_kind(self.kind, optional=True)
        for entry in array_of(list(self.entries), IDENTITY_ENTRIES, "identity log"):
            blob(entry, at_most=IDENTITY_ENTRY_BYTES, what="identity entry")
        array_of(list(self.places), CARD_NODES, "nodes")


def encode_card(card: Card) -> bytes:
    """The content of the entry's body."""
    places = [[place.node, [pack_address(each) for each in place.addresses]] for place in card.places]
    return encode([VERSION, card.agent, card.name, card.kind, list(card.entries), places])


def decode_card(data: bytes) -> Card:
    """Raises Malformed or UnknownVersion."""
    fields = array(decode(data, limit=BODY_BYTES, items=_ITEMS), what="card")
    version(fields[0] if fields else None)
    _, agent, name, kind, entries, places = array(fields, 6, what="card")
    return Card(agent, name, kind, tuple(array(entries, what="identity log")), tuple(map(_place, _listed(places))))


def _listed(places: Any) -> list[Any]:
    return array_of(places, CARD_NODES, "nodes")


def _place(value: Any) -> Place:
    node, addresses = array(value, 2, what="node")
    return Place(node, tuple(map(unpack_address, array_of(addresses, CARD_ADDRESSES, "addresses"))))
