"""What is owed to whom, and how it ends."""

from __future__ import annotations

import pytest

from p2p_agents.conversation.states import State
from p2p_agents.store import entries, outbox
from tests.store.log_of import ALICE, BOB, HERE, KEY, TALK, record

DEVICE, SID = b"d" * 32, b"s" * 32


@pytest.fixture
def rows(db):
    """Three messages of alice, owed to one device of bob."""
    owed = []
    for text in ("one", "two", "three"):
        entry = entries.append(db, record(db, text, author=ALICE))
        owed.append(outbox.owe(db, HERE, entry, BOB, DEVICE, 1))
    return owed


def states(db, rows):
    return [(found.state, found.why) for found in (outbox.delivery(db, row) for row in rows)]


def unsealed(db):
    return [owed.id for owed in outbox.unsealed(db, HERE, BOB, DEVICE, 10)]


def test_what_is_sealed_is_not_sealed_again_until_its_session_is_gone(db, rows):
    """B2"""
    outbox.seal(db, rows[:2], SID)
    assert unsealed(db) == rows[2:]
    outbox.delivered(db, rows[:1], 2)
    assert outbox.is_carried(db, SID)
    outbox.unseal(db, SID)
    assert not outbox.is_carried(db, SID)
    assert unsealed(db) == rows[1:]


def test_delivered_is_never_less_than_it_was(db, rows):
    """B6, B8: read stays read, a void leaves its entry failed, unconfirmed is overtaken."""
    outbox.delivered(db, rows, 2)
    outbox.mark_read(db, HERE, BOB, (TALK.id, KEY.public, b"e" * 8, 1), 3)
    outbox.delivered(db, rows, 4)
    assert states(db, rows) == [(State.READ, ""), (State.DELIVERED, ""), (State.DELIVERED, "")]


def test_unconfirmed_may_turn_out_delivered_and_a_void_may_not(db, rows):
    """B6"""
    outbox.fail_sealed(db, rows[0], 2)
    outbox.fail_unsealed(db, rows[1], "expired", 2)
    outbox.delivered(db, rows, 3)
    assert [state for state, _ in states(db, rows)] == [State.DELIVERED, State.FAILED, State.DELIVERED]


def test_what_is_not_owed_is_found_by_its_place_in_a_run(db, rows):
    """B1: what was settled, and what was never owed; not what is owed already, nor what failed and has no void."""
    run = (TALK.id, KEY.public, b"e" * 8)
    fourth = entries.append(db, record(db, "four", author=ALICE))
    fifth = entries.append(db, record(db, "five", author=ALICE))
    entries.set_void(db, fifth, b"a void")
    failed = outbox.owe(db, HERE, fifth, BOB, DEVICE, 1)
    for row in (rows[1], failed):
        outbox.refuse(db, row, "expired", 2)
    outbox.delivered(db, rows[:1], 2)
    assert outbox.not_owed(db, run, 0, BOB, DEVICE, 10) == [
        (1, outbox.entry_of(db, rows[0]), rows[0]),
        (4, fourth, None),
        (5, fifth, failed),
    ]
    assert [seq for seq, _, _ in outbox.not_owed(db, run, 1, BOB, DEVICE, 1)] == [4]


def test_a_loss_reopens_what_was_settled(db, rows):
    """B1"""
    outbox.delivered(db, rows, 2)
    assert outbox.count_owed(db, HERE, BOB) == 0
    outbox.reopen(db, rows[1], 3)
    assert unsealed(db) == [rows[1]]
    assert states(db, rows)[1][0] is State.QUEUED


def test_only_delivered_entries_of_that_branch_become_read(db, rows):
    """B8"""
    outbox.delivered(db, rows[:2], 2)
    assert outbox.mark_read(db, HERE, BOB, (TALK.id, KEY.public, b"x" * 8, 9), 3) == []
    assert len(outbox.mark_read(db, HERE, BOB, (TALK.id, KEY.public, b"e" * 8, 9), 3)) == 2
    assert states(db, rows)[2][0] is State.QUEUED


def test_what_waits_for_any_device_is_bound_to_the_first_that_shows(db):
    """B9"""
    entry = entries.append(db, record(db, "one", author=ALICE))
    outbox.owe(db, HERE, entry, BOB, outbox.NO_DEVICE, 1)
    assert unsealed(db) == []
    outbox.bind_device(db, HERE, BOB, DEVICE)
    assert len(unsealed(db)) == 1


def test_expiry_finds_the_old_and_the_queued_only(db, rows):
    """B6"""
    outbox.seal(db, rows[:1], SID)
    outbox.delivered(db, rows[1:2], 1)
    assert [(row.id, sealed) for row, sealed in outbox.expired(db, [HERE], 2, 10)] == [
        (rows[0], True),
        (rows[2], False),
    ]
    assert outbox.expired(db, [HERE], 1, 10) == []


def test_keys_are_kept_per_agent(db, rows):
    """B10"""
    outbox.keep_key(db, HERE, "k", b"digest", 1)
    assert outbox.used_key(db, HERE, "k") == (b"digest", 1)
    assert outbox.used_key(db, HERE + 1, "k") is None


def test_what_a_lost_device_did_not_get_waits_for_another(db, rows):
    """B9, E3: and what another one is owed already, or has, does not wait twice."""
    phone = b"p" * 32
    outbox.delivered(db, rows[:1], 2)
    entry = outbox.entry_of(db, rows[1])
    outbox.owe(db, HERE, entry, BOB, phone, 1)
    outbox.orphan(db, HERE, BOB, DEVICE)
    assert outbox.delivery(db, rows[0]).state is State.DELIVERED
    assert [d.device for d in outbox.deliveries(db, HERE, entry)] == [phone]
    assert outbox.delivery(db, rows[2]).device == outbox.NO_DEVICE
    outbox.bind_device(db, HERE, BOB, phone)
    assert outbox.delivery(db, rows[2]).device == phone
    assert outbox.count_owed(db, HERE, BOB) == 2


LOOKUPS = {
    "bind_device": lambda db: outbox.bind_device(db, HERE, BOB, DEVICE),
    "orphan": lambda db: outbox.orphan(db, HERE, BOB, DEVICE),
    "unsealed": lambda db: outbox.unsealed(db, HERE, BOB, DEVICE, 10),
    "first_owed": lambda db: outbox.first_owed(db, HERE, TALK.id, BOB),
    "is_awaited": lambda db: outbox.is_awaited(db, HERE, BOB),
    "owed_places": lambda db: outbox.owed_places(db, HERE, BOB, DEVICE, TALK.id, KEY.public),
    "not_owed": lambda db: outbox.not_owed(db, (TALK.id, KEY.public, b"e" * 8), 0, BOB, DEVICE, 10),
    "count_owed": lambda db: outbox.count_owed(db, HERE, BOB),
    "is_carried": lambda db: outbox.is_carried(db, SID),
    "unseal": lambda db: outbox.unseal(db, SID),
    "unread_epochs": lambda db: outbox.unread_epochs(db, HERE, BOB, TALK.id, KEY.public),
    "mark_read": lambda db: outbox.mark_read(db, HERE, BOB, (TALK.id, KEY.public, b"e" * 8, 1), 1),
    "expired": lambda db: outbox.expired(db, [HERE], 1, 10),
    "waiting": lambda db: outbox.waiting(db, HERE, TALK.id, BOB, 10),
    "count_waiting": lambda db: outbox.count_waiting(db, HERE, TALK.id, BOB, ALICE),
    "queued_for": lambda db: outbox.queued_for(db, HERE, TALK.id, BOB, 10),
    "find": lambda db: outbox.find(db, 1, BOB, DEVICE),
    "deliveries": lambda db: outbox.deliveries(db, HERE, 1),
}


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_no_look_up_goes_through_all_that_was_ever_sent(db, rows, lookup):
    """B1: by an index, and what was delivered long ago is in none that they use."""
    said = []
    db.one("SELECT 1 FROM bodies")  # those that were to be written later are
    db._connection.set_trace_callback(said.append)
    LOOKUPS[lookup](db)
    db._connection.set_trace_callback(None)
    assert said
    for sql in said:
        steps = [row[3] for row in db.all(f"EXPLAIN QUERY PLAN {sql}")]
        assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step]
