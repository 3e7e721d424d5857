"""Readers of one agent's log. A reader is a watermark plus the entries above it that were acknowledged (PROTOCOL H2).

`ack` covers only what was shown to that reader, so messages that arrived in between, or were filtered out, stay unread.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from p2p_agents.store.log import CURSOR_MAX, LOGGED, Page, page
from p2p_agents.wire.payload import READS, ReadMark

if TYPE_CHECKING:
    from p2p_agents.conversation.record import Record
    from p2p_agents.store.database import Database

DEFAULT = "default"


def watermark(db: Database, agent: int, reader: str) -> int:
    row = db.one("SELECT watermark FROM readers WHERE agent = ? AND reader = ?", (agent, reader))
    return row[0] if row else 0


def start_at(db: Database, agent: int, reader: str, cursor: int) -> None:
    """Everything up to the cursor was read elsewhere."""
    db.run("INSERT OR REPLACE INTO readers VALUES (?, ?, ?)", (agent, reader, cursor))


def names(db: Database, agent: int) -> list[str]:
    """Every reader that was ever used, except the default one."""
    rows = db.all(
        "SELECT reader FROM readers WHERE agent = ?1 UNION SELECT reader FROM marks WHERE agent = ?1", (agent,)
    )
    return [row[0] for row in rows]


def exists(db: Database, agent: int, reader: str) -> bool:
    """Whether the reader was ever used; the default one always was."""
    found = db.one(
        "SELECT 1 FROM readers WHERE agent = ?1 AND reader = ?2 UNION ALL"
        " SELECT 1 FROM marks WHERE agent = ?1 AND reader = ?2 LIMIT 1",
        (agent, reader),
    )
    return reader == DEFAULT or found is not None


def unread(
    db: Database,
    agent: int,
    reader: str,
    limit: int,
    conversation: bytes | None = None,
    held: frozenset[int] = frozenset(),
) -> Page:
    """The messages that the reader has not acknowledged, oldest first, without those that others hold."""
    only, parameters = ("", ()) if conversation is None else (" AND l.conversation = ?", (conversation,))
    sql = (
        f"{LOGGED} WHERE l.agent = ? AND l.cursor > ? AND l.incoming = 1{only} AND NOT EXISTS"  # noqa: S608 - constant
        " (SELECT 1 FROM marks m WHERE m.agent = l.agent AND m.reader = ? AND m.cursor = l.cursor AND m.acked = 1)"
        " ORDER BY l.cursor"
    )
    return page(db, sql, (agent, watermark(db, agent, reader), *parameters, reader), limit, held)


def is_read(db: Database, agent: int, reader: str, cursor: int) -> bool:
    if cursor <= watermark(db, agent, reader):
        return True
    mark = db.one("SELECT acked FROM marks WHERE agent = ? AND reader = ? AND cursor = ?", (agent, reader, cursor))
    return bool(mark and mark[0])


def conversations_shown(db: Database, agent: int, reader: str) -> set[bytes]:
    """The conversations with messages that were shown to the reader and are not acknowledged."""
    rows = db.all(
        "SELECT DISTINCT l.conversation FROM marks m JOIN log l ON l.cursor = m.cursor"
        " WHERE m.agent = ? AND m.reader = ? AND m.acked = 0",
        (agent, reader),
    )
    return {row[0] for row in rows}


def show(db: Database, agent: int, reader: str, cursors: list[int]) -> None:
    """Note that these were handed to the reader, if above its watermark. Not noted if the store only reads."""
    if db.is_read_only:
        return
    at = watermark(db, agent, reader)
    news = [(agent, reader, cursor) for cursor in cursors if cursor > at]
    db.many("INSERT OR IGNORE INTO marks VALUES (?, ?, ?, 0)", news)


def acknowledge(db: Database, agent: int, reader: str, through: int | None) -> int:
    """Acknowledge the shown messages, up to `through` or all; returns how many were new."""
    changed = db.run(
        "UPDATE marks SET acked = 1 WHERE agent = ? AND reader = ? AND acked = 0 AND cursor <= ?",
        (agent, reader, through if through is not None else CURSOR_MAX),
    ).rowcount
    _advance(db, agent, reader)
    return changed


def acknowledge_these(db: Database, agent: int, reader: str, cursors: list[int]) -> int:
    """Acknowledge exactly these, shown or not; returns how many were new."""
    changed = db.run(
        "INSERT INTO marks SELECT l.agent, ?, l.cursor, 1 FROM log l"
        " WHERE l.agent = ? AND l.incoming = 1 AND l.cursor > ? AND l.cursor IN (SELECT value FROM json_each(?))"
        " ON CONFLICT (agent, reader, cursor) DO UPDATE SET acked = 1 WHERE acked = 0",
        (reader, agent, watermark(db, agent, reader), json.dumps(cursors)),
    ).rowcount
    _advance(db, agent, reader)
    return changed


def conversations_of(db: Database, agent: int, cursors: list[int]) -> set[bytes]:
    """The conversations of these messages."""
    rows = db.all(
        "SELECT DISTINCT conversation FROM log"
        " WHERE agent = ? AND incoming = 1 AND cursor IN (SELECT value FROM json_each(?))",
        (agent, json.dumps(cursors)),
    )
    return {row[0] for row in rows}


def _advance(db: Database, agent: int, reader: str) -> None:
    """Raise the watermark over everything acknowledged without a gap, and drop the marks below it."""
    at = watermark(db, agent, reader)
    gap = db.one(
        "SELECT min(l.cursor) FROM log l WHERE l.agent = ?1 AND l.cursor > ?2 AND l.incoming = 1 AND NOT EXISTS"
        " (SELECT 1 FROM marks m WHERE m.agent = ?1 AND m.reader = ?3 AND m.cursor = l.cursor AND m.acked = 1)",
        (agent, at, reader),
    )
    top = db.one(
        "SELECT max(cursor) FROM marks WHERE agent = ? AND reader = ? AND acked = 1 AND cursor < ?",
        (agent, reader, gap[0] if gap and gap[0] is not None else CURSOR_MAX),
    )
    if top and top[0] is not None and top[0] > at:
        db.run("INSERT OR REPLACE INTO readers VALUES (?, ?, ?)", (agent, reader, top[0]))
        db.run("DELETE FROM marks WHERE agent = ? AND reader = ? AND cursor <= ?", (agent, reader, top[0]))


def read_through(db: Database, agent: int, conversation: bytes, author: bytes | None = None) -> list[ReadMark]:
    """Per device and epoch of an author, or of all, its last entry such that all before it were acknowledged (PROTOCOL
    B8).

    The newest READS of them: what is older are their ancestors, which they cover.
    """
    at = watermark(db, agent, DEFAULT)
    lines = (
        "FROM log l JOIN entries e ON e.id = l.entry"
        " WHERE l.agent = ?1 AND l.conversation = ?2 AND l.incoming = 1 AND (?3 IS NULL OR e.author = ?3)"
    )
    gap = db.one(
        f"SELECT l.cursor {lines} AND l.cursor > ?4 AND NOT EXISTS"  # noqa: S608 - constant
        " (SELECT 1 FROM marks m WHERE m.agent = ?1 AND m.reader = ?5 AND m.cursor = l.cursor AND m.acked = 1)"
        " ORDER BY l.cursor LIMIT 1",
        (agent, conversation, author, at, DEFAULT),
    )
    rows = db.all(
        f"SELECT e.device, e.epoch, e.seq, max(l.cursor) {lines} AND l.cursor < ?4 AND l.cursor <= ?5"
        " GROUP BY e.device, e.epoch ORDER BY max(l.cursor) DESC LIMIT ?6",
        (agent, conversation, author, gap[0] if gap else CURSOR_MAX, max(at, _highest_ack(db, agent)), READS),
    )
    return [ReadMark(conversation, device, epoch, seq) for device, epoch, seq, _ in rows]


def _highest_ack(db: Database, agent: int) -> int:
    row = db.one("SELECT max(cursor) FROM marks WHERE agent = ? AND reader = ? AND acked = 1", (agent, DEFAULT))
    return row[0] if row and row[0] is not None else 0


# --- other devices of the agent ---


def keep_elsewhere(db: Database, agent: int, mark: ReadMark) -> None:
    """How far the default reader has read on another device; entries may come here later."""
    db.run(
        "INSERT INTO read_elsewhere VALUES (?,?,?,?,?)"
        " ON CONFLICT (agent, conversation, device, epoch) DO UPDATE SET seq = max(seq, excluded.seq)",
        (agent, mark.conversation, mark.device, mark.epoch, mark.seq),
    )


def is_read_elsewhere(db: Database, agent: int, r: Record) -> bool:
    found = db.one(
        "SELECT 1 FROM read_elsewhere WHERE (agent, conversation, device, epoch) = (?, ?, ?, ?) AND seq >= ?",
        (agent, r.conversation, r.device, r.epoch, r.seq),
    )
    return found is not None


def settle(db: Database, agent: int, mark: ReadMark) -> int:
    """For the default reader, everything through a mark is acknowledged, shown here or not; how much was new."""
    changed = db.run(
        "INSERT INTO marks SELECT l.agent, ?, l.cursor, 1 FROM log l JOIN entries e ON e.id = l.entry"
        " WHERE l.agent = ? AND l.incoming = 1 AND l.cursor > ?"
        " AND (e.conversation, e.device, e.epoch) = (?, ?, ?) AND e.seq <= ?"
        " ON CONFLICT (agent, reader, cursor) DO UPDATE SET acked = 1 WHERE acked = 0",
        (DEFAULT, agent, watermark(db, agent, DEFAULT), mark.conversation, mark.device, mark.epoch, mark.seq),
    ).rowcount
    _advance(db, agent, DEFAULT)
    return changed
