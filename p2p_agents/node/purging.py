"""Deletes messages for good: their bodies, their words in the index, and the remains of both in the files."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.core.agents import remains
from p2p_agents.core.api import reading, removal
from p2p_agents.core.contact.directory import resolve
from p2p_agents.core.identity import talks
from p2p_agents.core.kernel.clock import EPOCH
from p2p_agents.core.kernel.state import Texts
from p2p_agents.errors import BadParams, EnvironmentFault
from p2p_agents.limits import PURGE_PAGE
from p2p_agents.store import purges

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.node.writer import Writer
    from p2p_agents.store.purges import Candidate

Json = dict[str, Any]

log = logging.getLogger(__name__)

EMPTYING_TRIES = 20  # to empty the write-ahead log while readers come and go
EMPTYING_S = 0.1  # between two tries


class Purging:
    """The methods `purge` and `agents.remove`: page by page, so that nobody waits long for the writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def purge(self, params: Json) -> Json:
        """{purged, kept, emptied}. With `dry` nothing is deleted."""
        chosen, after, purged, kept = check(params), 0, 0, 0
        while True:
            found, went, stayed = await self._writer.call(partial(page, params=chosen, after=after))
            purged, kept = purged + went, kept + stayed
            if found is None:
                break
            after = found
        emptied = chosen["dry"] or not purged or await self._forget()
        return {"purged": purged, "kept": kept, "emptied": emptied}

    async def remove(self, params: Json) -> Json:
        """As `removal.remove`, with `emptied`: whether the files hold none of the agent's messages any more."""
        removed: Json = await self._writer.call(partial(removal.remove, params=params), long=True)
        return removed | {"emptied": not params["dry"] and await self._clear()}

    async def _clear(self) -> bool:
        """The agent is gone, whatever errors the disk gives now: the node deletes what is left as soon as it can."""
        try:
            while not await self._writer.call(remains.clear):
                pass
        except EnvironmentFault as fault:
            log.warning("messages of a removed agent are still there: %s", fault.message)
            return False
        return await self._empty()

    async def _forget(self) -> bool:
        await self._writer.call(forget_words, long=True)
        return await self._empty()

    async def _empty(self) -> bool:
        """Whether the write-ahead log is empty; if not, the node keeps trying."""
        for _ in range(EMPTYING_TRIES):
            if await self._truncated():
                return True
            await asyncio.sleep(EMPTYING_S)
        return False

    async def _truncated(self) -> bool:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def truncate(core: Core) -> None:
            empty = False
            try:
                empty = core.db.truncate()
            finally:
                loop.call_soon_threadsafe(done.set_result, empty)

        self._writer.maintain(truncate)
        return await done


def check(params: Json) -> Json:
    """What to delete. Raises BadParams if nothing is chosen, which is a mistake and never means everything."""
    if not (params["ids"] or params["with"] or params["before"]):
        raise BadParams("say what to delete: ids, a peer, a date, or several of them")
    if params["ids"] and (params["with"] or params["before"]):
        raise BadParams("ids name messages by themselves: no peer or date beside them")
    return params | {"before_ms": None if params["before"] is None else _moment(params["before"])}


def _moment(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time or date; a date begins in UTC."""
    try:
        then = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadParams(f"not a date or time: {text[:64]!r}", param="before") from error
    then = then if then.tzinfo else then.replace(tzinfo=EPOCH.tzinfo)
    return (then - EPOCH) // timedelta(milliseconds=1)


def page(core: Core, params: Json, after: int) -> tuple[int | None, int, int]:
    """(cursor to continue from or None at the end, number deleted, number kept because somebody is still owed them)."""
    hosted = core.acting(params["agent"])
    agent, kinds = hosted.local.id, core.hooks.shown()
    if params["ids"]:
        lines = [reading.find_message(core, hosted, word) for word in params["ids"].split(",")]
        found = [c for c in (purges.candidate(core.db, agent, kinds, line.entry) for line in lines) if c is not None]
        onwards = None
    else:
        peer = resolve(core, hosted, params["with"]).agent if params["with"] else None
        talk = None if peer is None else talks.with_peer(hosted, peer).id
        found = purges.candidates(core.db, agent, kinds, after, PURGE_PAGE, talk, params["before_ms"])
        onwards = found[-1].cursor if len(found) == PURGE_PAGE else None
    return onwards, *_delete(core, agent, found, dry=params["dry"])


def _delete(core: Core, agent: int, found: list[Candidate], *, dry: bool) -> tuple[int, int]:
    going = [each.entry for each in found if not each.owed]
    if not dry:
        purges.purge(core.db, agent, going)
    return len(going), len(found) - len(going)


def forget_words(core: Core) -> None:
    core.texts = Texts()
    purges.forget_words(core.db)
