"""Introductions: who was introduced by whom, the decision, and where accepted ones are said to live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.crypto.digest import H

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class Introduction:
    """`name` and `kind` are as the introducer says. `state` is pending, accepted, rejected or blocked."""

    peer: bytes
    introducer: bytes
    name: str
    kind: str
    card: bytes
    time_ms: int
    state: str = "pending"


_COLUMNS = "digest, peer, introducer, name, kind, card, time_ms, state"
_ROW = "p2pa/1 introduction row"  # covered by the digests of rows: the claims, but not the decision
_STATES = ("pending", "accepted", "rejected", "blocked")


def _digest(said: Sequence[bytes | str | int]) -> bytes:
    return H(_ROW, *(each.encode() if isinstance(each, str) else each for each in said))


def _read(rows: list[Row]) -> list[Introduction]:
    """Without those that the disk damaged."""
    return [Introduction(*row[1:]) for row in rows if not row[0] or row[0] == _digest(row[1:-1])]


def drop_damaged(db: Database) -> int:
    """The introducer may introduce them again."""
    rows = db.all(f"SELECT {_COLUMNS}, agent FROM introductions")  # noqa: S608 - constant
    damaged = [row for row in rows if row[7] not in _STATES or not _read([row[:-1]])]
    db.many(
        "DELETE FROM introductions WHERE agent = ? AND peer = ? AND introducer = ?",
        [(row[-1], row[1], row[2]) for row in damaged],
    )
    return len(damaged)


def save(db: Database, agent: int, i: Introduction) -> None:
    said = (i.peer, i.introducer, i.name, i.kind, i.card, i.time_ms)
    db.run(
        "INSERT OR REPLACE INTO introductions VALUES (?,?,?,?,?,?,?,?,(SELECT lived_ms FROM clock),?)",
        (agent, *said, i.state, _digest(said)),
    )


def pending(db: Database, agent: int, peer: bytes | None = None) -> list[Introduction]:
    """Those of one peer, or of all, in order of arrival."""
    only, parameters = ("", ()) if peer is None else (" AND peer = ?", (peer,))
    sql = f"SELECT {_COLUMNS} FROM introductions WHERE agent = ? AND state = 'pending'{only} ORDER BY time_ms"  # noqa: S608 - constants
    return _read(db.all(sql, (agent, *parameters)))


def count_pending(db: Database, agent: int) -> int:
    row = db.one("SELECT count(*) FROM introductions WHERE agent = ? AND state = 'pending'", (agent,))
    return int(row[0]) if row else 0


def state_of(db: Database, agent: int, peer: bytes, introducer: bytes) -> str | None:
    """The state of an earlier introduction of the peer by the introducer."""
    row = db.one(
        "SELECT state FROM introductions WHERE agent = ? AND peer = ? AND introducer = ?", (agent, peer, introducer)
    )
    return row[0] if row else None


def count_since(db: Database, agent: int, introducer: bytes, since_ms: int) -> int:
    """How many stored introductions an introducer made, whatever their state."""
    row = db.one(
        "SELECT count(*) FROM introductions WHERE agent = ? AND introducer = ? AND time_ms > ?",
        (agent, introducer, since_ms),
    )
    return int(row[0]) if row else 0


def settle(db: Database, agent: int, peer: bytes, state: str) -> None:
    """Store a human's decision, for everybody who introduced the peer."""
    db.run("UPDATE introductions SET state = ? WHERE agent = ? AND peer = ?", (state, agent, peer))


def forget(db: Database, before_ms: int) -> None:
    """Forget those stored before `before_ms` of the time that the node saw pass; refusals are remembered."""
    db.run("DELETE FROM introductions WHERE state IN ('pending', 'accepted') AND since_ms < ?", (before_ms,))


# --- where they are said to live ---


def add_lead(db: Database, peer: bytes, node: bytes, address: str) -> None:
    db.run("INSERT OR IGNORE INTO leads VALUES (?, ?, ?)", (peer, node, address))


def leads(db: Database, peer: bytes) -> list[tuple[bytes, str]]:
    """(node, address) that introducers named."""
    return db.all("SELECT node, address FROM leads WHERE peer = ?", (peer,))


def led_to(db: Database, node: bytes) -> list[bytes]:
    """The peers that are said to live at a node."""
    rows = db.known(
        (led_to, node), ("leads",), lambda: db.all("SELECT DISTINCT peer FROM leads WHERE node = ?", (node,))
    )
    return [row[0] for row in rows]


def forget_leads(db: Database, peer: bytes) -> None:
    """Forget them: a HELLO proved where it lives."""
    db.run("DELETE FROM leads WHERE peer = ?", (peer,))
