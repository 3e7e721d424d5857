"""Meeting places at bridges: they connect pairings that have no connection of their own.

A code's place is public, so a bridge that both sides know can bring them together, and it can read nothing that they
exchange. The LAN comes first: a joiner asks bridges only if nobody nearby has answered for a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import Meet, TellPlace
from p2p_agents.core.pairing.desk import HERE, Desk, Seat
from p2p_agents.core.relay import ways
from p2p_agents.wire.frame import Pair, encode_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.pairing.desk import Join

LAN_FIRST_S = 1.5  # a code on the LAN is found within this time; then bridges are asked too
ENDED = 2  # places of the latest ended codes, where late peers are told so; few, since bridges lend few
TOKEN_BYTES = 32


def take_seats(core: Core) -> None:
    """Take seats where codes are shown or tried, and give up all others."""
    if not core.bridges and not core.of(Desk).seats:
        return
    shown = sum(len(display.machines) for display in core.of(Desk).shown())
    wanted = dict.fromkeys(core.of(Desk).places(core.now_ms())[: shown + ENDED], True)
    for attempt in core.of(Desk).trying():
        if core.now() - attempt.begun >= LAN_FIRST_S:
            wanted.setdefault(attempt.place, False)
    for place in [place for place, seat in core.of(Desk).seats.items() if wanted.get(place) is not seat.displayer]:
        seat = core.of(Desk).seats.pop(place)
        core.effect(Meet(place, seat.displayer, seat.token, leave=True))
        _end_lines(core, lambda at: at[1] == place)  # noqa: B023 - called before the loop goes on
    for place in wanted.keys() - core.of(Desk).seats.keys():
        seat = core.of(Desk).seats[place] = Seat(wanted[place], core.entropy.draw(TOKEN_BYTES))
        core.effect(Meet(place, seat.displayer, seat.token))


def heard(core: Core, bridge: str, place: str, *, gone: bool) -> int | None:
    """The line to the other side, which came or is gone; None if there is nobody to answer."""
    seat = core.of(Desk).seats.get(place)
    if gone:
        _end_lines(core, lambda at: at == (bridge, place))
        if seat is not None:  # the other side left; the next one finds us here
            core.effect(Meet(place, seat.displayer, seat.token))
        return None
    if seat is None:
        return None
    return core.of(Desk).lines.setdefault((bridge, place), HERE - next(core.of(Desk).numbers))


def lost(core: Core, bridge: str) -> None:
    """The bridge is gone, and what was in progress there has failed."""
    _end_lines(core, lambda at: at[0] == bridge)


def responders(core: Core, attempt: Join) -> Iterator[tuple[bytes, int]]:
    """Those heard at the code's place, unless somebody nearby was asked: one mistyped code should not use up two
    tries."""
    if any(connection >= HERE for connection in attempt.asked.values()):
        return
    for (bridge, place), line in core.of(Desk).lines.items():
        if place == attempt.place and not core.of(Desk).seats[place].displayer:
            yield bridge.encode(), line


def tell(core: Core, line: int, frame: Pair) -> None:
    """Send over a line that still exists."""
    for (bridge, place), number in core.of(Desk).lines.items():
        if number == line:
            core.effect(TellPlace(bridge, place, encode_frame(frame)))


def origin(core: Core, connection: int) -> str:
    """Where somebody is, for a human."""
    if connection in core.peerings:
        return core.peerings[connection].address
    bridge = next((bridge for (bridge, _), line in core.of(Desk).lines.items() if line == connection), None)
    return f"bridge {ways.host_of(bridge)}" if bridge else "this node"


def _end_lines(core: Core, ends: Callable[[tuple[str, str]], bool]) -> None:
    """Their runs end with the next tick, as those of a lost connection do."""
    core.of(Desk).lines = {at: line for at, line in core.of(Desk).lines.items() if not ends(at)}
