"""Connects the core with bridges: effects become blobs and requests, and what bridges send becomes items."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from functools import partial
from typing import TYPE_CHECKING, assert_never

from p2p_agents.core.kernel.effects import Kept, LeaveBridge, Meet, Post, ReadAgain, ReadQueues, TellPlace
from p2p_agents.core.turn import relays
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.crypto.work import seek_stamp
from p2p_agents.errors import BadBridge
from p2p_agents.limits import BLOB_BYTES, BRIDGES, INBOUND_QUEUE_BYTES, WORK_TRIES
from p2p_agents.link.bridge_news import (
    DOWN,
    BridgeDown,
    BridgeUp,
    Came,
    Opened,
    PlaceTold,
    Refused,
    Stored,
    Unread,
    Work,
)
from p2p_agents.link.bridge_queues import Inbox
from p2p_agents.link.bridging import Bridging
from p2p_agents.net.bridge_client import BridgeClient
from p2p_agents.net.interfaces import local_addresses
from p2p_agents.node.posting import Posting, Sealed
from p2p_agents.quic.address import format_address
from p2p_agents.wire.bridge_address import parse_bridge
from p2p_agents.wire.relay_answers import Refusal
from p2p_agents.wire.relay_requests import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
    from typing import Any

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.effects import ForBridges
    from p2p_agents.core.turn.batch import Outcome
    from p2p_agents.link.bridge_news import News
    from p2p_agents.node.writer import Writer
    from p2p_agents.quic.endpoint import Endpoint
    from p2p_agents.store.bridges import Configured

log = logging.getLogger(__name__)

ACCOUNT_LABEL = "p2pa/1 bridge account"
BUSY_MS = 1_000  # when too much waits for a bridge, some of it is sent after this


class Bridges:
    """All bridges that this node uses: the configured ones, and those at which its contacts are reached.

    All of it runs in the loop's thread. `seed` is the node's own; `spawn` keeps a task until it ends.
    """

    def __init__(
        self, writer: Writer, endpoint: Endpoint, seed: bytes, spawn: Callable[[Coroutine[Any, Any, None], str], None]
    ) -> None:
        self._writer = writer
        self._endpoint = endpoint
        self._seed = seed
        self._spawn = spawn
        self._served: dict[str, Served] = {}
        self._tokens: dict[str, str] = {}  # of the configured ones
        self._places: dict[str, Meet] = {}
        self._news = asyncio.Event()

    def __iter__(self) -> Iterator[Served]:
        """The configured ones first."""
        return iter(sorted(self._served.values(), key=lambda served: not served.configured))

    def get(self, address: str) -> Served | None:
        return self._served.get(address)

    async def changed(self) -> None:
        """Wait until a bridge has news."""
        await self._news.wait()

    def configure(self, configured: Sequence[Configured], needed: Collection[str] = ()) -> None:
        """Use these from now on, and those `needed` for contacts; leave the others."""
        self._tokens = {one.address: one.token for one in configured}
        for address, served in list(self._served.items()):
            if address in self._tokens:
                continue
            if address not in needed:
                del self._served[address]
                self._spawn(served.close(), "bridge")
            elif served.configured:
                served.admit("", member=False)
        for one in configured:
            found = self._serve(one.address)
            if found is not None and not found.configured:
                found.admit(one.token, member=True)
                for meet in self._places.values():
                    found.meet(meet)

    def admit(self, address: str) -> None:
        """Try a configured bridge now, with the token stored for it."""
        if (served := self._serve(address)) is not None:
            served.admit(self._tokens[address], member=True)

    def carry(self, effects: Iterable[ForBridges]) -> None:
        """Carry out the effects of one committed batch."""
        posted: dict[str, Served] = {}
        for effect in effects:
            match effect:
                case Post(route=route):
                    if (served := self._serve(route.bridge)) is not None:
                        served.post(effect)
                        posted[route.bridge] = served
                    else:
                        self._writer.submit(partial(relays.refused, posts=[effect], code=Refusal.BAD, retry_ms=0))
                case Meet():
                    self._meet(effect)
                case LeaveBridge(bridge):
                    if bridge not in self._tokens and (served := self._served.pop(bridge, None)) is not None:
                        self._spawn(served.close(), "bridge")
                case (
                    ReadQueues(bridge=bridge)
                    | ReadAgain(bridge=bridge)
                    | Kept(bridge=bridge)
                    | TellPlace(bridge=bridge)
                ):
                    if (served := self._serve(bridge)) is not None:
                        served.carry(effect)
                case _:
                    assert_never(effect)
        for served in posted.values():
            served.flush()

    def resumed(self) -> None:
        """Networks changed: try every bridge again."""
        for served in self._served.values():
            served.client.ask(lambda machine, now: machine.resumed(now))

    async def close(self) -> None:
        await asyncio.gather(*(served.close() for served in self._served.values()))

    def _serve(self, address: str) -> Served | None:
        """The connection to a bridge, created if new; None for an invalid address, or beyond the limit."""
        served = self._served.get(address)
        if served is not None or (len(self._served) >= BRIDGES and address not in self._tokens):
            return served
        try:
            served = Served(address, self._writer, self._endpoint, self._seed, self._spawn, self._ring)
        except BadBridge as fault:  # a contact named it
            log.warning("a contact's bridge: %s", fault.message)
            self._writer.submit(partial(relays.bridge_down, bridge=address, code=fault.code))
            return None
        self._served[address] = served
        served.admit(self._tokens.get(address, ""), member=address in self._tokens)
        if served.configured:
            for meet in self._places.values():
                served.meet(meet)
        return served

    def _meet(self, meet: Meet) -> None:
        if meet.leave:
            self._places.pop(meet.place, None)
        else:
            self._places[meet.place] = meet
        for served in self._served.values():
            if served.configured:  # a bridge that a contact named could learn of every code, and use it up
                served.meet(meet)

    def _ring(self) -> None:
        ringing, self._news = self._news, asyncio.Event()
        ringing.set()


class Served:
    """One bridge: its connection, and what waits for it. Raises BadBridge for an invalid address."""

    def __init__(
        self,
        address: str,
        writer: Writer,
        endpoint: Endpoint,
        seed: bytes,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        ring: Callable[[], None],
    ) -> None:
        self.address = address
        self.configured = False
        self.unread: dict[bytes, str] = {}  # our queues that it does not let us read, and why
        self._writer = writer
        self._endpoint = endpoint
        self._spawn = spawn
        self._ring = ring
        self._posting = Posting(os.urandom)
        self._taking = 0  # bytes that wait for the writer
        parsed = parse_bridge(address)
        # Another account at each bridge, so that two bridges cannot tell by signatures that it is one node.
        self.account = SigningKey.from_seed(H(ACCOUNT_LABEL, seed, parsed.key))
        machine = Bridging(parsed, self.account, "", member=False, draw=os.urandom, jitter=random.SystemRandom().random)
        self.client = BridgeClient(machine, endpoint, self._report)

    @property
    def machine(self) -> Bridging:
        return self.client.machine

    @property
    def waiting(self) -> int:
        """Number of frames it has not answered."""
        return len(self._posting)

    def admit(self, token: str, *, member: bool) -> None:
        self.configured = member
        self.client.ask(lambda machine, now: machine.admit(token, now, member=member))

    async def close(self) -> None:
        """What waits goes back to its senders."""
        if posts := self._posting.drain():
            self._submit(partial(relays.refused, posts=posts, code=DOWN, retry_ms=0))
        await self.client.close()

    def carry(self, effect: ReadQueues | ReadAgain | Kept | TellPlace) -> None:
        match effect:
            case ReadAgain():
                self.client.ask(lambda machine, now: machine.read_again(now))
            case ReadQueues(queues=queues):
                self._read([Inbox(SigningKey.from_seed(q.seed), q.token, q.cursor, q.public) for q in queues])
            case Kept(queue=queue, cursor=cursor):
                self.client.ask(lambda machine, now: machine.ack(queue, cursor, now))
            case TellPlace(place=place, message=message):
                self.client.ask(lambda machine, now: machine.tell(place, message, now))
            case _:
                assert_never(effect)

    def _read(self, inboxes: list[Inbox]) -> None:
        self.unread = {inbox.queue: self.unread[inbox.queue] for inbox in inboxes if inbox.queue in self.unread}
        self.client.ask(lambda machine, now: machine.want(inboxes, now))

    def meet(self, meet: Meet) -> None:
        if meet.leave:
            self.client.ask(lambda machine, now: machine.leave(meet.place, now))
        else:
            side = Side.DISPLAYER if meet.displayer else Side.JOINER
            self.client.ask(lambda machine, now: machine.meet(meet.place, side, meet.token, now))

    def post(self, post: Post) -> None:
        """Sent with the next blob of its queue, by `flush`, once all posts of a batch are here."""
        if not self._posting.add(post):
            self._submit(partial(relays.refused, posts=[post], code=Refusal.RATE, retry_ms=BUSY_MS))

    def flush(self) -> None:
        line = self.machine.line
        for sealed in self._posting.ready(line.terms.blob_bytes if line else BLOB_BYTES):
            self._put(sealed)

    def _put(self, sealed: Sealed) -> None:
        ticket, queue, token, blob, public = sealed.ticket, sealed.queue, sealed.token, sealed.blob, sealed.public
        self.client.ask(lambda machine, now: machine.put(ticket, queue, token, blob, now, public=public))

    # --- from the state machine ---

    def _report(self, news: News) -> None:
        match news:
            case BridgeUp(observed):
                self._spawn(self._tell_up(observed), "bridge")
            case BridgeDown(code):
                failure = self.machine.health.failure
                log.info("bridge %s: %s: %r", self.machine.address.host, code, failure.why if failure else "")
                self._submit(partial(relays.bridge_down, bridge=self.address, code=code))
            case Stored(ticket):
                posts = self._posting.stored(ticket)
                self._writer.later(partial(relays.stored, posts=posts))
                self.flush()
            case Refused(ticket, code, retry_ms):
                refused = self._posting.refused(ticket)
                self._submit(partial(relays.refused, posts=refused, code=code, retry_ms=retry_ms))
            case Work():
                self._spawn(self._work(news), "work for a bridge")
            case Came(queue, blobs):
                self.unread.pop(queue, None)
                self._take(queue, blobs)
            case PlaceTold(place, message, gone):
                told = partial(relays.told, bridge=self.address, place=place, message=message, gone=gone)
                self._submit(told)
            case Opened(queue):
                self.unread.pop(queue, None)
            case Unread(queue, code):
                log.warning("bridge %s: a queue cannot be read: %s", self.machine.address.host, code)
                self.unread[queue] = code
        self._ring()

    async def _work(self, work: Work) -> None:
        """In pieces, so that a node that stops need not wait for all of it."""
        start = 0
        while (stamp := await asyncio.to_thread(seek_stamp, work.claim, work.bits, start, WORK_TRIES)) is None:
            start += WORK_TRIES
        done = stamp
        self.client.ask(lambda machine, now: machine.worked(work, done, now))

    async def _tell_up(self, observed: str) -> None:
        """With our own addresses, for peers that may reach us directly."""
        hosts = await asyncio.to_thread(local_addresses)
        if self.machine.line is None:
            return  # lost meanwhile, and already reported so
        way = self.machine.line.way
        local = [format_address((host, self._endpoint.port)) for host in hosts if "%" not in host]
        log.info("bridge %s: reached by %s", self.machine.address.host, self.machine.line.way)
        self._submit(partial(relays.bridge_up, bridge=self.address, observed=observed, local=local, way=way))

    def _take(self, queue: bytes, blobs: tuple[tuple[int, bytes], ...]) -> None:
        """What the writer cannot take yet stays at the bridge."""
        size = sum(len(blob) for _, blob in blobs)
        self._taking += size
        if self._taking > INBOUND_QUEUE_BYTES:
            self.client.hold(True)
        self._writer.submit(
            partial(relays.came, bridge=self.address, queue=queue, blobs=blobs), partial(self._taken, size)
        )

    def _taken(self, size: int, outcome: Outcome) -> None:
        """Blobs that were not processed come again on another connection."""
        self._taking -= size
        if self._taking < INBOUND_QUEUE_BYTES // 2:
            self.client.hold(False)
        if outcome.error is not None:
            code = outcome.error.code
            self.client.ask(lambda machine, now: machine.leave_off(f"what it brought was not kept: {code}", now))

    def _submit(self, item: Callable[[Core], Any]) -> None:
        self._writer.submit(item)
