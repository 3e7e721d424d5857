"""Bodies that agents delete for good: which ones may go, and that none comes back (PROTOCOL A5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import MESSAGE
from p2p_agents.store.entries import INDEXED, supply_body

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
    " FROM log l JOIN entries e ON e.id = l.entry WHERE l.agent = ? AND e.kind = ?"
    " AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.agent = l.agent AND p.entry = l.entry)"
)


def candidates(
    db: Database, agent: int, after: int, limit: int, conversation: bytes | None = None, before_ms: int | None = None
) -> list[Candidate]:
    """In log order: of one conversation or all, dated before a moment by their authors."""
    sql, parameters = f"{_CANDIDATE} AND l.cursor > ?", [agent, MESSAGE, after]
    if conversation is not None:
        sql, parameters = f"{sql} AND l.conversation = ?", [*parameters, conversation]
    if before_ms is not None:
        sql, parameters = f"{sql} AND e.time_ms < ?", [*parameters, before_ms]
    rows = db.all(f"{sql} ORDER BY l.cursor LIMIT ?", [*parameters, limit])
    return [Candidate(cursor, entry, bool(owed)) for cursor, entry, owed in rows]


def candidate(db: Database, agent: int, entry: int) -> Candidate | None:
    row = db.one(f"{_CANDIDATE} AND l.entry = ?", (agent, MESSAGE, entry))
    return Candidate(row[0], row[1], bool(row[2])) if row else None


def purge(db: Database, agent: int, entry_ids: Sequence[int]) -> None:
    """Remove them from the agent's log. A body goes with the last agent of the node that had it (PROTOCOL A4)."""
    db.many("INSERT OR IGNORE INTO purged VALUES (?, ?)", [(agent, entry) for entry in entry_ids])
    db.many(
        "DELETE FROM bodies WHERE entry = ? AND NOT EXISTS (SELECT 1 FROM log l WHERE l.entry = bodies.entry"
        " AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.agent = l.agent AND p.entry = l.entry))",
        [(entry,) for entry in entry_ids],
    )


def give_back(db: Database, agent: int, entry: int, body: bytes) -> None:
    """A human brought it back, out of a copy."""
    db.run("DELETE FROM purged WHERE agent = ? AND entry = ?", (agent, entry))
    supply_body(db, entry, body)


def forget_words(db: Database) -> None:
    """Remove all terms of purged messages; the next search fills the index again. Empty the WAL afterwards."""
    db.run("INSERT INTO words (words) VALUES ('delete-all')")
    db.remember(INDEXED, 0)
