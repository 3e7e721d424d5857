"""The store of one bridge process: SQLite, one writer thread, many requests in one durable commit.

DONE means stored: nothing is answered before a commit with synchronous=FULL. If a transaction fails before that, all of
it is undone and its requests are tried again one by one: those that make room succeed where those that need room fail.
If the disk fails in the commit itself, it is unknown what was stored: its requests end with StoreUncertain, that
connection is not used again, and what a new one finds is the outcome.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bridge import bounds, queries
from bridge.rows import Rows
from bridge.store import Allowed, Crowd, Guest, Placed, Refused, Stats, Token, Usage
from p2p_agents.errors import EnvironmentFault, StoreBroken, StoreFull, StoreNewer, StoreReadOnly, StoreUncertain
from p2p_agents.files import sync_directory
from p2p_agents.wire.relay_answers import Refusal

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from bridge.bounds import Quotas

    Work = Callable[[Rows], Any]
    Item = tuple[Work, Future[Any], int]

log = logging.getLogger(__name__)

BUSY_MS = 5_000  # a backup or another command may lock the file this long
COMPLAIN_EVERY_S = 10.0
CACHE_KIB = 32 * 1024
PAGE_BYTES = 4_096
CHECKPOINT_PAGES = 8_000  # about 32 MiB of WAL before SQLite checkpoints by itself


class SqliteStore:
    """A `bridge.store.Store` in one file. Opened in the loop's thread."""

    def __init__(self, path: str, quotas: Quotas) -> None:
        self.grown: Callable[[bytes], None] = lambda queue: None
        self._path = path
        self._quotas = quotas
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._connection = _connect(path)
        self._reader = _connect(path, read_only=True)
        self._quiet_until = 0.0
        self._lost = False  # a commit failed: reopen the writer's connection
        self._rows = Rows(self._connection, quotas)
        self._writer = threading.Thread(target=self._write, name="writer", daemon=True)
        self._writer.start()

    @classmethod
    async def open_file(cls, path: str, quotas: Quotas) -> SqliteStore:
        """Raises an EnvironmentFault that says why the store cannot be used."""
        await asyncio.to_thread(prepare, path)
        return cls(path, quotas)

    async def close(self) -> None:
        self._work.put(None)
        await asyncio.to_thread(self._writer.join)
        self._reading.shutdown()
        self._reader.close()
        self._connection.close()

    # --- Store: admission, queues ---

    def admit(self, guest: Guest, now_ms: int) -> Future[Guest]:
        return self._queue(lambda kept: kept.admit(guest, now_ms))

    def create(
        self, queue: bytes, guest: Guest, token_hash: bytes, public: bool, now_ms: int, *, worked: bool = False
    ) -> Future[None]:
        return self._queue(lambda kept: kept.create(queue, guest, token_hash, public, now_ms, worked))

    def put(self, queue: bytes, token_hash: bytes, blob: bytes, now_ms: int, *, worked: bool = False) -> Future[Placed]:
        return self._queue(lambda kept: kept.put(queue, token_hash, blob, now_ms, worked), len(blob))

    def open(self, queue: bytes, after: int, now_ms: int) -> Future[int]:
        return self._queue(lambda kept: kept.open(queue, after, now_ms))

    def read(self, queue: bytes, after: int, blobs: int, size: int) -> Future[list[tuple[int, bytes]]]:
        return self._read(lambda reader: queries.read(reader, queue, after, blobs, size))

    def ack(self, queue: bytes, cursor: int, now_ms: int) -> Future[int]:
        return self._queue(lambda kept: kept.ack(queue, cursor, now_ms))

    def drop(self, queue: bytes) -> Future[None]:
        def work(kept: Rows) -> None:
            kept.drop(queue)

        return self._queue(work)

    def listen(self, queue: bytes) -> None:
        """Nobody else writes here, so there is nothing to listen to."""

    def unlisten(self, queue: bytes) -> None:
        """See `listen`."""

    # --- Store: upkeep, the operator's ---

    def expire(self, now_ms: int) -> Future[int]:
        return self._queue(lambda kept: kept.expire(now_ms))

    def stats(self) -> Future[Stats]:
        return self._read(queries.stats)

    def add_token(self, token_hash: bytes, label: str, accounts: int, now_ms: int, until_ms: int = 0) -> Future[None]:
        return self._queue(lambda kept: kept.add_token(token_hash, label, accounts, now_ms, until_ms))

    def tokens(self) -> Future[list[Token]]:
        return self._read(queries.tokens)

    def remove_token(self, token_hash: bytes) -> Future[bool]:
        return self._queue(lambda kept: kept.remove_token(token_hash))

    def allow(self, account: bytes, label: str, now_ms: int) -> Future[None]:
        return self._queue(lambda kept: kept.allow(account, label, now_ms))

    def allowed(self) -> Future[list[Allowed]]:
        return self._read(queries.allowed)

    def disallow(self, account: bytes) -> Future[bool]:
        return self._queue(lambda kept: kept.disallow(account))

    def accounts(self, most: int) -> Future[list[Usage]]:
        return self._read(lambda reader: queries.accounts(reader, most))

    def networks(self, most: int) -> Future[list[Crowd]]:
        return self._read(lambda reader: queries.networks(reader, most))

    def purge(self, account: bytes) -> Future[int]:
        return self._queue(lambda kept: kept.purge(account))

    # --- reading ---

    def _read(self, query: Callable[[sqlite3.Connection], Any]) -> Future[Any]:
        """Outside the writer: it sees committed rows only."""
        return self._loop.run_in_executor(self._reading, self._answer, query)

    def _answer(self, query: Callable[[sqlite3.Connection], Any]) -> Any:
        try:
            return query(self._reader)
        except sqlite3.Error as error:
            log.error("reading the store: %s", error)
            raise Refused(Refusal.FULL, bounds.RETRY_BUSY_MS) from error

    # --- writing ---

    def _queue(self, work: Work, size: int = 0) -> Future[Any]:
        future: Future[Any] = self._loop.create_future()
        self._work.put((work, future, size))
        return future

    def _write(self) -> None:
        """The writer's thread: everything queued is one transaction, up to a limit."""
        ending = False
        while not ending:
            items, ending = self._take()
            if items:
                try:
                    answers = self._transact(items)
                except Exception:  # even undoing failed: nobody may wait for a thread that died of it
                    log.exception("the store failed")
                    answers = [Refused(Refusal.FULL, bounds.RETRY_FULL_MS) for _ in items]
                self._loop.call_soon_threadsafe(_settle, items, answers)

    def _take(self) -> tuple[list[Item], bool]:
        item = self._work.get()
        items: list[Item] = []
        size = 0
        while item is not None:
            items.append(item)
            size += item[2]
            if len(items) >= bounds.BATCH_ITEMS or size >= bounds.BATCH_BYTES or self._work.empty():
                return items, False
            item = self._work.get()
        return items, True

    def _transact(self, items: list[Item]) -> list[Any]:
        """The answer of each item: a value or an exception."""
        try:
            self._reopen()
            self._connection.execute("BEGIN IMMEDIATE")
            reserved = self._reserved()
            answers = [self._do(work, full=reserved and size > 0) for work, _, size in items]
            self._rows.flush()
            self._commit()
            self._rows.kept()
        except StoreUncertain as uncertain:
            log.error("%s", uncertain.message)
            return [uncertain] * len(items)
        except Exception as error:
            self._undo()
            if len(items) > 1 and not self._lost:
                return [answer for item in items for answer in self._transact([item])]
            self._complain(error)
            return [Refused(Refusal.FULL, bounds.RETRY_FULL_MS)]
        return answers

    def _commit(self) -> None:
        """Raises StoreUncertain if it may still take effect; after any other error it has not and will not."""
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction or error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
                raise
            self._lost = True
            raise StoreUncertain(f"the disk failed in a commit of the bridge's store: {error}") from error

    def _reopen(self) -> None:
        """After a commit of unknown outcome: another commit, over a new connection, makes final what is found."""
        if self._lost:
            self._connection.close()
            self._connection = _connect(self._path)
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            self._connection.execute(f"PRAGMA user_version = {version}")
            self._rows = Rows(self._connection, self._quotas)
            self._lost = False
            log.warning("the store was reopened, and what it holds is what was done")

    def _complain(self, error: Exception) -> None:
        """Log it, but not too often: a full disk refuses many times a second."""
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + COMPLAIN_EVERY_S
            log.warning("the store refuses: %s", error)

    def _do(self, work: Work, *, full: bool) -> Any:
        if full:
            return Refused(Refusal.FULL, bounds.RETRY_FULL_MS)
        try:
            return work(self._rows)
        except Refused as refused:  # it was checked before any write: the rest of the transaction is intact
            return refused

    def _undo(self) -> None:
        self._rows.undone()
        if not self._lost and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _reserved(self) -> bool:
        """Whether only the reserve of the disk is left, which is for requests that make room. Open accounts get less of
        it."""
        disk = os.statvfs(os.path.dirname(self._path) or ".")
        (unused,) = self._connection.execute("PRAGMA freelist_count").fetchone()  # the file never shrinks
        room = disk.f_bavail * disk.f_frsize + unused * PAGE_BYTES - self._quotas.disk_reserve
        shares = self._rows.shares
        shares.bytes = min(self._quotas.open_bytes, int((shares.all.bytes + max(0, room)) * bounds.OPEN_DISK))
        return bool(room < 0 < self._quotas.disk_reserve)


def _settle(items: list[Item], answers: list[Any]) -> None:
    """In the loop's thread, after the commit."""
    for (_, future, _), answer in zip(items, answers, strict=True):
        if future.cancelled():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


# --- the file ---


def prepare(path: str) -> None:
    """Create the store, 0600 from its first byte, or bring it to this release's schema. Raises EnvironmentFault."""
    try:
        if not os.path.exists(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
        connection = _connect(path)
        try:
            _migrate(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _translated(error) from error
    except OSError as error:
        raise StoreReadOnly(f"the bridge's data cannot be used: {error.strerror}: {path}") from error


def backup(path: str, target: str) -> None:
    """Copy the whole store at `path`, which may be in use, to `target`, which must not exist."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    draft = f"{target}.part"  # until it is complete, nobody can take the file for a store
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
        _copy(path, draft)
        os.rename(draft, target)
    except BaseException:
        for left in (draft, target):
            with suppress(FileNotFoundError):
                os.unlink(left)
        raise
    sync_directory(os.path.dirname(target))


def _copy(path: str, draft: str) -> None:
    source, copy = _connect(path, read_only=True), sqlite3.connect(draft)
    try:
        source.backup(copy)
    except sqlite3.Error as error:
        raise _translated(error) from error
    finally:
        copy.close()
        source.close()


def check(path: str) -> str:
    """Either "ok" or the first fault that SQLite finds in the file."""
    connection = _connect(path, read_only=True)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return str(found)
    except sqlite3.Error as error:
        return str(error)
    finally:
        connection.close()


def _connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=128)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return connection
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: a sync that reaches the disk
    connection.execute("PRAGMA secure_delete = FAST")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    scripts = sorted(
        (int(item.name[:3]), item.read_text(encoding="utf-8"))
        for item in (files("bridge") / "schema").iterdir()
        if item.name.endswith(".sql")
    )
    (at,) = connection.execute("PRAGMA user_version").fetchone()
    if at > scripts[-1][0]:
        raise StoreNewer(f"the bridge's store has schema {at}; this release knows {scripts[-1][0]}")
    for number, script in scripts:
        if number > at:
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")


def _translated(error: sqlite3.Error) -> EnvironmentFault:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return StoreFull(f"the disk refused a write of the bridge's store: {error}")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreReadOnly(f"the bridge's store cannot be written: {error}")
    return StoreBroken(f"the bridge's store is damaged: {error}")
