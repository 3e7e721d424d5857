"""Entries, chains over them, bodies beside them."""

from __future__ import annotations

import dataclasses
import sqlite3

import pytest

from p2p_agents.conversation.record import MESSAGE
from p2p_agents.store import entries, log, purges
from tests.store.log_of import HERE, KEY, TALK, hears, record


def test_what_is_appended_is_loaded_and_found(db):
    """A1"""
    written = record(db, "hello")
    entry = entries.append(db, written)
    assert entries.load(db, entry) == written
    assert entries.find(db, written.hash) == entry
    assert entries.find(db, b"x" * 32) is None


def test_a_run_per_epoch_and_where_it_branches(db):
    """A3: an entry of a new epoch follows one of the old."""
    hears(db, "one", "two")
    hears(db, "three", epoch=b"f" * 8)
    old, new = sorted(entries.runs(db, TALK.id, KEY.public), key=lambda run: run.first)
    assert (old.first, old.last, old.parent) == (1, 2, b"")
    assert (new.first, new.last, new.parent) == (3, 3, b"e" * 8)
    assert entries.newest(db, TALK.id, KEY.public) == new
    assert entries.authors(db, TALK.id) == [KEY.public]


def test_a_place_is_taken_once(db):
    """A3: another hash at one place of one epoch is refused by the table itself."""
    first = record(db, "one story")
    second = record(db, "another story")
    entries.append(db, first)
    assert entries.taken(db, second)
    with pytest.raises(sqlite3.IntegrityError):
        entries.append(db, second)


def test_our_next_entry_goes_to_the_epoch_of_this_opening(db):
    """A3"""
    hears(db, "before the restart")
    place = entries.next_place(db, TALK.id, KEY.public)
    assert (place.epoch, place.seq) == (db.epoch, 2)
    assert place.lamport == 2


def test_a_purge_takes_body_and_words_and_leaves_the_entry(db, tmp_path):
    """A5"""
    hears(db, "keep the parrot", "swordfish")
    assert entries.index_words(db, 10)
    assert len(log.search(db, HERE, (MESSAGE,), '"swordfish"', 10)) == 1
    purges.purge(db, HERE, [2])
    purges.forget_words(db)
    assert entries.load(db, 2).content is None
    assert entries.index_words(db, 10)
    assert log.search(db, HERE, (MESSAGE,), '"swordfish"', 10) == []
    assert len(log.search(db, HERE, (MESSAGE,), '"parrot"', 10)) == 1
    db.commit()
    assert db.truncate()
    assert b"swordfish" not in (tmp_path / "store.db").read_bytes()


def test_a_body_may_come_later_and_once(db):
    """A1"""
    whole = record(db, "hello")
    entry = entries.append(db, dataclasses.replace(whole, body=None))
    entries.supply_body(db, entry, whole.body)
    entries.supply_body(db, entry, b"other")
    assert entries.load(db, entry) == whole


def test_the_index_goes_on_where_it_stopped(db):
    hears(db, *(f"word{number}" for number in range(5)))
    assert [entries.index_words(db, 2) for _ in range(3)] == [False, False, True]
    assert len(log.search(db, HERE, (MESSAGE,), '"word4"', 10)) == 1
    assert log.search(db, HERE, (MESSAGE,), '"word4"', 10)[0].conversation == TALK.id
