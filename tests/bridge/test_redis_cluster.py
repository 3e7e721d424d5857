"""The contract of a store, on a Redis cluster of three: every script's keys are in one slot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager

import pytest

from bridge.bounds import Quotas
from bridge.redis_store import RedisStore
from tests.bridge.redis_server import RedisCluster, need_redis
from tests.bridge.store_contract import *  # noqa: F403 - the contract's tests run here
from tests.bridge.store_contract import QUEUE, TOKEN, Shelf, in_loop, made, texts


@pytest.fixture(scope="module")
def kept() -> Iterator[RedisCluster]:
    need_redis()
    cluster = RedisCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(kept: RedisCluster) -> RedisCluster:
    kept.empty()
    return kept


@pytest.fixture
def shelf(cluster: RedisCluster) -> Shelf:
    @asynccontextmanager
    async def opened(quotas: Quotas | None = None):
        store = await RedisStore.open_url(cluster.url, quotas or Quotas())
        try:
            yield store
        finally:
            await store.close()

    return opened


@in_loop
async def test_accounts_are_spread_over_the_servers(shelf: Shelf, cluster: RedisCluster) -> None:
    async with shelf() as store:
        for n in range(32):
            await made(store, bytes([n]) * 32, bytes([n, 1]) * 16)
            await store.put(bytes([n]) * 32, TOKEN, b"x", 1)
    for server in cluster.servers:
        with server.client() as client:
            assert client.keys("p2pb:b:*")


@in_loop
async def test_what_one_process_puts_wakes_another_through_any_server(shelf: Shelf) -> None:
    async with shelf() as writer, shelf() as reader:
        await made(writer)
        woken: asyncio.Queue[bytes] = asyncio.Queue()
        reader.grown = woken.put_nowait
        reader.listen(QUEUE)
        assert await woken.get() == QUEUE  # something may have come before it was listened to
        await writer.put(QUEUE, TOKEN, b"x", 1)
        assert await woken.get() == QUEUE
        assert await texts(reader) == [b"x"]
