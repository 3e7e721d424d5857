"""Deletion for good. Bodies are in tests/node/test_purging.py; here the only way in which entries are deleted."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

import p2p_agents
from p2p_agents.conversation.conversation import Conversation
from p2p_agents.conversation.record import MESSAGE
from p2p_agents.store import conversations, entries, log, outbox, purges, readers
from tests.store.log_of import ALICE, BOB, CAROL, HERE, TALK, hears

THREE = Conversation(b"3" * 32, "test", frozenset((ALICE, BOB, CAROL)))
WORDS = ("mauve", "ochre", "sepia")


@pytest.fixture
def said(db):
    """Three in a conversation that can end, one still owed, with a key, marks and words; one in another."""
    cursors = hears(db, *WORDS, conversation=THREE)
    hears(db, "elsewhere")
    entry = db.one("SELECT max(entry) FROM log WHERE conversation = ?", (THREE.id,))[0]
    outbox.owe(db, HERE, entry, CAROL, b"d" * 32, 1)
    outbox.keep_key(db, HERE, "key", b"digest", entry)
    readers.show(db, HERE, "default", cursors)
    entries.set_void(db, entry, b"void")
    entries.index_words(db, 10)


def left(db):
    """Rows of every table that names the conversation, its entries or its cursors."""
    found = {}
    for table, column in db.all(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        " AND c.name IN ('conversation', 'entry') AND m.name NOT LIKE 'words%'"
    ):
        where = "= ?1" if column == "conversation" else "IN (SELECT id FROM entries WHERE conversation = ?1)"
        count = db.one(f"SELECT count(*) FROM {table} WHERE {column} {where}", (THREE.id,))[0]
        if count:
            found[table] = count
    return found


def test_a_conversation_that_ended_leaves_nothing_but_that(db, said):
    """A5: entries, lines, deliveries, keys, marks, chains and words are deleted; the other conversation stays."""
    assert {"entries", "log", "outbox", "keys", "voids", "bodies", "chains", "members"} <= left(db).keys()
    purges.end(db, THREE.id, "expired", 7)
    assert log.incoming(db, HERE, 0, 10)[0][0].conversation == TALK.id
    assert conversations.find(db, THREE.id) is None
    rounds = 0
    while not purges.clear_ended(db, THREE.id, 2):
        rounds += 1
    purges.forget_words(db)
    assert rounds == 1
    assert left(db) == {"ended": 1}
    assert db.one("SELECT count(*) FROM marks") == (0,)
    assert db.one("SELECT why, time_ms, cleared FROM ended") == ("expired", 7, 1)
    assert [line.record.content for line in log.history(db, HERE, [MESSAGE], TALK.id, limit=9)[0]] == [b"elsewhere"]
    assert purges.uncleared(db) is None


def test_no_byte_of_it_stays_in_the_files(db, said, tmp_path):
    """A5: neither body nor signature nor term."""
    signed = [row[0] for row in db.all("SELECT signed FROM entries WHERE conversation = ?", (THREE.id,))]
    purges.end(db, THREE.id, "expired", 7)
    assert purges.clear_ended(db, THREE.id, 10)
    purges.forget_words(db)
    db.commit()
    assert db.truncate()
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert not any(word.encode() in content for word in WORDS)
        assert not any(each in content for each in signed)
    db.begin()


@pytest.mark.parametrize("table", ["entries", "log"])
def test_nothing_else_goes(db, said, table):
    """A5: triggers forbid it to everybody."""
    purges.end(db, b"another" * 4 + b"....", "expired", 7)
    db.run("DELETE FROM bodies")
    for other in ("outbox", "voids", "keys"):
        db.run(f"DELETE FROM {other}")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.run(f"DELETE FROM {table} WHERE conversation = ?", (THREE.id,))


def test_a_direct_conversation_never_ends(db, said):
    """A5"""
    with pytest.raises(sqlite3.IntegrityError, match="never ends"):
        purges.end(db, TALK.id, "expired", 7)


def test_a_row_that_went_gives_its_number_to_no_other(db, said):
    """B3: a frame in flight may still name it."""
    (row,) = db.one("SELECT id FROM outbox")
    purges.end(db, THREE.id, "expired", 7)
    purges.clear_ended(db, THREE.id, 10)
    entry = db.one("SELECT max(id) FROM entries")[0]
    assert outbox.owe(db, HERE, entry, CAROL, b"d" * 32, 1) > row
    assert outbox.delivery(db, row) is None


def test_there_is_one_way_by_which_entries_go():
    """A5"""
    home = Path(p2p_agents.__file__).parent
    deleting = re.compile(r"DELETE FROM (entries|log)\b")
    found = {path.name for path in home.rglob("*.py") if deleting.search(path.read_text())}
    assert found == {"purges.py"}
