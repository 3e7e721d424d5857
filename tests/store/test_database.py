"""Opening, migrating, failing, forgetting."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest

from p2p_agents.errors import BadName, StoreBroken, StoreFull, StoreNewer, StoreReadOnly
from p2p_agents.store.database import Database


def test_a_new_store_is_whole_private_and_durable(tmp_path):
    """A6: mode 0600 from its first byte; WAL, FULL."""
    path = str(tmp_path / "store.db")
    db = Database.open(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert db.one("PRAGMA synchronous") == (2,)
    assert db.one("PRAGMA journal_mode") == ("wal",)
    assert db.one("PRAGMA secure_delete") == (1,)
    assert [name for name in os.listdir(tmp_path) if name.endswith(".new")] == []
    db.close()


def test_epoch_and_generation(tmp_path):
    """A3, A4: an epoch per opening, a generation per store."""
    path = str(tmp_path / "store.db")
    first = Database.open(path)
    generation = first.generation
    first.close()
    second = Database.open(path)
    assert second.epoch != first.epoch
    assert second.generation == generation
    second.renew_generation()
    assert second.generation != generation
    second.close()


def test_a_newer_store_is_refused_untouched(tmp_path):
    """H1: `store_newer`."""
    path = str(tmp_path / "store.db")
    db = Database.open(path)
    db.run("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(StoreNewer):
        Database.open(path)


@pytest.mark.parametrize("content", [b"x" * 8192, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_damaged_store_is_said_to_be_damaged(tmp_path, content):
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreBroken):
        Database.open(str(path))


def test_a_reader_cannot_write(db, tmp_path):
    db.commit()
    reader = Database.read(str(tmp_path / "store.db"))
    with pytest.raises(StoreReadOnly), reader.savepoint():
        reader.run("DELETE FROM meta")
    reader.close()


def test_a_full_disk_is_told_as_such(db):
    """A6"""
    db.commit()
    db.run(f"PRAGMA max_page_count = {db.one('PRAGMA page_count')[0]}")
    db.begin()
    with pytest.raises(StoreFull), db.savepoint():
        db.run("INSERT INTO meta VALUES ('x', ?)", (bytes(1_000_000),))
    db.rollback()
    assert db.one("SELECT 1 FROM meta WHERE key = 'x'") is None


def fails_halfway(db):
    db.remember("gone", 1)
    raise BadName


def test_a_savepoint_undoes_itself_alone(db):
    """A6"""
    db.remember("kept", 1)
    with pytest.raises(BadName), db.savepoint():
        fails_halfway(db)
    db.commit()
    assert (db.remembered("kept"), db.remembered("gone")) == (1, 0)


def test_a_truncating_checkpoint_empties_the_log_of_writes(db, tmp_path):
    """A5: used keys leave the files; a reader that holds a snapshot is reported, not waited for."""
    db.run("INSERT INTO prekeys VALUES (?, ?, 1, 2)", (b"d" * 32, b"SECRET" * 10))
    db.commit()
    db.run("DELETE FROM prekeys")
    assert db.truncate()
    for name in os.listdir(tmp_path):
        assert b"SECRET" not in (tmp_path / name).read_bytes()
    assert db.changed()
    assert not db.changed()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET kind = 'x'",
        "DELETE FROM entries",
        "UPDATE log SET peer = x''",
        "DELETE FROM log",
        "UPDATE bodies SET body = x''",
    ],
)
def test_entries_and_log_are_append_only(db, sql):
    """A5: triggers, whoever asks."""
    db.run(
        "INSERT INTO entries"
        " (hash, kind, conversation, author, device, epoch, seq, prev, lamport, time_ms, type, signed)"
        " VALUES (x'01', 'message', x'', x'', x'', x'', 1, x'', 1, 1, '', x'')"
    )
    db.run("INSERT INTO bodies VALUES (1, x'00')")
    db.run("INSERT INTO log (agent, entry, peer, incoming, trust) VALUES (1, 1, x'00', 1, 3)")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.run(sql)
    db.run("DELETE FROM bodies")
    assert db.one("SELECT count(*) FROM entries") == (1,)
