"""Rows that the disk damaged, and the rows that confirm them."""

from __future__ import annotations

import pytest

from p2p_agents.crypto.identity import add_device, inception, replay
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import BadIdentity
from p2p_agents.store import agents, contacts, conversations, entries, mending, outbox, sessions
from p2p_agents.store.contacts import Request, Trust
from tests.store.log_of import ALICE, BOB, HERE, KEY, TALK, hears, record

ROOT, NEXT, DEVICE, OTHER = (SigningKey.from_seed(letter * 32) for letter in (b"r", b"n", b"d", b"o"))


def identity(*devices):
    log = replay([inception(ROOT, NEXT.public, 1)])
    for device in devices:
        log = replay([*log.entries, add_device(log, ROOT, device, "device")])
    return log


def flipped(value, at=-1):
    altered = bytearray(value)
    altered[at] ^= 1
    return bytes(altered)


def test_a_whole_store_is_left_alone(db):
    agents.save_identity(db, identity(DEVICE))
    hears(db, "one", "two")
    assert mending.mend(db) == 0


@pytest.mark.parametrize(("table", "column"), [("identities", "agent"), ("devices", "agent"), ("devices", "device")])
@pytest.mark.parametrize("at", [0, 15, 16, 31])
def test_an_id_that_differs_in_one_byte_is_the_one_that_the_log_names(db, table, column, at):
    """E1: otherwise its device would belong to nobody, and its agent be shut out for ever."""
    log = identity(DEVICE)
    agents.save_identity(db, log)
    sessions.note_pair(db, KEY.public, DEVICE.public, log.agent, heard_ms=1)
    (value,) = db.one(f"SELECT {column} FROM {table} LIMIT 1")
    db.run(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (flipped(value, at), value))
    assert mending.mend(db) > 0
    assert agents.load_identity(db, log.agent) == log
    assert agents.owner_of(db, DEVICE.public) == log.agent


def test_ids_that_no_log_vouches_for_are_nobodys(db):
    """It must be known which of two is damaged, or neither is touched."""
    for peer in (b"x" * 32, flipped(b"x" * 32)):
        db.run("INSERT INTO addresses (peer, address, node, seen_ms) VALUES (?, 'a', x'', 1)", (peer,))
    assert mending.mend(db) == 0


def test_a_damaged_log_is_not_known_and_makes_room_for_the_whole_one_alone(db):
    """E2: a shorter log, or another branch, is not believed because a disk failed."""
    log = identity(DEVICE, OTHER)
    agents.save_identity(db, log)
    db.run("UPDATE identities SET entry = ? WHERE n = 1", (flipped(log.entries[1]),))
    assert agents.load_identity(db, log.agent) is None
    assert agents.is_damaged(db, log.agent)
    for less in (identity(DEVICE), identity(OTHER, DEVICE)):
        with pytest.raises(BadIdentity):
            agents.save_identity(db, less)
    agents.save_identity(db, log)
    assert agents.load_identity(db, log.agent) == log


@pytest.mark.parametrize("column", ["hash", "conversation", "device", "epoch"])
def test_a_chain_is_what_its_entries_say(db, column):
    """A3: otherwise nothing that follows would be taken."""
    hears(db, "one", "two")
    hears(db, "three", epoch=b"f" * 8)
    before = sorted(db.all("SELECT * FROM chains"))
    (value,) = db.one(f"SELECT {column} FROM chains LIMIT 1")
    db.run(f"UPDATE chains SET {column} = ? WHERE epoch = ?", (flipped(value), b"e" * 8))
    assert mending.mend(db) > 0
    assert sorted(db.all("SELECT * FROM chains")) == before


def test_a_damaged_entry_changes_no_chain(db):
    """In that case the chain has the right hash."""
    hears(db, "one", "two")
    before = db.all("SELECT * FROM chains")
    db.run("DROP TRIGGER entries_never_change")
    db.run("UPDATE entries SET signed = ?, hash = ? WHERE seq = 2", (b"damaged", b"damaged"))
    mending.mend(db)
    assert db.all("SELECT * FROM chains") == before


def test_a_conversation_goes_on_from_the_highest_lamport(db):
    hears(db, "one", "two")
    db.run("UPDATE conversations SET id = ?", (flipped(TALK.id),))
    assert mending.mend(db) == 1
    assert entries.next_place(db, TALK.id, KEY.public).lamport == 3


def test_a_store_without_generation_or_with_numbers_of_no_clock_has_new_ones(db):
    """A4"""
    db.remember("incarnation", 2**63)
    db.run("UPDATE meta SET key = 'generatioo' WHERE key = 'generation'")
    assert mending.mend(db) == 2
    assert len(db.generation) == 10
    assert db.remembered("incarnation") == 0


def test_what_is_announced_of_an_agent_is_a_name_a_kind_and_a_status(db):
    fields = {"kind": "other", "policy": "ask", "hidden": False, "now_ms": 1}
    agents.add_agent(db, identity(DEVICE), DEVICE.public, name="alice", **fields)
    db.run("UPDATE agents SET name = '?lice', kind = '?', status = 'onlinf', policy = '?', introductions = 'asj'")
    assert mending.mend(db) == 5
    (found,) = agents.agents(db)
    assert (found.name, found.kind, found.status) == ("agent-1", "other", "online")
    assert (found.policy, found.introductions) == ("ask", "ask")


def test_a_state_is_the_nearest_word(db):
    """B6: a row in an unknown state would wait for ever."""
    entry = entries.append(db, record(db, "hello"))
    row = outbox.owe(db, HERE, entry, BOB, KEY.public, 1)
    db.run("UPDATE outbox SET state = 'quguee'")
    assert outbox.delivery(db, row).state == "queued"
    assert mending.mend(db) == 1
    assert outbox.waiting(db, HERE, TALK.id, BOB, 1)


@pytest.mark.parametrize("column", ["text", "name", "kind", "state"])
def test_a_damaged_request_is_asked_again_and_not_shown(db, column):
    """A1: a preview is its author's words."""
    contacts.save_request(db, HERE, Request(BOB, "bob", "other", b"e" * 32, "may I", 1, "pending"))
    assert [found.text for found in contacts.requests(db, HERE)] == ["may I"]
    db.run(f"UPDATE requests SET {column} = 'may J'")
    assert contacts.requests(db, HERE) == []
    assert mending.mend(db) == 1
    assert db.one("SELECT count(*) FROM requests") == (0,)


def test_text_that_is_none_shuts_nothing(db):
    db.run("INSERT INTO places VALUES (CAST(x'80' AS TEXT), 1)")
    assert contacts.places(db) == ["\ufffd"]


def test_the_members_and_the_kind_of_a_conversation_of_two_are_told_by_its_id(db):
    """A4: otherwise it would belong to nobody."""
    hears(db, "one")
    db.run(
        "INSERT INTO agents (id, agent, device, name, kind, created_ms) VALUES (?, ?, x'02', 'alice', 'other', 1)",
        (HERE, ALICE),
    )
    contacts.save_contact(db, HERE, BOB, name="bob", kind="other", trust=Trust.ACCEPTED, now_ms=1)
    db.run("UPDATE members SET agent = ? WHERE agent = ?", (flipped(ALICE), ALICE))
    db.run("UPDATE conversations SET kind = 'dirext'")
    db.derived.clear()
    assert mending.mend(db)
    assert conversations.find(db, TALK.id) == TALK
    assert not mending.mend(db)
