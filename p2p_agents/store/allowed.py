"""The allowlist of each local agent: ids that need no request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p_agents.store.database import Database


def add(db: Database, agent: int, peer: bytes, now_ms: int) -> None:
    """An id that is on it already keeps its date."""
    db.run("INSERT OR IGNORE INTO allowed VALUES (?, ?, ?)", (agent, peer, now_ms))


def remove(db: Database, agent: int, peer: bytes) -> bool:
    """Whether it was on the list."""
    return db.run("DELETE FROM allowed WHERE agent = ? AND peer = ?", (agent, peer)).rowcount > 0


def holds(db: Database, agent: int, peer: bytes) -> bool:
    return db.one("SELECT 1 FROM allowed WHERE agent = ? AND peer = ?", (agent, peer)) is not None


def everyone(db: Database, agent: int) -> list[tuple[bytes, int]]:
    """(peer, date of addition), oldest first."""
    return db.all("SELECT peer, since_ms FROM allowed WHERE agent = ? ORDER BY since_ms, peer", (agent,))


def count(db: Database, agent: int) -> int:
    row = db.one("SELECT count(*) FROM allowed WHERE agent = ?", (agent,))
    return int(row[0]) if row else 0
