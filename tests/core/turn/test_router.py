from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from p2p_agents.core.kernel.effects import Announce, Effect, ForBridges, ForKeys, Hangup, LeaveBridge, Wake
from p2p_agents.core.turn.router import route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.core.kernel.effects import ForCallers, ForEndpoint, ForLane


class Everybody:
    """Records who was given what."""

    def __init__(self) -> None:
        self.got: list[tuple[str, object]] = []

    def to_endpoint(self, effect: ForEndpoint) -> None:
        self.got.append(("endpoint", effect))

    def to_callers(self, effect: ForCallers) -> None:
        self.got.append(("callers", effect))

    def to_bridges(self, effects: Sequence[ForBridges]) -> None:
        self.got.append(("bridges", list(effects)))

    def to_lane(self, effect: ForLane) -> None:
        self.got.append(("lane", effect))

    def announce(self) -> None:
        self.got.append(("announce", None))


@pytest.mark.parametrize("kind", [kind for kind in get_args(Effect) if kind not in get_args(ForKeys)])
def test_every_effect_goes_to_one_place(kind: type) -> None:
    effect, everybody = kind.__new__(kind), Everybody()
    route([effect], everybody)
    assert len(everybody.got) == 1


def test_in_order_and_those_for_bridges_together_at_the_end() -> None:
    first, last = LeaveBridge("p2p-bridge://one"), LeaveBridge("p2p-bridge://two")
    everybody = Everybody()
    route([first, Hangup(1, "late"), Announce(), last, Wake(1), Announce()], everybody)
    assert everybody.got == [
        ("endpoint", Hangup(1, "late")),
        ("callers", Wake(1)),
        ("bridges", [first, last]),
        ("announce", None),
    ]
