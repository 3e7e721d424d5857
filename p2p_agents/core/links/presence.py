"""Truthful presence: online means a live link, attending means a waiting reader; both are reported, never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.wire.advert import STATUSES
from p2p_agents.wire.frame import Presence, Standing

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link

LINGER_S = 2.0  # a reader still counts as attending for so long between two waits


def tell(core: Core, link: Link) -> None:
    """Send our agent's presence, to accepted peers only."""
    link.presence_due = False
    if link.standing is Standing.ACCEPTS:
        hosted = core.host(link.agent)
        core.send_on(link, Presence(link.number, hosted.local.status, attending(core, hosted), hosted.last_read_ms))


def attending(core: Core, hosted: Hosted) -> bool:
    return hosted.readers > 0 or core.now() < hosted.attending_until


def reader_came(core: Core, agent: int) -> None:
    hosted = core.host(agent)
    was = attending(core, hosted)
    hosted.readers += 1
    if not was:
        tell_all(core, agent)


def reader_left(core: Core, agent: int) -> None:
    hosted = core.hosted.get(agent)
    if hosted is None:  # it was removed meanwhile
        return
    hosted.readers = max(0, hosted.readers - 1)
    if not hosted.readers:
        hosted.attending_until = core.now() + LINGER_S
        due_all(core, agent)


def read_now(core: Core, agent: int) -> None:
    """The agent's default reader acknowledged something."""
    core.host(agent).last_read_ms = core.now_ms()
    due_all(core, agent)


def tell_all(core: Core, agent: int) -> None:
    for link in _links_of(core, agent):
        tell(core, link)


def due_all(core: Core, agent: int) -> None:
    """Send it with the next tick, so that a loop of short waits does not become a stream of presence."""
    for link in _links_of(core, agent):
        link.presence_due = True


def flush(core: Core) -> None:
    """Once a second: send what is due, after the agent's linger time."""
    for found in core.links.values():
        for link in found:
            if link.presence_due and core.now() >= core.host(link.agent).attending_until:
                tell(core, link)


def on_presence(core: Core, link: Link, frame: Presence) -> None:
    link.status = claimed(frame.status)
    link.attending = frame.attending
    link.last_read_ms = frame.last_read_ms
    core.effect(PeersChanged())


def claimed(status: str) -> str:
    """The peer's status; "online" if it is not one of STATUSES."""
    return status if status in STATUSES else "online"


def _links_of(core: Core, agent: int) -> list[Link]:
    return [link for found in core.links.values() for link in found if link.agent == agent]
