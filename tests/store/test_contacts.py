"""Contacts, pins, addresses, requests, events."""

from __future__ import annotations

import pytest

from p2p_agents.store import contacts, lived
from p2p_agents.store.contacts import ADDRESSES_KEPT, EVENTS_KEPT, Event, Request, Trust
from p2p_agents.store.lived import Mark
from tests.store.log_of import BOB, CAROL


@pytest.fixture(autouse=True)
def agent(db):
    db.run(
        "INSERT INTO agents (id, agent, device, name, kind, created_ms) VALUES (1, x'01', x'02', 'alice', 'other', 1)"
    )


def knows(db, peer, name, trust=Trust.ACCEPTED):
    return contacts.save_contact(db, 1, peer, name=name, kind="other", trust=trust, now_ms=1)


def test_a_name_is_pinned_to_the_first_that_used_it(db):
    """E5: in any spelling of its case; a later announcement changes the shown name and no pin."""
    knows(db, BOB, "bob")
    knows(db, CAROL, "Bob")
    assert contacts.pinned(db, 1, "BOB") == BOB
    contacts.announce(db, 1, CAROL, "bobby", "other")
    assert contacts.contact(db, 1, CAROL).name == "bobby"
    assert contacts.pinned(db, 1, "bob") == BOB


def test_trust_changes_and_the_rest_stays(db):
    """E4"""
    knows(db, BOB, "bob", Trust.REQUESTED)
    contacts.set_petname(db, 1, BOB, "robert")
    found = knows(db, BOB, "other name", Trust.BLOCKED)
    assert (found.trust, found.petname, found.name) == (Trust.BLOCKED, "robert", "bob")
    assert list(Trust) == sorted(Trust)


def test_addresses_are_bounded_and_the_newest_come_first(db):
    for number in range(ADDRESSES_KEPT + 3):
        contacts.remember_address(db, BOB, f"192.0.2.{number}:1", b"n" * 32, number)
    found = [address for address, _ in contacts.addresses(db, BOB)]
    assert len(found) == ADDRESSES_KEPT
    assert found[0] == f"192.0.2.{ADDRESSES_KEPT + 2}:1"


def test_what_a_peer_tells_replaces_nowhere_it_was_reached(db):
    contacts.remember_address(db, BOB, "192.0.2.1:1", b"n" * 32, 1)
    for number in range(ADDRESSES_KEPT + 3):
        contacts.remember_address(db, BOB, f"203.0.113.{number}:1", b"m" * 32, 100 + number, told=True)
    contacts.remember_address(db, BOB, "192.0.2.1:1", b"m" * 32, 200, told=True)
    assert contacts.reached_at(db, BOB) == [("192.0.2.1:1", b"n" * 32)]
    assert contacts.addresses(db, BOB)[0] == ("192.0.2.1:1", b"n" * 32)
    assert len(contacts.addresses(db, BOB)) == 1 + ADDRESSES_KEPT
    contacts.remember_address(db, BOB, f"203.0.113.{ADDRESSES_KEPT}:1", b"n" * 32, 300)
    assert contacts.reached_at(db, BOB)[0] == (f"203.0.113.{ADDRESSES_KEPT}:1", b"n" * 32)


def test_requests_are_kept_decided_and_forgotten(db):
    """B11"""
    for peer, at in ((BOB, 1), (CAROL, 5)):
        lived.keep(db, Mark(at, "", 0, 0))
        contacts.save_request(db, 1, Request(peer, "x", "other", b"e" * 32, "hi", 10**12, "pending"))
    contacts.save_request(db, 1, Request(BOB, "y", "other", b"e" * 32, "again", 10**12, "pending"))
    assert contacts.pending_requests(db, 1) == 2
    contacts.forget_requests(db, 3)
    assert [request.peer for request in contacts.requests(db, 1)] == [CAROL]
    contacts.settle_request(db, 1, CAROL, "rejected")
    contacts.forget_requests(db, 99)
    assert contacts.request(db, 1, CAROL).state == "rejected"


def test_events_do_not_fill_the_store(db):
    """A3: one of a kind, of a peer, an hour; and a bounded number in all."""
    for number in range(50):
        contacts.record(db, Event(1, BOB, "rollback", "", number))
    assert len(contacts.events(db, 100)) == 1
    for number in range(EVENTS_KEPT + 20):
        contacts.record(db, Event(1, number.to_bytes(32, "big"), "rollback", "", 1))
    assert len(contacts.events(db, 10_000)) == EVENTS_KEPT


def test_a_crowd_of_strangers_pushes_out_nothing_that_a_contact_did(db):
    """E2: records of a fork or an equivocation were lost once strangers had caused a thousand others."""
    knows(db, BOB, "bob")
    knows(db, CAROL, "carol", Trust.REQUESTED)
    contacts.record(db, Event(1, BOB, "identity_forked", "", 1))
    for number in range(2 * EVENTS_KEPT):
        contacts.record(db, Event(1, CAROL, f"kind{number}", "", 1))
    assert len(contacts.events(db, 10_000)) == EVENTS_KEPT
    assert [event.kind for event in contacts.events_of(db, 1, BOB, 10)] == ["identity_forked"]


def test_a_contact_pushes_out_nothing_that_another_did(db):
    """E2"""
    for peer, name in ((BOB, "bob"), (CAROL, "carol")):
        knows(db, peer, name)
    contacts.record(db, Event(1, BOB, "identity_forked", "", 1))
    for number in range(2 * EVENTS_KEPT):
        contacts.record(db, Event(1, CAROL, "rollback", "", number * 3_600_001))
    assert len(contacts.events_of(db, 1, BOB, 10)) == 1
    assert contacts.events(db, 1)[0].time_ms == (2 * EVENTS_KEPT - 1) * 3_600_001


def test_a_rotation_lifts_a_freeze_but_not_a_final_one(db):
    """E2"""
    knows(db, BOB, "bob")
    contacts.freeze(db, BOB, "forked", final=False)
    assert contacts.thaw(db, BOB)
    assert contacts.contact(db, 1, BOB).frozen is None
    assert not contacts.thaw(db, BOB)
    contacts.freeze(db, BOB, "two rotates", final=True)
    contacts.freeze(db, BOB, "again", final=False)
    assert not contacts.thaw(db, BOB)
    assert contacts.contact(db, 1, BOB).final
