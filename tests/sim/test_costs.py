"""The cost of a message at the two nodes that it passes: counted in statements and parses, never in seconds."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from functools import partial

import pytest

from p2p_agents.conversation import record
from p2p_agents.core.api import commands
from p2p_agents.core.turn import schedule
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Trust
from p2p_agents.store.journal import target
from p2p_agents.store.memory import Memory
from tests.sim.world import Disk

MESSAGES = 20
ALONE = 22, 15  # statements at most for each message where it has transactions of its own, at its sender and its reader
STREAM = 100
SECOND = 4  # statements of a second in which nothing happens
STREAMED = 5, 5  # where many go in one


@pytest.fixture
def pair(world):
    """Two who know each other, and have a link."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    world.settle()
    return alice, bob


@contextmanager
def counted(*agents):
    """The statements that each agent's store is told, inside."""
    counts = []
    for agent in agents:
        said = []
        agent.core.db._connection.execute("DROP TRIGGER IF EXISTS no_other_move")  # the simulation's own is traced too
        agent.core.db._connection.set_trace_callback(said.append)
        counts.append(said)
    yield counts
    for agent in agents:
        agent.core.db._connection.set_trace_callback(None)


def statements(world, alice, bob):
    """Run at each node by one message of many, each sent when the one before was delivered."""
    with counted(alice, bob) as counts:
        for number in range(MESSAGES):
            alice.sends(bob, f"message {number}")
            world.run(0.1)
    assert alice.states(bob).count("delivered") == MESSAGES + 1
    return [len(said) / MESSAGES for said in counts]


def test_a_message_alone_costs_few_statements_on_either_side(world, pair):
    sent, received = statements(world, *pair)
    assert sent <= ALONE[0]
    assert received <= ALONE[1]


def test_a_message_in_a_stream_costs_fewer(world, pair):
    alice, bob = pair
    asked = {"agent": alice.name, "to": bob.name, "type": "text/plain", "id": None, "reply_to": None}
    with counted(alice, bob) as counts:
        outcomes = alice.node._attempt(
            [partial(commands.send, params={**asked, "text": f"message {number}"}) for number in range(STREAM)]
        )
        world.run(1)
    assert all(outcome.error is None for outcome in outcomes)
    assert alice.states(bob).count("delivered") == STREAM + 1
    sent, received = (len(said) / STREAM for said in counts)
    assert sent <= STREAMED[0]
    assert received <= STREAMED[1]


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
    assert few <= ALONE[0]


def test_a_second_costs_no_more_statements_where_there_are_many_linked_peers(world):
    hub = world.agent("hub", policy="open")
    for number in range(12):
        peer = world.agent(f"peer{number}", policy="open")
        hub.befriends(peer)
        peer.befriends(hub)
    world.settle()
    assert len(hub.core.links) == 12
    hub.node.run(schedule.second)
    with counted(hub) as (said,):
        hub.node.run(schedule.second)
    assert len(said) <= SECOND


def test_what_is_sealed_is_compared_with_its_hash_and_parsed_no_more(world, pair, monkeypatch):
    alice, bob = pair
    parsed, decode = [], record.decode_claims
    monkeypatch.setattr(record, "decode_claims", lambda payload: parsed.append(payload) or decode(payload))
    for number in range(MESSAGES):
        alice.sends(bob, f"message {number}")
    world.run(0.5)
    assert bob.heard(alice)[-1] == f"message {MESSAGES - 1}"
    assert len(parsed) == MESSAGES  # by who received them


def test_what_is_remembered_names_the_tables_that_it_is_from(world, monkeypatch):
    """What SQLite says is read and written while agents meet and talk, beside what the code says of it."""
    read, wrote, remembered, wrong = set(), {}, set(), []

    def watch(action, table, *_):
        if action == sqlite3.SQLITE_READ:
            read.add(table)
        elif action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE):
            wrote.setdefault(running[-1], set()).add(table)
        return sqlite3.SQLITE_OK

    def of(memory, key, tables, find):
        def found():
            read.clear()
            value = find()
            wrong.extend((key, table) for table in read - {*tables})
            return value

        remembered.update(tables)
        return recall(memory, key, tables, found)

    def execute(db, sql, parameters):
        running.append(sql)
        return run(db, sql, parameters)

    running, recall, run = [""], Memory.of, Disk._execute
    monkeypatch.setattr(Memory, "of", of)
    monkeypatch.setattr(Disk, "_execute", execute)
    alice, bob = world.agent("alice"), world.agent("bob")
    for agent in (alice, bob):
        agent.core.db._connection.set_authorizer(watch)
    alice.befriends(bob)
    bob.befriends(alice)
    alice.sends(bob, "hello")
    world.settle()
    bob.sends(alice, "hello yourself")
    world.settle()
    assert bob.heard(alice) == ["hello"]
    assert not wrong
    assert {"contacts", "devices", "chains", "conversations", "pins"} <= remembered
    assert len(wrote) > 10
    for sql, tables in wrote.items():
        assert not (tables & remembered) - {target(sql)}, sql
