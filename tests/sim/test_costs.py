"""What a message costs the two nodes that it passes: counted in statements and parses, never in seconds."""

from __future__ import annotations

import os

import pytest

from p2p_agents.conversation import record
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Trust

MESSAGES = 20
SENDING, RECEIVING = 30, 14  # statements for each, the savepoint's two included


@pytest.fixture
def pair(world):
    """Two who know each other, and have a link."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    world.settle()
    return alice, bob


def statements(world, alice, bob):
    """Run at each node by one message of many."""
    counts = []
    for agent in (alice, bob):
        said = []
        agent.core.db._connection.set_trace_callback(said.append)
        counts.append(said)
    for number in range(MESSAGES):
        alice.sends(bob, f"message {number}")
    world.run(0.5)
    assert alice.states(bob).count("delivered") == MESSAGES + 1
    for agent in (alice, bob):
        agent.core.db._connection.set_trace_callback(None)
    return [len(said) / MESSAGES for said in counts]


def test_a_message_costs_few_statements_on_either_side(world, pair):
    sent, received = statements(world, *pair)
    assert sent < SENDING
    assert received < RECEIVING


def test_a_message_costs_no_more_where_there_are_many_contacts(world, pair):
    """The names that one may be taken for another's are read when one changes, not with every message."""
    alice, bob = pair
    few, _ = statements(world, alice, bob)
    agent = alice.hosted.local.id
    for number in range(50):
        peer, name = os.urandom(32), f"other{number}"
        contacts.save_contact(alice.core.db, agent, peer, name=name, kind="other", trust=Trust.ACCEPTED, now_ms=1)
    read = []
    alice.core.db._connection.set_trace_callback(lambda said: read.append(said) if "FROM pins" in said else None)
    for number in range(MESSAGES):
        alice.sends(bob, f"to one of many {number}")
    assert sum("UNION" in said for said in read) == 1
    assert few < SENDING


def test_what_is_sealed_is_compared_with_its_hash_and_parsed_no_more(world, pair, monkeypatch):
    alice, bob = pair
    parsed, decode = [], record.decode_claims
    monkeypatch.setattr(record, "decode_claims", lambda payload: parsed.append(payload) or decode(payload))
    for number in range(MESSAGES):
        alice.sends(bob, f"message {number}")
    world.run(0.5)
    assert bob.heard(alice)[-1] == f"message {MESSAGES - 1}"
    assert len(parsed) == MESSAGES  # by who received them
