"""Conversations and their members."""

from __future__ import annotations

from p2p_agents.conversation.conversation import Conversation
from p2p_agents.conversation.direct import direct
from p2p_agents.store import conversations
from tests.store.log_of import ALICE, BOB, CAROL, TALK

THREE = Conversation(b"3" * 32, "test", frozenset((ALICE, BOB, CAROL)))


def test_what_is_kept_is_found(db):
    conversations.keep(db, THREE)
    db.derived.clear()
    assert conversations.find(db, THREE.id) == THREE
    assert conversations.find(db, TALK.id) is None


def test_members_may_change(db):
    conversations.keep(db, THREE)
    fewer = Conversation(THREE.id, THREE.kind, frozenset((ALICE, BOB)))
    conversations.keep(db, fewer)
    db.derived.clear()
    assert conversations.find(db, THREE.id) == fewer


def test_it_is_looked_up_once(db):
    conversations.keep(db, THREE)
    db.derived.clear()
    said = []
    db._connection.set_trace_callback(said.append)
    for _ in range(3):
        conversations.keep(db, THREE)
        assert conversations.find(db, THREE.id) == THREE
    assert len(said) == 1


def test_what_was_undone_is_not_remembered(db):
    """A6"""
    db.run("SAVEPOINT before")
    conversations.keep(db, THREE)
    db.run("ROLLBACK TO before")
    db._undone()
    assert conversations.find(db, THREE.id) is None


def test_those_of_many_are_found_by_a_member(db):
    conversations.keep(db, THREE)
    conversations.keep(db, TALK)
    assert conversations.of_many(db, ALICE) == [THREE]
    assert conversations.of_many(db, b"x" * 32) == []


def test_all_that_are_kept(db):
    conversations.keep(db, THREE)
    conversations.keep(db, TALK)
    assert set(conversations.all_kept(db)) == {THREE, TALK}


def test_those_of_two_are_found_by_the_one_who_is_in_fewer(db):
    """What a link is for is asked whenever views are exchanged: that must not cost more with every contact."""
    for conversation in (THREE, TALK, direct(ALICE, CAROL)):
        conversations.keep(db, conversation)
    assert conversations.of_both(db, ALICE, CAROL) == [THREE]
    assert conversations.of_both(db, ALICE, b"x" * 32) == []
    said = []
    db._connection.set_trace_callback(said.append)
    conversations.of_both(db, ALICE, CAROL)
    db._connection.set_trace_callback(None)
    first = db.one(f"EXPLAIN QUERY PLAN {said[0]}")[3]
    assert "SEARCH p" in first
    assert "agent=?" in first
