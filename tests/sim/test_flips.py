"""One bit of a store that lives, in whatever column: nothing breaks, nothing is shown that nobody said, all goes on.

The columns are read from the schema, so that a table which comes later is held to the same.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from p2p_agents.core.agents import ownership
from p2p_agents.core.api import addressing, allowlist, commands, introduction, reading, trust
from p2p_agents.core.delivery import integrity
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import NotAContact, PeerUnknown
from p2p_agents.node import doctor
from p2p_agents.store import upgrade
from tests.sim.bridges import Bridge
from tests.sim.world import Agent, World

SAID = [f"{name} {n}" for name in ("bob", "carol") for n in range(3)]
OWED = {"bob": ["to bob", "owed to bob", "more for bob"], "carol": ["to carol", "owed to carol"]}
TRUE = {*SAID, *itertools.chain(*OWED.values()), "may I", "at last", "and back", ""}
EMPTY = {"doors", "askers", "floors", "leads", "read_elsewhere", "shared", "voids", "ended", "events", "pairing_codes"}


@dataclass
class Stage:
    """Alice, whose disk it is, two contacts that she owes something, and somebody who asks."""

    world: World
    bridge: Bridge
    alice: Agent
    friends: tuple[Agent, Agent]


def stage(world: World) -> Stage:
    """Of everything something: messages read, unread and owed, names, requests, introductions, queues, readers."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    bridge = world.bridge(alice.node, bob.node, carol.node)
    for one, n in itertools.product((bob, carol), range(3)):
        one.sends(alice, f"{one.name} {n}")
    for one in (bob, carol):
        alice.sends(one, f"to {one.name}", id=f"key {one.name}")
        alice.call(commands.name_contact, peer=one.name, petname=f"{one.name}2")
    world.settle()
    alice.page(limit=2)
    alice.acks()
    alice.page(limit=2, reader="other")
    dave, erin = world.agent("dave"), world.agent("erin")
    erin.befriends(carol)
    carol.befriends(erin)
    world.settle()
    dave.sends(alice, "may I")
    erin.sends(carol, "hello")
    carol.sends(erin, "hello")
    world.settle()
    carol.call(introduction.introduce, peer="alice", other="erin")
    alice.call(addressing.address, off=False)
    alice.call(allowlist.add, peer="bob2")
    alice.node.run(lambda core: core.db.run("INSERT INTO bridges VALUES (1, ?, 'token', 1)", (bridge.address,)))
    alice.node.run(lambda core: core.db.run("INSERT INTO places VALUES ('192.0.2.77:4433', 1)"))
    world.settle()
    bridge.up = False
    for one in (bob, carol):
        world.part(alice, one)
    world.run(20)
    for one in (bob, carol):
        for text in OWED[one.name][1:]:
            alice.sends(f"{one.name}2", text)
    for one in (dave, erin):
        one.node.crash()
    alice.node.crash()
    return Stage(world, bridge, alice, (bob, carol))


# --- what is flipped ---


def opened(store: str) -> sqlite3.Connection:
    db = sqlite3.connect(store)
    db.text_factory = bytes
    return db


def columns(db: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """(table, column, type) of everything that is no number. The word index keeps no words."""
    tables = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite*' AND name NOT GLOB 'words*'"
    )
    for (table,) in db.execute(f"{tables} ORDER BY name").fetchall():
        for _, column, kind, *_ in db.execute(f"PRAGMA table_info({table.decode()})").fetchall():
            if kind in (b"BLOB", b"TEXT"):
                yield table.decode(), column.decode(), kind.decode()


def all_columns() -> list[tuple[str, str, str]]:
    db = opened(":memory:")
    db.executescript(" ".join(script for _, script in upgrade.migrations()))
    return list(columns(db))


def flip(db: sqlite3.Connection, table: str, column: str, kind: str, row: int, at: int, bit: int) -> bool:
    """Whether there was something to flip, and the schema allows what it became."""
    info = db.execute(f"PRAGMA table_info({table})").fetchall()
    keys = [name.decode() for _, name, *_, key in sorted(info, key=lambda each: each[5]) if key] or ["rowid"]
    named = ", ".join(f"CAST({key} AS BLOB)" for key in keys)
    found = db.execute(f"SELECT {column}, {named} FROM {table} ORDER BY {', '.join(keys)} LIMIT 1 OFFSET {row}")
    value, *place = found.fetchone() or (b"",)
    if not value:
        return False
    altered = bytearray(value)
    altered[at] ^= bit
    where = " AND ".join(f"CAST({key} AS BLOB) = ?" for key in keys)
    for name, _ in (triggers := db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()):
        db.execute(f"DROP TRIGGER {name.decode()}")
    try:
        changed = db.execute(f"UPDATE {table} SET {column} = CAST(? AS {kind}) WHERE {where}", (bytes(altered), *place))
    except sqlite3.IntegrityError:
        return False
    assert changed.rowcount == 1
    for _, sql in triggers:
        db.execute(sql.decode())
    db.commit()
    return True


# --- what is asked ---


def look(alice: Agent) -> set[str]:
    """Every command that reads; all texts that it shows. What a damaged name no longer finds is answered so."""
    texts: set[str] = set()

    def asked(command: Any, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        with contextlib.suppress(PeerUnknown, NotAContact):
            answer = alice.call(command, **params)
        asking = answer.get("requests", ()) if command is commands.requests else ()
        shown = [*answer.get("messages", ()), *asking]
        texts.update(each["text"] for each in shown if each.get("text") is not None)
        for each in answer.get("messages", ()):
            alice.call(reading.show, id=each["id"])
        return answer

    for command in (commands.agents, commands.whoami, commands.peers, commands.contacts, commands.requests):
        asked(command)
    for command in (ownership.show, ownership.devices, allowlist.list_):
        asked(command)
    for name in ("bob2", "carol2"):
        asked(trust.show, peer=name)
        asked(reading.history, to=name, after=None, before=None, limit=1000)
    for reader in ("default", "other"):
        asked(reading.unread, **{"reader": reader, "new_reader": True, "after": None, "limit": 1000, "from": None})
    alice.node.run(reading.index)
    asked(reading.search, text="bob", limit=50)
    alice.node.run(doctor.what_the_store_tells)
    alice.node.run(integrity.look)
    return texts


def goes_on(s: Stage, friend: Agent) -> None:
    """What was owed arrives once, or fails and says so; then both hear each other."""
    s.alice.sends(id_text(friend.id), "at last")
    friend.sends(id_text(s.alice.id), "and back")
    s.world.run(8)
    heard = [text for text in friend.heard(s.alice) if text]
    assert heard[-1] == "at last"
    assert heard == [text for text in (*OWED[friend.name], "at last") if text in heard]
    lost = {*OWED[friend.name]} - {*heard}
    missed = [m["state"] for m in history(s.alice, friend) if m["text"] is None or m["text"] in lost]
    assert set(missed) <= {"failed", "delivered"}
    assert len(missed) >= len(lost)
    assert s.alice.heard(friend)[-1] == "and back"


def history(agent: Agent, peer: Agent) -> list[dict[str, Any]]:
    asked = {"to": id_text(peer.id), "after": None, "before": None, "limit": 1000}
    messages: list[dict[str, Any]] = agent.call(reading.history, **asked)["messages"]
    return messages


def flips(table: str) -> list[tuple[str, str, int, int, int]]:
    """(column, type, row, byte, bit) of every column: the last bit of its first two rows, and of text what makes it
    none."""
    found = [(column, kind) for name, column, kind in all_columns() if name == table]
    return [
        (column, kind, row, at, bit)
        for column, kind in found
        for row, at, bit in ((0, -1, 1), (1, -1, 1), (0, 0, 0x80))
        if kind == "TEXT" or at
    ]


@pytest.mark.parametrize("table", sorted({table for table, _, _ in all_columns()}))
def test_a_bit_of_any_column_stops_nothing(tmp_path: Path, table: str) -> None:
    """A1, B6: no command ends in `internal`, no altered text is shown as its author's, each conversation goes on, and
    what is owed and damaged fails alone."""
    flipped = 0
    for number, (column, kind, row, at, bit) in enumerate(flips(table)):
        place = tmp_path / str(number)
        place.mkdir()
        s = stage(World(place))
        db = opened(s.alice.node.store)
        done = flip(db, table, column, kind, row, at, bit)
        db.close()
        if done:
            flipped += 1
            lives_on(s, f"{table}.{column} of row {row}")
    assert bool(flipped) != (table in EMPTY)


def lives_on(s: Stage, what: str) -> None:
    s.alice.node.start()
    s.alice.name = str(s.alice.hosted.local.name)
    s.bridge.up = True
    shown = look(s.alice)
    for friend in s.friends:
        s.world.join(s.alice, friend)
    s.world.run(60)
    for friend in s.friends:
        goes_on(s, friend)
    shown |= look(s.alice)
    assert shown <= TRUE, what
