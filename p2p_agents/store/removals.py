"""Removes an agent from this store: its rows at once, its bodies page by page; nothing of either comes back.

What chains and bindings need stays: the entries without their bodies, the identity log, and a row with its number,
which no other agent gets. The row contains no name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2p_agents.store import agents, purges, readers
from p2p_agents.store.agents import REMOVED
from p2p_agents.store.outbox import MAY_FAIL

if TYPE_CHECKING:
    from p2p_agents.store.agents import LocalAgent
    from p2p_agents.store.database import Database

WHY = "the agent was removed"  # why undelivered messages of it failed
_OF_AGENT = (  # tables of an agent's knowledge and decisions
    *("contacts", "pins", "allowed", "requests", "introductions", "doors", "askers", "readers", "marks", "keys"),
    *("events", "read_elsewhere", "unshared", "shared"),
)
_OF_DEVICE = ("sessions", "pairs", "prekeys", "routes", "own_queues")
_OF_SESSION = ("frames", "received")


@dataclass(frozen=True, slots=True)
class Stake:
    """What is removed with it: messages that wait for others, those it has not read, and its other installations."""

    owed: int
    unread: int
    devices: int


@dataclass(frozen=True, slots=True)
class Left:
    """What the rest of the node should let go of: entries that failed, contacts, sessions, bridges of queues."""

    failed: tuple[int, ...]
    peers: tuple[bytes, ...]
    sessions: tuple[bytes, ...]
    bridges: tuple[str, ...]


def stake(db: Database, local: LocalAgent) -> Stake:
    """Counted as people count: a message once, for any number of devices."""
    owed = db.one(
        "SELECT count(DISTINCT o.entry) FROM outbox o JOIN entries e ON e.id = o.entry"
        " WHERE o.agent = ?1 AND o.state IN ('queued', 'relayed') AND e.author = ?2 AND o.peer <> ?2 AND NOT EXISTS"
        " (SELECT 1 FROM outbox s WHERE s.entry = o.entry AND s.peer = o.peer AND s.state IN ('delivered', 'read'))",
        (local.id, local.agent),
    )
    unread = db.one(
        "SELECT count(*) FROM log l WHERE l.agent = ?1 AND l.incoming = 1 AND l.cursor > ?2 AND NOT EXISTS"
        " (SELECT 1 FROM marks m WHERE m.agent = ?1 AND m.reader = ?3 AND m.cursor = l.cursor AND m.acked = 1)",
        (local.id, readers.watermark(db, local.id, readers.DEFAULT), readers.DEFAULT),
    )
    return Stake(owed[0] if owed else 0, unread[0] if unread else 0, len(_elsewhere(db, local)))


def _elsewhere(db: Database, local: LocalAgent) -> list[bytes]:
    """Its other installations."""
    return [device for device in agents.live_devices(db, local.agent) if device != local.device]


def remove(db: Database, local: LocalAgent, now_ms: int) -> Left:
    """It no longer lives here, and its name is free. Its messages are still in the store: see `clear`."""
    left = Left(
        _fail(db, local.id, now_ms),
        _firsts(db, "SELECT peer FROM contacts WHERE agent = ?", local.id),
        _firsts(db, "SELECT sid FROM sessions WHERE device = ?", local.device),
        _firsts(db, "SELECT DISTINCT bridge FROM own_queues WHERE device = ?", local.device),
    )
    _forget_bundles(db, local)
    for table in _OF_SESSION:
        db.run(f"DELETE FROM {table} WHERE sid IN (SELECT sid FROM sessions WHERE device = ?)", (local.device,))  # noqa: S608 - constant
    for table in _OF_DEVICE:
        db.run(f"DELETE FROM {table} WHERE device = ?", (local.device,))  # noqa: S608 - constant
    for table in _OF_AGENT:
        db.run(f"DELETE FROM {table} WHERE agent = ?", (local.id,))  # noqa: S608 - constant
    if not _elsewhere(db, local):  # nobody uses its name any more, not even for agents of this node
        db.run("DELETE FROM pins WHERE peer = ?", (local.agent,))
    db.run(  # no agent can be called so: a name has no space
        "UPDATE agents SET name = 'removed ' || id, kind = 'other', chosen = 0, removed_ms = max(1, ?), emptied = 0"
        " WHERE id = ?",
        (now_ms, local.id),
    )
    return left


def _fail(db: Database, agent: int, now_ms: int) -> tuple[int, ...]:
    """Nothing of it is sent any more; what was sealed, or is at a bridge, may have arrived. The rows stay, because
    frames in flight name them by numbers that must not get another meaning."""
    failed = db.all(
        "UPDATE outbox SET state = 'failed', changed_ms = ?2,"  # noqa: S608 - constant
        " why = CASE WHEN sid IS NULL AND state = 'queued' THEN ?3 ELSE 'unconfirmed' END"
        f" WHERE agent = ?1 AND {MAY_FAIL} RETURNING entry",
        (agent, now_ms, WHY),
    )
    db.run("UPDATE outbox SET owed = 0, sid = NULL WHERE agent = ?", (agent,))
    return tuple(dict.fromkeys(row[0] for row in failed))


def _forget_bundles(db: Database, local: LocalAgent) -> None:
    """Those of devices that no other agent of this node knows."""
    db.run(
        "DELETE FROM bundles WHERE device IN (SELECT peer_device FROM pairs WHERE device = ?1)"
        " AND device NOT IN (SELECT peer_device FROM pairs WHERE device <> ?1)"
        " AND device NOT IN (SELECT device FROM doors WHERE agent <> ?2)",
        (local.device, local.id),
    )


def _firsts(db: Database, sql: str, parameter: object) -> tuple[Any, ...]:
    return tuple(row[0] for row in db.all(sql, (parameter,)))


# --- afterwards ---


def removed(db: Database) -> list[tuple[bytes, bytes]]:
    """(agent, device) of those whose keys must be deleted from this disk."""
    return db.all(f"SELECT agent, device FROM agents WHERE {REMOVED}")  # noqa: S608 - constant


def is_removed(db: Database, agent: bytes) -> bool:
    return db.one(f"SELECT 1 FROM agents WHERE agent = ? AND {REMOVED}", (agent,)) is not None  # noqa: S608 - constant


def unemptied(db: Database) -> tuple[int, int] | None:
    """A removed agent that left bodies behind, and the entry up to which it has none."""
    return db.one(
        f"SELECT id, emptied FROM agents WHERE {REMOVED}"  # noqa: S608 - constant
        " AND EXISTS (SELECT 1 FROM log l WHERE l.agent = agents.id AND l.entry > agents.emptied) LIMIT 1"
    )


def clear(db: Database, agent: int, limit: int) -> None:
    """Delete some more of its bodies, except those that another agent of the node has."""
    rows = db.all(
        "SELECT entry FROM log WHERE agent = ?1 AND entry > (SELECT emptied FROM agents WHERE id = ?1)"
        " ORDER BY entry LIMIT ?2",
        (agent, limit),
    )
    found = [row[0] for row in rows]
    purges.purge(db, agent, found)
    db.run("UPDATE agents SET emptied = max(emptied, ?) WHERE id = ?", (max(found, default=0), agent))
