"""Queues at one bridge, on whatever connection there is: ours to read, others' to write to, places to meet at."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.crypto.outer import queue_name, token_hash
from p2p_agents.crypto.work import work_claim
from p2p_agents.limits import BRIDGE_WAITING_BYTES, WORK_BITS_DONE
from p2p_agents.link.bridge_line import retry_ms
from p2p_agents.link.bridge_news import Came, Opened, PlaceTold, Refused, Stored, Unread, Work
from p2p_agents.wire.relay import CREATE_LABEL, READ_LABEL, create_claim, read_claim
from p2p_agents.wire.relay_answers import Done, Fail, Refusal
from p2p_agents.wire.relay_requests import Ack, Create, Drop, Leave, Meet, Put, Read, Side, Tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2p_agents.crypto.signing import SigningKey
    from p2p_agents.link.bridge_line import Line
    from p2p_agents.link.bridge_news import News
    from p2p_agents.link.bridge_toll import Toll
    from p2p_agents.wire.relay import Request
    from p2p_agents.wire.relay_answers import Deliver, Told

    Answer = Done | Fail
    Report = Callable[[News], None]

TELLS_WAITING = 16  # until a place is taken again: more than one run takes
BUSY_MS = 1_000  # if too much waits for a bridge, some of it has gone after this


@dataclass(frozen=True, slots=True)
class Inbox:
    """A queue of ours: its read key, what its writers hold, and the cursor up to which everything is stored here."""

    key: SigningKey
    token: bytes = field(repr=False)
    cursor: int = 0
    public: bool = False  # it takes work in place of the token

    @property
    def queue(self) -> bytes:
        return queue_name(self.key.public)


@dataclass(slots=True)
class _Reading:
    inbox: Inbox
    queue: bytes
    kept: int
    open: bool = False  # on this connection
    told: int = 0  # the bridge forgot up to here, on this connection
    telling: bool = False


class Readings:
    """Each queue is created and read again on every connection, from its last stored cursor; acknowledged once open."""

    def __init__(self, report: Report, toll: Toll) -> None:
        self._report = report
        self._toll = toll
        self._line: Line | None = None
        self._readings: dict[bytes, _Reading] = {}

    def __len__(self) -> int:
        return len(self._readings)

    @property
    def open(self) -> int:
        """The queues that are read now."""
        return sum(reading.open for reading in self._readings.values())

    def reads(self, queue: bytes) -> bool:
        """Whether it is read now."""
        return queue in self._readings and self._readings[queue].open

    def want(self, inboxes: Iterable[Inbox]) -> None:
        """Read these, and no others: the rest are dropped at the bridge."""
        wanted = {inbox.queue: inbox for inbox in inboxes}
        for queue in self._readings.keys() - wanted.keys():
            self._drop(self._readings.pop(queue))
        for queue, inbox in wanted.items():
            if queue in self._readings:
                self.ack(queue, inbox.cursor)
            else:
                reading = self._readings[queue] = _Reading(inbox, queue, inbox.cursor)
                self._begin(reading)

    def ack(self, queue: bytes, cursor: int) -> None:
        if (reading := self._readings.get(queue)) is not None:
            reading.kept = max(reading.kept, cursor)
            self._acknowledge(reading)

    def again(self) -> None:
        """A READ restarts the delivery, on the same connection."""
        for reading in self._readings.values():
            if reading.open:
                reading.open = False
                self._begin(reading)

    def came(self, delivered: Deliver) -> None:
        reading = self._readings.get(delivered.queue)
        fresh = tuple(pair for pair in delivered.blobs if reading and pair[0] > reading.kept)
        if fresh:
            self._report(Came(delivered.queue, fresh))

    def up(self, line: Line) -> None:
        """A connection on which the bridge admitted us, or did not: reading an existing queue needs no account."""
        self._line = line
        for reading in self._readings.values():
            self._begin(reading)

    def down(self) -> None:
        self._line = None
        for reading in self._readings.values():
            reading.open, reading.told, reading.telling = False, 0, False

    def _begin(self, reading: _Reading) -> None:
        if self._line is None or self._readings.get(reading.queue) is not reading or reading.open:
            return
        if self._line.admitted:
            self._make(reading, self._line)
        else:
            self._read(reading)

    def _make(self, reading: _Reading, line: Line) -> None:
        """Creating it changes nothing if it exists already."""
        key, hashed, public = reading.inbox.key, token_hash(reading.inbox.token), reading.inbox.public
        proof = key.sign(create_claim(line.bridge, line.challenge, hashed, public), CREATE_LABEL)

        def made(answer: Answer, now: float) -> None:
            if not isinstance(answer, Fail):
                self._read(reading)
            elif not self._toll.due(answer, lambda: self._begin(reading)):
                self._failed(reading, answer, now)

        line.ask(lambda number: Create(number, key.public, proof, hashed, public), made)

    def _read(self, reading: _Reading) -> None:
        assert self._line is not None
        key, line = reading.inbox.key, self._line
        proof = key.sign(read_claim(line.bridge, line.challenge, reading.queue), READ_LABEL)

        def opened(answer: Answer, now: float) -> None:
            if isinstance(answer, Fail):
                self._failed(reading, answer, now)
                return
            reading.open = True
            if reading.inbox.public:
                self._report(Opened(reading.queue))
            if self._readings.get(reading.queue) is reading:
                self._acknowledge(reading)
            else:
                self._drop(reading)

        line.ask(lambda number: Read(number, reading.queue, key.public, proof, reading.kept), opened)

    def _failed(self, reading: _Reading, fail: Fail, now: float) -> None:
        assert self._line is not None
        reading.open = reading.telling = False
        self._report(Unread(reading.queue, fail.code))
        self._line.again(fail, now, lambda: self._begin(reading))

    def _acknowledge(self, reading: _Reading) -> None:
        """One at a time: what is stored meanwhile is acknowledged with the next."""
        line, cursor = self._line, reading.kept
        if line is None or not reading.open or reading.telling or cursor <= reading.told:
            return
        reading.telling = True

        def answered(answer: Answer, now: float) -> None:
            if isinstance(answer, Fail):
                self._failed(reading, answer, now)
                return
            reading.telling, reading.told = False, cursor
            self._acknowledge(reading)

        line.ask(lambda number: Ack(number, reading.queue, cursor), answered)

    def _drop(self, reading: _Reading) -> None:
        if self._line is not None and reading.open:
            self._line.ask(lambda number: Drop(number, reading.queue), _done)


@dataclass(frozen=True, slots=True)
class _Put:
    ticket: int
    token: bytes = field(repr=False)
    blob: bytes = field(repr=False)
    public: bool = False


class Puts:
    """Blobs for others: one at a time for each queue, so that none overtakes one that is refused."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._line: Line | None = None
        self._queues: dict[bytes, deque[_Put]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return sum(len(puts) for puts in self._queues.values())

    def put(self, ticket: int, queue: bytes, token: bytes, blob: bytes, public: bool) -> None:
        if self._line is not None and len(blob) > self._line.terms.blob_bytes:
            self._report(Refused(ticket, Refusal.LARGE, 0))
        elif self._bytes + len(blob) > BRIDGE_WAITING_BYTES:
            self._report(Refused(ticket, Refusal.RATE, BUSY_MS))
        else:
            self._bytes += len(blob)
            puts = self._queues.setdefault(queue, deque())
            puts.append(_Put(ticket, token, blob, public))
            if len(puts) == 1:
                self._ask(queue)

    def up(self, line: Line) -> None:
        self._line = line
        for queue in list(self._queues):
            self._ask(queue)

    def down(self, code: str, wait_ms: int) -> None:
        """Fail everything that waits."""
        self._line = None
        for queue in list(self._queues):
            self._refuse(queue, code, wait_ms)

    def _ask(self, queue: bytes) -> None:
        """Ask for the first blob of a queue."""
        if self._line is None:
            return
        put = self._queues[queue][0]
        if not put.public:
            self._send(queue, put.token, put.blob, self._line)
        elif self._line.terms.work_bits > WORK_BITS_DONE:
            self._refuse(queue, Refusal.WORK, 0)
        else:
            self._report(Work(put.ticket, queue, _claim(self._line, queue, put.blob), self._line.terms.work_bits))

    def worked(self, work: Work, stamp: bytes) -> None:
        """Ignored if the connection it was done for is gone: then it was asked for again."""
        put = next(iter(self._queues.get(work.queue, ())), None)
        if put is None or put.ticket != work.ticket or self._line is None:
            return
        if _claim(self._line, work.queue, put.blob) == work.claim:
            self._send(work.queue, stamp, put.blob, self._line)

    def _send(self, queue: bytes, token: bytes, blob: bytes, line: Line) -> None:
        def answered(answer: Answer, now: float) -> None:
            if isinstance(answer, Fail):
                self._refuse(queue, answer.code, retry_ms(answer))
            else:
                self._stored(queue)

        line.ask(lambda number: Put(number, queue, token, blob), answered)

    def _stored(self, queue: bytes) -> None:
        puts = self._queues[queue]
        put = puts.popleft()
        self._bytes -= len(put.blob)
        if puts:
            self._ask(queue)
        else:
            del self._queues[queue]
        self._report(Stored(put.ticket))

    def _refuse(self, queue: bytes, code: str, wait_ms: int) -> None:
        """Refuse the first, and all behind it."""
        for put in self._queues.pop(queue):
            self._bytes -= len(put.blob)
            self._report(Refused(put.ticket, code, wait_ms))


def _claim(line: Line, queue: bytes, blob: bytes) -> bytes:
    return work_claim(line.bridge, line.challenge, queue, blob)


@dataclass(slots=True)
class _Place:
    side: Side
    token: bytes = field(repr=False)
    taken: bool = False  # on this connection
    tells: deque[bytes] = field(default_factory=lambda: deque(maxlen=TELLS_WAITING), repr=False)


class Places:
    """Sides of meeting places, taken again on every connection until they are left or gone."""

    def __init__(self, report: Report, toll: Toll) -> None:
        self._report = report
        self._toll = toll
        self._line: Line | None = None
        self._places: dict[str, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def meet(self, name: str, side: Side, token: bytes) -> None:
        self._places[name] = _Place(side, token)
        self._take(name, self._places[name])

    def tell(self, name: str, message: bytes) -> None:
        if (place := self._places.get(name)) is not None:
            place.tells.append(message)
            self._tell(name, place)

    def leave(self, name: str) -> None:
        if self._places.pop(name, None) is not None and self._line is not None:
            self._line.ask(lambda number: Leave(number, name), _done)

    def told(self, told: Told) -> None:
        if told.place not in self._places:
            return
        if told.gone:
            del self._places[told.place]
        self._report(PlaceTold(told.place, told.message, told.gone))

    def up(self, line: Line) -> None:
        self._line = line
        for name, place in self._places.items():
            self._take(name, place)

    def down(self) -> None:
        self._line = None
        for place in self._places.values():
            place.taken = False

    def _take(self, name: str, place: _Place) -> None:
        def taken() -> None:
            place.taken = True
            self._tell(name, place)

        self._ask(name, place, lambda number: Meet(number, name, place.side, place.token), taken)

    def _tell(self, name: str, place: _Place) -> None:
        """Send what waits; a bridge accepts it from whoever has a side of the place."""
        while place.taken and place.tells:
            message = place.tells.popleft()
            self._ask(name, place, partial(Tell, place=name, message=message), lambda: None)

    def _ask(self, name: str, place: _Place, make: Callable[[int], Request], done: Callable[[], None]) -> None:
        """A request that may work later is repeated later; one refused for good ends the place."""
        line = self._line
        if line is None or self._places.get(name) is not place:
            return

        def again() -> None:
            self._ask(name, place, make, done)

        def answered(answer: Answer, now: float) -> None:
            if isinstance(answer, Done):
                done()
            elif self._places.get(name) is not place or self._toll.due(answer, again):
                return
            elif answer.retry_ms:
                line.again(answer, now, again)
            else:
                del self._places[name]
                self._report(PlaceTold(name, b"", gone=True))

        line.ask(make, answered)


def _done(answer: Answer, now: float) -> None:
    """The bridge may refuse this: it forgets the place by itself."""
