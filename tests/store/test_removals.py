"""An agent's rows and bodies, and which of them stay."""

from __future__ import annotations

import pytest

from p2p_agents.store import agents, removals
from tests.store.test_agents import DEVICE, NEXT, ROOT, host, identity

OTHER = identity(root=NEXT, device=ROOT)


def rows(db, sql):
    return [row[0] for row in db.all(sql)]


def talk(db, number, count, body=b"words"):
    """Lines of the agent's log, with bodies."""
    for _ in range(count):
        entry = db.insert(
            "INSERT INTO entries (hash, kind, conversation, author, device, epoch, seq, prev, lamport, time_ms, type,"
            " signed) VALUES (randomblob(32), 'share', x'', x'', randomblob(32), x'', 1, x'', 1, 1, '', x'')",
            (),
        )
        db.run("INSERT INTO bodies VALUES (?, ?)", (entry, body))
        db.run(
            "INSERT INTO log (agent, entry, conversation, incoming, trust) VALUES (?, ?, x'', 0, 3)", (number, entry)
        )


def test_the_number_stays_and_the_name_goes(db):
    """A4: SQLite would give the number to the next agent, and with it the lines in the log."""
    host(db, "bob", OTHER)
    alice = host(db, "alice", identity())
    removals.remove(db, alice, 5)
    assert (agents.agent_named(db, "alice"), [each.name for each in agents.agents(db)]) == (None, ["bob"])
    assert removals.removed(db) == [(identity().agent, DEVICE.public)]
    assert agents.owner_of(db, DEVICE.public) == identity().agent
    again = host(db, "alice", identity())
    assert (again.id, again.name, again.chosen, removals.removed(db)) == (alice.id, "alice", False, [])


def test_the_first_agent_after_all_were_removed_is_the_default(db):
    removals.remove(db, host(db, "alice", identity()), 5)
    assert host(db, "bob", OTHER).chosen


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_bodies_go_page_by_page_and_each_is_looked_at_once(db, count):
    """A5: entries of every kind; and nothing is read once more after all of it is deleted."""
    alice, bob = host(db, "alice", identity()), host(db, "bob", OTHER)
    talk(db, bob.id, 1, b"another's")
    talk(db, alice.id, count)
    removals.remove(db, alice, 5)
    pages = 0
    while (left := removals.unemptied(db)) is not None:
        removals.clear(db, left[0], 2)
        pages += 1
    assert pages == (count + 1) // 2
    assert rows(db, "SELECT body FROM bodies") == [b"another's"]


def test_what_two_agents_had_goes_with_the_last(db):
    """A4."""
    alice, bob = host(db, "alice", identity()), host(db, "bob", OTHER)
    talk(db, alice.id, 1)
    db.run(
        "INSERT INTO log (agent, entry, conversation, incoming, trust) SELECT ?, entry, x'', 0, 3 FROM log", (bob.id,)
    )
    for each, left in ((alice, [b"words"]), (bob, [])):
        removals.remove(db, each, 5)
        removals.clear(db, each.id, 10)
        assert rows(db, "SELECT body FROM bodies") == left


def test_key_bundles_that_another_agent_needs_stay(db):
    """B7: a first message over a bridge is sealed to them."""
    alice, bob = host(db, "alice", identity()), host(db, "bob", OTHER)
    for local, devices in ((alice, (b"shared", b"alone")), (bob, (b"shared",))):
        for device in devices:
            db.run("INSERT INTO pairs (device, peer_device, peer) VALUES (?, ?, x'')", (local.device, device))
    db.many("INSERT INTO bundles VALUES (?, x'', 1)", [(b"shared",), (b"alone",), (b"foreign",)])
    removals.remove(db, alice, 5)
    assert set(rows(db, "SELECT device FROM bundles")) == {b"shared", b"foreign"}


def test_a_mark_that_the_disk_made_removes_nobody(db):
    """D1: the next start destroys the keys of removed agents, and no others."""
    alice = host(db, "alice", identity())
    db.run("UPDATE agents SET removed_ms = 1")
    assert (removals.removed(db), removals.unemptied(db)) == ([], None)
    assert agents.agents(db) == [alice]
