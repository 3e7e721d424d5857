"""The allowlist."""

from __future__ import annotations

from p2p_agents.store import allowed, contacts
from p2p_agents.store.contacts import Trust
from tests.store.log_of import BOB, CAROL


def test_each_agent_has_a_list_of_its_own(db):
    """E4: an id that is added twice keeps its first date."""
    for at, peer in ((5, CAROL), (3, BOB), (9, CAROL)):
        allowed.add(db, 1, peer, at)
    assert allowed.everyone(db, 1) == [(BOB, 3), (CAROL, 5)]
    assert allowed.count(db, 1) == 2
    assert allowed.holds(db, 1, BOB)
    assert not allowed.holds(db, 2, BOB)
    assert allowed.remove(db, 1, BOB)
    assert not allowed.remove(db, 1, BOB)
    assert allowed.everyone(db, 1) == [(CAROL, 5)]


def test_a_contact_knows_whether_it_is_allowed(db):
    """E4: and its trust is a separate thing."""
    db.run(
        "INSERT INTO agents (id, agent, device, name, kind, created_ms) VALUES (1, x'01', x'02', 'alice', 'other', 1)"
    )
    found = contacts.save_contact(db, 1, BOB, name="bob", kind="other", trust=Trust.BLOCKED, now_ms=1)
    assert not found.allowed
    allowed.add(db, 1, BOB, 1)
    (found,) = contacts.contacts(db, 1)
    assert (found.trust, found.allowed) == (Trust.BLOCKED, True)
