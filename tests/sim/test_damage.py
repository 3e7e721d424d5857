"""Bits changed by the disk: never shown or sent as their author's words, found, reported, and without effect on the
rest."""

from __future__ import annotations

import sqlite3

import pytest

from p2p_agents.core.api import reading
from p2p_agents.core.delivery import integrity
from p2p_agents.core.kernel.effects import Transmit
from p2p_agents.node import doctor
from p2p_agents.store import archive, entries
from tests.sim.world import settled


def flip(agent, text, column="body", at=-1):
    """One bit of what the store has of a message. Triggers keep programs from that; a disk asks nobody."""
    db = agent.node.db
    rows = db.all("SELECT entry, body FROM bodies")
    (entry,) = (entry for entry, body in rows if text.encode() in body)
    table, key = ("bodies", "entry") if column == "body" else ("entries", "id")
    value = bytearray(db.one(f"SELECT {column} FROM {table} WHERE {key} = ?", (entry,))[0])
    value[at] ^= 1
    triggers = db.all("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB '*never_change*'")
    for name, _ in triggers:
        db.run(f"DROP TRIGGER {name}")
    db.run(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (bytes(value), entry))
    for _, sql in triggers:
        db.run(sql)
    return entry


def looked(agent):
    """The background check came round."""
    agent.node.run(integrity.look)


def checks(agent):
    return [check for check in agent.node.run(doctor.what_the_store_tells) if check["name"] == "integrity"]


@pytest.mark.parametrize(("column", "at"), [("body", -1), ("signed", -1), ("signed", 40), ("device", 0), ("epoch", 3)])
def test_altered_words_are_shown_as_nobodys(world, column, at):
    """A1: a body, an entry or what was read from it; its neighbours are as they were."""
    alice, bob = world.friends("alice", "bob")
    for text in ("before", "pay 100", "after"):
        alice.sends(bob, text)
    world.settle()
    flip(bob, "pay 100", column, at)
    page = bob.page()["messages"]
    assert [message["text"] for message in page] == ["before", None, "after"]
    assert [message.get("damaged") for message in page] == [None, True, None]
    assert [m["text"] for m in bob.history(alice)] == ["before", None, "after"]
    assert bob.call(reading.show, id=page[1]["id"])["message"]["text"] is None


@pytest.mark.parametrize(("column", "at"), [("body", -1), ("signed", -1), ("signed", 40)])
def test_what_is_owed_and_damaged_fails_alone(world, column, at):
    """B6: it says so, and the conversation goes on, both ways, for ever."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "before")
    world.settle()
    world.part(alice, bob)
    world.run(20)
    sent = [alice.sends(bob, text) for text in ("one", "pay 100", "three")]
    flip(alice, "pay 100", column, at)
    world.join(alice, bob)
    world.run(30)
    world.settle()
    assert alice.state(sent[1]) == "failed"
    assert alice.why(sent[1]) == integrity.LOST
    assert [alice.state(message) for message in (sent[0], sent[2])] == ["delivered"] * 2
    assert [text for text in bob.heard(alice) if text] == ["before", "one", "three"]
    alice.sends(bob, "four")
    bob.sends(alice, "heard you")
    world.settle()
    assert bob.heard(alice)[-1] == "four"
    assert settled(bob.states(alice))
    alice.node.restart()
    bob.node.restart()
    world.run(60)
    assert [text for text in bob.heard(alice) if text] == ["before", "one", "three", "four"]


def test_damage_is_found_in_the_background_and_told_by_doctor(world, monkeypatch):
    """In slices, round after round; what is mended counts no more."""
    monkeypatch.setattr(integrity, "CHECKED_ENTRIES", 4)
    alice, bob = world.friends("alice", "bob")
    for number in range(10):
        alice.sends(bob, f"message {number}")
    world.settle()
    for _ in range(4):
        looked(bob)
    assert checks(bob) == []
    entry = flip(bob, "message 7")
    for _ in range(4):
        looked(bob)
    (check,) = checks(bob)
    assert check["ok"] is False
    assert check["detail"].startswith("1 message is damaged")
    assert check["hint"]
    assert [event.kind for event in bob.node.events("damaged")] == ["damaged"]
    good = alice.node.db.one("SELECT body FROM bodies WHERE entry = ?", (entry,))[0]
    bob.node.run(lambda core: entries.mend_body(core.db, entry, good))
    for _ in range(8):
        looked(bob)
    assert checks(bob) == []


def test_a_backup_holds_no_damage(world):
    """What is in it can be restored: the entry without its words, or neither."""
    alice, bob = world.friends("alice", "bob")
    for text in ("one", "two", "three"):
        alice.sends(bob, text)
    world.settle()
    flip(bob, "two")
    flip(bob, "three", "signed")
    lines = [line for chunk in archive.chunks(bob.core.db, bob.hosted.local.id) for line in archive.lines(chunk)]
    bodies = [line.item.body for line in lines]
    assert len(bodies) == 2
    assert b"one" in bodies[0]
    assert bodies[1] is None


# --- what carries messages ---


def alter(agent, table, column, at=-1):
    """One bit of every row's column; the node starts anew, as what it holds in memory is from before."""
    agent.node.crash()
    db = sqlite3.connect(agent.node.store)
    key = "rowid" if table == "frames" else "sid"
    rows = db.execute(f"SELECT {key}, {column} FROM {table}").fetchall()
    assert rows
    for row, value in rows:
        altered = bytearray(value if isinstance(value, bytes) else value.to_bytes(8, "big"))
        altered[at] ^= 1
        new = bytes(altered) if isinstance(value, bytes) else int.from_bytes(altered, "big", signed=True)
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (new, row))
    db.commit()
    db.close()
    agent.node.restart()


SESSIONS = ["sid", "device", "peer_device", "gen", "state", "verdicts", "acked", "acked_hash", "digest"]
FRAMES = ["sid", "pos", "turn", "n", "hash", "items", "frame", "digest"]


@pytest.mark.parametrize(
    ("table", "column"), [*(("sessions", name) for name in SESSIONS), *(("frames", name) for name in FRAMES)]
)
@pytest.mark.parametrize("at", [0, -1])
def test_a_damaged_session_or_kept_frame_costs_no_message(world, table, column, at):
    """B2, B3: whatever bit of it changed, what it carried arrives, once and unchanged, and the pair goes on."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "before")
    world.settle()
    world.part(alice, bob)
    for text in ("one", "two"):
        alice.sends(bob, text)
    alter(alice, table, column, at)
    world.join(alice, bob)
    world.run(400)
    world.settle()
    assert bob.heard(alice) == ["before", "one", "two"]
    alice.sends(bob, "three")
    bob.sends(alice, "heard you")
    world.settle()
    assert bob.heard(alice) == ["before", "one", "two", "three"]
    assert alice.heard(bob)[-1] == "heard you"
    assert all(state == "delivered" for state in alice.states(bob))


# --- what is known of a contact ---


@pytest.mark.parametrize("entry", [0, 1])
@pytest.mark.parametrize("bridged", [False, True])
def test_a_damaged_identity_log_is_asked_for_again(world, entry, bridged):
    """E2: on a link by HELLO, over a bridge by GREETING; a human is told before and after, and nothing is refused."""
    alice, bob = world.friends("alice", "bob")
    if bridged:
        world.bridge(alice.node, bob.node)
        world.settle()
    world.part(alice, bob)
    world.run(20)
    owed = alice.sends(bob, "owed")
    alice.node.crash()
    bob.sends(alice, "said meanwhile")
    db = sqlite3.connect(alice.node.store)
    rows = db.execute("SELECT entry FROM identities WHERE agent = ? AND n = ?", (bob.id, entry)).fetchone()
    db.execute("UPDATE identities SET entry = ? WHERE entry = ?", (rows[0][:-1] + b"?", rows[0]))
    db.commit()
    db.close()
    alice.node.start()
    told = alice.node.run(doctor.what_the_store_tells)
    assert [check["ok"] for check in told if "identity log is damaged" in check["detail"]] == [False]
    if not bridged:
        world.join(alice, bob)
    world.run(400)
    assert alice.heard(bob) == ["said meanwhile"]
    assert alice.state(owed) == "delivered"
    assert bob.heard(alice) == ["owed"]
    assert [event.detail for event in alice.node.events("damaged")] == [
        "its identity log was damaged on this disk; it showed it again"
    ]
    told = alice.node.run(doctor.what_the_store_tells)
    assert not [check for check in told if "identity log is damaged" in check["detail"]]


# --- what a peer still has ---


@pytest.mark.parametrize("bridged", [False, True])
def test_a_damaged_body_is_given_again_by_who_has_it(world, bridged):
    """B1: the next view does not name the entry; what a disk damaged of it comes again, and once. In a queue a view may
    be old, so that it waits for a link."""
    alice, bob = world.friends("alice", "bob")
    sent = [alice.sends(bob, text) for text in ("one", "two", "three")]
    mine = bob.sends(alice, "of bob's own")
    world.settle()
    if bridged:
        world.bridge(alice.node, bob.node)
        world.settle()
        world.part(alice, bob)
        world.run(20)
    flip(bob, "two")
    flip(bob, "of bob's own")
    assert [m["text"] for m in bob.history(alice)].count(None) == 2
    looked(bob)
    world.run(20)
    if bridged:
        assert [m["text"] for m in bob.history(alice)].count(None) == 2
        world.join(alice, bob)
        world.run(20)
    assert [m["text"] for m in bob.page()["messages"]] == ["one", "two", "three"]
    assert sorted(m["text"] for m in bob.history(alice)) == ["of bob's own", "one", "three", "two"]
    world.run(120)
    assert checks(bob) == []
    assert [alice.state(message) for message in sent] == ["delivered"] * 3
    assert bob.state(mine) == "delivered"
    alice.sends(bob, "four")
    world.run(120)
    assert bob.heard(alice) == ["one", "two", "three", "four"]
    assert alice.heard(bob) == ["of bob's own"]


def test_what_nobody_has_is_asked_for_once(world):
    """The peer purged it, or never had it: views name the entry again, and nothing goes to and fro."""
    alice, bob = world.friends("alice", "bob")
    for text in ("one", "two"):
        alice.sends(bob, text)
    world.settle()
    entry = flip(bob, "two")
    alice.node.run(lambda core: core.db.run("DELETE FROM bodies WHERE entry = ?", (entry,)))
    for _ in range(3):
        looked(bob)
        world.run(60)
    assert [m["text"] for m in bob.history(alice)] == ["one", None]
    before = len(alice.node.effects)
    looked(bob)
    world.run(2)
    assert not [effect for effect in alice.node.effects[before:] if isinstance(effect, Transmit)]
    assert settled(alice.states(bob))
