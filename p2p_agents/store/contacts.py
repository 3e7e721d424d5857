"""Contacts, name pins, addresses, first-contact requests, and events that people should know of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from p2p_agents.crypto.digest import H
from p2p_agents.errors import ContactFrozen, PeerBlocked
from p2p_agents.wire.names import skeleton

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.store.database import Database, Row


class Trust(IntEnum):
    """PROTOCOL E4."""

    BLOCKED = 0
    UNKNOWN = 1
    REQUESTED = 2
    ACCEPTED = 3
    PAIRED = 4
    VERIFIED = 5


@dataclass(frozen=True, slots=True)
class Contact:
    peer: bytes
    petname: str | None
    name: str
    kind: str
    trust: Trust
    frozen: str | None
    final: bool  # no rotate lifts the freeze
    since_ms: int
    allowed: bool = False  # it is on the agent's allowlist, whatever its trust


def check_open(contact: Contact) -> None:
    """Raises ContactFrozen or PeerBlocked if nothing is exchanged with the contact."""
    name = contact.petname or contact.name or "that peer"
    if contact.frozen:
        raise ContactFrozen(f"{name} is frozen: {contact.frozen}")
    if contact.trust is Trust.BLOCKED:
        raise PeerBlocked(f"{name} is blocked here", hint=f"run: p2p-agents trust unblock {name}")


_COLUMNS = (
    "peer, petname, name, kind, trust, frozen, final, since_ms,"
    " EXISTS (SELECT 1 FROM allowed a WHERE a.agent = contacts.agent AND a.peer = contacts.peer)"
)


def _contact(row: Row) -> Contact:
    peer, petname, name, kind, trust, frozen, final, since_ms, allowed = row
    return Contact(peer, petname, name, kind, Trust(trust), frozen, bool(final), since_ms, bool(allowed))


def contact(db: Database, agent: int, peer: bytes) -> Contact | None:
    def find() -> Contact | None:
        row = db.one(f"SELECT {_COLUMNS} FROM contacts WHERE agent = ? AND peer = ?", (agent, peer))  # noqa: S608 - constant
        return _contact(row) if row else None

    return db.known((contact, agent, peer), ("contacts", "allowed"), find)


def contacts(db: Database, agent: int) -> list[Contact]:
    """All others; an agent that lives on several devices is also a contact of itself, which is left out."""

    def find() -> list[Contact]:
        rows = db.all(
            f"SELECT {_COLUMNS} FROM contacts"  # noqa: S608 - constant
            " WHERE agent = ?1 AND peer IS NOT (SELECT agent FROM agents WHERE id = ?1) ORDER BY since_ms",
            (agent,),
        )
        return [_contact(row) for row in rows]

    return list(db.known((contacts, agent), ("contacts", "allowed", "agents"), find))


def linked(db: Database, agent: int) -> list[bytes]:
    """Everybody that may have a link, including the agent's own other devices."""
    rows = db.all(
        "SELECT peer FROM contacts WHERE agent = ? AND trust >= ? AND frozen IS NULL ORDER BY since_ms",
        (agent, int(Trust.ACCEPTED)),
    )
    return [row[0] for row in rows]


def save_self(db: Database, agent: int, own: bytes, name: str, kind: str, now_ms: int) -> None:
    """Its own other devices are found, linked and trusted like a contact's. This pins no name."""
    db.run(
        "INSERT OR IGNORE INTO contacts (agent, peer, name, kind, trust, since_ms) VALUES (?,?,?,?,?,?)",
        (agent, own, name, kind, int(Trust.VERIFIED), now_ms),
    )


def save_contact(db: Database, agent: int, peer: bytes, *, name: str, kind: str, trust: Trust, now_ms: int) -> Contact:
    """Create the contact or change its trust. Accepting it pins its name to it (PROTOCOL E5): a name that a peer merely
    announces or asks with is not pinned."""
    db.run(
        "INSERT INTO contacts (agent, peer, name, kind, trust, since_ms) VALUES (?,?,?,?,?,?)"
        " ON CONFLICT (agent, peer) DO UPDATE SET trust = excluded.trust",
        (agent, peer, name, kind, int(trust), now_ms),
    )
    found = contact(db, agent, peer)
    assert found is not None
    if trust >= Trust.ACCEPTED and found.name:
        db.run("INSERT OR IGNORE INTO pins VALUES (?, ?, ?)", (agent, found.name, peer))
    return found


def announce(db: Database, agent: int, peer: bytes, name: str, kind: str) -> None:
    """Store the current name and kind that a contact sent over an authenticated link."""
    db.run(
        "UPDATE contacts SET name = ?, kind = ? WHERE agent = ? AND peer = ? AND (name, kind) IS NOT (?, ?)",
        (name, kind, agent, peer, name, kind),
    )


def drop_self(db: Database, agent: int) -> None:
    """The agent lives on one device again."""
    db.run("DELETE FROM contacts WHERE agent = ?1 AND peer = (SELECT agent FROM agents WHERE id = ?1)", (agent,))


def set_petname(db: Database, agent: int, peer: bytes, petname: str | None) -> None:
    db.run("UPDATE contacts SET petname = ? WHERE agent = ? AND peer = ?", (petname, agent, peer))


def freeze(db: Database, peer: bytes, why: str, *, final: bool, agent: int | None = None) -> None:
    """Exchange nothing with `peer`, for one agent or any of this node, until it rotates; when `final`, until a human
    decides (PROTOCOL E2)."""
    db.run(
        "UPDATE contacts SET frozen = ?, final = max(final, ?) WHERE peer = ? AND agent = coalesce(?, agent)",
        (why, int(final), peer, agent),
    )


def thaw(db: Database, peer: bytes) -> bool:
    """Lift a freeze that is not final; returns whether there was one."""
    changed = db.run("UPDATE contacts SET frozen = NULL WHERE peer = ? AND frozen IS NOT NULL AND final = 0", (peer,))
    return changed.rowcount > 0


def forget_pins(db: Database, peer: bytes, agent: int | None = None) -> None:
    """Make it a stranger again to one agent, or to every agent of this node that has not blocked it."""
    whose, parameters = "peer = ?1 AND agent = coalesce(?2, agent)", (peer, agent)
    db.run(f"UPDATE contacts SET frozen = NULL, final = 0 WHERE {whose}", parameters)  # noqa: S608 - constant
    db.run(
        f"UPDATE contacts SET trust = ?3 WHERE {whose} AND trust <> ?4",  # noqa: S608 - constant
        (*parameters, int(Trust.UNKNOWN), int(Trust.BLOCKED)),
    )
    for table in ("pins", "allowed"):
        db.run(f"DELETE FROM {table} WHERE {whose}", parameters)  # noqa: S608 - constants
    db.run(f"DELETE FROM requests WHERE {whose} AND state <> 'blocked'", parameters)  # noqa: S608 - constant


def forget_addresses(db: Database, peer: bytes) -> None:
    for table in ("addresses", "leads"):
        db.run(f"DELETE FROM {table} WHERE peer = ?", (peer,))  # noqa: S608 - constant


def pinned(db: Database, agent: int, name: str) -> bytes | None:
    def find() -> bytes | None:
        row = db.one("SELECT peer FROM pins WHERE agent = ? AND name = ?", (agent, name))
        return row[0] if row else None

    return db.known((pinned, agent, name), ("pins",), find)


def names(db: Database, agent: int, look: str) -> list[tuple[bytes, str]]:
    """(peer, name): names that were pinned, and petnames, that have this skeleton. Read once until one changes: each
    message that is sent asks."""

    def find() -> dict[str, list[tuple[bytes, str]]]:
        rows = db.all(
            "SELECT peer, name FROM pins WHERE agent = ?1"
            " UNION SELECT peer, petname FROM contacts WHERE agent = ?1 AND petname IS NOT NULL",
            (agent,),
        )
        by_look: dict[str, list[tuple[bytes, str]]] = {}
        for peer, name in rows:
            by_look.setdefault(skeleton(name), []).append((peer, name))
        return by_look

    return db.known((names, agent), ("pins", "contacts"), find).get(look, [])


# --- addresses ---

ADDRESSES_KEPT = 8  # per peer, of those where it was reached and of those it told us: more are stale


def remember_address(db: Database, peer: bytes, address: str, node: bytes, now_ms: int, *, told: bool = False) -> None:
    """A link to `peer` came to life there; if `told`, it only says that it is there, which replaces nothing proven."""
    db.run(
        "INSERT INTO addresses (peer, address, node, seen_ms, told) VALUES (?,?,?,?,?)"
        " ON CONFLICT (peer, address) DO UPDATE SET node = excluded.node, seen_ms = excluded.seen_ms,"
        " told = excluded.told WHERE excluded.told <= told",
        (peer, address, node, now_ms, int(told)),
    )
    db.run(
        "DELETE FROM addresses WHERE peer = ?1 AND told = ?2 AND address NOT IN"
        " (SELECT address FROM addresses WHERE peer = ?1 AND told = ?2 ORDER BY seen_ms DESC LIMIT ?3)",
        (peer, int(told), ADDRESSES_KEPT),
    )


def addresses(db: Database, peer: bytes) -> list[tuple[str, bytes]]:
    """(address, node key): where it was reached, the latest first, then where it says it is."""
    return db.all("SELECT address, node FROM addresses WHERE peer = ? ORDER BY told, seen_ms DESC", (peer,))


def reached_at(db: Database, peer: bytes) -> list[tuple[str, bytes]]:
    """(address, node key) where links to it came to life, the latest first."""
    return db.all(
        "SELECT address, node FROM addresses WHERE peer = ? AND told = 0 ORDER BY seen_ms DESC",
        (peer,),
    )


def accepted(db: Database) -> list[tuple[int, bytes]]:
    """(agent, peer) of everybody that may have a link."""
    sql = "SELECT agent, peer FROM contacts WHERE trust >= ? AND frozen IS NULL"
    return list(db.known(accepted, ("contacts",), lambda: db.all(sql, (int(Trust.ACCEPTED),))))


def is_linked(db: Database, peer: bytes) -> bool:
    """Whether it may have a link with any agent of this node."""
    row = db.one("SELECT 1 FROM contacts WHERE peer = ? AND trust >= ? LIMIT 1", (peer, int(Trust.ACCEPTED)))
    return row is not None


def is_unmet(db: Database, peer: bytes) -> bool:
    """Whether it is a contact that was never proven to live anywhere, such as one from a backup."""
    row = db.one(
        "SELECT 1 FROM contacts WHERE peer = ?1 AND trust >= ?2 AND frozen IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM addresses WHERE peer = ?1)",
        (peer, int(Trust.ACCEPTED)),
    )
    return row is not None


def is_told(db: Database, address: str) -> bool:
    """Whether a contact is said to be at an address whose node is not known."""
    row = db.one(
        "SELECT 1 FROM addresses a JOIN contacts c ON c.peer = a.peer"
        " WHERE a.address = ? AND a.node = x'' AND c.trust >= ? LIMIT 1",
        (address, int(Trust.ACCEPTED)),
    )
    return row is not None


def homed_at(db: Database, node: bytes) -> list[tuple[int, bytes]]:
    """(agent, peer) of the contacts that were proven to live at a node."""
    sql = (
        "SELECT DISTINCT c.agent, c.peer FROM addresses a JOIN contacts c ON c.peer = a.peer"
        " WHERE a.node = ? AND c.trust >= ? AND c.frozen IS NULL"
    )
    found = db.known((homed_at, node), ("addresses", "contacts"), lambda: db.all(sql, (node, int(Trust.ACCEPTED))))
    return list(found)


def add_place(db: Database, address: str, now_ms: int) -> None:
    db.run("INSERT OR IGNORE INTO places VALUES (?, ?)", (address, now_ms))


def remove_place(db: Database, address: str) -> None:
    db.run("DELETE FROM places WHERE address = ?", (address,))


def places(db: Database) -> list[str]:
    return [row[0] for row in db.all("SELECT address FROM places ORDER BY added_ms")]


# --- requests ---


REQUEST_STATES = ("pending", "accepted", "rejected", "blocked")


@dataclass(frozen=True, slots=True)
class Request:
    peer: bytes
    name: str
    kind: str
    entry: bytes
    text: str
    time_ms: int
    state: str


_REQUEST_COLUMNS = "digest, peer, name, kind, entry, text, time_ms, state"
_REQUEST = "p2pa/1 request row"  # covered by the digests of rows: the claims, but not the decision


def _digest(said: Sequence[bytes | str | int]) -> bytes:
    return H(_REQUEST, *(each.encode() if isinstance(each, str) else each for each in said))


def _requests(rows: list[Row]) -> list[Request]:
    """Without those that a disk damaged."""
    return [Request(*row[1:]) for row in rows if not row[0] or row[0] == _digest(row[1:-1])]


def request(db: Database, agent: int, peer: bytes) -> Request | None:
    def find() -> Request | None:
        rows = db.all(f"SELECT {_REQUEST_COLUMNS} FROM requests WHERE agent = ? AND peer = ?", (agent, peer))  # noqa: S608 - constant
        return next(iter(_requests(rows)), None)

    return db.known((request, agent, peer), ("requests",), find)


def requests(db: Database, agent: int, state: str = "pending") -> list[Request]:
    rows = db.all(
        f"SELECT {_REQUEST_COLUMNS} FROM requests WHERE agent = ? AND state = ? ORDER BY time_ms",  # noqa: S608 - constant
        (agent, state),
    )
    return _requests(rows)


def drop_damaged_requests(db: Database) -> int:
    """Their senders ask again."""
    rows = db.all(f"SELECT {_REQUEST_COLUMNS}, agent FROM requests")  # noqa: S608 - constant
    damaged = [(row[-1], row[1]) for row in rows if row[-2] not in REQUEST_STATES or not _requests([row[:-1]])]
    db.many("DELETE FROM requests WHERE agent = ? AND peer = ?", damaged)
    return len(damaged)


def pending_requests(db: Database, agent: int) -> int:
    row = db.one("SELECT count(*) FROM requests WHERE agent = ? AND state = 'pending'", (agent,))
    return int(row[0]) if row else 0


def save_request(db: Database, agent: int, r: Request) -> None:
    said = (r.peer, r.name, r.kind, r.entry, r.text, r.time_ms)
    db.run(
        "INSERT INTO requests VALUES (?,?,?,?,?,?,?,?,(SELECT lived_ms FROM clock),?) ON CONFLICT DO UPDATE SET"
        " name = excluded.name, kind = excluded.kind, entry = excluded.entry, text = excluded.text,"
        " time_ms = excluded.time_ms, state = excluded.state, digest = excluded.digest",
        (agent, *said, r.state, _digest(said)),
    )


def settle_request(db: Database, agent: int, peer: bytes, state: str) -> None:
    db.run("UPDATE requests SET state = ? WHERE agent = ? AND peer = ?", (state, agent, peer))


def forget_request(db: Database, agent: int, peer: bytes) -> None:
    db.run("DELETE FROM requests WHERE agent = ? AND peer = ? AND state = 'pending'", (agent, peer))


def forget_requests(db: Database, before_ms: int) -> None:
    """Those that have waited since before `before_ms` of the time that the node saw pass."""
    db.run("DELETE FROM requests WHERE state = 'pending' AND since_ms < ?", (before_ms,))


def longest_pending(db: Database, agent: int, after: int) -> bytes | None:
    """The peer that waits longest for an answer, not counting `after` others that wait longer still."""
    row = db.one(
        "SELECT peer FROM requests WHERE agent = ? AND state = 'pending' ORDER BY since_ms, time_ms, peer"
        " LIMIT 1 OFFSET ?",
        (agent, after),
    )
    return row[0] if row else None


# --- what a human should know ---


@dataclass(frozen=True, slots=True)
class Event:
    agent: int
    peer: bytes
    kind: str
    detail: str
    time_ms: int


EVENTS_KEPT = 1_000


def record(db: Database, event: Event) -> None:
    """Once per peer and kind in an hour; if there are too many, the oldest of the peer with the most goes, strangers
    before contacts. So a peer cannot fill the store with them, and many peers cannot push out those of others."""
    recent = db.one(
        "SELECT 1 FROM events WHERE agent = ? AND peer = ? AND kind = ? AND time_ms > ?",
        (event.agent, event.peer, event.kind, event.time_ms - 3_600_000),
    )
    if recent is None:
        db.run(
            "INSERT INTO events (agent, peer, kind, detail, time_ms) VALUES (?,?,?,?,?)",
            (event.agent, event.peer, event.kind, event.detail, event.time_ms),
        )
        db.run(
            "DELETE FROM events WHERE (SELECT count(*) FROM events) > ? AND id ="
            " (SELECT min(e.id) FROM events e LEFT JOIN contacts c ON c.agent = e.agent AND c.peer = e.peer"
            " GROUP BY e.agent, e.peer ORDER BY coalesce(max(c.trust), 0) >= ?, count(*) DESC, 1 LIMIT 1)",
            (EVENTS_KEPT, int(Trust.ACCEPTED)),
        )


def events_of(db: Database, agent: int, peer: bytes, limit: int) -> list[Event]:
    """Those of one peer, newest first."""
    rows = db.all(
        "SELECT agent, peer, kind, detail, time_ms FROM events WHERE agent = ? AND peer = ? ORDER BY id DESC LIMIT ?",
        (agent, peer, limit),
    )
    return [Event(*row) for row in rows]


def events(db: Database, limit: int = 50) -> list[Event]:
    """Newest first."""
    rows = db.all("SELECT agent, peer, kind, detail, time_ms FROM events ORDER BY id DESC LIMIT ?", (limit,))
    return [Event(*row) for row in rows]
