"""The log of one hosted agent, by cursor. Every query names the agent: nothing leaks to others (PROTOCOL A4)."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.limits import PAGE_BYTES
from p2p_agents.store.contacts import Trust
from p2p_agents.store.entries import ENTRY, record_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.conversation.record import Record
    from p2p_agents.store.database import Database, Row

CURSOR_MAX = 2**62


@dataclass(frozen=True, slots=True)
class Logged:
    """One line of an agent's log."""

    cursor: int
    entry: int
    conversation: bytes
    incoming: bool
    trust: Trust
    record: Record


LOGGED = (  # lines of the log, for a WHERE to choose from
    f"SELECT {ENTRY}, b.body, l.cursor, l.entry, l.conversation, l.incoming, l.trust FROM log l"  # noqa: S608 - constant
    " JOIN entries e ON e.id = l.entry AND l.conversation NOT IN (SELECT conversation FROM ended)"
    " LEFT JOIN bodies b ON b.entry = l.entry"
    " AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.agent = l.agent AND p.entry = l.entry)"
)


def _logged(row: Row) -> Logged:
    cursor, entry, conversation, incoming, trust = row[14:]
    return Logged(cursor, entry, conversation, bool(incoming), Trust(trust), record_of(row))


Page = tuple[list[Logged], bool]  # lines, and whether more follow


def page(db: Database, sql: str, parameters: Sequence[object], limit: int, held: frozenset[int] = frozenset()) -> Page:
    """Lines until there are `limit` of them or their bodies fill PAGE_BYTES, whichever comes first; none at the cursors
    that are held."""
    lines: list[Logged] = []
    size = 0
    with closing(db.run(f"{sql} LIMIT {limit + 1 + len(held):d}", parameters)) as rows:
        for row in rows:
            if len(lines) == limit or size > PAGE_BYTES:
                return lines, True
            if row[14] in held:
                continue
            lines.append(_logged(row))
            size += len(row[13] or b"")
    return lines, False


def add(db: Database, agent: int, entry: int, conversation: bytes, *, incoming: bool, trust: Trust) -> int:
    """The new line's cursor. `incoming` marks messages of others: readers are shown these."""
    return db.insert(
        "INSERT INTO log (agent, entry, conversation, incoming, trust) VALUES (?,?,?,?,?)",
        (agent, entry, conversation, int(incoming), int(trust)),
    )


def cursor_of(db: Database, agent: int, entry: int) -> int | None:
    row = db.one("SELECT cursor FROM log WHERE agent = ? AND entry = ?", (agent, entry))
    return row[0] if row else None


def holders(db: Database, entry: int) -> list[tuple[int, bytes]]:
    """(agent, conversation) of each log that has the entry."""
    return [(row[0], row[1]) for row in db.all("SELECT agent, conversation FROM log WHERE entry = ?", (entry,))]


def line(db: Database, agent: int, entry: int) -> Logged | None:
    row = db.one(f"{LOGGED} WHERE l.agent = ? AND l.entry = ?", (agent, entry))
    return _logged(row) if row else None


def last_cursor(db: Database) -> int:
    """The highest cursor ever given, over all agents."""
    row = db.one("SELECT seq FROM sqlite_sequence WHERE name = 'log'")
    return row[0] if row else 0


def incoming(db: Database, agent: int, after: int, limit: int, conversation: bytes | None = None) -> Page:
    """Messages of others above a cursor, in log order."""
    only, parameters = ("", ()) if conversation is None else (" AND l.conversation = ?", (conversation,))
    sql = f"{LOGGED} WHERE l.agent = ? AND l.cursor > ? AND l.incoming = 1{only} ORDER BY l.cursor"
    return page(db, sql, (agent, after, *parameters), limit)


def unread_bytes(db: Database, agent: int, author: bytes) -> int:
    """Bytes of an author's messages that no reader of the agent has acknowledged: bodies and signatures."""
    row = db.one(
        "SELECT coalesce(sum(length(e.signed) + coalesce(length(b.body), 0)), 0) FROM log l"
        " JOIN entries e ON e.id = l.entry LEFT JOIN bodies b ON b.entry = l.entry"
        " WHERE l.agent = ?1 AND l.conversation IN (SELECT conversation FROM members WHERE agent = ?2)"
        " AND e.author = ?2"
        " AND l.cursor > (SELECT coalesce(max(watermark), 0) FROM readers WHERE agent = ?1)",
        (agent, author),
    )
    return int(row[0]) if row else 0


def one_of(kinds: Sequence[str]) -> str:
    """A condition on an entry: that it is of one of these kinds, which are its parameters."""
    return f"e.kind IN ({', '.join('?' * len(kinds))})"


def tail(db: Database, agent: int, kinds: Sequence[str], after: int, limit: int) -> Page:
    """All lines of these kinds above a cursor, own ones too."""
    sql = f"{LOGGED} WHERE l.agent = ? AND l.cursor > ? AND {one_of(kinds)} ORDER BY l.cursor"
    return page(db, sql, (agent, after, *kinds), limit)


def everything(db: Database, agent: int, after: int, limit: int) -> Page:
    """All lines above an entry's row id, in the order the store took the entries: each chain in its own order."""
    sql = f"{LOGGED} WHERE l.agent = ? AND l.entry > ? ORDER BY l.entry"
    return page(db, sql, (agent, after), limit)


def history(
    db: Database,
    agent: int,
    kinds: Sequence[str],
    conversation: bytes,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int,
) -> Page:
    """A page of a conversation: the oldest above `after`, or else the newest below `before`; by (lamport, device)."""
    sql = (
        f"{LOGGED} WHERE l.agent = ? AND l.conversation = ? AND l.cursor > ? AND l.cursor < ? AND {one_of(kinds)}"
        f" ORDER BY l.cursor {'DESC' if after is None else 'ASC'}"
    )
    top = before if before is not None else CURSOR_MAX
    lines, more = page(db, sql, (agent, conversation, after or 0, top, *kinds), limit)
    return sorted(lines, key=lambda line: (line.record.lamport, line.record.device)), more


def search(
    db: Database, agent: int, kinds: Sequence[str], query: str, limit: int, conversation: bytes | None = None
) -> list[Logged]:
    """Newest first, in one conversation or all. `query` is an FTS5 expression already quoted by the caller."""
    only, parameters = ("", ()) if conversation is None else (" AND l.conversation = ?", (conversation,))
    held = f"l.agent = ? AND {one_of(kinds)} AND b.entry NOT NULL"  # another agent may hold what this one purged
    sql = f"{LOGGED} JOIN words w ON w.rowid = l.entry WHERE w.body MATCH ? AND {held}{only}"
    return page(db, f"{sql} ORDER BY l.cursor DESC", (query, agent, *kinds, *parameters), limit)[0]


def by_hash_prefix(db: Database, agent: int, low: bytes, high: bytes) -> list[Logged]:
    """The agent's messages whose hash lies in [low, high]; two suffice to know that a prefix is ambiguous."""
    rows = db.all(f"{LOGGED} WHERE l.agent = ? AND e.hash BETWEEN ? AND ? LIMIT 2", (agent, low, high))
    return [_logged(row) for row in rows]
