"""First contact over bridges: doors of peers, where we may knock, and peers that knocked at ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.route import Route, unpack_routes

if TYPE_CHECKING:
    from p2p_agents.store.database import Database


@dataclass(frozen=True, slots=True)
class Door:
    """Where a peer takes requests, and the state of ours."""

    agent: int
    peer: bytes
    device: bytes
    bridge: str
    queue: bytes
    key: bytes = field(repr=False)
    entry: int = 0  # row id of the entry that the last request named
    kept: int = 0
    knocked_ms: int = 0  # of the time that the node saw pass; 0: never


@dataclass(frozen=True, slots=True)
class Asker:
    """A peer that asked, and where to send the answer."""

    peer: bytes
    device: bytes
    stamp: int
    bundle: bytes
    routes: tuple[Route, ...] = field(repr=False)


_DOOR = "agent, peer, device, bridge, queue, key, entry, kept, knocked_ms"


# --- peers' ---


def learn(db: Database, door: Door) -> None:
    """The address that was given last counts."""
    db.run(
        "INSERT INTO doors (agent, peer, device, bridge, queue, key) VALUES (?,?,?,?,?,?)"
        " ON CONFLICT DO UPDATE SET device = excluded.device, bridge = excluded.bridge, queue = excluded.queue,"
        " key = excluded.key, entry = 0, kept = 0, knocked_ms = 0",
        (door.agent, door.peer, door.device, door.bridge, door.queue, door.key),
    )


def door(db: Database, agent: int, peer: bytes) -> Door | None:
    row = db.one(f"SELECT {_DOOR} FROM doors WHERE agent = ? AND peer = ?", (agent, peer))  # noqa: S608 - constant
    return Door(*row) if row else None


def door_at(db: Database, agent: int, queue: bytes) -> Door | None:
    row = db.one(f"SELECT {_DOOR} FROM doors WHERE agent = ? AND queue = ?", (agent, queue))  # noqa: S608 - constant
    return Door(*row) if row else None


def doors(db: Database) -> list[Door]:
    return [Door(*row) for row in db.all(f"SELECT {_DOOR} FROM doors")]  # noqa: S608 - constant


def knock(db: Database, agent: int, peer: bytes, entry: int) -> None:
    """Note that a request that names the entry is on its way."""
    db.run(
        "UPDATE doors SET kept = CASE WHEN entry = ?3 THEN kept ELSE 0 END, entry = ?3 WHERE agent = ?1 AND peer = ?2",
        (agent, peer, entry),
    )


def note_kept(db: Database, agent: int, peer: bytes, lived_ms: int) -> None:
    """Note that the bridge has stored it."""
    db.run("UPDATE doors SET kept = kept + 1, knocked_ms = ? WHERE agent = ? AND peer = ?", (lived_ms, agent, peer))


def forget(db: Database, agent: int, peer: bytes) -> None:
    db.run("DELETE FROM doors WHERE agent = ? AND peer = ?", (agent, peer))


# --- ours ---


def keep_asker(db: Database, agent: int, asker: Asker) -> None:
    routes = encode([route.pack() for route in asker.routes])
    db.run(
        "INSERT OR REPLACE INTO askers VALUES (?,?,?,?,?,?)",
        (agent, asker.peer, asker.device, asker.stamp, asker.bundle, routes),
    )


def asker(db: Database, agent: int, peer: bytes) -> Asker | None:
    row = db.one("SELECT peer, device, stamp, bundle, routes FROM askers WHERE agent = ? AND peer = ?", (agent, peer))
    if row is None:
        return None
    peer, device, stamp, bundle, routes = row
    return Asker(peer, device, stamp, bundle, unpack_routes(decode(routes)))


def forget_asker(db: Database, agent: int, peer: bytes) -> None:
    db.run("DELETE FROM askers WHERE agent = ? AND peer = ?", (agent, peer))


def forget_askers(db: Database) -> None:
    """Forget those whose request is gone."""
    db.run(
        "DELETE FROM askers WHERE NOT EXISTS (SELECT 1 FROM requests r WHERE r.agent = askers.agent"
        " AND r.peer = askers.peer AND r.state = 'pending')"
    )
