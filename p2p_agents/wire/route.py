"""Where one device leaves blobs for another: a queue at a bridge, and the keys for it.

Its reader drew the token and the key, and sends them sealed to one device of one contact: in SYNC, or at the end of a
pairing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from p2p_agents.wire.bridge_address import ADDRESS_CHARS
from p2p_agents.wire.kinds import Bytes32, ListOf, Text
from p2p_agents.wire.layout import Layout

ROUTES = 4  # sent to one peer: more bridges than that do not make delivery safer


@dataclass(frozen=True, slots=True)
class Route(Layout):
    """Building one out of bounds raises Malformed. Whether the address is valid is checked where it is used."""

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
