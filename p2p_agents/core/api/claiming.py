"""Claims: unread messages that one of several processes took. While it holds them, no other process of that reader sees
them; they are acknowledged by name, and what is left when the process goes is unread again. A restart ends all
claims."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.core.api import reading, showing
from p2p_agents.core.kernel.effects import Wake
from p2p_agents.core.kernel.state import Claim
from p2p_agents.store import readers

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core

Json = dict[str, Any]


def take(core: Core, params: Json, ticket: int) -> Json:
    """A page of unread messages that nobody holds, held under the ticket until `give_back`."""
    hosted = core.acting(params["agent"])
    agent = hosted.local.id
    reader = reading.known_reader(core, hosted, params)
    lines, more = readers.unread(core.db, agent, reader, params["limit"], held=reading.held(core, agent, reader))
    core.claims[ticket] = Claim(agent, reader, frozenset(line.cursor for line in lines))
    core.undo.append(partial(core.claims.pop, ticket, None))
    after = lines[-1].cursor if lines else readers.watermark(core.db, agent, reader)
    page = reading.page_of(core, hosted, lines, after, more=more)
    return {**page, "requests": showing.count_asking(core, agent)}


def give_back(core: Core, ticket: int) -> None:
    """Release what the ticket holds; readers that wait are woken for what was not acknowledged."""
    claim = core.claims.pop(ticket, None)
    if claim is None:
        return
    core.undo.append(partial(core.claims.__setitem__, ticket, claim))
    if any(not readers.is_read(core.db, claim.agent, claim.reader, cursor) for cursor in claim.cursors):
        core.effect(Wake(claim.agent))
