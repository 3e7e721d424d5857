"""Readers, cursors and receipts, as a command line sees them."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import reading
from p2p_agents.errors import BadParams, CursorUnknown, MessageUnknown
from p2p_agents.node import purging
from p2p_agents.store import entries, purges


def test_ack_covers_only_what_was_shown(world):
    """H2: what came in between, or was filtered out, stays unread."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    alice.sends(bob, "one")
    carol.sends(bob, "from carol")
    world.settle()
    assert bob.inbox(frm=alice) == ["one"]
    alice.sends(bob, "two")
    world.settle()
    assert bob.acks() == 1
    assert bob.inbox() == ["from carol", "two"]


def test_ack_of_a_cursor_stops_there(world):
    """H2"""
    alice, bob = world.friends("alice", "bob")
    for text in ("one", "two", "three"):
        alice.sends(bob, text)
    world.settle()
    page = bob.page()
    assert bob.acks(page["messages"][1]["cursor"]) == 2
    assert bob.inbox() == ["three"]
    assert bob.acks(page["messages"][1]["cursor"]) == 0


def test_nothing_shown_is_nothing_acknowledged(world):
    """H2"""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "one")
    world.settle()
    assert bob.acks() == 0
    assert bob.inbox() == ["one"]


def test_readers_do_not_disturb_each_other(world):
    """B8, H2: and only the reader `default` tells the author."""
    alice, bob = world.friends("alice", "bob")
    hello = alice.sends(bob, "hello")
    world.settle()
    assert bob.inbox(reader="watcher") == ["hello"]
    assert bob.acks(reader="watcher") == 1
    world.settle()
    assert bob.inbox(reader="watcher") == []
    assert bob.inbox() == ["hello"]
    assert alice.state(hello) == "delivered"


def test_receipts_are_watermarks(world):
    """B8: a message above an unread one is not yet said to be read."""
    alice, bob = world.friends("alice", "bob")
    for text in ("one", "two", "three"):
        alice.sends(bob, text)
    world.settle()
    page = bob.page(limit=1)
    bob.acks(page["cursor"])
    world.settle()
    assert alice.states(bob) == ["read", "delivered", "delivered"]
    bob.reads()
    world.settle()
    assert alice.states(bob) == ["read", "read", "read"]


def test_receipts_survive_a_cut(world):
    """B8: SYNC carries them too."""
    alice, bob = world.friends("alice", "bob")
    hello = alice.sends(bob, "hello")
    world.settle()
    world.part(alice, bob)
    world.run(15)
    bob.reads()
    world.join(alice, bob)
    world.settle()
    assert alice.state(hello) == "read"


def test_a_receipt_is_no_entry(world):
    """B8: reading writes nothing into the conversation."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    world.settle()
    count = bob.core.db.one("SELECT count(*) FROM entries")
    bob.reads()
    world.settle()
    assert bob.core.db.one("SELECT count(*) FROM entries") == count == alice.core.db.one("SELECT count(*) FROM entries")


def test_cursors_of_another_store_are_errors(world):
    """A4: `0` is the start; anything this store never gave is an error."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    world.settle()
    cursor = bob.page()["cursor"]
    assert bob.inbox(after="0") == ["hello"]
    assert bob.inbox(after=cursor) == []
    generation, _, position = cursor.rpartition("-")
    hostile = ["", "-", "1", "0-1", "x-1", f"{generation}-{int(position) + 1}", f"{generation}--1", f"{generation}-1 "]
    hostile += [f"{generation}-{'9' * 30}", f"{generation}-\u0661", alice.page(after="0")["cursor"].replace("0", "x")]
    for garbled in hostile:
        with pytest.raises(CursorUnknown):
            bob.inbox(after=garbled)


def test_agents_of_one_node_never_see_each_others_log(world):
    """A4: inbox, history, search, show, and cursors above all."""
    alice, bob = world.friends("alice", "bob")
    dave = world.agent("dave", bob.node)
    alice.sends(bob, "the word is swordfish")
    secret = bob.sends(alice, "swordfish, understood")
    world.settle()
    while not bob.node.run(reading.index):
        pass
    assert len(bob.call(reading.search, text="swordfish", limit=10)["messages"]) == 2
    assert dave.call(reading.search, text="swordfish", limit=10)["messages"] == []
    assert dave.inbox() == dave.inbox(after="0") == []
    dave.befriends(alice)
    assert dave.history(alice) == []
    with pytest.raises(MessageUnknown):
        dave.state(secret)


def test_a_purge_leaves_chain_and_signatures(world):
    """A1, A5: the body is gone, from the word index too; what remains still verifies and can be supplied."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "the word is swordfish")
    world.settle()
    bob.node.run(reading.index)
    row = entries.find(bob.core.db, entries.load(bob.core.db, 1).hash)
    bob.node.run(lambda core: (purges.purge(core.db, bob.hosted.local.id, [row]), purging.forget_words(core)))
    assert bob.node.db.truncate()
    assert bob.heard(alice) == [""]
    while not bob.node.run(reading.index):
        pass
    assert bob.call(reading.search, text="swordfish", limit=10)["messages"] == []
    for suffix in ("", "-wal"):
        with open(bob.node.store + suffix, "rb") as file:
            assert b"swordfish" not in file.read()
    alice.sends(bob, "next")
    world.settle()
    assert bob.heard(alice) == ["", "next"]


def test_a_search_takes_words_and_no_syntax(world):
    """A4: quotes, operators and wildcards are words like others."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, 'he said "NEAR" and *')
    world.settle()
    while not bob.node.run(reading.index):
        pass
    for text in ('"', '"near"', "near*", "said OR", "NOT said", "body:said", "(said"):
        bob.call(reading.search, text=text, limit=10)
    assert len(bob.call(reading.search, text="SAID near", limit=10)["messages"]) == 1
    with pytest.raises(BadParams):
        bob.call(reading.search, text="  ", limit=10)


def test_pages_of_a_history_meet_without_gap_or_overlap(world):
    """B9: whichever end one begins at; the order is (lamport, device) on both sides."""
    alice, bob = world.friends("alice", "bob")
    for number in range(7):
        (alice, bob)[number % 2].sends((bob, alice)[number % 2], f"{number}")
        world.settle()
    whole = [m["text"] for m in bob.history(alice)]
    assert whole == [m["text"] for m in alice.history(bob)] == [f"{number}" for number in range(7)]
    pages, before = [], None
    while True:
        page = bob.call(reading.history, to="alice", after=None, before=before, limit=3)
        pages = [m["text"] for m in page["messages"]] + pages
        if not page["more"]:
            break
        before = page["messages"][0]["cursor"]
    assert pages == whole
