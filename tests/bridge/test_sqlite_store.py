"""The contract of a store, on SQLite, and what a file adds: modes, batches, full disks."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from bridge import sqlite_store
from bridge.bounds import Quotas
from bridge.sqlite_store import SqliteStore
from bridge.store import Placed, Refused
from p2p_agents.crypto.outer import token_hash
from p2p_agents.errors import StoreBroken, StoreNewer, StoreReadOnly, StoreUncertain
from p2p_agents.wire.relay_answers import Refusal
from tests.bridge.failing_commit import FailingCommit
from tests.bridge.store_contract import *  # noqa: F403 - the contract's tests run here
from tests.bridge.store_contract import ALICE, ALL, BOB, NOW, OTHER, QUEUE, TOKEN, Shelf, in_loop, made, refusal, texts


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "bridge.db")


@pytest.fixture
def shelf(file: str) -> Shelf:
    @asynccontextmanager
    async def opened(quotas: Quotas | None = None):
        store = await SqliteStore.open_file(file, quotas or Quotas(disk_reserve=0))
        try:
            yield store
        finally:
            await store.close()

    return opened


@in_loop
async def test_the_files_are_private(shelf: Shelf, file: str) -> None:
    os.umask(0o022)
    async with shelf() as store:
        await made(store)
        for path in Path(file).parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@in_loop
async def test_many_puts_are_few_commits(shelf: Shelf, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    transact = SqliteStore._transact
    monkeypatch.setattr(
        SqliteStore, "_transact", lambda self, items: commits.append(len(items)) or transact(self, items)
    )
    async with shelf() as store:
        await made(store)
        queued = threading.Event()
        held = store._queue(lambda kept: queued.wait(20))
        puts = [store.put(QUEUE, TOKEN, b"x", NOW) for _ in range(500)]
        queued.set()
        await asyncio.gather(held, *puts)
        assert len(commits) <= 4  # two to make the queue, one that waits, and all of the puts
        assert len(await texts(store)) == 500


@in_loop
async def test_only_the_reserve_is_left(shelf: Shelf) -> None:
    """Acknowledging makes room and is always carried out; putting is refused meanwhile."""
    async with shelf() as store:
        await made(store)
        placed = await store.put(QUEUE, TOKEN, b"x", NOW)
    async with shelf(Quotas(disk_reserve=2**62)) as store:
        assert await refusal(store.put(QUEUE, TOKEN, b"y", NOW)) is Refusal.FULL
        assert await store.ack(QUEUE, placed.cursor, NOW) == 1
    async with shelf() as store:
        await store.put(QUEUE, TOKEN, b"z", NOW)
        assert await texts(store) == [b"z"]


@in_loop
async def test_a_failed_commit_undoes_all_and_tries_each_alone(shelf: Shelf, file: str) -> None:
    async with shelf() as store:
        await made(store)
        await made(store, OTHER)
        breaker = sqlite3.connect(file)
        breaker.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON blobs WHEN NEW.content = x'ff'"
            " BEGIN SELECT raise(ROLLBACK, 'a bad sector'); END"
        )
        breaker.commit()
        breaker.close()
        puts = [store.put(QUEUE, TOKEN, content, NOW) for content in (b"1", b"\xff", b"2")]
        assert (await puts[0]).previous == 0
        assert await refusal(puts[1]) is Refusal.FULL
        assert (await puts[2]).previous == (await puts[0]).cursor
        assert await texts(store) == [b"1", b"2"]
        assert (await store.stats()).blobs == 2


@pytest.mark.parametrize("takes_effect", [True, False])
def test_a_commit_of_unknown_outcome_is_neither_kept_nor_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    """Nothing is tried again, which might keep it twice; what another connection finds is what was done."""
    disk = FailingCommit(monkeypatch)

    @in_loop
    async def run() -> None:
        async with shelf() as store:
            await made(store)
            disk.next(takes_effect=takes_effect)
            first = store._connection
            queued = threading.Event()
            items = [store._queue(lambda kept: queued.wait(20)), *(store.put(QUEUE, TOKEN, b"x", NOW) for _ in "ab")]
            queued.set()
            found = await asyncio.gather(*items, return_exceptions=True)
            assert StoreUncertain in {type(each) for each in found}
            assert not {type(each) for each in found} & {Refused}
            kept = [each for each in found[1:] if isinstance(each, Placed)]
            lost = [each for each in found[1:] if isinstance(each, StoreUncertain)]
            await store.put(QUEUE, TOKEN, b"after", NOW)
            assert store._connection is not first
            assert len(await texts(store)) == len(kept) + (len(lost) if takes_effect else 0) + 1
            assert (await store.stats()).blobs == len(await texts(store))

    run()


def test_a_store_that_cannot_be_opened_anew_refuses_what_it_never_began(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FailingCommit(monkeypatch)

    @in_loop
    async def run() -> None:
        async with shelf() as store:
            await made(store)
            disk.next(takes_effect=False)
            with pytest.raises(StoreUncertain):
                await store.put(QUEUE, TOKEN, b"1", NOW)
            with monkeypatch.context() as away:
                away.setattr(sqlite_store, "_connect", broken)
                assert await refusal(store.put(QUEUE, TOKEN, b"2", NOW)) is Refusal.FULL
            await store.put(QUEUE, TOKEN, b"3", NOW)
            assert await texts(store) == [b"3"]

    run()


def broken(path: str) -> sqlite3.Connection:
    raise sqlite3.OperationalError("unable to open database file")


@in_loop
async def test_a_copy_of_a_store_in_use_is_whole(shelf: Shelf, file: str, tmp_path: Path) -> None:
    async with shelf() as store:
        await made(store)
        await store.put(QUEUE, TOKEN, b"kept", NOW)
        copy = str(tmp_path / "copy.db")
        await asyncio.to_thread(sqlite_store.backup, file, copy)
        await store.put(QUEUE, TOKEN, b"later", NOW)
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
    store = await SqliteStore.open_file(copy, Quotas(disk_reserve=0))
    assert [blob for _, blob in await store.read(QUEUE, 0, *ALL)] == [b"kept"]
    await store.close()


def test_a_store_of_a_newer_release_is_refused(file: str) -> None:
    sqlite_store.prepare(file)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreNewer):
        sqlite_store.prepare(file)


def test_a_store_that_is_none_is_refused(file: str, tmp_path: Path) -> None:
    Path(file).write_bytes(b"this is a letter, not a database\n" * 400)
    with pytest.raises(StoreBroken):
        sqlite_store.prepare(file)
    with pytest.raises(StoreReadOnly):
        sqlite_store.prepare(str(tmp_path / "nowhere" / "bridge.db"))


def test_checking_a_store(file: str) -> None:
    sqlite_store.prepare(file)
    assert sqlite_store.check(file) == "ok"


@in_loop
async def test_a_store_of_the_first_schema_is_brought_up_to_date(shelf: Shelf, file: str) -> None:
    """Every login had made an account; those without queues go, and the others count as networks of their own."""
    with sqlite3.connect(file) as old:
        old.executescript((files("bridge") / "schema" / "001_initial.sql").read_text())
        accounts = [(ALICE, 1, 600), (BOB, 0, 0)]
        old.executemany("INSERT INTO accounts (key, queues, bytes, seen_ms) VALUES (?, ?, ?, 1)", accounts)
        old.execute("INSERT INTO queues VALUES (1, ?, 1, ?, 0, 1, 600, 5, 1)", (QUEUE, token_hash(TOKEN)))
        old.execute("INSERT INTO blobs VALUES (1, 1, 5, 1, 600, ?)", (bytes(600),))
        old.execute("PRAGMA user_version = 1")
    old.close()
    async with shelf(Quotas(disk_reserve=0, network_bytes=2_000)) as store:
        assert await texts(store) == [bytes(600)]
        assert (await store.stats()).accounts == 1
        assert await refusal(store.put(QUEUE, token_hash(TOKEN), bytes(600), NOW)) is Refusal.ACCOUNT
        await store.put(QUEUE, token_hash(TOKEN), bytes(300), NOW)
