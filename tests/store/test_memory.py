"""What is remembered of rows is what the rows say."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from p2p_agents.errors import BadName
from p2p_agents.limits import KNOWN_VALUES
from p2p_agents.store import allowed, contacts, entries
from p2p_agents.store.contacts import Trust
from p2p_agents.store.database import LATE_ROWS
from p2p_agents.store.memory import Memory

AGENT, PEER = 1, b"p" * 32


@pytest.fixture(autouse=True)
def agent(db):
    db.run(
        "INSERT INTO agents (id, agent, device, name, kind, created_ms) VALUES (1, x'01', x'02', 'alice', 'other', 1)"
    )


def befriend(db, trust=Trust.ACCEPTED):
    contacts.save_contact(db, AGENT, PEER, name="bob", kind="other", trust=trust, now_ms=1)


def test_what_is_known_is_read_once_until_its_tables_are_written(db):
    befriend(db)
    said = []
    db._connection.set_trace_callback(said.append)
    for _ in range(3):
        assert contacts.contact(db, AGENT, PEER).allowed is False
    assert len(said) <= 1
    allowed.add(db, AGENT, PEER, 1)
    assert contacts.contact(db, AGENT, PEER).allowed is True
    contacts.set_petname(db, AGENT, PEER, "rob")
    assert contacts.contact(db, AGENT, PEER).petname == "rob"


def test_what_is_undone_is_forgotten(db):
    befriend(db)
    with suppress(BadName), db.savepoint():
        befriend(db, Trust.VERIFIED)
        assert contacts.contact(db, AGENT, PEER).trust is Trust.VERIFIED
        raise BadName
    assert contacts.contact(db, AGENT, PEER).trust is Trust.ACCEPTED
    db.rollback()
    assert contacts.contact(db, AGENT, PEER) is None


def test_as_much_is_remembered_as_there_is_room_for():
    memory = Memory()
    for number in range(3 * KNOWN_VALUES):
        memory.of(number, ("contacts",), lambda number=number: number)
    assert len(memory._values) <= KNOWN_VALUES


def test_what_is_written_later_is_read_as_written(db):
    """Whoever names its table, however often it changed, is shown the last of it; undone, what was before."""
    conversation = os.urandom(32)
    db.run("INSERT INTO conversations (id, kind) VALUES (?, 'direct')", (conversation,))
    asked = "SELECT lamport FROM conversations WHERE id = ?"
    entries.raise_lamport(db, conversation, 3)
    entries.raise_lamport(db, conversation, 5)
    with suppress(BadName), db.savepoint():
        entries.raise_lamport(db, conversation, 7)
        assert db.one(asked, (conversation,)) == (7,)
        raise BadName
    assert db.one(asked, (conversation,)) == (5,)
    with suppress(BadName), db.savepoint():
        entries.raise_lamport(db, conversation, 9)
        raise BadName
    db.commit()
    assert db.one(asked, (conversation,)) == (5,)


def test_many_rows_that_are_written_later_are_one_statement(db):
    """All of them, in their order, and none of what failed."""
    said = []
    db._connection.set_trace_callback(said.append)
    for number in range(2 * LATE_ROWS + 3):
        db.later_row("places", (f"{number}", number))
    with suppress(BadName), db.savepoint():
        db.later_row("places", ("gone", 0))
        raise BadName
    assert contacts.places(db) == [f"{number}" for number in range(2 * LATE_ROWS + 3)]
    assert len(said) == 4
