"""The requests of the control socket: each method as a batch item, and the few that wait for something to happen."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from p2p_agents.control.methods import METHODS, Served
from p2p_agents.conversation.states import ASKED, State
from p2p_agents.core.api import addressing, claiming, commands, invitation, reading
from p2p_agents.core.kernel.effects import Answered, Asked, Echoed, Moved, PairingMoved, PeersChanged, Wake
from p2p_agents.core.links import memory, presence
from p2p_agents.crypto.request_address import is_address
from p2p_agents.errors import (
    NotReachable,
    P2PError,
    SendFailed,
    SendUnconfirmed,
    StoreFull,
    StoreReadOnly,
    StoreUncertain,
    WaitTimeout,
)
from p2p_agents.limits import ADD_PEER_S, PAGE
from p2p_agents.node.keeping import Keeping
from p2p_agents.node.lookup import addresses_of
from p2p_agents.node.purging import Purging
from p2p_agents.wire.payload import ECHO_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.effects import ForCallers
    from p2p_agents.node.writer import Writer

Json = dict[str, Any]

AWAITED: dict[str, frozenset[str]] = {
    "delivered": frozenset({State.DELIVERED, State.READ}),
    "read": frozenset({State.READ}),
}
KEY_BYTES = 16  # of an idempotency key, if the caller gave none


class Bell:
    """Wakes everybody who waits on a topic; whoever waits again waits for the next ring."""

    def __init__(self) -> None:
        self._events: dict[object, asyncio.Event] = {}

    def event(self, topic: object) -> asyncio.Event:
        """Register first, then look, then wait: no ring is missed (PROTOCOL A7)."""
        return self._events.setdefault(topic, asyncio.Event())

    def ring(self, topic: object) -> None:
        event = self._events.pop(topic, None)
        if event is not None:
            event.set()


@dataclass(slots=True, eq=False)
class _Watcher:
    """What happened since a `watch` looked: own messages that changed state, and peers that ask to be accepted."""

    agent: int
    peer: bytes | None  # only this peer's messages and request; None for all
    moved: set[int] = field(default_factory=set)
    asked: set[bytes] = field(default_factory=set)

    def note(self, what: int | bytes) -> None:
        """`what` is an entry that changed state, or a peer that asks."""
        if isinstance(what, int):
            self.moved.add(what)
        elif self.peer in (None, what):
            self.asked.add(what)

    def take(self) -> tuple[set[int], set[bytes]]:
        taken = self.moved, self.asked
        self.moved, self.asked = set(), set()
        return taken


class Calls:
    """The registry's methods over the writer. `search_words` runs a query outside the writer."""

    def __init__(self, writer: Writer, reader: Callable[[Callable[[Core], Any]], Awaitable[Any]]) -> None:
        self._writer = writer
        self._reader = reader
        self._bell = Bell()
        self._tickets = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}  # of waiting readers
        self._watchers: list[_Watcher] = []
        purging = Purging(writer)
        self._waiting: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "send": self._send,
            "wait": self._wait,
            "search": self._search,
            "ping": self._ping,
            "peers.add": self._add_peer,
            "peers.remove": self._remove_address,
            "pair.wait": self._wait_for_pairing,
            "pair.join": partial(self._join, invitation.begin_join),
            "pair.link": partial(self._join, invitation.begin_link),
            "purge": purging.purge,
            "agents.remove": purging.remove,
            **Keeping(writer, reader).methods,
        }
        self._streams = {"watch": self._watch, "peers.watch": self._watch_peers, "claim": self._claim}

    async def call(self, method: str, params: Json) -> Json:
        known = METHODS[method]
        if known.served is Served.CALLS:
            return await self._waiting[method](params)
        handler = commands.HANDLERS[method]
        try:
            result: Json = await self._writer.call(lambda core: handler(core, params), hurry=known.hurried)
        except (StoreFull, StoreReadOnly, StoreUncertain) as fault:
            if not known.reads:  # what `inbox` showed is then not recorded for `ack`
                raise
            result = await self._reader(lambda core: handler(core, params)) | {"reads_only": fault.message}
        return result

    def stream(self, method: str, params: Json) -> AsyncIterator[Json]:
        return self._streams[method](params)

    def happened(self, effect: ForCallers) -> None:
        """An effect that somebody may wait for."""
        match effect:
            case Wake(agent):
                self._bell.ring(("log", agent))
            case Moved(agent, entry):
                self._bell.ring(("entry", entry))
                self._note(agent, entry)
            case Asked(agent, peer):
                self._note(agent, peer)
            case Echoed(nonce):
                self._bell.ring(("echo", nonce))
            case Answered():
                self._answer(effect)
            case PairingMoved():
                self._bell.ring("pairing")
            case PeersChanged():
                self._bell.ring("peers")
            case _:
                assert_never(effect)

    def _answer(self, answered: Answered) -> None:
        answer = self._answers.get(answered.ticket)
        if answer is None or answer.done():
            return
        if answered.page is not None:
            answer.set_result(answered.page)
        elif answered.error is not None:
            answer.set_exception(answered.error)

    def _note(self, agent: int, what: int | bytes) -> None:
        for watcher in self._watchers:
            if watcher.agent == agent:
                watcher.note(what)
        self._bell.ring(("log", agent))

    # --- send ---

    async def _send(self, params: Json) -> Json:
        params = params | {"id": params["id"] or os.urandom(KEY_BYTES).hex()}
        try:
            sent: Json
            sent, entry = await self._writer.call(lambda core: commands.post(core, params))
        except StoreUncertain as fault:
            key = params["id"]
            raise StoreUncertain(f"it may or may not be sent; repeat it with the same --id {key}", key=key) from fault
        if params["wait"] is None:
            return sent
        sent["state"] = await self._until(entry, AWAITED[params["wait"]], params["timeout"], sent)
        return sent

    async def _until(self, entry: int, awaited: frozenset[str], timeout: float, sent: Json) -> str:
        deadline = time.monotonic() + timeout
        while True:
            moved = self._bell.event(("entry", entry))
            state, why = await self._writer.call(lambda core: commands.state_of(core, entry))
            if state in awaited:
                return str(state)
            shown = ASKED if state is State.QUEUED and sent["state"] == ASKED else str(state)
            known = {"id": sent["id"], "cursor": sent["cursor"], "key": sent["key"], "state": shown}
            hint = f"run: p2p-agents show {sent['id']}"
            if state is State.FAILED:
                raise SendFailed(
                    f"the message to {sent['to']['name']} failed: {why or 'no reason is known'}", hint=hint, **known
                )
            left = deadline - time.monotonic()
            if left <= 0 or not await _rings(moved, left):
                kept = f"the message is kept; its state is still {shown}"
                raise SendUnconfirmed(kept, hint=hint, accepted=True, **known)

    # --- wait ---

    async def _wait(self, params: Json) -> Json:
        ticket = next(self._tickets)
        answer = self._answers[ticket] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic() + params["timeout"]
        try:
            begun = await self._begin(lambda core: commands.begin_wait(core, params, ticket), ticket)
            return await self._answered(begun, answer, deadline, ticket, moves=params["after"] is None)
        finally:
            del self._answers[ticket]

    async def _answered(
        self, begun: tuple[int, str, Json], answer: asyncio.Future[Json], deadline: float, ticket: int, *, moves: bool
    ) -> Json:
        agent, start, page = begun
        end = partial(commands.end_wait, agent=agent, ticket=ticket)
        try:
            answered = has_news(page) or await _done(answer, deadline - time.monotonic())
        except asyncio.CancelledError:
            self._writer.later(end)
            raise
        if answered:
            self._writer.later(end)
        else:
            await self._writer.call(end)  # what was handed over at the last moment counts as shown, so it is returned
        if answer.done():
            return answer.result()
        if not has_news(page):
            hint = "run: p2p-agents requests list" if page["requests"] else ""
            raise WaitTimeout(hint=hint, cursor=page["cursor"] if moves else start, requests=page["requests"])
        return page

    async def _begin(self, item: Callable[[Core], Any], ticket: int = 0) -> Any:
        """The result of an item that counts a reader of the agent that it names first; if the caller goes away, the
        reader is uncounted."""
        begun = self._writer.call(item)
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError:
            begun.add_done_callback(partial(self._leave, ticket))
            raise

    def _leave(self, ticket: int, begun: asyncio.Future[Any]) -> None:
        if begun.exception() is None:
            self._writer.later(partial(commands.end_wait, agent=begun.result()[0], ticket=ticket))

    # --- search ---

    async def _search(self, params: Json) -> Json:
        while not await self._writer.call(reading.index):
            pass
        found: Json = await self._reader(lambda core: reading.search(core, params))
        return found

    # --- ping ---

    async def _ping(self, params: Json) -> Json:
        started = time.perf_counter()
        party, nonce, path = await self._writer.call(lambda core: commands.ping(core, params, ECHO_BYTES))
        if nonce is not None:
            echoed = self._bell.event(("echo", nonce))
            if not await _rings(echoed, params["timeout"]):
                raise NotReachable(f"{party['petname'] or party['name']} did not answer within {params['timeout']} s")
        rtt_ms = round((time.perf_counter() - started) * 1000, 3)
        return {"to": party, "rtt_ms": rtt_ms, **path}

    # --- peers add ---

    async def _add_peer(self, params: Json) -> Json:
        """Dial, and wait until the node there lists its agents; for an address that was passed on, return whose it
        is."""
        if is_address(params["address"]):
            kept: Json = await self._writer.call(lambda core: addressing.add(core, params))
            return kept
        addresses = await addresses_of(params["address"])
        await self._writer.call(lambda core: commands.add_places(core, addresses))
        deadline = time.monotonic() + ADD_PEER_S
        while True:
            changed = self._bell.event("peers")
            found: tuple[str, list[Json]] | None = await self._writer.call(
                lambda core: commands.agents_at(core, params, addresses)
            )
            if found is not None:
                return {"address": found[0], "agents": found[1]}
            left = deadline - time.monotonic()
            if left <= 0 or not await _rings(changed, left):
                hint = f"to stop trying: p2p-agents peers remove {params['address']}"
                raise NotReachable(f"nobody answers at {' or '.join(addresses)}; it is tried again", hint=hint)

    async def _remove_address(self, params: Json) -> Json:
        addresses = await addresses_of(params["address"])
        removed: list[str] = await self._writer.call(lambda core: memory.forget_places(core, addresses))
        return {"removed": removed}

    # --- pair ---

    async def _wait_for_pairing(self, params: Json) -> Json:
        """Wait until somebody used the code, or it ended otherwise."""
        found = await self._until_paired(lambda core: invitation.outcome(core, params), params["timeout"])
        if found is None:
            raise WaitTimeout("nobody has used the code yet; it is still valid")
        result: Json = found
        return result

    async def _join(self, begin: Callable[[Core, Json], str], params: Json) -> Json:
        begun = self._writer.call(lambda core: begin(core, params))
        try:
            attempt: str = await asyncio.shield(begun)
            await self._until_paired(lambda core: invitation.is_over(core, attempt), params["timeout"])
        except asyncio.CancelledError:
            begun.add_done_callback(self._give_up)
            raise
        ended: Json | P2PError = await self._writer.call(lambda core: invitation.end_join(core, attempt))
        if isinstance(ended, P2PError):
            raise ended
        return ended

    def _give_up(self, begun: asyncio.Future[str]) -> None:
        if begun.exception() is None:
            self._writer.submit(partial(invitation.end_join, attempt=begun.result()))

    async def _until_paired(self, look: Callable[[Core], Any], timeout: float) -> Any:
        """What `look` found in the end; None on timeout."""
        deadline = time.monotonic() + timeout
        while True:
            moved = self._bell.event("pairing")
            found = await self._writer.call(look)
            left = deadline - time.monotonic()
            if found or left <= 0 or not await _rings(moved, left):
                return found

    # --- streams ---

    async def _watch(self, params: Json) -> AsyncIterator[Json]:
        agent, peer, position, ready = await self._begin(lambda core: commands.begin_watch(core, params))
        watcher = _Watcher(agent, peer)
        self._watchers.append(watcher)
        try:
            yield ready
            while True:
                rang = self._bell.event(("log", agent))
                after = position
                page, position = await self._writer.call(
                    partial(reading.tail, agent=agent, after=after, limit=PAGE, peer=peer)
                )
                for message in page:
                    yield {"type": "message", "message": message}
                moved, asked = watcher.take()
                for event in await self._writer.call(partial(commands.news, agent=agent, moved=moved, asked=asked)):
                    yield event
                if position == after and not (watcher.moved or watcher.asked):
                    await rang.wait()
        finally:
            self._watchers.remove(watcher)
            self._writer.submit(lambda core: presence.reader_left(core, agent))

    async def _claim(self, params: Json) -> AsyncIterator[Json]:
        """One page, hidden from all others of its reader until it is acknowledged or the client hangs up."""
        ticket = next(self._tickets)
        taken = self._writer.call(lambda core: claiming.take(core, params, ticket))
        try:
            yield {"type": "claimed", **await asyncio.shield(taken)}
            await asyncio.Event().wait()
        finally:
            self._writer.submit(partial(claiming.give_back, ticket=ticket))

    async def _watch_peers(self, params: Json) -> AsyncIterator[Json]:
        yield {"type": "ready"}
        shown: dict[str, Json] = {}
        while True:
            changed = self._bell.event("peers")
            now = await self._writer.call(lambda core: commands.peers(core, params))
            for peer in now["peers"]:
                lasting = {key: value for key, value in peer.items() if key != "last_seen"}
                if shown.get(peer["id"]) != lasting:
                    shown[peer["id"]] = lasting
                    yield {"type": "peer", **peer}
            await changed.wait()


def has_news(page: Json) -> bool:
    """Whether a page ends a wait."""
    return bool(page["messages"] or page.get("asking"))


async def _done(future: asyncio.Future[Any], timeout: float) -> bool:
    """Whether it is done within the time; in either case it keeps running."""
    done, _ = await asyncio.wait([future], timeout=max(0.0, timeout))
    return bool(done)


async def _rings(event: asyncio.Event, timeout: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except TimeoutError:
        return False
    return True
