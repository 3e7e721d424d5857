"""A contact card: how an introducer describes one agent to another, as the body of a `contact.card` entry.

The entry's author is the introducer. All of it is hearsay until the agent itself proves its id in a HELLO.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import BODY_BYTES, CARD_ADDRESSES, CARD_NODES, IDENTITY_ENTRIES
from p2p_agents.wire.ip import ADDRESS, Address, may_be_dialled
from p2p_agents.wire.kinds import Bytes32, ListOf
from p2p_agents.wire.layout import Layout, Versioned
from p2p_agents.wire.names import KindOrNothing, NameOrNothing
from p2p_agents.wire.parts import IdentityLog

_ITEMS = 32 + IDENTITY_ENTRIES + CARD_NODES * (3 + 3 * CARD_ADDRESSES)  # values in one card


@dataclass(frozen=True, slots=True)
class Place(Layout):
    """A node that the agent is said to live at: its TLS key, and where it answers."""

    WHAT: ClassVar[str] = "node"
    CHECKED: ClassVar[bool] = True
    node: Bytes32
    addresses: Annotated[tuple[Address, ...], ListOf(ADDRESS, CARD_ADDRESSES, at_least=1)]

    def __post_init__(self) -> None:
        self.check()
        if not all(map(may_be_dialled, self.addresses)):
            raise Malformed("the card has an address that nobody can be dialled at")


@dataclass(frozen=True, slots=True)
class Card(Versioned):
    """Building one out of bounds raises Malformed. Without identity entries, a HELLO has to show them."""

    RULE: ClassVar[str] = "card"
    CHECKED: ClassVar[bool] = True
    agent: Bytes32
    name: NameOrNothing
    kind: KindOrNothing
    entries: IdentityLog
    places: Annotated[tuple[Place, ...], ListOf(Place, CARD_NODES)]

    def __post_init__(self) -> None:
        self.check()


def encode_card(card: Card) -> bytes:
    """The content of the entry's body."""
    return card.encoded()


def decode_card(data: bytes) -> Card:
    """Raises Malformed or UnknownVersion."""
    return Card.decoded(data, limit=BODY_BYTES, items=_ITEMS)
