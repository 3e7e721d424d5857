"""The contract of a store, on Redis, and what sharing it adds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
import redis

from bridge import bounds, redis_asked, redis_link
from bridge.bounds import Quotas
from bridge.faults import BadStore, StoreAway, StoreUnfit
from bridge.redis_keys import account_key, list_key, name_of
from bridge.redis_link import Where, parse_store
from bridge.redis_store import RedisStore
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal
from tests.bridge.redis_server import RedisServer, serving
from tests.bridge.store_contract import *  # noqa: F403 - the contract's tests run here
from tests.bridge.store_contract import (
    ALICE,
    ALL,
    BOB,
    DAY,
    NOW,
    OTHER,
    QUEUE,
    TOKEN,
    WRONG,
    Shelf,
    holder,
    in_loop,
    made,
    open_,
    refusal,
    texts,
)


@pytest.fixture(scope="module")
def kept() -> Iterator[RedisServer]:
    yield from serving()


@pytest.fixture
def server(kept: RedisServer) -> RedisServer:
    with kept.client() as client:
        client.flushall()
    return kept


@pytest.fixture
def shelf(server: RedisServer) -> Shelf:
    @asynccontextmanager
    async def opened(quotas: Quotas | None = None):
        store = await RedisStore.open_url(server.url, quotas or Quotas())
        try:
            yield store
        finally:
            await store.close()

    return opened


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server that the test may kill."""
    yield from serving()


# --- several processes ---


@in_loop
async def test_a_put_wakes_the_readers_of_other_processes_alone(shelf: Shelf) -> None:
    async with shelf() as writer, shelf() as reader:
        await made(writer)
        here: list[bytes] = []
        there: asyncio.Queue[bytes] = asyncio.Queue()
        writer.grown, reader.grown = here.append, there.put_nowait
        writer.listen(QUEUE)
        reader.listen(QUEUE)
        assert await there.get() == QUEUE  # something may have come before it was listened to
        for n in range(3):
            await writer.put(QUEUE, TOKEN, b"%d" % n, NOW)
            assert await there.get() == QUEUE
        assert here in ([], [QUEUE])  # the first look, and never its own
        assert await texts(reader) == [b"0", b"1", b"2"]
        reader.unlisten(QUEUE)
        reader.listen(OTHER)
        assert await there.get() == OTHER
        await writer.put(QUEUE, TOKEN, b"3", NOW)
        await made(writer, OTHER)
        await writer.put(OTHER, TOKEN, b"x", NOW)
        assert await there.get() == OTHER


@in_loop
async def test_puts_of_two_processes_get_rising_cursors_within_one_quota(shelf: Shelf) -> None:
    quotas = Quotas(queue_blobs=100)
    async with shelf(quotas) as one, shelf(quotas) as two:
        await made(one)
        asked = [store.put(QUEUE, TOKEN, b"x", NOW) for _ in range(60) for store in (one, two)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refusals = [answer for answer in answers if isinstance(answer, Refused)]
        placed = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert [r.refusal for r in refusals] == [Refusal.QUOTA] * 20
        cursors = sorted(p.cursor for p in placed)
        assert cursors == [cursor for cursor, _ in await one.read(QUEUE, 0, *ALL)]
        assert sorted(p.previous for p in placed) == [0, *cursors[:-1]]


@in_loop
async def test_what_one_process_dropped_is_gone_at_the_other(shelf: Shelf) -> None:
    async with shelf() as one, shelf() as two:
        await made(one)
        await two.put(QUEUE, TOKEN, b"x", NOW)
        await one.drop(QUEUE)
        assert await refusal(two.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.GONE
        await made(one)
        await two.put(QUEUE, TOKEN, b"again", NOW)
        assert await texts(one) == [b"again"]


@in_loop
async def test_a_dropped_queue_may_be_made_by_another_account(shelf: Shelf) -> None:
    """Its route leads to the first account still, at every process."""
    async with shelf() as one, shelf() as two:
        await made(one, QUEUE, ALICE)
        await two.put(QUEUE, TOKEN, b"x", NOW)
        await one.drop(QUEUE)
        await made(one, QUEUE, BOB)
        await two.put(QUEUE, TOKEN, b"bob's", NOW)
        assert await texts(two) == await texts(one) == [b"bob's"]
        assert await one.purge(BOB) == 1
        assert await one.purge(ALICE) == 0


@in_loop
async def test_a_queue_stays_with_its_first_account(shelf: Shelf) -> None:
    async with shelf(Quotas(account_queues=1)) as store:
        await made(store, QUEUE, ALICE)
        await store.create(QUEUE, open_(BOB), WRONG, False, NOW)
        await store.put(QUEUE, WRONG, b"x", NOW)
        assert await store.purge(BOB) == 0
        assert await store.purge(ALICE) == 1


# --- Redis goes and comes back ---


@in_loop
async def test_while_redis_is_away_all_is_refused_and_then_goes_on(own: RedisServer) -> None:
    store = await RedisStore.open_url(own.url, Quotas())
    await made(store)
    kept = await store.put(QUEUE, TOKEN, b"kept", NOW)
    missed: asyncio.Queue[bytes] = asyncio.Queue()
    store.grown = missed.put_nowait
    store.listen(QUEUE)
    await missed.get()
    own.kill()
    for asked in (
        store.put(QUEUE, TOKEN, b"x", NOW),
        store.open(QUEUE, 0, NOW),
        store.read(QUEUE, 0, *ALL),
        store.ack(QUEUE, kept.cursor, NOW),
        store.create(OTHER, open_(ALICE), TOKEN, False, NOW),
        store.admit(open_(BOB), NOW),
        store.expire(NOW),
        store.stats(),
    ):
        with pytest.raises(Refused) as found:
            await asked
        assert (found.value.refusal, found.value.retry_ms) == (Refusal.FULL, bounds.RETRY_AWAY_MS)
    own.start()  # without its scripts: they are loaded again
    assert await missed.get() == QUEUE  # whoever reads looks again
    assert await store.read(QUEUE, 0, *ALL) == [(kept.cursor, b"kept")]
    assert (await store.put(QUEUE, TOKEN, b"more", NOW)).previous == kept.cursor
    await store.close()


@in_loop
async def test_a_redis_that_hangs_is_away(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "ANSWER_S", 0.2)
    store = await RedisStore.open_url(own.url, Quotas())
    await made(store)
    own.pause()
    assert await refusal(store.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.FULL
    own.resume()
    monkeypatch.undo()
    await store.put(QUEUE, TOKEN, b"y", NOW)
    assert (await texts(store))[-1] == b"y"
    await store.close()


@in_loop
async def test_a_full_redis_refuses_puts_and_takes_acknowledgements(own: RedisServer) -> None:
    store = await RedisStore.open_url(own.url, Quotas())
    await made(store)
    placed = await store.put(QUEUE, TOKEN, bytes(500_000), NOW)
    with own.client() as client:
        client.config_set("maxmemory", "1mb")
    assert await refusal(store.put(QUEUE, TOKEN, bytes(1_000), NOW)) is Refusal.FULL
    assert await store.ack(QUEUE, placed.cursor, NOW) == 1
    await store.drop(QUEUE)
    assert await store.expire(NOW + DAY) == 0
    with own.client() as client:
        client.config_set("maxmemory", "0")
    await made(store)
    await store.put(QUEUE, TOKEN, b"room", NOW)
    await store.close()


@in_loop
async def test_one_that_became_a_replica_is_left(own: RedisServer) -> None:
    """As after a failover: a name that leads to the new primary is resolved again."""
    store = await RedisStore.open_url(own.url, Quotas())
    await made(store)
    with own.client() as client:
        before = {int(one["id"]) for one in client.client_list() if one["cmd"] == "evalsha"}
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert await refusal(store.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.FULL
        client.execute_command("REPLICAOF", "NO", "ONE")
        await store.put(QUEUE, TOKEN, b"y", NOW)
        assert before
        assert not before & {int(one["id"]) for one in client.client_list()}
    assert await texts(store) == [b"y"]
    await store.close()


@in_loop
async def test_everybody_may_come_back_at_once(shelf: Shelf, server: RedisServer) -> None:
    async with shelf() as store:
        accounts = [bytes([n % 256, n // 256]) * 16 for n in range(1_000)]
        await asyncio.gather(*(store.admit(open_(account), NOW) for account in accounts))
        await asyncio.gather(*(store.create(account, open_(account), TOKEN, False, NOW) for account in accounts))
        assert (await store.stats()).queues == 1_000
        with server.client() as client:
            assert client.info("clients")["connected_clients"] < 32


@in_loop
async def test_a_redis_that_would_forget_is_not_used(own: RedisServer) -> None:
    with own.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnfit, match="allkeys-lru"):
        await RedisStore.open_url(own.url, Quotas())


@in_loop
async def test_a_redis_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreAway, match="does not answer"):
        await RedisStore.open_url(f"unix://{tmp_path}/nothing", Quotas())


@in_loop
async def test_what_nobody_foresaw_is_answered_and_ends_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf() as store:
        await made(store)
        with monkeypatch.context() as broken:
            broken.setattr(redis_asked, "keys_of", lambda account, queue: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await store.put(QUEUE, TOKEN, b"x", NOW)
        await store.put(QUEUE, TOKEN, b"y", NOW)
        assert await texts(store) == [b"y"]


# --- what lies there ---


@in_loop
async def test_nothing_is_left_of_what_was_forgotten(shelf: Shelf, server: RedisServer) -> None:
    later = NOW + (bounds.QUEUE_IDLE_DAYS + 2) * DAY
    async with shelf() as store:
        hashed = sha256(b"secret").digest()
        await store.add_token(hashed, "two words", 1, NOW)
        await store.create(QUEUE, await store.admit(holder(ALICE, "secret"), NOW), TOKEN, False, NOW)
        await store.put(QUEUE, TOKEN, b"x", NOW)
        assert await store.expire(later) == 1
        assert (await store.tokens())[0].label == "two words"
        assert (await store.tokens())[0].used == 0
        await store.remove_token(hashed)
    with server.client() as client:
        assert client.keys() == [f"p2pb:r:{{{name_of(QUEUE)}}}".encode()]  # the route goes by itself
        assert client.ttl(client.keys()[0]) > 0


@in_loop
async def test_counts_stay_true_through_everything(shelf: Shelf, server: RedisServer) -> None:
    async with shelf(Quotas(kept_s=100)) as store:
        await made(store)
        placed = [await store.put(QUEUE, TOKEN, bytes(n), NOW + n * 10_000) for n in range(10)]
        await store.ack(QUEUE, placed[3].cursor, NOW)
        assert await store.expire(NOW + 160_000) == 3
        found = await store.stats()
        assert (found.blobs, found.bytes, found.oldest_ms) == (3, 7 + 8 + 9, NOW + 70_000)
        await store.drop(QUEUE)
        with server.client() as client:
            assert client.exists(account_key(name_of(ALICE))) == 0
            assert client.zcard(list_key(name_of(ALICE))) == 0


@in_loop
async def test_many_accounts_expire_in_turns(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.redis_upkeep.ACCOUNTS_AT_ONCE", 3)
    async with shelf(Quotas(kept_s=10)) as store:
        for n in range(8):
            await made(store, bytes([n]) * 32, bytes([n, 1]) * 16)
            await store.put(bytes([n]) * 32, TOKEN, b"x", NOW)
        assert [await store.expire(NOW + 10_000) for _ in range(4)] == [3, 3, 2, 0]


# --- addresses ---


def test_an_address_is_read_and_its_password_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    where = parse_store(f"redis+cluster://user@db.example:7000/0?password_file={secret}")
    assert where == Where("redis://user:p%40ss%2Fword@db.example:7000/0", True, "redis+cluster://db.example:7000/0")
    given = parse_store("rediss://:hush@db.example/1")
    assert (given.url, given.cluster, given.shown) == ("rediss://:hush@db.example/1", False, "rediss://db.example/1")
    assert "hush" not in repr(given) + str(given)
    assert redis.Redis.from_url(where.url).connection_pool.connection_kwargs["password"] == "p@ss/word"
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreAway) as found:
        asyncio.run(RedisStore.open_url("redis://:hush@127.0.0.1:1", Quotas()))
    assert "hush" not in str(found.value) + caplog.text


@pytest.mark.parametrize(
    "text", ["", "redis", "http://host", "redis://host:port", "redis://[::1", "redis://h?password_file=/nowhere/x"]
)
def test_what_is_no_store_is_refused(text: str) -> None:
    with pytest.raises(BadStore):
        parse_store(text)
