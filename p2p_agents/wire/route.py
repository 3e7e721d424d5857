"""Where one device puts what another is to find: a queue at a bridge, and what opens it.

Its reader drew the token and the key and gives them to one device of one contact, sealed: in SYNC, or at the end of a
pairing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from p2p_agents.wire.bridge_address import ADDRESS_CHARS
from p2p_agents.wire.kinds import Bytes32, ListOf, Text
from p2p_agents.wire.layout import Layout

ROUTES = 4  # told to one peer: more bridges than that are no safer


@dataclass(frozen=True, slots=True)
class Route(Layout):
    """Building one out of bounds raises Malformed. Whether the address is one, its user finds out."""

    RULE: ClassVar[str] = "route"
    CHECKED: ClassVar[bool] = True
    bridge: Annotated[str, Text(ADDRESS_CHARS)]
    queue: Bytes32
    token: Bytes32 = field(repr=False)
    key: Bytes32 = field(repr=False)

    def __post_init__(self) -> None:
        self.check()


ROUTE_LIST = ListOf(Route, ROUTES)
Routes = Annotated[tuple[Route, ...], ROUTE_LIST]


def unpack_routes(value: Any) -> tuple[Route, ...]:
    """Raises Malformed."""
    routes: tuple[Route, ...] = ROUTE_LIST.reader("routes")(value)
    return routes
