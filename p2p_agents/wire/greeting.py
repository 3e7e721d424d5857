"""GREETING, the frame by which the writer of a queue says who it is: it rides ahead of SYNC, and only there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from p2p_agents.wire.extensions import NOTHING, ExtensionMap
from p2p_agents.wire.kinds import Bytes32, ListOf
from p2p_agents.wire.layout import Typed
from p2p_agents.wire.parts import CODE, Bundle, IdentityLog

ADDRESSES = 12  # observed, local, IPv4 and IPv6: as many as are dialled in parallel


@dataclass(frozen=True, slots=True)
class Greeting(Typed):
    """On a link, HELLO says all this."""

    TYPE: ClassVar[int] = 14
    NEXT: ClassVar[tuple[int, ...]] = (0,)
    RULE: ClassVar[str] = "greeting"
    bundle: Bundle
    entries: IdentityLog  # the whole one
    node: Bytes32  # the TLS key that answers at the addresses
    addresses: Annotated[
        tuple[str, ...], ListOf(CODE, ADDRESSES, label="address")
    ]  # IP literals with ports: only tried
    extensions: ExtensionMap = NOTHING
