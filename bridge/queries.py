"""Reading a bridge's store beside the writer: committed rows, by a connection that only reads."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from bridge.store import Allowed, Crowd, Stats, Token, Usage

if TYPE_CHECKING:
    import sqlite3


def read(connection: sqlite3.Connection, name: bytes, after: int, blobs: int, size: int) -> list[tuple[int, bytes]]:
    """Store.read."""
    found: list[tuple[int, bytes]] = []
    with closing(
        connection.execute(
            "SELECT b.cursor, b.content FROM queues q JOIN blobs b ON b.queue = q.id"
            " WHERE q.name = ? AND b.cursor > ? ORDER BY b.cursor LIMIT ?",
            (name, after, blobs),
        )
    ) as rows:
        for cursor, content in rows:
            size -= len(content)
            if size < 0 and found:
                break
            found.append((cursor, content))
    return found


def stats(connection: sqlite3.Connection) -> Stats:
    """Store.stats."""
    queues, blobs, size = connection.execute(
        "SELECT count(*), coalesce(sum(blobs), 0), coalesce(sum(bytes), 0) FROM queues"
    ).fetchone()
    (accounts,) = connection.execute("SELECT count(*) FROM accounts").fetchone()
    (oldest,) = connection.execute("SELECT coalesce(min(time_ms), 0) FROM blobs").fetchone()
    return Stats(queues, blobs, size, accounts, oldest)


def tokens(connection: sqlite3.Connection) -> list[Token]:
    """Store.tokens."""
    rows = connection.execute(
        "SELECT t.hash, t.label, t.accounts, (SELECT count(*) FROM accounts a WHERE a.token = t.hash), t.made_ms,"
        " t.until_ms"
        " FROM tokens t ORDER BY t.made_ms, t.hash"
    )
    return [Token(*row) for row in rows]


def allowed(connection: sqlite3.Connection) -> list[Allowed]:
    """Store.allowed."""
    return [Allowed(*row) for row in connection.execute("SELECT * FROM allowed ORDER BY made_ms, account")]


def accounts(connection: sqlite3.Connection, most: int) -> list[Usage]:
    """Store.accounts."""
    rows = connection.execute(
        "SELECT key, queues, bytes, seen_ms FROM accounts ORDER BY bytes DESC, queues DESC, key LIMIT ?", (most,)
    )
    return [Usage(*row) for row in rows]


def networks(connection: sqlite3.Connection, most: int) -> list[Crowd]:
    """Store.networks."""
    rows = connection.execute(
        "SELECT origin, count(*), sum(queues), sum(bytes) FROM accounts WHERE origin IS NOT NULL"
        " GROUP BY origin ORDER BY 4 DESC, 3 DESC, 1 LIMIT ?",
        (most,),
    )
    return [Crowd(*row) for row in rows]
