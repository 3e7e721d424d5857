"""Opens and migrates the store, and is the one way to its rows. Foreign errors are translated here, once.

A store is created beside its place and renamed into it, so that a crash leaves either none or a whole one. Before an
upgrade it is copied. Nothing here commits by itself: the owner of a `Database` opens and ends its transactions.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from p2p_agents.errors import EnvironmentFault, StoreBroken, StoreFull, StoreNewer, StoreReadOnly
from p2p_agents.wire.entry import EPOCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Row = tuple[Any, ...]

GENERATION_BYTES = 5
BUSY_MS = 5_000  # another process (a backup, a curious sqlite3 shell) may hold the file this long
CACHE_KIB = 16 * 1024
CHECKPOINT_PAGES = 4_000  # about 16 MiB of WAL before SQLite checkpoints by itself

_FULL = {sqlite3.SQLITE_FULL}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors become ours; a programming error stays what it is."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _translate(error) from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise _translate(error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull from error
        raise StoreReadOnly(f"the state directory cannot be used: {error.strerror}") from error


def _translate(error: sqlite3.Error) -> EnvironmentFault:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
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
    """One connection to the store.

    `epoch` is drawn at every writable open (PROTOCOL A3): entries written by this opening carry it, so that a
    rolled-back or cloned store can never be mistaken for a lying device.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.epoch = os.urandom(EPOCH_BYTES)
        self.run = connection.execute
        self._changes = connection.total_changes
        self._generation: str | None = None  # as read; forgotten with whatever may have changed it

    @classmethod
    def open(cls, path: str) -> Database:
        """The writable store at `path`, created or upgraded as needed; mode 0600 from its first byte."""
        with translated():
            if not os.path.exists(path):
                _create(path)
            connection = _connect(path)
            _configure(connection)
            _upgrade(connection, path)
            return cls(connection)

    @classmethod
    def read(cls, path: str) -> Database:
        """A connection that can only read; several may be open beside the writable one."""
        with translated():
            connection = _connect(path)
            connection.execute("PRAGMA query_only = ON")
            return cls(connection)

    def close(self) -> None:
        self._connection.close()

    # --- rows ---

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        row: Row | None = self.run(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self.run(sql, parameters).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)

    def insert(self, sql: str, parameters: Sequence[object]) -> int:
        """Run an INSERT and return the new row's id."""
        rowid = self.run(sql, parameters).lastrowid
        assert rowid is not None
        return rowid

    # --- transactions ---

    def begin(self) -> None:
        with translated():
            self.run("BEGIN IMMEDIATE")

    def commit(self) -> None:
        with translated():
            self.run("COMMIT")

    def rollback(self) -> None:
        self._generation = None
        if self._connection.in_transaction:
            self.run("ROLLBACK")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What fails inside is undone alone; the transaction goes on."""
        with translated():
            self.run("SAVEPOINT item")
        try:
            with translated():
                yield
        except BaseException:
            self._generation = None
            if self._connection.in_transaction:  # a full disk may have rolled everything back already
                self.run("ROLLBACK TO item")
                self.run("RELEASE item")
            raise
        with translated():
            self.run("RELEASE item")

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def truncate(self) -> bool:
        """Empty the WAL into the store, so that used keys leave the files. False while a reader blocks it."""
        with translated():
            busy, _, _ = self.run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def changed(self) -> bool:
        """Whether rows changed since the last time this was asked."""
        before, self._changes = self._changes, self._connection.total_changes
        return self._changes != before

    # --- meta ---

    def remember(self, key: str, number: int) -> None:
        """Keep a small number between starts."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, number.to_bytes(8, "big")))

    def remembered(self, key: str) -> int:
        row = self.one("SELECT value FROM meta WHERE key = ?", (key,))
        return int.from_bytes(row[0], "big") if row else 0

    @property
    def generation(self) -> str:
        """Names this store in every cursor; drawn anew when a rollback is noticed."""
        if self._generation is None:
            row = self.one("SELECT value FROM meta WHERE key = 'generation'")
            assert row is not None
            self._generation = bytes(row[0]).hex()
        return self._generation

    def renew_generation(self) -> None:
        self._generation = None
        self.run("UPDATE meta SET value = ? WHERE key = 'generation'", (os.urandom(GENERATION_BYTES),))


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    """Durable, and forgetful of what was deleted (PROTOCOL A5, A6)."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


def _create(path: str) -> None:
    draft = f"{path}.{os.getpid()}.new"
    if os.path.exists(draft):
        os.unlink(draft)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        for number, script in _migrations():
            _apply(connection, number, script)
        connection.execute("INSERT INTO meta VALUES ('generation', ?)", (os.urandom(GENERATION_BYTES),))
    finally:
        connection.close()
    os.rename(draft, path)
    sync_directory(os.path.dirname(path))


def _upgrade(connection: sqlite3.Connection, path: str) -> None:
    at = connection.execute("PRAGMA user_version").fetchone()[0]
    pending = [(number, script) for number, script in _migrations() if number > at]
    newest = _migrations()[-1][0]
    if at > newest:
        raise StoreNewer(f"the store has schema {at}; this release knows {newest}")
    if pending:
        _copy(connection, f"{path}.before-{pending[-1][0]:03d}")
    for number, script in pending:
        _apply(connection, number, script)


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")


def _copy(connection: sqlite3.Connection, path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    target = sqlite3.connect(path)
    try:
        connection.backup(target)
    finally:
        target.close()


def _migrations() -> list[tuple[int, str]]:
    """(number, script) of schema/NNN_name.sql, in order."""
    folder = files("p2p_agents.store") / "schema"
    scripts = [item for item in folder.iterdir() if item.name.endswith(".sql")]
    return sorted((int(item.name[:3]), item.read_text(encoding="utf-8")) for item in scripts)


def sync_directory(path: str) -> None:
    """A name that was made or moved in a directory outlives a loss of power."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
