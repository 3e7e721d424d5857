"""All connected clients of one bridge process, its store and its meeting places. Runs in one loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
from collections import Counter
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bridge import bounds
from bridge.clock import ClockTrust, now_ms
from bridge.counts import Counts
from bridge.origins import Origins
from bridge.places import Standing
from bridge.rates import Networks, Paces, Purse
from bridge.session import End, Pool, Session
from bridge.store import Guest, Placed, Refused, Stats
from bridge.visit import Visit
from p2p_agents.crypto.outer import queue_name, token_hash
from p2p_agents.errors import StoreUncertain
from p2p_agents.quic.address import network_of
from p2p_agents.wire.relay_answers import Admission, Refusal, Terms
from p2p_agents.wire.relay_requests import KEY_BYTES, Ack, Create, Drop, Leave, Login, Meet, Put, Read, Tell

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Collection

    from bridge.bounds import Quotas
    from bridge.delivering import Fetch
    from bridge.meetings import Meetings
    from bridge.store import Store
    from bridge.visit import Line
    from p2p_agents.crypto.signing import SigningKey
    from p2p_agents.wire.relay import Request
    from p2p_agents.wire.relay_answers import Told

log = logging.getLogger(__name__)

VOUCHED = (bounds.VOUCHED_OF_ACCOUNT, bounds.VOUCHED_OF_NETWORK)
SWEEP_S = 1.0
DRAIN_LOOK_S = 0.02


class Hub:
    """Lines arrive and leave; requests of sessions are carried out and answered here."""

    def __init__(
        self,
        key: SigningKey,
        store: Store,
        meetings: Meetings,
        quotas: Quotas,
        admission: Admission,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.counts = Counts()
        self.key = key
        self.store = store
        self.meetings = meetings
        self.time = asyncio.get_running_loop().time
        self.terms = Terms(
            admission, quotas.blob_bytes, quotas.queue_blobs, quotas.queue_bytes, quotas.kept_s, quotas.work_bits
        )
        self.pool = Pool()
        self.stats = Stats(0, 0, 0, 0, 0)  # of the store, some seconds old
        self._quotas = quotas
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._networks = Networks(quotas)
        self._origins = Origins.of(key)
        self._numbers = itertools.count(1)
        self._visits: dict[int, Visit] = {}
        self._strangers: dict[int, Visit] = {}  # that have not knocked, oldest first
        self._watchers: dict[bytes, dict[int, Visit]] = {}
        self._vouched: dict[int, list[bytes | str]] = {}
        self._vouched_of: Counter[bytes | str] = Counter()  # by account and by network
        self._partial = 0
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        self._upkeep_at = self.time()
        self._trust = ClockTrust(clock(), self.time())
        store.grown = self._grown
        meetings.told = self._told

    def __len__(self) -> int:
        """Connected clients."""
        return len(self._visits)

    @property
    def visits(self) -> Collection[Visit]:
        """The clients."""
        return self._visits.values()

    @property
    def partial(self) -> int:
        """Bytes of frames that have begun and not ended."""
        return self._partial

    @property
    def watched(self) -> int:
        """Queues that somebody reads."""
        return len(self._watchers)

    @property
    def under_way(self) -> int:
        """Requests that are not answered yet."""
        return self._under_way

    # --- lines ---

    def arrived(self, line: Line, way: str, host: str, observed: str) -> Visit:
        """A connection was made by quic or websocket. The network of `host`, where it is known and another machine,
        has a pace of its own; `observed` is what the client is told of where it comes from."""
        now = self.time()
        self.counts.arrived[way] += 1
        network = network_of(host)
        paces = Paces(Purse(self._quotas, now), self._networks.purse(network, now) if network else None, now)
        session = Session(self.key, self.terms, os.urandom(KEY_BYTES), observed, paces, self.pool, now)
        visit = Visit(next(self._numbers), self, line, session, network)
        self._visits[visit.id] = visit
        self._strangers[visit.id] = visit
        return visit

    def left(self, visit: Visit) -> None:
        """A connection ended."""
        if self._visits.pop(visit.id, None) is None:
            return
        self._strangers.pop(visit.id, None)
        self._partial -= visit.partial + visit.unread
        visit.partial = visit.unread = 0
        for queue in visit.session.queues:
            self.unwatch(queue, visit)
        self.meetings.lost(visit.id, self._clock())
        for key in self._vouched.pop(visit.id, ()):
            self._vouched_of[key] -= 1
            if not self._vouched_of[key]:
                del self._vouched_of[key]

    def holds(self, more: int) -> bool:
        """Whether there is memory for so many more bytes of unfinished frames; they are counted."""
        self._partial += more
        return more <= 0 or self._partial <= bounds.ALL_PARTIAL_BYTES

    # --- requests ---

    def carry(self, visit: Visit, message: Request, *, worked: bool) -> None:
        """Carry a checked request out and have its session answer."""
        now, store, meetings = self._clock(), self.store, self.meetings
        answer: Future[Any]
        match message:
            case Login():
                answer = store.admit(self._guest(visit, message), now)
            case Create():
                name = queue_name(message.read_key)
                assert visit.guest is not None
                answer = store.create(name, visit.guest, message.token_hash, message.public, now, worked=worked)
            case Put():
                answer = store.put(message.queue, token_hash(message.token), message.blob, now, worked=worked)
            case Read():
                self._watch(message.queue, visit)
                answer = store.open(message.queue, message.after, now)
            case Ack():
                answer = store.ack(message.queue, message.cursor, now)
            case Drop():
                answer = store.drop(message.queue)
            case Meet():
                standing = self._standing(visit, worked=worked)
                answer = meetings.meet(message.place, message.side, token_hash(message.token), visit.id, now, standing)
            case Tell():
                answer = meetings.tell(message.place, message.message, visit.id, now)
            case Leave():
                answer = meetings.leave(message.place, visit.id, now)
        self._begun()
        answer.add_done_callback(partial(self._answered, visit, message))

    def _guest(self, visit: Visit, login: Login) -> Guest:
        token = sha256(login.token.encode()).digest() if login.token else b""
        return Guest(login.account, self._origins.tag(visit.network, login.account), self.terms.admission, token)

    def _welcome(self, visit: Visit, guest: Guest) -> None:
        """A few connections of an account that has queues here keep their places."""
        visit.guest = guest
        keys = [key for key in (guest.account, visit.network) if key]
        known = guest.known or guest.admission is not Admission.OPEN
        if visit.id in self._vouched or visit.id not in self._visits or not known:
            return
        if all(self._vouched_of[key] < most for key, most in zip(keys, VOUCHED, strict=False)):
            self._vouched[visit.id] = keys
            self._vouched_of.update(keys)
            visit.vouch()

    def _standing(self, visit: Visit, *, worked: bool) -> Standing:
        guest = visit.guest
        known = guest is not None and (guest.known or guest.admission is not Admission.OPEN)
        return Standing(self._origins.tag(visit.network, b"") if visit.network else b"", known, worked)

    def _answered(self, visit: Visit, message: Request, future: Future[Any]) -> None:
        session, found = visit.session, _outcome(future)
        if isinstance(found, StoreUncertain):
            if not session.ended:
                visit.close(End.UNCERTAIN, "the bridge's disk failed: look what was done")
        elif isinstance(found, Refused):
            visit.act(session.settled(message.request, found))
        elif isinstance(found, Guest):
            self._welcome(visit, found)
            visit.act(session.settled(message.request, 0))
        elif isinstance(message, Read):
            visit.act(session.opened(message.request, found))
        elif isinstance(found, Placed):
            visit.act(session.settled(message.request, found.cursor))
            assert isinstance(message, Put)
            for reader in self._readers(message.queue):
                reader.act(reader.session.came(message.queue, found.previous, found.cursor, message.blob))
        else:
            if isinstance(message, Create) and visit.guest is not None:
                self._welcome(visit, replace(visit.guest, known=True))
            visit.act(session.settled(message.request, 0))
        self._done()

    def fetch(self, visit: Visit, fetch: Fetch) -> None:
        """Read what a session wants to push."""
        self._begun()
        answer = self.store.read(fetch.queue, fetch.after, fetch.blobs, fetch.bytes)
        answer.add_done_callback(partial(self._fetched, visit, fetch))

    def _fetched(self, visit: Visit, fetch: Fetch, future: Future[Any]) -> None:
        found = _outcome(future)
        if isinstance(found, Refused):
            visit.act(visit.session.fetched(fetch, None))
            self._loop.call_later(SWEEP_S, lambda: visit.act(visit.session.grown(fetch.queue)))
        else:
            visit.act(visit.session.fetched(fetch, found))
        self._done()

    # --- who reads what ---

    def _watch(self, queue: bytes, visit: Visit) -> None:
        readers = self._watchers.get(queue)
        if readers is None:
            readers = self._watchers[queue] = {}
            self.store.listen(queue)
        readers.pop(visit.id, None)
        readers[visit.id] = visit
        if len(readers) > bounds.READERS:
            oldest = readers[next(iter(readers))]
            oldest.close(End.ELSEWHERE, f"a queue is read by {bounds.READERS} newer connections")

    def unwatch(self, queue: bytes, visit: Visit) -> None:
        """It has stopped reading the queue."""
        readers = self._watchers.get(queue, {})
        if readers.pop(visit.id, None) is not None and not readers:
            del self._watchers[queue]
            self.store.unlisten(queue)

    def _readers(self, queue: bytes) -> list[Visit]:
        return list(self._watchers.get(queue, {}).values())

    def _grown(self, queue: bytes) -> None:
        for reader in self._readers(queue):
            reader.act(reader.session.grown(queue))

    def _told(self, visitor: int, told: Told) -> None:
        visit = self._visits.get(visitor)
        if visit is not None:
            visit.act(visit.session.told(told))

    # --- time ---

    def _sweep(self) -> None:
        """Every second: end those who have not knocked, and expired places; now and then drop data kept too long."""
        now = self.time()
        for visit in list(self._strangers.values()):
            if visit.session.knocked:
                del self._strangers[visit.id]
            else:
                visit.act(visit.session.tick(now))
        self._relieve()
        self.meetings.expire(self._clock())
        if now >= self._upkeep_at and not self._stopping:
            self._upkeep_at = now + bounds.UPKEEP_EVERY_S
            if self._trust.trusts(self._clock(), now):
                self._expire()
            self._look()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _relieve(self) -> None:
        """If clients leave too much unread data in our memory, those that leave the most are ended."""
        held = {visit: size for visit in self._visits.values() if (size := visit.backlog())}
        excess = sum(held.values()) - bounds.ALL_OUTGOING_BYTES
        for visit in sorted(held, key=held.__getitem__, reverse=True):
            if excess <= 0:
                return
            excess -= held[visit]
            visit.close(End.SLOW, "the client does not read what it asked for")

    def _expire(self) -> None:
        self._begun()
        self.store.expire(self._clock()).add_done_callback(self._expired)

    def _expired(self, future: Future[Any]) -> None:
        found = _outcome(future)
        if isinstance(found, int) and found >= bounds.EXPIRE_BLOBS and not self._stopping:
            self._expire()
        self._done()

    def _look(self) -> None:
        self._begun()
        self.store.stats().add_done_callback(self._looked)

    def _looked(self, future: Future[Any]) -> None:
        found = _outcome(future)
        if isinstance(found, Stats):
            self.stats = found
        self._done()

    # --- the end ---

    async def stop(self) -> None:
        """Tell everybody, finish what was begun, and end each connection once it has read its answers."""
        self._stopping = True
        self._sweeper.cancel()
        for visit in list(self._visits.values()):
            visit.act(visit.session.restart(random.randint(*bounds.STOP_NOTICE_MS)))  # noqa: S311 - spreads a load
        try:
            await asyncio.wait_for(self._idle.wait(), bounds.DRAIN_S)
        except TimeoutError:
            log.warning("stopping with %d requests under way", self._under_way)
        until = self.time() + bounds.DRAIN_S
        while self.time() < until and self._backlog():  # noqa: ASYNC110 - no transport tells when it is done
            await asyncio.sleep(DRAIN_LOOK_S)
        for visit in list(self._visits.values()):
            visit.close(End.RESTARTING, "the bridge restarts")
        await asyncio.sleep(0)

    def _backlog(self) -> int:
        return sum(visit.backlog() for visit in self._visits.values())

    def _begun(self) -> None:
        self._under_way += 1
        self._idle.clear()

    def _done(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()


def _outcome(future: Future[Any]) -> Any:
    """What a future holds, or the Refused or StoreUncertain that it ended with; what nobody foresaw is refused too."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Refused | StoreUncertain):
        return error
    log.error("a request failed", exc_info=error)
    return Refused(Refusal.FULL, bounds.RETRY_FULL_MS)
