"""Deletion for good (PROTOCOL A5): bodies that an agent purges, and all of a conversation that ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.store.entries import INDEXED, supply_body
from p2p_agents.store.log import one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.store.database import Database


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message of an agent's log that still has its body; `owed`: it is still to be delivered to somebody."""

    cursor: int
    entry: int
    owed: bool


_CANDIDATE = (
    "SELECT l.cursor, l.entry, EXISTS (SELECT 1 FROM outbox o WHERE o.entry = l.entry AND o.agent = l.agent"
    " AND (o.owed = 1 OR o.state IN ('queued', 'relayed')))"
    " FROM log l JOIN entries e ON e.id = l.entry WHERE l.agent = ?"
    " AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.agent = l.agent AND p.entry = l.entry)"
)


def candidates(
    db: Database,
    agent: int,
    kinds: Sequence[str],
    after: int,
    limit: int,
    conversation: bytes | None = None,
    before_ms: int | None = None,
) -> list[Candidate]:
    """In log order: of these kinds, of one conversation or all, dated before a moment by their authors."""
    sql, parameters = f"{_CANDIDATE} AND {one_of(kinds)} AND l.cursor > ?", [agent, *kinds, after]
    if conversation is not None:
        sql, parameters = f"{sql} AND l.conversation = ?", [*parameters, conversation]
    if before_ms is not None:
        sql, parameters = f"{sql} AND e.time_ms < ?", [*parameters, before_ms]
    rows = db.all(f"{sql} ORDER BY l.cursor LIMIT ?", [*parameters, limit])
    return [Candidate(cursor, entry, bool(owed)) for cursor, entry, owed in rows]


def candidate(db: Database, agent: int, kinds: Sequence[str], entry: int) -> Candidate | None:
    row = db.one(f"{_CANDIDATE} AND {one_of(kinds)} AND l.entry = ?", (agent, *kinds, entry))
    return Candidate(row[0], row[1], bool(row[2])) if row else None


def purge(db: Database, agent: int, entry_ids: Sequence[int]) -> None:
    """Remove them from the agent's log. A body is deleted with the last agent of the node that had it (PROTOCOL A4)."""
    db.many("INSERT OR IGNORE INTO purged VALUES (?, ?)", [(agent, entry) for entry in entry_ids])
    db.many(
        "DELETE FROM bodies WHERE entry = ? AND NOT EXISTS (SELECT 1 FROM log l WHERE l.entry = bodies.entry"
        " AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.agent = l.agent AND p.entry = l.entry))",
        [(entry,) for entry in entry_ids],
    )


def give_back(db: Database, agent: int, entry: int, body: bytes) -> None:
    """A human restored it from a copy."""
    db.run("DELETE FROM purged WHERE agent = ? AND entry = ?", (agent, entry))
    supply_body(db, entry, body)


def forget_words(db: Database) -> None:
    """Remove all terms of purged messages; the next search fills the index again. Empty the WAL afterwards."""
    db.run("INSERT INTO words (words) VALUES ('delete-all')")
    db.remember(INDEXED, 0)


# --- conversations that ended ---

_OF_CONVERSATION = ("members", "chains", "floors", "read_elsewhere")
_OF_ENTRY = ("outbox", "bodies", "voids", "purged", "keys", "log")


def end(db: Database, conversation: bytes, why: str, now_ms: int) -> None:
    """Nothing of it is sent, taken or shown any more. Entries are deleted in no other way: see `clear_ended`."""
    db.run("INSERT OR IGNORE INTO ended (conversation, why, time_ms) VALUES (?, ?, ?)", (conversation, why, now_ms))
    for table in _OF_CONVERSATION:
        db.run(f"DELETE FROM {table} WHERE conversation = ?", (conversation,))  # noqa: S608 - constant
    db.run("DELETE FROM conversations WHERE id = ?", (conversation,))
    db.derived.clear()


def uncleared(db: Database) -> bytes | None:
    """A conversation that ended and has entries left."""
    row = db.one("SELECT conversation FROM ended WHERE cleared = 0 LIMIT 1")
    return row[0] if row else None


def clear_ended(db: Database, conversation: bytes, limit: int) -> bool:
    """Delete some more of its entries, with everything that depends on them; True if none is left. The word index still
    has them: see `forget_words`."""
    rows = db.all("SELECT id FROM entries WHERE conversation = ? LIMIT ?", (conversation, limit))
    entries = json.dumps([row[0] for row in rows])
    db.run(
        "DELETE FROM marks WHERE (agent, cursor) IN"
        " (SELECT agent, cursor FROM log WHERE entry IN (SELECT value FROM json_each(?)))",
        (entries,),
    )
    for table in _OF_ENTRY:
        db.run(f"DELETE FROM {table} WHERE entry IN (SELECT value FROM json_each(?))", (entries,))  # noqa: S608 - constant
    db.run("DELETE FROM entries WHERE id IN (SELECT value FROM json_each(?))", (entries,))
    if len(rows) == limit:
        return False
    db.run("UPDATE ended SET cleared = 1 WHERE conversation = ?", (conversation,))
    return True
