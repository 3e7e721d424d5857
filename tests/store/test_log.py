"""What one hosted agent may read."""

from __future__ import annotations

from p2p_agents.conversation.direct import direct
from p2p_agents.conversation.record import MESSAGE
from p2p_agents.limits import BODY_BYTES, PAGE_BYTES
from p2p_agents.store import entries, log
from p2p_agents.store.contacts import Trust
from tests.store.log_of import ALICE, CAROL, HERE, TALK, hears

THERE = 2


def texts(page):
    return [line.record.content.decode() for line in page[0]]


def test_no_query_shows_another_agents_lines(db):
    """A4: one entry, two agents, each its own line."""
    (cursor,) = hears(db, "for alice")
    entry = log.line(db, HERE, 1).entry
    assert log.line(db, THERE, entry) is None
    assert texts(log.incoming(db, THERE, 0, 10)) == texts(log.tail(db, THERE, (MESSAGE,), 0, 10)) == []
    assert texts(log.history(db, THERE, (MESSAGE,), TALK.id, limit=10)) == []
    digest = entries.load(db, entry).hash
    assert log.by_hash_prefix(db, THERE, digest, digest) == []
    entries.index_words(db, 10)
    assert log.search(db, THERE, (MESSAGE,), '"alice"', 10) == []
    log.add(db, THERE, entry, TALK.id, incoming=True, trust=Trust.ACCEPTED)
    assert log.cursor_of(db, THERE, entry) == cursor + 1


def test_cursors_rise_and_are_never_given_twice(db):
    """A4: AUTOINCREMENT."""
    cursors = hears(db, "one", "two", "three")
    assert cursors == sorted(set(cursors))
    assert log.last_cursor(db) == cursors[-1]


def test_pages_are_bounded_and_say_whether_there_is_more(db):
    hears(db, "one", "two", "three")
    assert texts(log.incoming(db, HERE, 0, 2)) == ["one", "two"]
    assert log.incoming(db, HERE, 0, 2)[1]
    assert texts(log.incoming(db, HERE, 2, 2)) == ["three"]
    assert not log.incoming(db, HERE, 2, 2)[1]


def test_a_page_ends_where_its_bodies_fill_it(db):
    """A5: no answer, and no read, grows beyond its bound."""
    count = PAGE_BYTES // BODY_BYTES + 3
    hears(db, *("x" * BODY_BYTES for _ in range(count)))
    lines, more = log.incoming(db, HERE, 0, 1_000)
    assert more
    assert 1 <= len(lines) < count


def test_peers_are_told_apart(db):
    hears(db, "from bob")
    hears(db, "from carol", conversation=direct(ALICE, CAROL), author=CAROL)
    assert texts(log.incoming(db, HERE, 0, 10, direct(ALICE, CAROL).id)) == ["from carol"]
    assert texts(log.history(db, HERE, (MESSAGE,), TALK.id, limit=10)) == ["from bob"]
