"""Entries still owed: a cache of "my log minus what the peer holds" (PROTOCOL B1), a row per device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import VOID
from p2p_agents.conversation.states import State, leading_to
from p2p_agents.wire.payload import Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p2p_agents.store.database import Database

NO_ROOM = "the peer has no room for more yet"  # why an entry that is offered again waits
NO_DEVICE = b""  # the recipient's device is not known yet


def _before(new: State) -> str:
    """A condition on a row: that it may come to be in this state."""
    return f"state IN ({', '.join(repr(str(old)) for old in leading_to(new))})"


MAY_FAIL = _before(State.FAILED)


@dataclass(frozen=True, slots=True)
class Owed:
    """A row and the content of its frame: the entry, or the void that stands for it."""

    id: int
    conversation: bytes
    device: bytes  # the device that wrote the entry
    entry: bytes  # its hash
    item: Item


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one entry to one device."""

    id: int
    agent: int
    entry: int
    peer: bytes
    device: bytes
    state: State
    why: str
    changed_ms: int
    owed: bool


_DELIVERY = "id, agent, entry, peer, device, state, why, changed_ms, owed"


def owe(
    db: Database,
    agent: int,
    entry: int,
    peer: bytes,
    device: bytes,
    now_ms: int,
    state: State = State.QUEUED,
) -> int:
    """A new row; settled at once if its state says so."""
    settled = state in (State.DELIVERED, State.READ)
    return db.insert(
        "INSERT INTO outbox (agent, conversation, entry, peer, device, state, owed, changed_ms, since_ms) VALUES"
        " (?1,(SELECT conversation FROM entries WHERE id = ?2),?2,?3,?4,?5,?6,?7,(SELECT lived_ms FROM clock))",
        (agent, entry, peer, device, str(state), int(not settled), now_ms),
    )


def restore(
    db: Database, agent: int, entry: int, peer: bytes, device: bytes, state: State, why: str, now_ms: int
) -> None:
    """A row from a backup: an entry that was under way waits for whichever device comes."""
    owed = state in (State.QUEUED, State.RELAYED)
    db.run(
        "INSERT OR IGNORE INTO outbox"
        " (agent, conversation, entry, peer, device, state, why, owed, changed_ms, since_ms) VALUES"
        " (?1,(SELECT conversation FROM entries WHERE id = ?2),?2,?3,?4,?5,?6,?7,?8,(SELECT lived_ms FROM clock))",
        (agent, entry, peer, NO_DEVICE if owed else device, State.QUEUED if owed else str(state), why, owed, now_ms),
    )


def bind_device(db: Database, agent: int, peer: bytes, device: bytes) -> None:
    """The recipient's device became known: entries that waited for any device now wait for this one."""
    db.run(
        "UPDATE OR IGNORE outbox SET device = ? WHERE agent = ? AND peer = ? AND device = ? AND owed = 1",
        (device, agent, peer, NO_DEVICE),
    )
    db.run(  # an entry already owed to that device waits for no other
        "DELETE FROM outbox WHERE agent = ? AND peer = ? AND device = ? AND owed = 1", (agent, peer, NO_DEVICE)
    )


def orphan(db: Database, agent: int, peer: bytes, device: bytes) -> None:
    """A device of the recipient is gone: entries that it did not get wait for another one, unless that one has them or
    is owed them already. Those that it got stay delivered."""
    owed = "agent = ?1 AND peer = ?2 AND device = ?3 AND owed = 1"
    db.run(
        f"DELETE FROM outbox WHERE {owed} AND EXISTS (SELECT 1 FROM outbox o WHERE o.entry = outbox.entry"  # noqa: S608 - constant
        " AND o.peer = ?2 AND o.device <> ?3)",
        (agent, peer, device),
    )
    db.run(f"UPDATE outbox SET device = ?4, sid = NULL WHERE {owed}", (agent, peer, device, NO_DEVICE))  # noqa: S608 - constant


def unsealed(db: Database, agent: int, peer: bytes, device: bytes, limit: int) -> list[Owed]:
    """Rows owed and in no frame, in the author's order."""
    rows = db.all(
        "SELECT o.id, o.conversation, e.device, e.hash, v.signed, e.signed, b.body, e.kind"
        " FROM outbox o JOIN entries e ON e.id = o.entry"
        " LEFT JOIN bodies b ON b.entry = o.entry LEFT JOIN voids v ON v.entry = o.entry AND o.state = 'failed'"
        " WHERE o.owed = 1 AND o.sid IS NULL AND o.agent = ? AND o.peer = ? AND o.device = ? ORDER BY o.id LIMIT ?",
        (agent, peer, device, limit),
    )
    return [Owed(row[0], row[1], row[2], row[3], _item(*row[4:])) for row in rows]


def _item(void: bytes | None, signed: bytes, body: bytes | None, kind: str) -> Item:
    return Item(signed, body, void=kind == VOID) if void is None else Item(void, None, void=True)


def first_owed(db: Database, agent: int, conversation: bytes, peer: bytes) -> int | None:
    """The first entry that waits for the peer: a request previews it, and a bridge may have relayed it."""
    row = db.one(
        "SELECT entry FROM outbox WHERE owed = 1 AND agent = ? AND conversation = ? AND peer = ?"
        " AND state IN ('queued', 'relayed') ORDER BY id LIMIT 1",
        (agent, conversation, peer),
    )
    return row[0] if row else None


def is_awaited(db: Database, agent: int, peer: bytes) -> bool:
    """Whether anything waits for the peer, in whichever conversation."""
    row = db.one(
        "SELECT 1 FROM outbox WHERE owed = 1 AND agent = ? AND peer = ? AND state IN ('queued', 'relayed') LIMIT 1",
        (agent, peer),
    )
    return row is not None


def owed_places(
    db: Database, agent: int, peer: bytes, device: bytes, conversation: bytes, author: bytes
) -> list[tuple[int, int, bytes, int]]:
    """(row, entry, epoch, seq) of what is owed to a device and was written by the device `author` in a conversation."""
    return db.all(
        "SELECT o.id, o.entry, e.epoch, e.seq FROM outbox o CROSS JOIN entries e ON e.id = o.entry"
        " WHERE o.owed = 1 AND o.agent = ? AND o.peer = ? AND o.device = ? AND o.conversation = ? AND e.device = ?",
        (agent, peer, device, conversation, author),
    )


def not_owed(
    db: Database, run: tuple[bytes, bytes, bytes], after: int, peer: bytes, device: bytes, limit: int
) -> list[tuple[int, int, int | None]]:
    """(seq, entry, row) of a run's entries (conversation, author device, epoch) behind `after` that are not owed to a
    device, in order: never were, or were settled. What failed is left alone, unless its void is to be given."""
    return db.all(
        "SELECT e.seq, e.id, o.id FROM entries e"
        " LEFT JOIN outbox o ON o.entry = e.id AND o.peer = ? AND o.device = ?"
        " WHERE e.conversation = ? AND e.device = ? AND e.epoch = ? AND e.seq > ?"
        " AND (o.id IS NULL OR (o.owed = 0 AND (o.state <> 'failed' OR e.id IN (SELECT entry FROM voids))))"
        " ORDER BY e.seq LIMIT ?",
        (peer, device, *run, after, limit),
    )


def count_owed(db: Database, agent: int, peer: bytes) -> int:
    """Entries that no device of the peer is known to hold: a device that is away for good must not fill the outbox."""
    row = db.one(
        "SELECT count(DISTINCT o.entry) FROM outbox o WHERE o.owed = 1 AND o.agent = ?1 AND o.peer = ?2 AND NOT EXISTS"
        " (SELECT 1 FROM outbox s WHERE s.entry = o.entry AND s.peer = ?2 AND s.state IN ('delivered', 'read'))",
        (agent, peer),
    )
    return row[0] if row else 0


def seal(db: Database, rows: Sequence[int], sid: bytes) -> None:
    db.run("UPDATE outbox SET sid = ? WHERE id IN (SELECT value FROM json_each(?))", (sid, json.dumps(rows)))


def is_carried(db: Database, sid: bytes) -> bool:
    """Whether frames of the session carry anything that the peer has not settled."""
    return db.one("SELECT 1 FROM outbox WHERE sid = ? AND owed = 1 LIMIT 1", (sid,)) is not None


def unseal(db: Database, sid: bytes) -> None:
    """The session is gone: entries that it carried and that were not settled wait to be sealed again."""
    db.run(
        "UPDATE outbox SET sid = NULL, state = CASE state WHEN 'relayed' THEN 'queued' ELSE state END"
        " WHERE sid = ? AND owed = 1",
        (sid,),
    )


def unseal_lost(db: Database) -> None:
    """At start: entries in frames of sessions that no longer exist wait to be sealed again."""
    lost = db.all("SELECT DISTINCT sid FROM outbox WHERE owed = 1 AND sid NOT IN (SELECT sid FROM sessions)")
    for (sid,) in lost:
        unseal(db, sid)


def refuse(db: Database, row: int, why: str, now_ms: int) -> None:
    """The peer refused it for good. One that it took before stays delivered, a failed one keeps its first reason."""
    hold(db, row)
    db.run(
        f"UPDATE outbox SET state = 'failed', why = ?, changed_ms = ? WHERE id = ? AND {MAY_FAIL}",  # noqa: S608 - constant
        (why, now_ms, row),
    )


def delivered(db: Database, rows: Sequence[int], now_ms: int) -> list[int]:
    """The peer holds these rows; returns their entries. A void that arrived leaves its entry
    failed; what was only unconfirmed is delivered after all (PROTOCOL B6)."""
    changed = db.all(
        "UPDATE outbox SET owed = 0, sid = NULL, changed_ms = ?, state = CASE WHEN state IN ('queued', 'relayed')"
        " OR (state = 'failed' AND why = 'unconfirmed') THEN 'delivered' ELSE state END,"
        " why = CASE why WHEN ? THEN '' ELSE why END WHERE id IN (SELECT value FROM json_each(?)) RETURNING entry",
        (now_ms, NO_ROOM, json.dumps(rows)),
    )
    return [row[0] for row in changed]


def relayed(db: Database, rows: Sequence[int], now_ms: int) -> list[tuple[int, int]]:
    """A bridge keeps these rows' frames; (agent, entry) of those whose state changed."""
    return db.all(
        "UPDATE outbox SET state = 'relayed', changed_ms = ?, since_ms = (SELECT lived_ms FROM clock)"  # noqa: S608 - constant
        f" WHERE {_before(State.RELAYED)} AND id IN (SELECT value FROM json_each(?)) RETURNING agent, entry",
        (now_ms, json.dumps(rows)),
    )


def wait_for_room(db: Database, rows: Sequence[int]) -> list[int]:
    """The peer takes them later: they wait to be sealed again; returns their entries."""
    changed = db.all(
        "UPDATE outbox SET sid = NULL, why = CASE state WHEN 'failed' THEN why ELSE ? END,"
        " state = CASE state WHEN 'relayed' THEN 'queued' ELSE state END"
        " WHERE owed = 1 AND id IN (SELECT value FROM json_each(?)) RETURNING entry",
        (NO_ROOM, json.dumps(rows)),
    )
    return [row[0] for row in changed]


def hold(db: Database, row: int) -> None:
    """The peer cannot take it yet; the next comparison of views owes it again."""
    db.run("UPDATE outbox SET owed = 0, sid = NULL WHERE id = ?", (row,))


def reopen(db: Database, row: int, now_ms: int) -> None:
    """The peer no longer holds it."""
    db.run(
        "UPDATE outbox SET owed = 1, sid = NULL, changed_ms = ?, since_ms = (SELECT lived_ms FROM clock),"
        " state = CASE state WHEN 'failed' THEN 'failed' ELSE 'queued' END WHERE id = ?",
        (now_ms, row),
    )


def unread_epochs(db: Database, agent: int, peer: bytes, conversation: bytes, device: bytes) -> set[bytes]:
    """The epochs of our entries that were delivered and not read yet, as far as is known."""
    rows = db.all(
        "SELECT DISTINCT e.epoch FROM outbox o CROSS JOIN entries e ON e.id = o.entry WHERE o.agent = ?"
        " AND o.conversation = ? AND o.peer = ? AND o.state = 'delivered' AND e.device = ?",
        (agent, conversation, peer, device),
    )
    return {row[0] for row in rows}


def mark_read(
    db: Database, agent: int, peer: bytes, place: tuple[bytes, bytes, bytes, int], now_ms: int, after: int = 0
) -> list[int]:
    """The peer read our entries of (conversation, device, epoch) after a seq and through one; returns those whose state
    changed. The cost depends on what the mark covers, not on what is unread beside it."""
    rows = db.all(
        "SELECT o.id, o.entry FROM entries e CROSS JOIN outbox o ON o.entry = e.id WHERE e.conversation = ?"
        " AND e.device = ? AND e.epoch = ? AND e.seq <= ? AND e.seq > ? AND o.agent = ? AND o.peer = ?"
        " AND o.state = 'delivered'",
        (*place, after, agent, peer),
    )
    db.many("UPDATE outbox SET state = 'read', changed_ms = ? WHERE id = ?", [(now_ms, row[0]) for row in rows])
    return [row[1] for row in rows]


def drop(db: Database, row: int) -> None:
    """Nothing is owed, and nobody waits for news of it."""
    db.run("DELETE FROM outbox WHERE id = ?", (row,))


def fail_unsealed(db: Database, row: int, why: str, now_ms: int) -> None:
    """Given up, but its void stays owed, so that the chain has no hole (PROTOCOL B6)."""
    db.run(
        f"UPDATE outbox SET state = 'failed', why = ?, changed_ms = ? WHERE id = ? AND {MAY_FAIL}",  # noqa: S608 - constant
        (why, now_ms, row),
    )


def fail_waiting(db: Database, agent: int, entry: int, why: str, now_ms: int) -> None:
    """As `fail_unsealed`, for all recipients' devices: none of them holds it, so all are given the void."""
    db.run(
        "UPDATE outbox SET state = 'failed', why = ?1, changed_ms = ?2 WHERE agent = ?3 AND entry = ?4"
        " AND state = 'queued' AND sid IS NULL AND peer IS NOT (SELECT agent FROM agents WHERE id = ?3)",
        (why, now_ms, agent, entry),
    )


def fail_sealed(db: Database, row: int, now_ms: int) -> None:
    """It may have arrived; a late acknowledgement still turns it into delivered."""
    db.run(
        f"UPDATE outbox SET state = 'failed', why = 'unconfirmed', changed_ms = ? WHERE id = ? AND {MAY_FAIL}",  # noqa: S608 - constant
        (now_ms, row),
    )


def expired(db: Database, agents: Iterable[int], before_ms: int, limit: int) -> list[tuple[Delivery, bool]]:
    """Of these agents', queued since before `before_ms` of the time the node saw pass; with each, whether sealed."""
    rows = db.all(
        f"SELECT {_DELIVERY}, sid IS NOT NULL FROM outbox"  # noqa: S608 - constant
        " WHERE state IN ('queued', 'relayed') AND since_ms < ? AND agent IN (SELECT value FROM json_each(?))"
        " ORDER BY id LIMIT ?",
        (before_ms, json.dumps([*agents]), limit),
    )
    return [(_delivery(row[:-1]), bool(row[-1])) for row in rows]


def waiting(db: Database, agent: int, conversation: bytes, peer: bytes, limit: int) -> list[tuple[Delivery, bool]]:
    """All in a conversation that waits for a peer, including its own entries that it lost; with each, whether it is
    sealed."""
    rows = db.all(
        f"SELECT {_DELIVERY}, sid IS NOT NULL FROM outbox"  # noqa: S608 - constant
        " WHERE state IN ('queued', 'relayed') AND agent = ? AND conversation = ? AND peer = ? ORDER BY id LIMIT ?",
        (agent, conversation, peer, limit),
    )
    return [(_delivery(row[:-1]), bool(row[-1])) for row in rows]


def count_waiting(db: Database, agent: int, conversation: bytes, peer: bytes, author: bytes) -> int:
    """Entries of an author in a conversation that wait for a peer, and that no device of it is known to hold."""
    row = db.one(
        "SELECT count(DISTINCT o.entry) FROM outbox o JOIN entries e ON e.id = o.entry"
        " WHERE o.state IN ('queued', 'relayed') AND o.agent = ?1 AND o.peer = ?2 AND e.author = ?3"
        " AND o.conversation = ?4 AND NOT EXISTS"
        " (SELECT 1 FROM outbox s WHERE s.entry = o.entry AND s.peer = ?2 AND s.state IN ('delivered', 'read'))",
        (agent, peer, author, conversation),
    )
    return int(row[0]) if row else 0


def queued_for(db: Database, agent: int, conversation: bytes, peer: bytes, limit: int) -> list[Delivery]:
    rows = db.all(
        f"SELECT {_DELIVERY} FROM outbox WHERE owed = 1 AND state IN ('queued', 'relayed')"  # noqa: S608 - constant
        " AND sid IS NULL AND agent = ? AND conversation = ? AND peer = ? ORDER BY id LIMIT ?",
        (agent, conversation, peer, limit),
    )
    return [_delivery(row) for row in rows]


def find(db: Database, entry: int, peer: bytes, device: bytes) -> Delivery | None:
    row = db.one(
        f"SELECT {_DELIVERY} FROM outbox WHERE entry = ? AND peer = ? AND device = ?",  # noqa: S608 - constant
        (entry, peer, device),
    )
    return _delivery(row) if row else None


def delivery(db: Database, row: int) -> Delivery | None:
    """None for a row of a conversation that ended, which frames under way may still name."""
    found = db.one(f"SELECT {_DELIVERY} FROM outbox WHERE id = ?", (row,))  # noqa: S608 - constant
    return _delivery(found) if found else None


def entry_of(db: Database, row: int) -> int:
    found = db.one("SELECT entry FROM outbox WHERE id = ?", (row,))
    assert found is not None
    return int(found[0])


def deliveries(db: Database, agent: int, entry: int) -> list[Delivery]:
    """To the other side of the conversation: copies for the agent's own devices do not count as receipts."""
    rows = db.all(
        f"SELECT {_DELIVERY} FROM outbox WHERE entry = ?1 AND agent = ?2"  # noqa: S608 - constant
        " AND peer IS NOT (SELECT agent FROM agents WHERE id = ?2)",
        (entry, agent),
    )
    return [_delivery(row) for row in rows]


def is_elsewhere(db: Database, row: Delivery) -> bool:
    """Whether another device, of this recipient or another one, holds the entry, or may: not our agent's own."""
    found = db.one(
        "SELECT 1 FROM outbox WHERE entry = ?1 AND agent = ?2 AND id <> ?3"
        " AND (sid IS NOT NULL OR state IN ('delivered', 'read') OR why = 'unconfirmed')"
        " AND peer IS NOT (SELECT agent FROM agents WHERE id = ?2)",
        (row.entry, row.agent, row.id),
    )
    return found is not None


def _delivery(row: Sequence[object]) -> Delivery:
    id_, agent, entry, peer, device, state, why, changed, owed = row
    return Delivery(id_, agent, entry, peer, device, State.nearest(str(state)), why, changed, bool(owed))  # type: ignore[arg-type]  # SQLite's columns are STRICT


# --- idempotency keys (PROTOCOL B10) ---


def used_key(db: Database, agent: int, key: str) -> tuple[bytes, int] | None:
    """(digest of recipient and content, entry) of an earlier send with this key."""
    return db.one("SELECT digest, entry FROM keys WHERE agent = ? AND key = ?", (agent, key))


def take_key(db: Database, agent: int, key: str, digest: bytes) -> int | None:
    """Keep a key for the entry that is stored next, and say which one that will be; None if the key was used."""
    rows = db.all(
        "INSERT INTO keys SELECT ?, ?, ?, 1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'entries'), 0)"
        " WHERE true ON CONFLICT DO NOTHING RETURNING entry",
        (agent, key, digest),
    )
    return rows[0][0] if rows else None


def keep_key(db: Database, agent: int, key: str, digest: bytes, entry: int) -> None:
    db.run("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)", (agent, key, digest, entry))
