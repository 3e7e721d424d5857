"""Meeting places, in one process and in Redis: two sides, each bound to its token, and the messages that wait for
them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from bridge import bounds
from bridge.meetings import LocalMeetings, Meetings
from bridge.places import Standing
from bridge.redis_link import Link, parse_store
from bridge.redis_meetings import RedisMeetings
from bridge.store import Refused
from p2p_agents.limits import MEETING_BYTES
from p2p_agents.wire.relay_answers import Refusal, Told
from p2p_agents.wire.relay_requests import Side
from tests.bridge.redis_server import RedisServer, need_redis, serving
from tests.bridge.store_contract import NOW, in_loop, refusal

DISPLAYER, JOINER = Side.DISPLAYER, Side.JOINER
ONE, TWO, THREE = 1, 2, 3  # visitors
D, J, X = b"d" * 32, b"j" * 32, b"x" * 32  # hashes of side tokens
PLACE = "7Q2MX"
THERE = Told(PLACE, b"")
GONE = Told(PLACE, b"", gone=True)


class Ear:
    """What each visitor was told, to be waited for."""

    def __init__(self, *processes: Meetings) -> None:
        self._processes = processes
        self._now_ms = NOW
        self._heard: dict[tuple[int, int], asyncio.Queue[Told]] = {}
        for number, process in enumerate(processes):
            process.told = lambda visitor, told, number=number: self._of(number, visitor).put_nowait(told)

    def _of(self, process: int, visitor: int) -> asyncio.Queue[Told]:
        return self._heard.setdefault((process, visitor), asyncio.Queue())

    def sweep(self, now_ms: int) -> None:
        """As a bridge does every second."""
        self._now_ms = now_ms
        for process in self._processes:
            process.expire(now_ms)

    async def next(self, visitor: int, process: int = 0) -> Told:
        while True:
            try:
                async with asyncio.timeout(1):
                    return await self._of(process, visitor).get()
            except TimeoutError:
                self.sweep(self._now_ms)

    def silent(self) -> bool:
        return all(queue.empty() for queue in self._heard.values())


Hall = Callable[[], AbstractAsyncContextManager[Meetings]]


@pytest.fixture(scope="module")
def kept() -> Iterator[RedisServer]:
    yield from serving()


@asynccontextmanager
async def in_redis(server: RedisServer) -> AsyncIterator[Meetings]:
    link = await Link.open(parse_store(server.url))
    meetings = RedisMeetings(link)
    try:
        yield meetings
    finally:
        await meetings.close()
        await link.close()


@asynccontextmanager
async def in_process() -> AsyncIterator[Meetings]:
    meetings = LocalMeetings()
    yield meetings
    await meetings.close()


@pytest.fixture(params=["process", "redis"])
def hall(request: pytest.FixtureRequest) -> Hall:
    if request.param == "process":
        return in_process
    need_redis()
    server: RedisServer = request.getfixturevalue("kept")
    with server.client() as client:
        client.flushall()
    return lambda: in_redis(server)


@pytest.fixture
def server(kept: RedisServer) -> RedisServer:
    with kept.client() as client:
        client.flushall()
    return kept


async def met(meetings: Meetings, ear: Ear) -> None:
    """Both sides are there and know it."""
    await meetings.meet(PLACE, DISPLAYER, D, ONE, NOW)
    await meetings.meet(PLACE, JOINER, J, TWO, NOW)
    assert await ear.next(ONE) == await ear.next(TWO) == THERE


@in_loop
async def test_two_sides_hear_of_each_other_and_talk_in_order(hall: Hall) -> None:
    async with hall() as meetings:
        ear = Ear(meetings)
        await met(meetings, ear)
        for n in range(10):
            await meetings.tell(PLACE, b"%d" % n, ONE, NOW)
        assert [(await ear.next(TWO)).message for _ in range(10)] == [b"%d" % n for n in range(10)]
        await meetings.tell(PLACE, bytes(MEETING_BYTES), TWO, NOW)
        assert await ear.next(ONE) == Told(PLACE, bytes(MEETING_BYTES))
        assert len(meetings) == 1


@in_loop
async def test_what_is_said_to_nobody_waits_for_its_side(hall: Hall) -> None:
    async with hall() as meetings:
        ear = Ear(meetings)
        await meetings.meet(PLACE, JOINER, J, TWO, NOW)
        await meetings.tell(PLACE, b"1", TWO, NOW)
        await meetings.tell(PLACE, b"2", TWO, NOW)
        await meetings.meet(PLACE, DISPLAYER, D, ONE, NOW)
        assert [(await ear.next(ONE)).message for _ in range(3)] == [b"", b"1", b"2"]
        assert await ear.next(TWO) == THERE


@in_loop
async def test_a_side_is_its_tokens_alone(hall: Hall) -> None:
    async with hall() as meetings:
        ear = Ear(meetings)
        await met(meetings, ear)
        assert await refusal(meetings.meet(PLACE, DISPLAYER, X, THREE, NOW)) is Refusal.CROWDED
        assert await refusal(meetings.meet(PLACE, JOINER, X, THREE, NOW)) is Refusal.CROWDED
        assert await refusal(meetings.meet(PLACE, JOINER, J, ONE, NOW)) is Refusal.BAD
        assert await refusal(meetings.tell(PLACE, b"x", THREE, NOW)) is Refusal.AWAY
        assert await refusal(meetings.leave(PLACE, THREE, NOW)) is Refusal.AWAY
        assert await refusal(meetings.tell("OTHER", b"x", ONE, NOW)) is Refusal.AWAY
        meetings.lost(ONE, NOW)
        assert await refusal(meetings.meet(PLACE, DISPLAYER, X, THREE, NOW)) is Refusal.CROWDED
        assert ear.silent()


@in_loop
async def test_whoever_comes_back_with_the_token_has_its_side_again(hall: Hall) -> None:
    async with hall() as meetings:
        ear = Ear(meetings)
        await met(meetings, ear)
        meetings.lost(ONE, NOW)
        await meetings.tell(PLACE, b"meanwhile", TWO, NOW)
        await meetings.meet(PLACE, DISPLAYER, D, THREE, NOW)
        assert [await ear.next(THREE) for _ in range(2)] == [THERE, Told(PLACE, b"meanwhile")]
        assert await ear.next(TWO) == THERE
        assert await refusal(meetings.tell(PLACE, b"x", ONE, NOW)) is Refusal.AWAY


@in_loop
async def test_who_leaves_ends_it_for_both(hall: Hall) -> None:
    async with hall() as meetings:
        ear = Ear(meetings)
        await met(meetings, ear)
        await meetings.leave(PLACE, ONE, NOW)
        assert await ear.next(TWO) == GONE
        assert await refusal(meetings.tell(PLACE, b"x", TWO, NOW)) is Refusal.AWAY
        assert ear.silent()
        await meetings.meet(PLACE, DISPLAYER, X, THREE, NOW)  # as if it had never been


@in_loop
async def test_a_place_ends_in_ten_minutes_and_without_a_displayer_in_one(hall: Hall) -> None:
    async with hall() as meetings:
        ear = Ear(meetings)
        await meetings.meet(PLACE, JOINER, J, TWO, NOW)
        ear.sweep(NOW + bounds.LONELY_PLACE_MS)
        assert await ear.next(TWO) == GONE
        await meetings.meet(PLACE, JOINER, J, TWO, NOW + 100_000)
        await meetings.meet(PLACE, DISPLAYER, D, ONE, NOW + 110_000)
        assert await ear.next(ONE) == await ear.next(TWO) == THERE
        late = NOW + 110_000 + bounds.PLACE_MS - 30_000  # Redis forgets what waits by a clock of its own
        ear.sweep(late)
        await meetings.tell(PLACE, b"still", ONE, late)
        assert await ear.next(TWO) == Told(PLACE, b"still")
        ear.sweep(NOW + 110_000 + bounds.PLACE_MS)
        assert await ear.next(ONE) == await ear.next(TWO) == GONE
        assert len(meetings) == 0


@in_loop
async def test_what_waits_is_bounded(hall: Hall) -> None:
    async with hall() as meetings:
        await meetings.meet(PLACE, DISPLAYER, D, ONE, NOW)
        for _ in range(bounds.PLACE_MESSAGES):
            await meetings.tell(PLACE, b"x", ONE, NOW)
        assert await refusal(meetings.tell(PLACE, b"x", ONE, NOW)) is Refusal.QUOTA
        await meetings.meet("OTHER", DISPLAYER, D, ONE, NOW)
        for _ in range(bounds.PLACE_BYTES // MEETING_BYTES):
            await meetings.tell("OTHER", bytes(MEETING_BYTES), ONE, NOW)
        assert await refusal(meetings.tell("OTHER", bytes(MEETING_BYTES), ONE, NOW)) is Refusal.QUOTA


@in_loop
async def test_places_are_bounded_and_those_that_are_over_make_room(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "PLACES", 2)
    async with hall() as meetings:
        known = Standing(b"n", known=True)
        await meetings.meet("A", DISPLAYER, D, ONE, NOW, known)
        await meetings.meet("B", DISPLAYER, D, ONE, NOW, known)
        assert await refusal(meetings.meet("C", DISPLAYER, D, ONE, NOW, known)) is Refusal.FULL
        await meetings.meet("A", JOINER, J, TWO, NOW)
        await meetings.meet("B", DISPLAYER, D, ONE, NOW + 1)  # again
        meetings.expire(NOW + bounds.PLACE_MS)
        await meetings.meet("C", DISPLAYER, D, ONE, NOW + bounds.PLACE_MS, known)


@in_loop
async def test_one_network_does_not_take_every_place(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PLACES_OF_NETWORK", 2)
    monkeypatch.setattr(bounds, "LONELY_PLACES_OF_NETWORK", 1)
    eve, bob = Standing(b"eve"), Standing(b"bob")
    async with hall() as meetings:
        await meetings.meet("A", DISPLAYER, D, ONE, NOW, eve)
        await meetings.meet("B", DISPLAYER, D, ONE, NOW, eve)
        assert await refusal(meetings.meet("C", DISPLAYER, D, ONE, NOW, eve)) is Refusal.RATE
        await meetings.meet("C", DISPLAYER, D, TWO, NOW, bob)
        await meetings.meet("D", JOINER, J, ONE, NOW, eve)
        assert await refusal(meetings.meet("E", JOINER, J, ONE, NOW, eve)) is Refusal.RATE
        await meetings.meet("A", JOINER, J, TWO, NOW, bob)
        await meetings.leave("A", TWO, NOW)  # whoever ends it: it was eve's
        await meetings.meet("F", DISPLAYER, D, ONE, NOW, eve)
        await meetings.meet("D", DISPLAYER, D, TWO, NOW, bob)  # nobody waits there any more
        meetings.expire(NOW + bounds.LONELY_PLACE_MS)
        await meetings.meet("E", JOINER, J, ONE, NOW + bounds.LONELY_PLACE_MS, eve)


@in_loop
async def test_who_hangs_up_while_it_is_asked_for_frees_its_place_too(hall: Hall) -> None:
    async with hall() as meetings:
        asked = meetings.meet(PLACE, DISPLAYER, D, ONE, NOW)
        meetings.lost(ONE, NOW)
        await asked
        late = NOW + bounds.ABANDONED_PLACE_MS
        assert await refusal(meetings.meet(PLACE, DISPLAYER, X, TWO, late - 1)) is Refusal.CROWDED
        await meetings.meet(PLACE, DISPLAYER, X, TWO, late)


@in_loop
async def test_what_one_network_tells_is_bounded(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PLACE_BYTES_OF_NETWORK", 1_000)
    async with hall() as meetings:
        await meetings.meet("A", DISPLAYER, D, ONE, NOW, Standing(b"eve"))
        await meetings.meet("B", DISPLAYER, D, TWO, NOW, Standing(b"bob"))
        await meetings.tell("A", bytes(600), ONE, NOW)
        assert await refusal(meetings.tell("A", bytes(600), ONE, NOW)) is Refusal.RATE
        await meetings.tell("B", bytes(600), TWO, NOW)


@in_loop
async def test_a_newcomer_works_for_a_place_where_they_are_scarce(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PLACES", 2)
    async with hall() as meetings:
        await meetings.meet("A", DISPLAYER, D, ONE, NOW, Standing(b"1"))
        assert await refusal(meetings.meet("B", DISPLAYER, D, ONE, NOW, Standing(b"2"))) is Refusal.WORK
        await meetings.meet("B", DISPLAYER, D, ONE, NOW, Standing(b"2", worked=True))


@in_loop
async def test_who_hangs_up_and_does_not_come_back_frees_its_place(hall: Hall) -> None:
    soon, late = NOW + bounds.ABANDONED_PLACE_MS - 1, NOW + bounds.ABANDONED_PLACE_MS
    async with hall() as meetings:
        ear = Ear(meetings)
        await met(meetings, ear)
        await meetings.meet("BACK", DISPLAYER, D, ONE, NOW)
        meetings.lost(ONE, NOW)
        await meetings.meet("BACK", DISPLAYER, D, THREE, soon)
        ear.sweep(late)
        assert await ear.next(TWO) == GONE
        await meetings.meet(PLACE, DISPLAYER, X, THREE, late)
        assert await refusal(meetings.meet("BACK", DISPLAYER, X, TWO, NOW + bounds.PLACE_MS - 1)) is Refusal.CROWDED


@in_loop
async def test_a_name_may_be_anything(hall: Hall) -> None:
    async with hall() as meetings:
        ear = Ear(meetings)
        for name in ("", "{}", "}{", "a b\n0", "\u20ac" * 8, "*"):
            await meetings.meet(name, DISPLAYER, D, ONE, NOW)
            await meetings.meet(name, JOINER, J, TWO, NOW)
            assert await ear.next(ONE) == await ear.next(TWO) == Told(name, b"")
            await meetings.leave(name, ONE, NOW)
            assert await ear.next(TWO) == Told(name, b"", gone=True)


# --- two processes ---


@in_loop
async def test_sides_of_two_processes_meet(server: RedisServer) -> None:
    async with in_redis(server) as here, in_redis(server) as there:
        ear = Ear(here, there)
        await here.meet(PLACE, DISPLAYER, D, ONE, NOW)
        assert await refusal(there.meet(PLACE, DISPLAYER, X, ONE, NOW)) is Refusal.CROWDED
        await there.meet(PLACE, JOINER, J, ONE, NOW)  # the same number, of another process
        assert await ear.next(ONE, 0) == await ear.next(ONE, 1) == THERE
        await here.tell(PLACE, b"from here", ONE, NOW)
        await there.tell(PLACE, b"from there", ONE, NOW)
        assert (await ear.next(ONE, 1)).message == b"from here"
        assert (await ear.next(ONE, 0)).message == b"from there"
        await there.leave(PLACE, ONE, NOW)
        assert await ear.next(ONE, 0) == GONE
        assert ear.silent()


@in_loop
async def test_what_was_told_to_a_process_that_died_waits(server: RedisServer) -> None:
    async with in_redis(server) as here, in_redis(server) as alive:
        ear = Ear(here, alive)
        link = await Link.open(parse_store(server.url))
        dead = RedisMeetings(link)
        await dead.meet(PLACE, JOINER, J, ONE, NOW)
        await dead._ears.close()  # as a process that is killed: it says nothing more
        await link.close()
        await here.meet(PLACE, DISPLAYER, D, TWO, NOW)
        await here.tell(PLACE, b"kept", TWO, NOW)
        await alive.meet(PLACE, JOINER, J, ONE, NOW)
        heard = [await ear.next(ONE, 1) for _ in range(3)]
        assert heard == [THERE, THERE, Told(PLACE, b"kept")]
        assert await ear.next(TWO, 0) == THERE  # of the dead one: nobody knew
        assert await ear.next(TWO, 0) == THERE


@in_loop
async def test_while_redis_is_away_meeting_is_refused_and_then_goes_on() -> None:
    need_redis()
    own = RedisServer()
    own.start()
    try:
        async with in_redis(own) as here, in_redis(own) as there:
            ear = Ear(here, there)
            await here.meet(PLACE, DISPLAYER, D, ONE, NOW)
            own.kill()
            assert await refusal(there.meet(PLACE, JOINER, J, TWO, NOW)) is Refusal.FULL
            assert await refusal(here.tell(PLACE, b"x", ONE, NOW)) is Refusal.FULL
            own.start()
            await there.meet(PLACE, JOINER, J, TWO, NOW)
            assert await ear.next(TWO, 1) == await ear.next(ONE, 0) == THERE
            await there.tell(PLACE, b"after all", TWO, NOW)
            assert await ear.next(ONE, 0) == Told(PLACE, b"after all")
            own.kill()
            over = NOW + bounds.PLACE_MS
            ear.sweep(over)
            assert await refusal(here.tell(PLACE, b"x", ONE, over)) is Refusal.FULL
            assert ear.silent()  # what may still be there is not called gone
            own.start()
            ear.sweep(over)
            assert await ear.next(ONE, 0) == GONE
    finally:
        own.close()


@in_loop
async def test_what_could_not_be_taken_is_taken_with_the_next_sweep(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_redis(server) as here, in_redis(server) as there:
        ear = Ear(here, there)
        await here.meet(PLACE, DISPLAYER, D, ONE, NOW)
        failed = asyncio.Event()

        async def fail(command: object) -> None:
            failed.set()
            raise Refused(Refusal.FULL)

        with monkeypatch.context() as broken:
            broken.setattr(here._link, "one", fail)
            await there.meet(PLACE, JOINER, J, TWO, NOW)
            await failed.wait()
        assert await ear.next(TWO, 1) == THERE
        assert await ear.next(ONE, 0) == THERE
