"""Opens the store, and is the only way to its rows. Foreign errors are translated here, once.

Nothing here commits by itself: the owner of a `Database` opens and ends its transactions.

A write that fails before its COMMIT is undone. A COMMIT that fails may still take effect: SQLite forgets the written
frames, but they lie at the end of the WAL, where the next process would find them. So that
connection is no longer used: it is closed, the store is opened again, and a further commit makes what it finds final.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from p2p_agents.errors import (
    EnvironmentFault,
    StoreBroken,
    StoreFull,
    StoreReadOnly,
    StoreUncertain,
)
from p2p_agents.store import upgrade
from p2p_agents.store.journal import Journal, insertion, target, words
from p2p_agents.store.memory import Memory
from p2p_agents.store.upgrade import GENERATION_BYTES
from p2p_agents.wire.entry import EPOCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")
Row = tuple[Any, ...]

BUSY_MS = 5_000  # another process (a backup, a curious sqlite3 shell) may hold the file this long
CACHE_KIB = 16 * 1024
LATE_ROWS = 32  # of one table in one statement
CHECKED_STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock: a millisecond or less
CHECKPOINT_PAGES = 4_000  # about 16 MiB of WAL before SQLite checkpoints by itself

_text = partial(str, encoding="utf-8", errors="replace")  # what a disk made of one column must not shut the store

_FULL = {sqlite3.SQLITE_FULL}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors become ours; programming errors are not translated."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _translate(error) from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise _translate(error) from error
    except MemoryError as error:  # SQLite has undone the transaction
        raise StoreFull("there is no memory left for a write to the store") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull from error
        raise StoreReadOnly(f"the state directory cannot be used: {error.strerror}") from error


def _code(error: Exception) -> int:
    """SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _translate(error: Exception) -> EnvironmentFault:
    primary = _code(error)
    if primary in _FULL:
        return StoreFull()
    if primary in _READ_ONLY:
        return StoreReadOnly(f"the store cannot be written: {error}")
    if primary in _BROKEN:
        return StoreBroken(f"the store is damaged: {error}")
    if primary == sqlite3.SQLITE_IOERR:  # a write past the quota or onto a failing disk
        return StoreFull(f"the disk refused a write: {error}")
    return StoreBroken(f"the store failed: {error}")


class Database:
    """One connection to the store. `is_lost` after a failed COMMIT: then only `reopen` helps.

    `epoch` is drawn at every writable open (PROTOCOL A3): entries written by this opening carry it, so that a
    rolled-back or cloned store can never be mistaken for a lying device.
    """

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._path = path
        self.is_read_only = False
        self.is_lost = False
        self._adopt(connection)

    def _adopt(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.epoch = os.urandom(EPOCH_BYTES)
        self._journal: Journal | None = None  # of a transaction whose items need no savepoints
        self._within = 0  # savepoints that are open
        self._memory = Memory()
        self._later: dict[object, tuple[str, str, Sequence[object]]] = {}  # key -> (table, statement, parameters)
        self._changes = connection.total_changes
        self._generation: str | None = None  # as read; forgotten when it may have changed
        self.derived: dict[
            object, Any
        ] = {}  # computed from rows; emptied by whoever changes them, and by every rollback

    @classmethod
    def open(cls, path: str) -> Database:
        """The writable store at `path`, created or upgraded as needed; mode 0600 from its first byte."""
        with translated():
            if not os.path.exists(path):
                upgrade.create(path)
            return cls(_open(path), path)

    @classmethod
    def read(cls, path: str) -> Database:
        """A connection that can only read; several may be open beside the writable one."""
        with translated():
            connection = _connect(path)
            connection.execute("PRAGMA query_only = ON")
            reader = cls(connection, path)
            reader.is_read_only = True
            return reader

    def flaw(self, within_s: float) -> str | None:
        """The first fault that SQLite's quick_check finds in the pages; "" for none, None if the time was too short."""
        deadline = time.monotonic() + within_s
        self._connection.set_progress_handler(lambda: time.monotonic() > deadline, CHECKED_STEPS)
        try:
            found = str(self.run("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return None if _code(error) == sqlite3.SQLITE_INTERRUPT else str(error)
        finally:
            self._connection.set_progress_handler(None, 0)
        return "" if found == "ok" else found.splitlines()[-1]

    @classmethod
    def rest(cls, path: str) -> Database:
        """As `read`, for a store that cannot be written, and that nobody writes: the caller holds the home's lock.

        SQLite opens a store in WAL mode only with a WAL index, which may be missing or stale; or if told that nothing
        changes the file, and then it looks at no WAL; or alone, with an index in its memory. That takes a lock which
        no file opened for reading can have, so locks are left out (sqlite.org/wal.html, read-only databases).
        """
        wal = f"{path}-wal"
        settled = not os.path.exists(wal) or not os.path.getsize(wal)
        how = "immutable=1" if settled else "vfs=unix-none"
        with translated():
            connection = _connect(f"file:{quote(path)}?mode=ro&{how}", uri=True, alone=not settled)
            try:
                connection.execute("PRAGMA query_only = ON")
                is_current = upgrade.is_current(connection)
            except BaseException:
                connection.close()
                raise
        if not is_current:
            connection.close()
            raise StoreReadOnly("the store is of an older release, and cannot be upgraded")
        resting = cls(connection, path)
        resting.is_read_only = True
        return resting

    def close(self) -> None:
        self._connection.close()

    # --- rows ---

    def run(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        if self._later:
            self._catch_up(sql)
        cursor = self._execute(sql, parameters)
        if not sql.startswith("SELECT"):
            self._wrote(sql, (parameters,))
        return cursor

    def _execute(self, sql: str, parameters: Sequence[object]) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        row: Row | None = self.run(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self.run(sql, parameters).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        kept = list(rows)
        if self._later:
            self._catch_up(sql)
        self._connection.executemany(sql, kept)
        self._wrote(sql, kept)

    def later(self, key: object, sql: str, parameters: Sequence[object]) -> None:
        """Run an INSERT or UPDATE before the commit, or before whatever names its table next; of several with one key
        only the last. It changes nothing that is remembered as known but by `knows`."""
        self._later[key] = (target(sql), sql, parameters)
        if not self._connection.in_transaction:
            self._write_late([key])

    def later_row(self, table: str, row: Sequence[object]) -> None:
        """As `later`, for a new row of a table: many become one statement."""
        _, _, earlier = self._later.get(table, ("", "", ()))
        rows = (len(earlier) // len(row)) + 1
        self.later(table, insertion(table, len(row), rows), (*earlier, *row))
        if rows == LATE_ROWS:
            self._write_late([table])

    def _catch_up(self, sql: str) -> None:
        """Write late what is of the tables that a statement names."""
        named = words(sql)
        self._write_late([key for key, (table, _, _) in self._later.items() if table in named])

    def _write_late(self, keys: Iterable[object]) -> None:
        """In the order in which it was first asked for."""
        for key in list(keys):
            _, sql, parameters = self._later.pop(key)
            self._execute(sql, parameters)
            if self._journal is not None:
                self._journal.note(sql, parameters)

    def _wrote(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        if not (table := target(sql)):
            return
        self._memory.wrote(table)
        if self._journal is not None:
            for row in rows:
                self._journal.note(sql, row)

    def known(self, key: object, tables: Sequence[str], find: Callable[[], T]) -> T:
        """What `find` reads from these tables alone; read once until one of them is written. Not to be changed."""
        return find() if self.is_read_only else self._memory.of(key, tables, find)

    def knows(self, key: object, tables: Sequence[str], value: object) -> None:
        """What `find` would read once all is written that is to be written later."""
        self._memory.put(key, tables, value)

    def insert(self, sql: str, parameters: Sequence[object]) -> int:
        """Run an INSERT and return the new row's id."""
        rowid = self.run(sql, parameters).lastrowid
        assert rowid is not None
        return rowid

    # --- transactions ---

    def begin(self) -> None:
        with translated():
            self.run("BEGIN IMMEDIATE")
        self._journal = Journal()

    def commit(self) -> None:
        """Raises StoreUncertain if it may still take effect; after any other error it has not and will not."""
        self._journal = None
        with translated():
            self._write_late(self._later)
        try:
            self.run("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            if self._connection.in_transaction or _code(error) in _FULL:  # a frame that did not fit ends the WAL
                raise _translate(error) from error
            self.is_lost = True
            raise StoreUncertain(f"the disk failed in a commit: {error}") from error

    def rollback(self) -> None:
        self._undone()
        self._later.clear()
        self._journal = None
        if not self.is_lost and self._connection.in_transaction:
            try:
                self.run("ROLLBACK")
            except sqlite3.Error:
                self.is_lost = True  # closing it undoes what is left

    def reopen(self) -> None:
        """Continue with what the store holds. Raises an EnvironmentFault while it cannot be opened and written."""
        with translated():
            self._connection.close()
            connection = _open(self._path)
            try:  # anything left at the end of the WAL now precedes this, or is overwritten by it
                connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('reopened', ?)", (os.urandom(GENERATION_BYTES),)
                )
                _checkpoint(connection)
            except BaseException:
                connection.close()
                raise
        self._adopt(connection)
        self.is_lost = False

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """If the block fails, only its changes are undone; the transaction continues.

        The first to fail in a transaction is undone by its journal. SQLite's savepoints serve those that come after it,
        so that many failures cost no more than they are; and those within another, or behind a full journal.
        """
        journal, late = self._journal, dict(self._later)
        if self._within or (journal is not None and journal.is_full):
            journal = None
        self._within += 1
        try:
            with self._marked() if journal is None else self._noted(journal):
                yield
        except BaseException:
            self._later = late
            raise
        finally:
            self._within -= 1

    @contextmanager
    def _noted(self, journal: Journal) -> Iterator[None]:
        before = len(journal)
        try:
            with translated():
                yield
        except BaseException:
            self._undone()
            self._later.clear()
            if self._connection.in_transaction and (journal.is_full or len(journal) > before):
                with translated():
                    self._write_again(journal, before)
            raise

    def _write_again(self, journal: Journal, through: int) -> None:
        """Undo the transaction, and begin it anew with what was written first. Raises StoreBroken if another process
        wrote in between."""
        self._journal = None
        (version,) = self.run("PRAGMA data_version").fetchone()
        self.run("ROLLBACK")
        self.run("BEGIN IMMEDIATE")
        if self.run("PRAGMA data_version").fetchone() != (version,):
            raise StoreBroken("another program wrote to the store")
        journal.write_again(through, self.run)

    @contextmanager
    def _marked(self) -> Iterator[None]:
        before = len(self._journal) if self._journal is not None else 0
        with translated():
            self.run("SAVEPOINT item")
        try:
            with translated():
                yield
        except BaseException:
            self._undone()
            self._later.clear()
            if self._connection.in_transaction:  # a full disk may have rolled everything back already
                with translated():
                    self.run("ROLLBACK TO item")
                    self.run("RELEASE item")
            if self._journal is not None:
                self._journal.cut(before)
            raise
        with translated():
            self.run("RELEASE item")

    def _undone(self) -> None:
        self._generation = None
        self.derived.clear()
        self._memory.clear()

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def truncate(self) -> bool:
        """Empty the WAL into the store, so that used keys leave the files. False while somebody reads from it: nobody
        waits for that, and the caller tries again."""
        if self.is_lost:
            return False
        changes = self._connection.total_changes
        with translated():
            emptied = _checkpoint(self._connection)
        if emptied:
            self._changes = changes
        return emptied

    def changed(self) -> bool:
        """Whether rows changed since the WAL was last emptied."""
        return not self.is_lost and self._changes != self._connection.total_changes

    # --- meta ---

    def remember(self, key: str, number: int) -> None:
        """Keep a small number between starts."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, number.to_bytes(8, "big")))

    def remembered(self, key: str) -> int:
        row = self.one("SELECT value FROM meta WHERE key = ?", (key,))
        return int.from_bytes(row[0], "big") if row else 0

    @property
    def generation(self) -> str:
        """Names this store in every cursor; a new one is drawn when a rollback is noticed."""
        if self._generation is None:
            row = self.one("SELECT value FROM meta WHERE key = 'generation'")
            assert row is not None
            self._generation = bytes(row[0]).hex()
        return self._generation

    def renew_generation(self) -> None:
        self._generation = None
        self.run("UPDATE meta SET value = ? WHERE key = 'generation'", (os.urandom(GENERATION_BYTES),))


def _open(path: str) -> sqlite3.Connection:
    upgrade.check(path)
    connection = _connect(path)
    try:
        _configure(connection)
        upgrade.upgrade(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: str, *, uri: bool = False, alone: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256, uri=uri)
    connection.text_factory = _text
    if alone:  # before anything is read
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    """Durable, and forgetful of what was deleted (PROTOCOL A5, A6). Savepoints keep pages in memory: a file for them
    would hold keys, outside the home, and take a descriptor at the worst moment."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Whether all of the WAL went into the store and the file is empty. Does not wait for readers."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy
