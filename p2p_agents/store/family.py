"""Several devices of one agent: what a new one is given, what is left out, and which device spoke last of a contact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import VOID
from p2p_agents.store import conversations, entries
from p2p_agents.wire.gift import Floor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.store.database import Database

TRUST, PETNAME, IDENTITY = "trust", "petname", "identity"  # fields of a contact

# --- history ---


def floors_before(db: Database, sides: Mapping[bytes, bytes], time_ms: int) -> list[Floor]:
    """The last entry that every device wrote before a time, in each conversation; `sides` are ids and the
    other sides."""
    return [
        Floor(peer, *row)
        for conversation, peer in sides.items()
        for row in db.all(
            "SELECT device, epoch, max(seq), hash, lamport FROM entries"
            " WHERE conversation = ? AND time_ms < ? AND kind <> ? GROUP BY device",
            (conversation, time_ms, VOID),
        )
    ]


def set_floors(db: Database, agent: int, floors: Iterable[tuple[Conversation, Floor]]) -> None:
    """The chains continue after these entries, of which only the ids are held."""
    for conversation, f in floors:
        conversations.keep(db, conversation)
        db.run("INSERT OR REPLACE INTO floors VALUES (?,?,?,?)", (conversation.id, f.device, f.seq, agent))
        db.run(
            "INSERT OR IGNORE INTO chains VALUES (?,?,?,?,?,?,?,?)",
            (conversation.id, f.device, f.epoch, b"", f.seq + 1, f.seq, f.entry, f.lamport),
        )
        entries.raise_lamport(db, conversation.id, f.lamport)


def left_out(db: Database, agent: int) -> list[bytes]:
    """The conversations that have floors here."""
    rows = db.all("SELECT DISTINCT conversation FROM floors WHERE agent = ? ORDER BY conversation", (agent,))
    return [row[0] for row in rows]


def give(
    db: Database,
    agent: int,
    within: Conversation,
    device: bytes,
    floors: Iterable[tuple[Conversation, Floor]],
    now_ms: int,
) -> None:
    """A new device is owed the log behind the floors: first what the agent's devices told each other."""
    (own,) = within.members
    behind = json.dumps([[c.id.hex().upper(), f.device.hex().upper(), f.seq] for c, f in floors])
    db.run(
        "WITH f AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS conversation,"
        " json_extract(value, '$[1]') AS device, json_extract(value, '$[2]') AS seq FROM json_each(?))"
        " INSERT OR IGNORE INTO outbox (agent, conversation, entry, peer, device, state, owed, changed_ms, since_ms)"
        " SELECT ?, l.conversation, l.entry, ?, ?, 'queued', 1, ?, (SELECT lived_ms FROM clock)"
        " FROM log l JOIN entries e ON e.id = l.entry"
        " LEFT JOIN f ON f.conversation = hex(e.conversation) AND f.device = hex(e.device)"
        " WHERE l.agent = ? AND e.seq > coalesce(f.seq, 0) ORDER BY e.conversation <> ?, l.cursor",
        (behind, agent, own, device, now_ms, agent, within.id),
    )


# --- contacts ---


def share_all(db: Database, agent: int) -> None:
    """Mark everything known of contacts to be shared."""
    db.run("INSERT OR IGNORE INTO unshared SELECT agent, peer, ? FROM contacts WHERE agent = ?", (TRUST, agent))
    db.run(
        "INSERT OR IGNORE INTO unshared SELECT agent, peer, ? FROM contacts WHERE agent = ? AND petname IS NOT NULL",
        (PETNAME, agent),
    )


def unshared(db: Database, agent: int, limit: int) -> dict[bytes, set[str]]:
    """Fields to be shared, by contact: the oldest contacts first, as many as fit."""
    rows = db.all(
        "SELECT u.peer, u.field FROM unshared u JOIN contacts c ON c.agent = u.agent AND c.peer = u.peer"
        " WHERE u.agent = ? ORDER BY c.since_ms, u.peer LIMIT ?",
        (agent, limit),
    )
    found: dict[bytes, set[str]] = {}
    for peer, field in rows:
        found.setdefault(peer, set()).add(field)
    return found


def told(db: Database, agent: int, peer: bytes, fields: Iterable[str]) -> None:
    """Mark these as shared."""
    db.many("DELETE FROM unshared WHERE agent = ? AND peer = ? AND field = ?", [(agent, peer, f) for f in fields])


def word(db: Database, agent: int, peer: bytes, field: str) -> tuple[int, bytes]:
    """(lamport, device) of the newest value of a field; the lowest possible if there was none."""
    row = db.one("SELECT lamport, device FROM shared WHERE (agent, peer, field) = (?, ?, ?)", (agent, peer, field))
    return (row[0], row[1]) if row else (0, b"")


def keep_word(db: Database, agent: int, peer: bytes, field: str, lamport: int, device: bytes) -> None:
    db.run("INSERT OR REPLACE INTO shared VALUES (?, ?, ?, ?, ?)", (agent, peer, field, lamport, device))
