"""What several devices of one agent store about each other."""

from __future__ import annotations

from p2p_agents.conversation.direct import direct
from p2p_agents.store import contacts, entries, family, log, outbox, readers
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.payload import ReadMark
from tests.store.log_of import ALICE, BOB, CAROL, HERE, KEY, TALK, hears, record

NEW = b"n" * 32


def floor_of(db):
    (floor,) = family.floors_before(db, {TALK.id: BOB}, 10)
    return floor


def test_a_floor_is_the_last_entry_of_a_chain(db):
    """B1: of each device in each conversation; nothing that is newer is left out."""
    hears(db, "one", "two")
    floor = floor_of(db)
    assert (floor.peer, floor.device, floor.seq) == (BOB, KEY.public, 2)
    assert family.floors_before(db, {TALK.id: BOB}, 1) == []
    assert family.floors_before(db, {direct(ALICE, CAROL).id: CAROL}, 10) == []


def test_a_chain_goes_on_behind_its_floor(db, tmp_path):
    """B1: the entry is held by name alone."""
    hears(db, "one", "two")
    floor, after = floor_of(db), record(db, "three")
    other = type(db).open(str(tmp_path / "other.db"))
    other.begin()
    family.set_floors(other, HERE, [(TALK, floor)])
    (run,) = entries.runs(other, TALK.id, KEY.public)
    assert (run.first, run.last, run.hash) == (3, 2, floor.entry)
    assert entries.floor(other, TALK.id, KEY.public) == 2
    assert entries.end_of(other, TALK.id, KEY.public, floor.entry) == floor.epoch
    assert family.left_out(other, HERE) == [TALK.id]
    entries.append(other, after)
    assert [(r.first, r.last) for r in entries.runs(other, TALK.id, KEY.public)] == [(3, 3)]
    other.rollback()
    other.close()


def test_a_new_device_is_owed_what_lies_behind_the_floors(db):
    """B9: what the devices told each other comes first."""
    hears(db, "one", "two")
    floor = floor_of(db)
    hears(db, "three")
    within = entries.append(db, record(db, "share", conversation=direct(ALICE, ALICE), author=ALICE))
    log.add(db, HERE, within, direct(ALICE, ALICE).id, incoming=False, trust=Trust.VERIFIED)
    family.give(db, HERE, direct(ALICE, ALICE), NEW, [(TALK, floor)], 5)
    owed = outbox.unsealed(db, HERE, ALICE, NEW, 10)
    assert [entries.find(db, each.entry) for each in owed] == [within, within - 1]
    family.give(db, HERE, direct(ALICE, ALICE), NEW, [(TALK, floor)], 5)
    assert len(outbox.unsealed(db, HERE, ALICE, NEW, 10)) == 2


def test_what_changes_of_a_contact_is_to_be_told_once(db):
    db.run(
        "INSERT INTO agents (id, agent, device, name, kind, created_ms) VALUES (1, x'01', x'02', 'alice', 'other', 1)"
    )
    contacts.save_contact(db, HERE, BOB, name="bob", kind="other", trust=Trust.ACCEPTED, now_ms=1)
    contacts.set_petname(db, HERE, BOB, "robert")
    assert family.unshared(db, HERE, 10) == {BOB: {"trust", "petname"}}
    family.told(db, HERE, BOB, ("trust", "petname"))
    contacts.save_contact(db, HERE, BOB, name="bob", kind="other", trust=Trust.ACCEPTED, now_ms=2)
    contacts.set_petname(db, HERE, BOB, "robert")
    assert family.unshared(db, HERE, 10) == {}
    contacts.save_contact(db, HERE, BOB, name="bob", kind="other", trust=Trust.BLOCKED, now_ms=2)
    assert family.unshared(db, HERE, 10) == {BOB: {"trust"}}
    family.share_all(db, HERE)
    assert family.unshared(db, HERE, 10) == {BOB: {"trust", "petname"}}


def test_the_newest_word_on_a_field_is_known(db):
    assert family.word(db, HERE, BOB, family.TRUST) == (0, b"")
    family.keep_word(db, HERE, BOB, family.TRUST, 7, NEW)
    assert family.word(db, HERE, BOB, family.TRUST) == (7, NEW)
    assert family.word(db, HERE, BOB, family.PETNAME) == (0, b"")


def test_what_was_read_elsewhere_is_read_here(db):
    """B9: shown here or not, and no more than that."""
    hears(db, "one", "two", "three")
    mark = ReadMark(TALK.id, KEY.public, b"e" * 8, 2)
    assert readers.settle(db, HERE, mark) == 2
    assert readers.settle(db, HERE, mark) == 0
    left, _ = readers.unread(db, HERE, readers.DEFAULT, 10)
    assert [line.record.content for line in left] == [b"three"]
    readers.keep_elsewhere(db, HERE, ReadMark(TALK.id, KEY.public, b"e" * 8, 9))
    readers.keep_elsewhere(db, HERE, mark)
    assert readers.is_read_elsewhere(db, HERE, left[0].record)
