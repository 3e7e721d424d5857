"""A session on its own: client messages go in, actions come out, time is a number."""

from __future__ import annotations

import itertools
from typing import Any

from bridge.bounds import Quotas
from bridge.delivering import Fetch
from bridge.rates import Paces, Purse
from bridge.session import Action, Carry, Close, Pool, Send, Session
from p2p_agents.crypto.outer import token_hash
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.limits import BLOB_BYTES
from p2p_agents.wire import relay
from p2p_agents.wire.relay import Message, Request, encode_message
from p2p_agents.wire.relay_answers import Admission, Deliver, Done, Fail, Terms, Welcome
from p2p_agents.wire.relay_requests import Ack, Create, Drop, Knock, Login, Put, Read
from tests.bridge.client import Queue, key_of

BRIDGE = key_of("the bridge")
CHALLENGE, NONCE = b"c" * 32, b"n" * 32
TERMS = Terms(Admission.OPEN, BLOB_BYTES, 1_000, 2**30, 14 * 86_400, 8)
SOMEWHERE = "192.0.2.1:4433"


class Desk:
    """One connection. `now` is in s."""

    def __init__(self, *, quotas: Quotas | None = None, pool: Pool | None = None, terms: Terms = TERMS) -> None:
        self.now = 0.0
        self.numbers = itertools.count(1)
        self.pool = pool or Pool()
        paces = Paces(Purse(quotas or Quotas(), self.now), None, self.now)
        self.session = Session(BRIDGE, terms, CHALLENGE, SOMEWHERE, paces, self.pool, self.now)

    def say(self, message: Message) -> list[Action]:
        return self.session.heard(message, len(encode_message(message)), self.now)

    def knock(self) -> Desk:
        [said] = self.say(Knock(NONCE))
        assert isinstance(said, Send)
        assert isinstance(said.message, Welcome)
        return self

    def login(self, name: str = "alice") -> Desk:
        message = self.logging_in(name)
        assert self.say(message) == [Carry(message)]
        assert self.session.settled(message.request, 0) == [Send(Done(message.request))]
        return self

    def opened(self, queue: Queue, after: int = 0, last: int = 0) -> list[Action]:
        """The queue is read; returns the actions besides DONE."""
        message = self.reading(queue, after)
        assert self.say(message) == [Carry(message)]
        [done, *more] = self.session.opened(message.request, last)
        assert done == Send(Done(message.request))
        return more

    # --- messages ---

    def logging_in(self, name: str = "alice", *, key: SigningKey | None = None, bridge: bytes = b"") -> Login:
        account = key_of("account " + name)
        claim = relay.login_claim(bridge or BRIDGE.public, CHALLENGE, account.public)
        return Login(next(self.numbers), account.public, (key or account).sign(claim, relay.LOGIN_LABEL), "")

    def creating(self, queue: Queue, *, key: SigningKey | None = None, challenge: bytes = CHALLENGE) -> Create:
        hashed = token_hash(queue.token)
        claim = relay.create_claim(BRIDGE.public, challenge, hashed, queue.public)
        proof = (key or queue.key).sign(claim, relay.CREATE_LABEL)
        return Create(next(self.numbers), queue.key.public, proof, hashed, queue.public)

    def reading(self, queue: Queue, after: int = 0, *, key: SigningKey | None = None, label: str = "") -> Read:
        claim = relay.read_claim(BRIDGE.public, CHALLENGE, queue.name)
        signer = key or queue.key
        proof = signer.sign(claim, label or relay.READ_LABEL)
        return Read(next(self.numbers), queue.name, signer.public, proof, after)

    def putting(self, queue: Queue, blob: bytes, token: bytes = b"") -> Put:
        return Put(next(self.numbers), queue.name, token or queue.token, blob)

    def acking(self, queue: Queue, cursor: int) -> Ack:
        return Ack(next(self.numbers), queue.name, cursor)

    def dropping(self, queue: Queue) -> Drop:
        return Drop(next(self.numbers), queue.name)


def refused(actions: list[Action]) -> tuple[str, int]:
    """The code and the time of the one FAIL among the actions."""
    [fail] = [a.message for a in actions if isinstance(a, Send) and isinstance(a.message, Fail)]
    assert isinstance(fail, Fail)
    return fail.code, fail.retry_ms


def closed(actions: list[Action]) -> str:
    [close] = [action for action in actions if isinstance(action, Close)]
    return close.reason


def fetches(actions: list[Action]) -> list[Fetch]:
    return [action for action in actions if isinstance(action, Fetch)]


def delivered(actions: list[Action]) -> list[tuple[int, bytes]]:
    found = [a.message for a in actions if isinstance(a, Send) and isinstance(a.message, Deliver)]
    return [pair for message in found for pair in message.blobs]  # type: ignore[union-attr]


def carried(actions: list[Action]) -> list[Request]:
    return [action.request for action in actions if isinstance(action, Carry)]


def settle_all(desk: Desk, actions: list[Action]) -> list[Any]:
    """Answer every Carry with success."""
    return [desk.session.settled(request.request, 0) for request in carried(actions)]
