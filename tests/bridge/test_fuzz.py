"""Any client messages, in any order, with any answers of the store: nothing raises, everything is bounded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import bounds
from bridge.delivering import Fetch
from bridge.session import Carry, Close, Pool, Send
from bridge.store import Refused
from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import INT_MAX
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.relay import decode_message, encode_message
from p2p_agents.wire.relay_answers import Deliver, Fail, Refusal, Told
from p2p_agents.wire.relay_requests import Knock, Leave, Login, Meet, Read, Side, Tell
from tests.bridge.client import Queue
from tests.bridge.desk import Desk

QUEUES = [Queue("one"), Queue("two"), Queue("three", public=True)]
PLACES = ["7Q2MX", "AB2CD"]


class Anything:
    """A client that lies as often as not, before a store that answers what and when it likes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.pool = Pool(200_000)
        self.desk = Desk(pool=self.pool)
        self.open: list[Carry] = []
        self.fetches: list[Fetch] = []
        self.cursor = 0
        self.pushed: dict[bytes, int] = {}

    def step(self) -> None:
        self.desk.now += self.rng.random() * 0.1
        self.rng.choice([self.talk, self.talk, self.answer, self.answer, self.fetch, self.news])()
        assert self.pool.bytes <= self.pool.limit
        assert len(self.fetches) <= bounds.FETCHES + len(QUEUES) * 2  # those of readings that were begun anew

    def talk(self) -> None:
        rng, desk = self.rng, self.desk
        queue, number = rng.choice(QUEUES), rng.choice([0, 1, 2, rng.randrange(INT_MAX)])
        message = rng.choice(
            [
                lambda: desk.logging_in(rng.choice(["alice", "bob"])),
                lambda: Login(number, b"k" * 32, b"proof", ""),
                lambda: desk.creating(queue),
                lambda: desk.reading(queue, rng.choice([0, self.cursor, INT_MAX])),
                lambda: Read(number, queue.name, b"k" * 32, b"", 0),
                lambda: desk.putting(queue, bytes(rng.choice([0, 10, 50_000]))),
                lambda: desk.acking(queue, rng.choice([0, self.pushed.get(queue.name, 0), self.cursor, INT_MAX])),
                lambda: desk.dropping(queue),
                lambda: Meet(number, rng.choice(PLACES), rng.choice(list(Side)), b"t" * 32),
                lambda: Tell(number, rng.choice(PLACES), b"hello"),
                lambda: Leave(number, rng.choice(PLACES)),
            ]
        )()
        self.take(desk.say(message))

    def answer(self) -> None:
        if not self.open:
            return
        carry = self.open.pop(self.rng.randrange(len(self.open)))
        request = carry.request.request
        if self.rng.random() < 0.3:
            refusal = self.rng.choice([code for code in Refusal if code is not Refusal.WORK or not carry.worked])
            self.take(self.desk.session.settled(request, Refused(refusal, self.rng.randrange(9))))
        elif isinstance(carry.request, Read):
            self.take(self.desk.session.opened(request, max(self.cursor, carry.request.after)))
        else:
            self.cursor += 1
            self.take(self.desk.session.settled(request, self.cursor))

    def fetch(self) -> None:
        if self.fetches:
            asked = self.fetches.pop(0)
            found = [(n, b"x") for n in range(asked.after + 1, self.cursor + 1)][: self.rng.randint(0, asked.blobs)]
            self.take(self.desk.session.fetched(asked, None if self.rng.random() < 0.2 else found))

    def news(self) -> None:
        queue, session = self.rng.choice(QUEUES).name, self.desk.session
        self.cursor += 1
        self.take(
            self.rng.choice(
                [
                    lambda: session.grown(queue),
                    lambda: session.came(queue, self.cursor - 1, self.cursor, b"x"),
                    lambda: session.told(Told(self.rng.choice(PLACES), b"", gone=self.rng.random() < 0.2)),
                    lambda: session.tick(self.desk.now),
                ]
            )()
        )

    def take(self, actions) -> None:
        for action in actions:
            if isinstance(action, Carry):
                self.open.append(action)
            elif isinstance(action, Fetch):
                self.fetches.append(action)
            elif isinstance(action, Send):
                assert decode_message(encode_message(action.message)) == action.message
                self.note(action.message)
            assert not isinstance(action, Close), "no request of a known kind ends a connection"

    def note(self, message) -> None:
        if isinstance(message, Deliver):
            self.pushed[message.queue] = message.blobs[-1][0]
        elif isinstance(message, Fail):
            assert message.code in set(Refusal)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_nothing_raises_and_all_is_given_back(seed: int):
    world = Anything(seed)
    world.take(world.desk.say(Knock(b"n" * 32)))
    for _ in range(300):
        world.step()
    world.desk.session.ended = True
    while world.open:
        world.answer()
    assert world.pool.bytes == 0
    assert world.desk.session._pending_bytes == 0


values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, INT_MAX) | st.binary(max_size=33) | st.text(max_size=33),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=16,
)


@given(st.lists(st.tuples(st.integers(0, 21), st.integers(0, 3), st.lists(values, max_size=6)), max_size=6))
def test_any_values_as_messages(said):
    desk = Desk().knock()
    for kind, request, fields in said:
        try:
            message = decode_message(encode([kind, request, *fields]))
        except (Malformed, UnknownVersion):
            continue
        for action in desk.session.heard(message, 100, 0.0):
            assert isinstance(action, Send | Carry | Close)
