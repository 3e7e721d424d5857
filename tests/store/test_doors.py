"""Doors of peers, and peers that knocked at ours: what is stored."""

from __future__ import annotations

from dataclasses import replace

from p2p_agents.store import contacts, doors, queues
from p2p_agents.store.contacts import Request
from p2p_agents.store.database import Database
from p2p_agents.store.doors import Asker, Door
from p2p_agents.store.queues import OwnQueue
from p2p_agents.wire.route import Route

BRIDGE = "bridge://one.example:4433#" + "a" * 52
PEER, DEVICE, QUEUE, KEY = b"p" * 32, b"d" * 32, b"q" * 32, b"k" * 32
DOOR = Door(1, PEER, DEVICE, BRIDGE, QUEUE, KEY)
ASKER = Asker(PEER, DEVICE, 7, b"bundle", (Route(BRIDGE, QUEUE, KEY, KEY),))


def test_a_door_is_found_by_its_peer_and_by_its_queue(db: Database) -> None:
    doors.learn(db, DOOR)
    assert doors.door(db, 1, PEER) == doors.door_at(db, 1, QUEUE) == DOOR
    assert doors.door(db, 2, PEER) is doors.door_at(db, 2, QUEUE) is None
    assert doors.doors(db) == [DOOR]
    doors.forget(db, 1, PEER)
    assert doors.doors(db) == []


def test_what_the_bridge_kept_is_counted_for_each_entry(db: Database) -> None:
    doors.learn(db, DOOR)
    for entry, now_ms in ((5, 1), (5, 2), (6, 3)):
        doors.knock(db, 1, PEER, entry)
        doors.note_kept(db, 1, PEER, now_ms)
    assert doors.door(db, 1, PEER) == replace(DOOR, entry=6, kept=1, knocked_ms=3)


def test_a_newer_address_is_a_new_door(db: Database) -> None:
    doors.learn(db, DOOR)
    doors.knock(db, 1, PEER, 5)
    doors.note_kept(db, 1, PEER, 1)
    moved = replace(DOOR, queue=b"r" * 32)
    doors.learn(db, moved)
    assert doors.doors(db) == [moved]


def test_an_asker_is_kept_as_long_as_its_request(db: Database) -> None:
    doors.keep_asker(db, 1, ASKER)
    assert doors.asker(db, 1, PEER) == ASKER
    assert doors.asker(db, 2, PEER) is None
    contacts.save_request(db, 1, Request(PEER, "alice", "other", bytes(32), "hello", 1, "pending"))
    doors.forget_askers(db)
    assert doors.asker(db, 1, PEER) == ASKER
    contacts.settle_request(db, 1, PEER, "rejected")
    doors.forget_askers(db)
    assert doors.asker(db, 1, PEER) is None


def test_a_public_queue_is_read_and_is_no_pairs(db: Database) -> None:
    """What pairings prepared in vain is deleted; this stays."""
    own = OwnQueue(QUEUE, BRIDGE, DEVICE, b"", PEER, KEY, KEY, KEY, 0, True)
    queues.make(db, own)
    queues.make(db, replace(own, queue=b"r" * 32, peer=b"x" * 32, public=False))
    queues.forget_unmet(db, ())
    assert queues.public_of(db, DEVICE) == own
    assert [q.public for q in queues.readable_at(db, BRIDGE)] == [True]  # no number: it is signed as it is
    assert queues.readable_at(db, BRIDGE) == [own]
    assert queues.pairs(db) == []
    assert queues.public_of(db, PEER) is None
