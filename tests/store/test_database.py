"""Opening, migrating, failing, forgetting."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2p_agents.errors import (
    BadName,
    EnvironmentFault,
    StoreBroken,
    StoreFull,
    StoreNewer,
    StoreReadOnly,
    StoreUncertain,
)
from p2p_agents.store import journal
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


def test_pages_are_looked_through_for_a_bounded_time(tmp_path):
    db = Database.open(str(tmp_path / "store.db"))
    assert db.flaw(60.0) == ""
    db.run("CREATE TABLE many (number)")
    db.many("INSERT INTO many VALUES (?)", [(number,) for number in range(20_000)])
    assert db.flaw(-1.0) is None
    assert db.flaw(60.0) == ""
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


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE])  # EDQUOT is the latter
@pytest.mark.parametrize("written", [True, False])
def test_what_a_failed_commit_did_is_found_by_opening_anew(db, written, code):
    """A6: that connection is not used again; what is found then is final."""

    def fails(sql, parameters=()):
        db.run = run
        if written:
            run(sql)
        else:
            run("ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        raise error

    db.remember("number", 7)
    epoch, run, db.run = db.epoch, db.run, fails
    with pytest.raises(StoreUncertain):
        db.commit()
    assert db.is_lost
    assert not db.changed()
    assert not db.truncate()
    db.reopen()
    assert not db.is_lost
    assert db.epoch != epoch
    assert db.remembered("number") == (7 if written else 0)
    assert db.one("PRAGMA synchronous") == (2,)


def test_a_store_that_cannot_be_opened_anew_stays_lost(db, tmp_path):
    db.is_lost = True
    (tmp_path / "store.db").rename(tmp_path / "elsewhere")
    (tmp_path / "store.db").mkdir()
    for _ in range(2):
        with pytest.raises(EnvironmentFault):
            db.reopen()
        assert db.is_lost
    db.rollback()
    (tmp_path / "store.db").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "store.db")
    db.reopen()
    assert db.remembered("schema") == 0


def test_a_commit_that_does_not_fit_is_undone(db):
    """A6: just as a statement that does not fit."""
    db.commit()
    db.begin()
    db.remember("number", 7)
    run = db.run

    def full(sql, parameters=()):
        run("ROLLBACK")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    db.run = full
    with pytest.raises(StoreFull):
        db.commit()
    db.run = run
    assert not db.is_lost
    assert db.remembered("number") == 0


def test_a_reader_does_not_hold_the_writer_up(db, tmp_path):
    """A5: the WAL cannot be emptied while somebody reads; this is noticed without waiting, and tried again."""
    db.remember("number", 1)
    db.commit()
    reader = Database.read(str(tmp_path / "store.db"))
    statements = []
    db._connection.set_trace_callback(statements.append)
    with closing(reader.run("SELECT * FROM meta")) as rows:
        rows.fetchone()
        assert not db.truncate()
        patient, attempt, _ = statements
        assert (patient, attempt) == ("PRAGMA busy_timeout = 0", "PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.changed()
    assert db.truncate()
    assert not db.changed()
    reader.close()


def test_savepoints_leave_no_pages_outside_the_home(db):
    """A5: SQLite would keep them in a file of its own, in somebody else's directory."""
    assert db.one("PRAGMA temp_store") == (2,)


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


def item(db, steps):
    """Rows whose ids the store gives, and rows that read them back."""
    for name, fails in steps:
        row = db.insert("INSERT INTO events (agent, peer, kind, detail, time_ms) VALUES (1, x'', ?, '', 0)", (name,))
        db.remember(name, row)
        db.many("INSERT OR REPLACE INTO meta VALUES (?, x'00')", [(f"{name}{n}",) for n in range(2)])
        if fails == "nested":
            with suppress(BadName), db.savepoint():
                fails_halfway(db)
        elif fails:
            db.all("DELETE FROM events WHERE kind = ? RETURNING id", (name,))
            raise BadName


def contents(db):
    return [db.all(f"SELECT * FROM {table} ORDER BY 1") for table in ("events", "meta", "sqlite_sequence")]


STEP = st.tuples(st.sampled_from("abcdef"), st.sampled_from([False, False, False, "nested", True]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.lists(STEP, max_size=4), max_size=8), st.integers(0, 30))
def test_what_is_written_again_without_an_item_is_what_it_would_have_been(db, items, kept):
    """A6: whichever items of a transaction fail, row ids and all: beside one in which those did not run."""
    found = []
    for whole in (False, True):
        with patch.object(journal, "JOURNAL_STATEMENTS", kept):
            db.rollback()
            db.begin()
            for steps in items:
                if whole and any(fails is True for _, fails in steps):
                    continue
                with suppress(BadName), db.savepoint():
                    item(db, steps)
            found.append(contents(db))
    assert found[0] == found[1]


def test_only_the_first_failure_of_a_transaction_writes_again_what_came_before(db):
    """Else whoever makes items fail would make each cost as much as all before it."""
    said = []
    for number in range(10):
        with db.savepoint():
            db.remember(f"{number}", number)
    db._connection.set_trace_callback(said.append)
    for _ in range(10):
        with pytest.raises(BadName), db.savepoint():
            fails_halfway(db)
    assert sum("INSERT" in each for each in said) == 10 + 10
    assert said.count("ROLLBACK") == 1


def test_items_that_succeed_need_no_statement_of_their_own(db):
    said = []
    db._connection.set_trace_callback(said.append)
    for number in range(3):
        with db.savepoint():
            db.remember("number", number)
    assert len(said) == 3


def test_what_another_program_wrote_meanwhile_undoes_the_transaction(db, tmp_path):
    """A6: a journal is written again only to the store that it was written to."""
    db.remember("mine", 1)

    def intrudes(sql, parameters=()):
        found = run(sql, parameters)
        if sql == "ROLLBACK":
            with closing(sqlite3.connect(tmp_path / "store.db")) as other:
                other.execute("INSERT INTO meta VALUES ('theirs', x'')")
                other.commit()
        return found

    run, db.run = db.run, intrudes
    with pytest.raises(StoreBroken), db.savepoint():
        fails_halfway(db)
    db.rollback()
    assert db.remembered("mine") == 0


def test_a_truncating_checkpoint_empties_the_log_of_writes(db, tmp_path):
    """A5: used keys leave the files; a reader that holds a snapshot is reported, not waited for."""
    db.run("INSERT INTO prekeys VALUES (?, ?, 1, 2)", (b"d" * 32, b"SECRET" * 10))
    db.commit()
    db.run("DELETE FROM prekeys")
    assert db.truncate()
    for name in os.listdir(tmp_path):
        assert b"SECRET" not in (tmp_path / name).read_bytes()
    assert not db.changed()
    db.remember("number", 1)
    assert db.changed()
    assert db.truncate()
    assert not db.changed()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET kind = 'x'",
        "DELETE FROM entries",
        "UPDATE log SET conversation = x''",
        "DELETE FROM log",
        "UPDATE bodies SET body = x''",
    ],
)
def test_entries_and_log_are_append_only(db, sql):
    """A5: triggers forbid it to everybody."""
    db.run(
        "INSERT INTO entries"
        " (hash, kind, conversation, author, device, epoch, seq, prev, lamport, time_ms, type, signed)"
        " VALUES (x'01', 'message', x'', x'', x'', x'', 1, x'', 1, 1, '', x'')"
    )
    db.run("INSERT INTO bodies VALUES (1, x'00')")
    db.run("INSERT INTO log (agent, entry, conversation, incoming, trust) VALUES (1, 1, x'00', 1, 3)")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.run(sql)
    db.run("DELETE FROM bodies")
    assert db.one("SELECT count(*) FROM entries") == (1,)
