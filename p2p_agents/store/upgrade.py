"""Makes a store, and brings an older one to this release's schema: all of it in one transaction, after a copy.

A store is created beside its place and renamed into it, so that a crash leaves either none or a whole one. The copy is
named after the schema it has, `store.db.schema-NNN`, and has that name only once it is whole; the last one is kept.
"""

from __future__ import annotations

import glob
import os
import sqlite3
from contextlib import suppress
from importlib.resources import files
from urllib.parse import quote

from p2p_agents.errors import StoreNewer
from p2p_agents.files import sync_directory

GENERATION_BYTES = 5
LATE = 8  # came after 9: stores of the releases between have 9 and lack it

_FLOORS = """
DROP TABLE floors;
CREATE TABLE floors (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    agent        INTEGER NOT NULL,
    peer         BLOB NOT NULL,
    PRIMARY KEY (conversation, device)
) STRICT, WITHOUT ROWID;
"""  # as 008 has it; at first it lacked two columns, and nothing wrote it


def create(path: str) -> None:
    """A new store at `path`, 0600 from its first byte."""
    draft = f"{path}.{os.getpid()}.new"
    _make(draft)
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        _apply(connection, [script for _, script in migrations()])
        connection.execute("INSERT INTO meta VALUES ('generation', ?)", (os.urandom(GENERATION_BYTES),))
    finally:
        connection.close()
    os.rename(draft, path)
    sync_directory(os.path.dirname(path))


def check(path: str) -> None:
    """Raises StoreNewer for the store of a newer release, without having touched it."""
    connection = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)
    try:
        (at,) = connection.execute("PRAGMA user_version").fetchone()
    finally:
        connection.close()
    newest = migrations()[-1][0]
    if at > newest:
        raise StoreNewer(f"the store has schema {at}; this release knows {newest}")


def upgrade(connection: sqlite3.Connection, path: str) -> None:
    """Does nothing for a store of this release."""
    at, scripts = _missing(connection)
    if scripts:
        _keep(connection, path, at)
        _apply(connection, scripts)


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the store has this release's schema."""
    at, scripts = _missing(connection)
    return at == migrations()[-1][0] and not scripts


def _missing(connection: sqlite3.Connection) -> tuple[int, list[str]]:
    """The schema that the store has, and the scripts it lacks."""
    (at,) = connection.execute("PRAGMA user_version").fetchone()
    scripts = [script for number, script in migrations() if number > at]
    return at, (_late(connection) if at > LATE else []) + scripts


def _late(connection: sqlite3.Connection) -> list[str]:
    """The parts of schema 8 that a store of schema 9 or later may lack."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(floors)")}
    if not columns:
        return [dict(migrations())[LATE]]
    return [] if "agent" in columns else [_FLOORS]


def _apply(connection: sqlite3.Connection, scripts: list[str]) -> None:
    newest = migrations()[-1][0]
    connection.executescript(f"BEGIN IMMEDIATE; {' '.join(scripts)} PRAGMA user_version = {newest}; COMMIT;")


def _keep(connection: sqlite3.Connection, path: str, at: int) -> None:
    """Copy the store as it is, and delete earlier copies: each holds messages, and keys used long ago."""
    kept = f"{path}.schema-{at:03d}"
    draft = f"{kept}.part"
    _make(draft)
    copy = sqlite3.connect(draft)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    descriptor = os.open(draft, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, kept)
    sync_directory(os.path.dirname(path))
    for earlier in glob.glob(f"{glob.escape(path)}.schema-*") + glob.glob(f"{glob.escape(path)}.before-*"):
        if earlier != kept:
            os.unlink(earlier)


def kept(path: str) -> list[str]:
    """The copies of the store that were made before upgrades, the oldest schema first."""
    return sorted(glob.glob(f"{glob.escape(path)}.schema-[0-9][0-9][0-9]"))


def _make(draft: str) -> None:
    """An empty file, whatever an interrupted attempt left there: SQLite would first try to recover that."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(draft + suffix)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def migrations() -> list[tuple[int, str]]:
    """(number, script) of schema/NNN_name.sql, in order."""
    folder = files("p2p_agents.store") / "schema"
    scripts = [item for item in folder.iterdir() if item.name.endswith(".sql")]
    return sorted((int(item.name[:3]), item.read_text(encoding="utf-8")) for item in scripts)
