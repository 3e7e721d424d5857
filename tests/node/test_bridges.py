"""Between bridges and the core: posts, queues, meeting places and news."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from p2p_agents.core.kernel.effects import ForBridges, Kept, LeaveBridge, Meet, Post, ReadQueues, TellPlace
from p2p_agents.core.turn import relays
from p2p_agents.core.turn.batch import Outcome
from p2p_agents.crypto.outer import KEY_BYTES, open_blob, queue_name, token_hash
from p2p_agents.errors import StoreFull
from p2p_agents.limits import BRIDGE_WAITING_BYTES, BRIDGES, KIB
from p2p_agents.link.bridge_news import DOWN
from p2p_agents.node.bridges import Bridges
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.endpoint import Endpoint
from p2p_agents.store.bridges import Configured
from p2p_agents.store.queues import OwnQueue
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.relay_answers import Refusal, Told
from p2p_agents.wire.relay_requests import Create, Login, Put, Tell
from p2p_agents.wire.relay_requests import Meet as MeetRequest
from p2p_agents.wire.route import Route
from tests.link.bridges import OBSERVED, TOKEN, FakeBridge, key
from tests.link.bridges import Kept as KeptQueue
from tests.net.bridge_server import Server
from tests.net.test_bridge_client import NobodysLines

WRITE, OUTER = b"w" * 32, b"o" * 32
MINE = queue_name(key("mine").public)
THEIRS = queue_name(key("theirs").public)


class Desk:
    """A writer that records which of relaying's functions it should run, and lets a test decide the outcome."""

    def __init__(self) -> None:
        self.items: list[partial[Any]] = []
        self.outcome = Outcome()
        self._news = asyncio.Event()

    def submit(self, item: Any, done: Callable[[Outcome], None] | None = None) -> None:
        self.items.append(item)
        if done is not None:
            done(self.outcome)
        self._news.set()

    later = submit

    async def until(self, function: Callable[..., None]) -> dict[str, Any]:
        """The arguments of the next call of that function."""
        async with asyncio.timeout(20):
            while True:
                while self.items:
                    item = self.items.pop(0)
                    if item.func is function:
                        return dict(item.keywords)
                self._news.clear()
                await self._news.wait()


class Shore:
    """Bridges of one node, beside one that is served."""

    def __init__(self, server: Server, bridges: Bridges, desk: Desk) -> None:
        self.server, self.bridges, self.desk = server, bridges, desk
        self.address = str(server.address)
        server.bridge.queues[THEIRS] = KeptQueue(token_hash(WRITE))

    def configure(self, token: str = TOKEN) -> None:
        self.bridges.configure([Configured(self.address, token, 1)])

    def carry(self, *effects: ForBridges) -> None:
        self.bridges.carry(effects)

    def post(self, frame: bytes, bridge: str = "") -> Post:
        return Post(Route(bridge or self.address, THEIRS, WRITE, OUTER), frame, 7, (b"d" * 32, b"p" * 32))

    def read(self, cursor: int = 0) -> ReadQueues:
        seed = key("mine").seed
        own = OwnQueue(MINE, self.address, b"d" * 32, b"p" * 32, b"a" * 32, seed, WRITE, OUTER, cursor)
        return ReadQueues(self.address, (own,))

    def left(self) -> list[tuple[int, list[bytes]]]:
        """The content of the peer's queue, opened."""
        return [open_blob(OUTER, THEIRS, blob) for _, blob in self.server.bridge.queues[THEIRS].blobs]


@contextlib.asynccontextmanager
async def shore(folder: Path) -> AsyncIterator[Shore]:
    server = Server(FakeBridge(), NodeCertificate.from_seed(key("bridge").seed), folder)
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None], name: str) -> None:
        tasks.add(asyncio.get_running_loop().create_task(work, name=name))

    desk = Desk()
    endpoint = await Endpoint.open(NodeCertificate.from_seed(key("node").seed), NobodysLines())
    bridges = Bridges(desk, endpoint, key("node").seed, spawn)
    try:
        async with server.serve():
            yield Shore(server, bridges, desk)
    finally:
        await bridges.close()
        await asyncio.gather(*tasks)
        await endpoint.close()


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[Shore], Coroutine[Any, Any, None]]], None]:
    """Run a story on a shore, with every blocking call in the loop an error."""

    async def told(story: Callable[[Shore], Coroutine[Any, Any, None]]) -> None:
        async with shore(tmp_path) as made:
            await story(made)

    def runs(story: Callable[[Shore], Coroutine[Any, Any, None]]) -> None:
        with blockbuster_ctx("p2p_agents"):
            asyncio.run(told(story))

    return runs


def test_a_configured_bridge_is_reached_and_told_with_our_addresses(run):
    async def story(shore: Shore) -> None:
        shore.configure()
        up = await shore.desk.until(relays.bridge_up)
        assert (up["bridge"], up["observed"]) == (shore.address, OBSERVED)
        assert all(
            place.rpartition(":")[2] == str(shore.bridges.get(shore.address)._endpoint.port) for place in up["local"]
        )
        assert [served.configured for served in shore.bridges] == [True]

    run(story)


def test_posts_of_one_batch_travel_in_one_blob(run):
    async def story(shore: Shore) -> None:
        one, two = shore.post(b"one"), shore.post(b"two")
        shore.carry(one, two)
        assert (await shore.desk.until(relays.stored))["posts"] == [one, two]
        assert shore.left() == [(7, [b"one", b"two"])]
        assert not shore.server.bridge.asked(Login)

    run(story)


def test_posts_that_are_refused_are_their_senders_again(run):
    async def story(shore: Shore) -> None:
        del shore.server.bridge.queues[THEIRS]
        posts = [shore.post(b"one"), shore.post(b"two")]
        shore.carry(*posts)
        refused = await shore.desk.until(relays.refused)
        assert (refused["posts"], refused["code"]) == (posts, Refusal.GONE)

    run(story)


def test_what_is_no_bridge_takes_nothing(run):
    """Attack: a contact names nonsense as its bridge."""

    async def story(shore: Shore) -> None:
        shore.carry(shore.post(b"one", "bridge://nowhere"))
        assert (await shore.desk.until(relays.bridge_down))["code"] == "bad_bridge"
        assert (await shore.desk.until(relays.refused))["code"] == Refusal.BAD
        assert list(shore.bridges) == []

    run(story)


def test_bridges_that_contacts_name_are_bounded(run):
    """Attack: contacts that name ever more bridges cannot make us flood; our own come first."""

    async def story(shore: Shore) -> None:
        for number in range(BRIDGES + 5):
            address = BridgeAddress("192.0.2.1", 1 + number, os.urandom(KEY_BYTES))
            shore.carry(ReadQueues(str(address), ()))
        assert len(list(shore.bridges)) == BRIDGES
        shore.configure()
        assert next(iter(shore.bridges)).address == shore.address

    run(story)


def test_what_waits_for_a_bridge_is_bounded(run):
    async def story(shore: Shore) -> None:
        posts = [shore.post(b"x" * 256 * KIB) for _ in range(BRIDGE_WAITING_BYTES // (256 * KIB) + 1)]
        shore.carry(*posts)
        refused = await shore.desk.until(relays.refused)
        assert (refused["posts"], refused["code"]) == ([posts[-1]], Refusal.RATE)

    run(story)


def test_our_queues_are_read_and_what_is_kept_is_forgotten_there(run):
    """B7"""

    async def story(shore: Shore) -> None:
        shore.configure()
        shore.carry(shore.read())
        await shore.desk.until(relays.bridge_up)
        await shore.server.until_asked(Create)
        await shore.server.deliver(MINE, [(3, b"three")])
        came = await shore.desk.until(relays.came)
        assert (came["bridge"], came["queue"], came["blobs"]) == (shore.address, MINE, ((3, b"three"),))
        shore.server.bridge.queues[MINE].blobs = [(3, b"three")]
        shore.carry(Kept(shore.address, MINE, 3))
        await shore.server.until(lambda: not shore.server.bridge.queues[MINE].blobs)

    run(story)


def test_what_the_store_could_not_keep_comes_again(run):
    """B7: nothing is acknowledged, and the next connection delivers it again."""

    async def story(shore: Shore) -> None:
        shore.configure()
        shore.carry(shore.read())
        await shore.server.until_asked(Create)
        shore.server.bridge.queues[MINE].blobs = [(3, b"three")]
        shore.desk.outcome = Outcome(error=StoreFull())
        await shore.server.deliver(MINE, [(3, b"three")])
        await shore.desk.until(relays.came)
        shore.desk.outcome = Outcome()
        assert (await shore.desk.until(relays.came))["blobs"] == ((3, b"three"),)

    run(story)


def test_a_bridge_that_is_configured_no_more_still_serves_contacts(run):
    async def story(shore: Shore) -> None:
        shore.configure()
        await shore.desk.until(relays.bridge_up)
        shore.bridges.configure([], needed={shore.address})
        assert [served.configured for served in shore.bridges] == [False]
        shore.carry(shore.post(b"one"))
        await shore.desk.until(relays.stored)

    run(story)


def test_a_bridge_that_nobody_needs_is_left(run):
    async def story(shore: Shore) -> None:
        shore.configure()
        await shore.desk.until(relays.bridge_up)
        shore.server.bridge.silent.add(Put)
        post = shore.post(b"one")
        shore.carry(post)
        await shore.server.until_asked(Put)
        shore.bridges.configure([])
        assert list(shore.bridges) == []
        assert await shore.desk.until(relays.refused) == {"posts": [post], "code": DOWN, "retry_ms": 0}

    run(story)


def test_a_place_is_met_at_every_bridge_also_at_one_that_comes_later(run):
    async def story(shore: Shore) -> None:
        shore.carry(Meet("7Q2MX", True, WRITE))
        shore.configure()
        await shore.server.until_asked(MeetRequest)
        shore.carry(TellPlace(shore.address, "7Q2MX", b"hello"))
        await shore.server.until_asked(Tell)
        await shore.server.say(Told("7Q2MX", b"you too", gone=False))
        told = await shore.desk.until(relays.told)
        assert (told["bridge"], told["place"], told["message"], told["gone"]) == (
            shore.address,
            "7Q2MX",
            b"you too",
            False,
        )
        shore.carry(Meet("7Q2MX", True, WRITE, leave=True))

    run(story)


def test_a_bridge_that_nobody_names_any_more_is_left(run):
    async def story(shore: Shore) -> None:
        shore.carry(shore.read())
        await shore.desk.until(relays.bridge_up)
        shore.carry(LeaveBridge(shore.address))
        assert list(shore.bridges) == []
        await shore.server.until(lambda: not shore.server.quic)

    run(story)


def test_a_configured_bridge_is_left_by_nobodys_word_but_a_humans(run):
    async def story(shore: Shore) -> None:
        shore.configure()
        await shore.desk.until(relays.bridge_up)
        shore.carry(LeaveBridge(shore.address))
        assert [served.address for served in shore.bridges] == [shore.address]

    run(story)


def test_a_node_is_another_at_every_bridge(run):
    """Its signatures there do not tell two bridges that it is one node."""

    async def story(shore: Shore) -> None:
        other = BridgeAddress("192.0.2.1", 4433, key("other").public)
        shore.carry(ReadQueues(shore.address, ()), ReadQueues(str(other), ()))
        one, two = shore.bridges
        assert one.account.public != two.account.public

    run(story)
