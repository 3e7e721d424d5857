"""A bridge in memory for state machines in virtual time: honest, or dishonest if a test says so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from p2p_agents.crypto.outer import queue_name, token_hash
from p2p_agents.crypto.signing import SigningKey, verify
from p2p_agents.crypto.work import newcomer_bits, newcomer_claim, work_claim, work_done
from p2p_agents.limits import BLOB_BYTES
from p2p_agents.link.approach import Dial, Hangup, Send, Transport
from p2p_agents.link.bridging import Bridging
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.framing import Framer, frame_bytes
from p2p_agents.wire.relay import (
    CREATE_LABEL,
    LOGIN_LABEL,
    READ_LABEL,
    WELCOME_LABEL,
    create_claim,
    decode_message,
    encode_message,
    login_claim,
    read_claim,
    welcome_claim,
)
from p2p_agents.wire.relay_answers import Admission, Deliver, Done, Fail, Refusal, Terms, Welcome
from p2p_agents.wire.relay_requests import Ack, Create, Drop, Knock, Leave, Login, Meet, Put, Read, Stamp, Tell

TERMS = Terms(Admission.TOKEN, BLOB_BYTES, 1_000, 2**30, 14 * 86_400, 18)
TOKEN = "let me in"
OBSERVED = "192.0.2.7:5000"


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


@dataclass
class Kept:
    token_hash: bytes
    blobs: list[tuple[int, bytes]] = field(default_factory=list)
    public: bool = False


class FakeBridge:
    """Its queues outlive connections. `refusals` says what is refused next, by kind of request."""

    def __init__(self) -> None:
        self.key = key("bridge")
        self.ways = {Transport.QUIC, Transport.WEBSOCKET}  # that pass
        self.queues: dict[bytes, Kept] = {}
        self.refusals: dict[type, list[tuple[str, int]]] = {}
        self.silent: set[type] = set()  # requests it never answers
        self.requests: list[object] = []
        self.cursor = 0
        self.terms = TERMS
        self.stamps = 0

    def asked(self, kind: type) -> list[object]:
        """Requests of that kind, as it heard them."""
        return [request for request in self.requests if isinstance(request, kind)]

    def welcome(self, nonce: bytes) -> Welcome:
        challenge = hashlib.sha256(nonce).digest()
        claim = welcome_claim(self.key.public, nonce, challenge)
        return Welcome(self.key.public, challenge, self.key.sign(claim, WELCOME_LABEL), OBSERVED, self.terms)

    def answer(self, message: object, challenge: bytes) -> list[object]:
        self.requests.append(message)
        kind = type(message)
        if kind in self.silent:
            return []
        if waiting := self.refusals.get(kind):
            code, wait_ms = waiting.pop(0)
            return [Fail(message.request, code, wait_ms)]
        return self._carry_out(message, challenge)

    def _carry_out(self, message: object, challenge: bytes) -> list[object]:
        bridge = self.key.public
        match message:
            case Login(number, account, proof, token):
                assert verify(account, proof, LOGIN_LABEL) == login_claim(bridge, challenge, account)
                return [Done(number) if token == TOKEN else Fail(number, Refusal.ADMISSION)]
            case Stamp(number, stamp):
                return [self._stamp(number, stamp, challenge)]
            case Create(number, read_key, proof, hashed, public):
                assert verify(read_key, proof, CREATE_LABEL) == create_claim(bridge, challenge, hashed, public)
                self.queues.setdefault(queue_name(read_key), Kept(hashed, public=public))
                return [Done(number)]
            case Put(number, queue, token, blob):
                return [self._put(number, queue, token, blob, challenge)]
            case Read(number, queue, read_key, proof, after):
                assert verify(read_key, proof, READ_LABEL) == read_claim(bridge, challenge, queue)
                if queue not in self.queues:
                    return [Fail(number, Refusal.GONE)]
                fresh = tuple(pair for pair in self.queues[queue].blobs if pair[0] > after)
                return [Done(number), *([Deliver(queue, fresh)] if fresh else [])]
            case Ack(number, queue, cursor):
                self.queues[queue].blobs = [pair for pair in self.queues[queue].blobs if pair[0] > cursor]
            case Drop(number, queue):
                del self.queues[queue]
            case Meet(number) | Tell(number) | Leave(number):
                pass
        return [Done(number)]

    def _stamp(self, number: int, stamp: bytes, challenge: bytes) -> object:
        claim = newcomer_claim(self.key.public, challenge, key("account").public, self.stamps)
        if work_done(claim, stamp) < newcomer_bits(self.terms.work_bits):
            return Fail(number, Refusal.WORK)
        self.stamps += 1
        return Done(number)

    def _put(self, number: int, queue: bytes, token: bytes, blob: bytes, challenge: bytes) -> object:
        kept = self.queues.get(queue)
        if kept is None:
            return Fail(number, Refusal.GONE)
        if kept.public:
            claim = work_claim(self.key.public, challenge, queue, blob)
            if work_done(claim, token) < self.terms.work_bits:
                return Fail(number, Refusal.WORK)
        elif kept.token_hash != token_hash(token):
            return Fail(number, Refusal.TOKEN)
        self.cursor += 1
        kept.blobs.append((self.cursor, blob))
        return Done(number, self.cursor)


class Visit:
    """A machine at a bridge, in virtual time. `news` is what its core was told; `moves` what its shell was."""

    def __init__(self, bridge: FakeBridge, *, member: bool = True, token: str = TOKEN, pin: bytes = b"") -> None:
        self.bridge = bridge
        self.now = 100.0
        self.news: list[object] = []
        self.moves: list[object] = []
        self.held: list[tuple[Transport, bytes]] | None = (
            None  # answers that are on their way, while somebody holds them
        )
        self._framers: dict[Transport, Framer] = {}
        self._challenges: dict[Transport, bytes] = {}
        draws = iter(hashlib.sha256(str(n).encode()).digest() for n in range(10_000))
        self.machine = Bridging(
            BridgeAddress("bridge.example", 4433, pin or key("bridge").public),
            key("account"),
            token,
            member=member,
            draw=lambda size: next(draws)[:size],
            jitter=lambda: 0.0,
        )

    def start(self) -> Visit:
        self.carry(self.machine.tick(self.now))
        return self

    def carry(self, actions: list[object]) -> None:
        for action in actions:
            match action:
                case Dial(way):
                    self.moves.append(action)
                    self._dial(way)
                case Send(way, frames):
                    self._hear(way, b"".join(frames))
                case Hangup(way):
                    self.moves.append(action)
                    self._framers.pop(way, None)
                case _:
                    self.news.append(action)

    def say(self, message: object, way: Transport = Transport.QUIC) -> None:
        """From the bridge, unasked."""
        data = frame_bytes(encode_message(message))
        self.carry(self.machine.received(way, data, self.now))

    def cut(self, way: Transport, failure: object) -> None:
        self._framers.pop(way, None)
        self.carry(self.machine.closed(way, failure, self.now))

    def release(self) -> None:
        """What was held arrives."""
        held, self.held = self.held or [], None
        for way, data in held:
            self._arrive(way, data)

    def wait(self, seconds: float) -> None:
        """Let time pass, waking the machine whenever it asked to be."""
        end = self.now + seconds
        while (due := self.machine.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.carry(self.machine.tick(self.now))
        self.now = end

    def told(self) -> list[object]:
        """The news since this was asked last."""
        news, self.news = self.news, []
        return news

    def asked(self, kind: type) -> list[object]:
        return self.bridge.asked(kind)

    def _dial(self, way: Transport) -> None:
        if way in self.bridge.ways:
            self._framers[way] = Framer()
            self.carry(self.machine.opened(way, self.now))

    def _hear(self, way: Transport, data: bytes) -> None:
        if way not in self._framers:
            return
        for frame in self._framers[way].feed(data):
            message = decode_message(frame)
            if isinstance(message, Knock):
                welcome = self.bridge.welcome(message.nonce)
                self._challenges[way] = welcome.challenge
                answers: list[object] = [welcome]
            else:
                answers = self.bridge.answer(message, self._challenges[way])
            for answer in answers:
                self._arrive(way, frame_bytes(encode_message(answer)))

    def _arrive(self, way: Transport, data: bytes) -> None:
        if self.held is not None:
            self.held.append((way, data))
        elif way in self._framers:
            self.carry(self.machine.received(way, data, self.now))
