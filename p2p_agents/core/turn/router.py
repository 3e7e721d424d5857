"""Where each effect goes once its batch is committed: one table for the node and the simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, assert_never

from p2p_agents.core.kernel.effects import Announce, ForBridges, ForCallers, ForEndpoint, ForLane

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p2p_agents.core.kernel.effects import Outward


class Destinations(Protocol):
    """Those who carry out effects."""

    def to_endpoint(self, effect: ForEndpoint) -> None: ...

    def to_callers(self, effect: ForCallers) -> None: ...

    def to_bridges(self, effects: Sequence[ForBridges]) -> None:
        """All effects of one batch for bridges, in order: frames for one queue travel together."""
        ...

    def to_lane(self, effect: ForLane) -> None: ...

    def announce(self) -> None: ...


def route(effects: Iterable[Outward], to: Destinations) -> None:
    """Hand each effect to its destination, in order; those for bridges come last, together."""
    relayed: list[ForBridges] = []
    announced = False
    for effect in effects:
        if isinstance(effect, ForEndpoint):
            to.to_endpoint(effect)
        elif isinstance(effect, ForCallers):
            to.to_callers(effect)
        elif isinstance(effect, ForBridges):
            relayed.append(effect)
        elif isinstance(effect, ForLane):
            to.to_lane(effect)
        elif isinstance(effect, Announce):
            announced = True
        else:
            assert_never(effect)
    if relayed:
        to.to_bridges(relayed)
    if announced:
        to.announce()
