"""A reader is a watermark, and the acknowledged above it."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2p_agents.conversation.conversation import Conversation
from p2p_agents.conversation.direct import direct
from p2p_agents.store import readers
from tests.store.log_of import ALICE, BOB, CAROL, HERE, TALK, hears


def unread(db, reader="default", conversation=None):
    return [line.cursor for line in readers.unread(db, HERE, reader, 100, conversation)[0]]


def test_only_what_was_shown_is_acknowledged(db):
    """H2"""
    one, two = hears(db, "one", "two")
    readers.show(db, HERE, "default", [one])
    assert readers.acknowledge(db, HERE, "default", None) == 1
    assert unread(db) == [two]
    assert readers.watermark(db, HERE, "default") == one


def test_acknowledged_above_a_gap_waits_for_it(db):
    """H2: the watermark rises over a gap only when that is acknowledged too."""
    cursors = hears(db, "one", "two", "three")
    readers.show(db, HERE, "default", cursors[1:])
    readers.acknowledge(db, HERE, "default", None)
    assert readers.watermark(db, HERE, "default") == 0
    assert unread(db) == cursors[:1]
    assert readers.is_read(db, HERE, "default", cursors[2])
    readers.show(db, HERE, "default", cursors[:1])
    readers.acknowledge(db, HERE, "default", None)
    assert readers.watermark(db, HERE, "default") == cursors[2]
    assert db.one("SELECT count(*) FROM marks") == (0,)


def test_read_through_stops_at_the_first_unread_of_that_peer(db):
    """B8: another peer's unread message does not hold it back."""
    hears(db, "from carol", conversation=direct(ALICE, CAROL), author=CAROL)
    cursors = hears(db, "one", "two", "three")
    readers.show(db, HERE, "default", [cursors[0], cursors[2]])
    readers.acknowledge(db, HERE, "default", None)
    assert [mark.seq for mark in readers.read_through(db, HERE, TALK.id)] == [1]


def test_branches_are_marked_apart(db):
    """A3, B8: one mark for each epoch, so that a branch says nothing about another."""
    cursors = hears(db, "one") + hears(db, "two", epoch=b"f" * 8)
    readers.show(db, HERE, "default", cursors)
    readers.acknowledge(db, HERE, "default", None)
    marks = readers.read_through(db, HERE, TALK.id)
    assert [(mark.epoch, mark.seq) for mark in marks] == [(b"f" * 8, 2), (b"e" * 8, 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("sa"), st.integers(0, 11)), max_size=25))
def test_a_reader_against_a_model(db, steps):
    """H2: whatever is shown and acknowledged, in any order."""
    db.derived.clear()
    db.run("SAVEPOINT item")
    cursors = hears(db, *(str(number) for number in range(12)))
    shown, acked = set(), set()
    for step, place in steps:
        if step == "s":
            readers.show(db, HERE, "r", [cursors[place]])
            shown.add(cursors[place])
        else:
            readers.acknowledge(db, HERE, "r", cursors[place])
            acked |= {cursor for cursor in shown if cursor <= cursors[place]}
    assert unread(db, "r") == [cursor for cursor in cursors if cursor not in acked]
    assert [readers.is_read(db, HERE, "r", cursor) for cursor in cursors] == [cursor in acked for cursor in cursors]
    db.run("ROLLBACK TO item")


def test_an_author_is_told_of_its_own_words_alone(db):
    """B8: where several write, what one of them wrote and was not read holds no other's mark back."""
    three = Conversation(b"3" * 32, "test", frozenset((ALICE, BOB, CAROL)))
    cursors = hears(db, "bob's", conversation=three, author=BOB) + hears(
        db, "carol's", conversation=three, author=CAROL
    )
    readers.show(db, HERE, "default", cursors[1:])
    readers.acknowledge(db, HERE, "default", None)
    assert [mark.seq for mark in readers.read_through(db, HERE, three.id, CAROL)] == [2]
    assert readers.read_through(db, HERE, three.id, BOB) == []
    assert readers.read_through(db, HERE, three.id) == []
