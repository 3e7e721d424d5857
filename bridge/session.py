"""One client's connection, without I/O: its messages and the store's answers in, actions out.

Everything that a client sends is checked here: proofs, order, limits and pace. Valid requests are carried out by
others, who answer with `settled`, `opened` and `fetched`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from bridge import bounds
from bridge.delivering import Delivering, Fetch, Push
from bridge.store import Refused
from p2p_agents.crypto.outer import queue_name
from p2p_agents.crypto.signing import verify
from p2p_agents.crypto.work import newcomer_bits, newcomer_claim, work_claim, work_done
from p2p_agents.errors import BadSignature, Malformed
from p2p_agents.wire import relay
from p2p_agents.wire.relay_answers import Done, Fail, Notice, Refusal, Told, Welcome
from p2p_agents.wire.relay_requests import Ack, Create, Drop, Knock, Leave, Login, Meet, Put, Read, Side, Stamp, Tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.rates import Paces
    from p2p_agents.crypto.signing import SigningKey
    from p2p_agents.wire.relay import Message, Request
    from p2p_agents.wire.relay_answers import Terms


class End(IntEnum):
    """Why a bridge ends a connection: a code of QUIC from 16 on, of a WebSocket from 4000 on."""

    PROTOCOL = 16  # an invalid message, or one out of turn
    LATE = 17  # no KNOCK in time
    SLOW = 18  # the client does not read what it asked for
    ELSEWHERE = 19  # its queue is read by too many newer connections
    FULL = 20  # the bridge has no memory for an unfinished message
    RESTARTING = 21
    FLOOD = 22  # it keeps asking for what is refused
    UNCERTAIN = 23  # the bridge's disk failed: the request may or may not have been carried out


@dataclass(frozen=True, slots=True)
class Send:
    """To be sent to the client."""

    message: Message = field(repr=False)


@dataclass(frozen=True, slots=True)
class Carry:
    """A request with valid proofs, to be carried out and answered with `settled`, or `opened` for a READ."""

    request: Request
    worked: bool = False


@dataclass(frozen=True, slots=True)
class Unwatch:
    """The queue is no longer read here."""

    queue: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing else is sent after this."""

    end: End
    reason: str


Action = Send | Carry | Fetch | Unwatch | Close


@dataclass(slots=True)
class _Pending:
    """A request in progress; `number` is that of a READ's subscription."""

    message: Request
    size: int
    number: int = 0


class Pool:
    """Bytes of requests that the store has not answered, and queues that are read, over all connections."""

    __slots__ = ("bytes", "limit", "reads")

    def __init__(self, limit: int = bounds.ALL_PENDING_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self.reads = 0


class Session:
    """From KNOCK to the end. `account` is the one that logged in; time is in s, of any clock that does not go back."""

    def __init__(
        self, key: SigningKey, terms: Terms, challenge: bytes, observed: str, paces: Paces, pool: Pool, now: float
    ) -> None:
        self.account = b""
        self.knocked = False
        self.ended = False
        self.knock_by = now + bounds.KNOCK_S
        self.restarting_ms = 0
        self._key = key
        self._terms = terms
        self._challenge = challenge
        self._observed = observed
        self._paces = paces
        self._pool = pool
        self._pending: dict[int, _Pending] = {}
        self._pending_bytes = 0
        self._delivering = Delivering()
        self._reads = 0  # how many of its queues are counted
        self._places: set[str] = set()
        self._stamps = 0  # of this account, accepted on this connection
        self._stamped = False  # the last one can still let a request pass

    @property
    def queues(self) -> tuple[bytes, ...]:
        """The queues it reads."""
        return self._delivering.queues

    # --- from the client ---

    def heard(self, message: Message | None, size: int, now: float) -> list[Action]:
        """A message of `size` bytes; None for an unknown type."""
        if self.ended:
            return []
        if message is None:
            return self._bear([], now)
        if isinstance(message, Knock):
            return self._welcome(message)
        if not self.knocked:
            return [self._end(End.PROTOCOL, "KNOCK comes first")]
        if not isinstance(message, Login | Create | Put | Read | Ack | Drop | Meet | Tell | Leave | Stamp):
            return [self._end(End.PROTOCOL, f"a client does not say {type(message).__name__}")]
        refused = self._unwelcome(message, size, now)
        if refused is not None:
            return self._bear([_fail(message.request, refused)], now)
        try:
            return self._take(message, size)
        except Refused as found:
            return self._bear([_fail(message.request, found)], now)

    def frame(self, now: float) -> bool:
        """Whether its line may receive one more WebSocket frame, whatever it contains."""
        return self._paces.frame(now)

    def left(self) -> None:
        """The connection ended. Blobs that it did not acknowledge are delivered again to the next one: that costs
        pace."""
        self.ended = True
        self._paces.owe(self._delivering.unacked_bytes)
        self._paces.read(-self._reads)
        self._pool.reads -= self._reads
        self._reads = 0

    def broken(self, error: Malformed) -> list[Action]:
        """The client sent an invalid message."""
        return [self._end(End.PROTOCOL, error.message)]

    def unknown_version(self) -> list[Action]:
        return [Send(Fail(0, Refusal.VERSION)), self._end(End.PROTOCOL, "this bridge speaks version 1")]

    def tick(self, now: float) -> list[Action]:
        """Time passed: end the connection if it has not sent KNOCK."""
        if self.ended or self.knocked or now < self.knock_by:
            return []
        return [self._end(End.LATE, "no KNOCK in time")]

    # --- answers of others ---

    def settled(self, request: int, answer: int | Refused) -> list[Action]:
        """A Carry was carried out, for a PUT under this cursor, or was refused."""
        message = self._pending[request].message
        if isinstance(answer, Refused) and answer.refusal is Refusal.WORK and not self.ended and self._worked(message):
            return [Carry(message, worked=True)]
        pending = self._release(request)
        if self.ended:
            return []
        if isinstance(answer, Refused):
            return [*self._undo(pending), _fail(request, answer)]
        return [Send(Done(request, answer)), *self._after(message)]

    def opened(self, request: int, last: int) -> list[Action]:
        """A READ was carried out; `last` is the queue's last cursor."""
        pending = self._release(request)
        assert isinstance(pending.message, Read)
        if self.ended:
            return []
        fetches = self._delivering.opened(pending.message.queue, pending.number, last)
        return [Send(Done(request)), *_actions(fetches)]

    def fetched(self, fetch: Fetch, blobs: list[tuple[int, bytes]] | None) -> list[Action]:
        """`blobs` is None if reading failed; `grown` is called when it may work again."""
        return [] if self.ended else _actions(self._delivering.fetched(fetch, blobs))

    # --- events elsewhere ---

    def came(self, queue: bytes, previous: int, cursor: int, blob: bytes) -> list[Action]:
        """A blob was stored in a queue that is read here."""
        return [] if self.ended else _actions(self._delivering.came(queue, previous, cursor, blob))

    def grown(self, queue: bytes) -> list[Action]:
        """Something may have been stored in it."""
        return [] if self.ended else _actions(self._delivering.grown(queue))

    def told(self, told: Told) -> list[Action]:
        """From the other side of a meeting place."""
        if told.gone:
            self._places.discard(told.place)
        return [] if self.ended else [Send(told)]

    def restart(self, after_ms: int) -> list[Action]:
        """The bridge stops: no new requests are taken, those in progress are answered."""
        self.restarting_ms = after_ms
        return [Send(Notice(Refusal.RESTARTING, after_ms))] if self.knocked and not self.ended else []

    # --- private: requests ---

    def _welcome(self, knock: Knock) -> list[Action]:
        if self.knocked:
            return [self._end(End.PROTOCOL, "KNOCK comes once")]
        self.knocked = True
        proof = self._key.sign(relay.welcome_claim(self._key.public, knock.nonce, self._challenge), relay.WELCOME_LABEL)
        return [Send(Welcome(self._key.public, self._challenge, proof, self._observed, self._terms))]

    def _unwelcome(self, message: Request, size: int, now: float) -> Refused | None:
        """Too fast, too much at once, or too late."""
        if self.restarting_ms:
            return Refused(Refusal.RESTARTING, self.restarting_ms)
        if message.request == 0 or message.request in self._pending:
            return Refused(Refusal.BAD)
        crowded = len(self._pending) >= bounds.PENDING_REQUESTS or self._pending_bytes + size > bounds.PENDING_BYTES
        if crowded or self._pool.bytes + size > self._pool.limit:
            return Refused(Refusal.RATE, bounds.RETRY_BUSY_MS)
        proof = isinstance(message, Login | Create | Read)
        wait = self._paces.request(size, now, meet=isinstance(message, Meet), proof=proof)
        return Refused(Refusal.RATE, wait) if wait else None

    def _bear(self, actions: list[Action], now: float) -> list[Action]:
        """A refusal costs work too, so their number is limited."""
        if self._paces.refusal(now):
            return actions
        return [*actions, self._end(End.FLOOD, "it asks on and on for what is refused")]

    def _take(self, message: Request, size: int) -> list[Action]:
        """Raises Refused if it is invalid."""
        if isinstance(message, Stamp):
            self._take_stamp(message)
            return [Send(Done(message.request))]
        pending = _Pending(message, size)
        then: list[Action] = []
        match message:
            case Login():
                claim = relay.login_claim(self._key.public, self._challenge, message.account)
                _prove(message.account, message.proof, relay.LOGIN_LABEL, claim)
            case Create():
                self._check_create(message)
            case Put() if len(message.blob) > self._terms.blob_bytes:
                raise Refused(Refusal.LARGE)
            case Read():
                self._check_read(message)
                self._paces.owe(self._delivering.unacked(message.queue))
                pending.number = self._delivering.begin(message.queue, message.after)
                self._count_reads()
            case Ack():
                self._check_ack(message)
                then = _actions(self._delivering.acked(message.queue, message.cursor))
            case Drop() if message.queue not in self._delivering:
                raise Refused(Refusal.BAD)
            case Meet():
                self._take_place(message.place, message.side)
            case Tell() | Leave() if message.place not in self._places:
                raise Refused(Refusal.AWAY)
        self._pending[message.request] = pending
        self._pending_bytes += size
        self._pool.bytes += size
        return [Carry(message), *then]

    def _check_create(self, message: Create) -> None:
        if not self.account:
            raise Refused(Refusal.ADMISSION)
        claim = relay.create_claim(self._key.public, self._challenge, message.token_hash, message.public)
        _prove(message.read_key, message.proof, relay.CREATE_LABEL, claim)

    def _check_read(self, message: Read) -> None:
        if queue_name(message.read_key) != message.queue:
            raise Refused(Refusal.BAD)
        claim = relay.read_claim(self._key.public, self._challenge, message.queue)
        _prove(message.read_key, message.proof, relay.READ_LABEL, claim)
        if message.queue not in self._delivering and self._reads_enough():
            raise Refused(Refusal.RATE, bounds.RETRY_FULL_MS)

    def _reads_enough(self) -> bool:
        """Whether this connection, its network, or all of them together read as many queues as they may."""
        own, of_network, of_all = len(self._delivering), self._paces.reads, self._pool.reads
        return (
            own >= bounds.SUBSCRIPTIONS
            or of_network >= bounds.SUBSCRIPTIONS_OF_NETWORK
            or of_all >= bounds.ALL_SUBSCRIPTIONS
        )

    def _check_ack(self, message: Ack) -> None:
        sent = self._delivering.sent(message.queue)
        if sent is None or message.cursor > sent:
            raise Refused(Refusal.BAD)

    def _take_place(self, place: str, side: Side) -> None:
        if side is Side.DISPLAYER and not self.account:
            raise Refused(Refusal.ADMISSION)
        if place not in self._places and len(self._places) >= bounds.PLACES_OF_ONE:
            raise Refused(Refusal.RATE, bounds.LONELY_PLACE_MS)
        self._places.add(place)

    def _take_stamp(self, message: Stamp) -> None:
        if not self.account:
            raise Refused(Refusal.ADMISSION)
        claim = newcomer_claim(self._key.public, self._challenge, self.account, self._stamps)
        if work_done(claim, message.stamp) < newcomer_bits(self._terms.work_bits):
            raise Refused(Refusal.WORK)
        self._stamps += 1
        self._stamped = True

    # --- private: answers ---

    def _worked(self, message: Request) -> bool:
        """Whether the required work was done; a newcomer's stamp is used up by this."""
        if isinstance(message, Put):
            claim = work_claim(self._key.public, self._challenge, message.queue, message.blob)
            return work_done(claim, message.token) >= self._terms.work_bits
        stamped, self._stamped = self._stamped, False
        return stamped

    def _after(self, message: Request) -> list[Action]:
        """The effects of a request that was carried out."""
        match message:
            case Login(account=account) if account != self.account:
                self.account, self._stamps, self._stamped = account, 0, False
            case Drop(queue=queue) if self._delivering.end(queue):
                self._count_reads()
                return [Unwatch(queue)]
            case Leave(place=place):
                self._places.discard(place)
        return []

    def _undo(self, pending: _Pending) -> list[Action]:
        match pending.message:
            case Read(queue=queue) if self._delivering.end(queue, pending.number):
                self._count_reads()
                return [Unwatch(queue)]
            case Meet(place=place):
                self._places.discard(place)
        return []

    def _count_reads(self) -> None:
        more = len(self._delivering) - self._reads
        self._reads += more
        self._paces.read(more)
        self._pool.reads += more

    def _release(self, request: int) -> _Pending:
        pending = self._pending.pop(request)
        self._pending_bytes -= pending.size
        self._pool.bytes -= pending.size
        return pending

    def _end(self, end: End, reason: str) -> Close:
        self.ended = True
        return Close(end, reason)


def _fail(request: int, refused: Refused) -> Send:
    return Send(Fail(request, refused.refusal, refused.retry_ms))


def _prove(key: bytes, proof: bytes, label: str, claim: bytes) -> None:
    """Raises Refused unless `proof` is the key's signature over exactly this claim."""
    try:
        held = verify(key, proof, label) == claim
    except (BadSignature, Malformed):
        held = False
    if not held:
        raise Refused(Refusal.BAD)


def _actions(steps: Iterable[Fetch | Push]) -> list[Action]:
    return [Send(step.message) if isinstance(step, Push) else step for step in steps]
