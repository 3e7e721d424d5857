"""Queues at bridges: ours to read, peers' to write to, and the key bundles of devices that may be absent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2p_agents.crypto.bundle import Bundle
from p2p_agents.limits import BUNDLE_LIFE_MS, DAY_MS, PREKEY_DAYS
from p2p_agents.wire.route import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class OwnQueue:
    """One we read. `seed` is its read key's."""

    queue: bytes
    bridge: str
    device: bytes
    peer_device: bytes
    peer: bytes
    seed: bytes = field(repr=False)
    token: bytes = field(repr=False)
    key: bytes = field(repr=False)
    cursor: int
    public: bool = False  # anybody who did the work may write to it: for requests to the agent `peer`, which is ours

    @property
    def route(self) -> Route:
        """The route to send to its writer."""
        return Route(self.bridge, self.queue, self.token, self.key)


@dataclass(frozen=True, slots=True)
class Stored:
    """Frames of session `sid` before `position` are stored at the bridge."""

    sid: bytes
    position: int


_OWN = "queue, bridge, device, peer_device, peer, seed, token, key, cursor, public"
_NEVER = Stored(b"", 0)


# --- ours ---


def _own_queue(row: Row) -> OwnQueue:
    """SQLite has no booleans, and a bridge accepts nothing else."""
    fields: Row = (*row[:-1], bool(row[-1]))
    return OwnQueue(*fields)


def make(db: Database, own: OwnQueue) -> None:
    db.run(
        f"INSERT INTO own_queues ({_OWN}) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constant
        (
            own.queue,
            own.bridge,
            own.device,
            own.peer_device,
            own.peer,
            own.seed,
            own.token,
            own.key,
            own.cursor,
            int(own.public),
        ),
    )


def own(db: Database, queue: bytes) -> OwnQueue | None:
    row = db.one(f"SELECT {_OWN} FROM own_queues WHERE queue = ?", (queue,))  # noqa: S608 - constant
    return _own_queue(row) if row else None


def readable_at(db: Database, bridge: str) -> list[OwnQueue]:
    """Public ones, and those whose writer is known: a queue prepared by a pairing is read once the writer is known."""
    rows = db.all(
        f"SELECT {_OWN} FROM own_queues WHERE bridge = ? AND (peer_device != x'' OR public = 1)",  # noqa: S608 - constant
        (bridge,),
    )
    return [_own_queue(row) for row in rows]


def public_of(db: Database, device: bytes) -> OwnQueue | None:
    """The queue where a device of ours takes requests of strangers, if it does."""
    row = db.one(f"SELECT {_OWN} FROM own_queues WHERE device = ? AND public = 1", (device,))  # noqa: S608 - constant
    return _own_queue(row) if row else None


def own_for(db: Database, device: bytes, peer_device: bytes) -> list[OwnQueue]:
    rows = db.all(
        f"SELECT {_OWN} FROM own_queues WHERE device = ? AND peer_device = ?",  # noqa: S608 - constant
        (device, peer_device),
    )
    return [_own_queue(row) for row in rows]


def worked_off(db: Database, queue: bytes, cursor: int) -> None:
    db.run("UPDATE own_queues SET cursor = max(cursor, ?) WHERE queue = ?", (cursor, queue))


def bind(db: Database, queue: bytes, peer_device: bytes, peer: bytes) -> None:
    """A pairing told whose it is; it replaces an earlier queue of that pair at the same bridge."""
    db.run(
        "DELETE FROM own_queues WHERE device = (SELECT device FROM own_queues WHERE queue = ?)"
        " AND bridge = (SELECT bridge FROM own_queues WHERE queue = ?) AND peer_device = ? AND peer = ? AND queue != ?",
        (queue, queue, peer_device, peer, queue),
    )
    db.run("UPDATE own_queues SET peer_device = ?, peer = ? WHERE queue = ?", (peer_device, peer, queue))


def forget(db: Database, queue: bytes) -> None:
    db.run("DELETE FROM own_queues WHERE queue = ?", (queue,))


def forget_unmet(db: Database, but: Sequence[bytes]) -> None:
    """Forget queues prepared by pairings that brought nobody, except for those under way."""
    db.run(
        f"DELETE FROM own_queues WHERE peer_device = x'' AND public = 0 AND queue NOT IN ({','.join('?' * len(but))})",  # noqa: S608 - marks
        tuple(but),
    )


def forget_pair(db: Database, device: bytes, peer_device: bytes) -> None:
    """Both directions, and the peer's key bundle."""
    for table in ("own_queues", "routes"):
        db.run(f"DELETE FROM {table} WHERE device = ? AND peer_device = ?", (device, peer_device))  # noqa: S608 - constant
    db.run("DELETE FROM bundles WHERE device = ?", (peer_device,))


# --- peers' ---


def learn(db: Database, device: bytes, peer_device: bytes, told: tuple[Route, ...]) -> None:
    """The peer's latest routes replace all earlier ones. The state of a route is kept while its queue is the same."""
    db.run(
        f"DELETE FROM routes WHERE device = ? AND peer_device = ? AND queue NOT IN ({','.join('?' * len(told))})",  # noqa: S608 - question marks
        (device, peer_device, *(route.queue for route in told)),
    )
    db.many(
        "INSERT INTO routes (device, peer_device, bridge, queue, token, key) VALUES (?,?,?,?,?,?)"
        " ON CONFLICT DO UPDATE SET queue = excluded.queue, token = excluded.token, key = excluded.key",
        [(device, peer_device, r.bridge, r.queue, r.token, r.key) for r in told],
    )


def routes(db: Database, device: bytes, peer_device: bytes) -> tuple[Route, ...]:
    rows = db.all(
        "SELECT bridge, queue, token, key FROM routes WHERE device = ? AND peer_device = ?",
        (device, peer_device),
    )
    return tuple(Route(*row) for row in rows)


def pairs(db: Database) -> list[tuple[bytes, bytes, bytes]]:
    """(our device, peer's device, peer) of every pair with a queue of either side."""
    return db.all(
        "SELECT r.device, r.peer_device, p.peer FROM routes r JOIN pairs p USING (device, peer_device)"
        " UNION SELECT device, peer_device, peer FROM own_queues WHERE peer_device != x''"
    )


def bridges(db: Database) -> set[str]:
    """Every bridge that a queue of ours or of a peer is at."""
    return {row[0] for row in db.all("SELECT bridge FROM own_queues UNION SELECT bridge FROM routes")}


def stored(db: Database, queue: bytes) -> Stored:
    row = db.one("SELECT sid, position FROM routes WHERE queue = ?", (queue,))
    return Stored(*row) if row else _NEVER


def note_stored(db: Database, queue: bytes, sid: bytes, position: int) -> None:
    db.run(
        "UPDATE routes SET position = CASE WHEN sid = ?1 THEN max(position, ?2) ELSE ?2 END, sid = ?1 WHERE queue = ?3",
        (sid, position, queue),
    )


# --- bundles ---


def keep_bundle(db: Database, bundle: Bundle, now_ms: int) -> None:
    """The newest that its device signed. None counts for longer than a prekey lives: one that was signed under a
    clock far ahead, or by a thief for ever, gives way to the next."""
    db.run(
        "INSERT INTO bundles VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET prekey = ?2, expires_ms = ?3"
        " WHERE ?3 >= expires_ms - ?4",
        (bundle.device, bundle.prekey, min(bundle.expires_ms, now_ms + BUNDLE_LIFE_MS), (PREKEY_DAYS + 1) * DAY_MS),
    )


def bundle(db: Database, agent: bytes, device: bytes) -> Bundle | None:
    row = db.one("SELECT prekey, expires_ms FROM bundles WHERE device = ?", (device,))
    return Bundle(agent, device, *row) if row else None
