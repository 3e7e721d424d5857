"""The store was reopened under a running node: memory is read again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.core.agents import hosting
from p2p_agents.core.api import removal
from p2p_agents.core.kernel.effects import Wake
from p2p_agents.core.kernel.tables import HostTable
from p2p_agents.core.links import seeking
from p2p_agents.core.turn import relays
from p2p_agents.store import bridges

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


def start_over(core: Core) -> None:
    """The store was reopened under a running node: read all memory of it again, as at a start. All connections are
    gone; waiting callers look again."""
    before = core.hosted
    core.undo.append(partial(setattr, core, "hosted", before))
    core.hosted = HostTable()
    for cache in (core.ways, core.owed, core.heard, core.init_links, core.gaps):
        cache.clear()
    hosting.load_all(core)
    for number, hosted in core.hosted.items():
        if (same := before.get(number)) is not None:
            hosted.desk, hosted.readers = same.desk, same.readers
            hosted.attending_until, hosted.last_read_ms = same.attending_until, same.last_read_ms
        core.effect(Wake(number))
    seeking.remember_places(core)
    relays.restored(core, [bridge.address for bridge in bridges.everything(core.db)])
    hosting.changed(core)
    removal.forget_absent(core)
