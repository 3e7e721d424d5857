"""Local agents, identity logs, and which device key belongs to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.crypto.identity import Identity, replay
from p2p_agents.errors import BadIdentity, PeerFault

if TYPE_CHECKING:
    from p2p_agents.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class LocalAgent:
    """One hosted agent. `id` is local to this store; `agent` is its public id."""

    id: int
    agent: bytes
    device: bytes
    name: str
    kind: str
    status: str
    policy: str
    hidden: bool
    chosen: bool
    created_ms: int
    introductions: str = "ask"


REMOVED = "(removed_ms > 0 AND name = 'removed ' || id)"  # two marks: no flaw of a disk alone destroys an agent's keys
_COLUMNS = "id, agent, device, name, kind, status, policy, hidden, chosen, created_ms, introductions"


def _agent(row: Row) -> LocalAgent:
    id_, agent, device, name, kind, status, policy, hidden, chosen, created_ms, introduced = row
    return LocalAgent(
        id_, agent, device, name, kind, status, policy, bool(hidden), bool(chosen), created_ms, introduced
    )


def add_agent(
    db: Database,
    identity: Identity,
    device: bytes,
    *,
    name: str,
    kind: str,
    policy: str,
    hidden: bool,
    now_ms: int,
) -> LocalAgent:
    """The first agent becomes the default; one that is here already has another device from now on, and one that was
    removed is here again. Raises IntegrityError when the name is taken: check before."""
    save_identity(db, identity)
    first = db.one(f"SELECT 1 FROM agents WHERE NOT {REMOVED} LIMIT 1") is None  # noqa: S608 - constant
    db.run(
        "UPDATE agents SET name = ?2, kind = ?3, policy = ?4, hidden = ?5, chosen = ?6, created_ms = ?7,"  # noqa: S608 - constant
        f" status = 'online', introductions = 'ask', removed_ms = 0 WHERE agent = ?1 AND {REMOVED}",
        (identity.agent, name, kind, policy, int(hidden), int(first), now_ms),
    )
    db.run(
        "INSERT INTO agents (agent, device, name, kind, policy, hidden, chosen, created_ms) VALUES (?,?,?,?,?,?,?,?)"
        " ON CONFLICT (agent) DO UPDATE SET device = excluded.device",
        (identity.agent, device, name, kind, policy, int(hidden), int(first), now_ms),
    )
    found = agent_named(db, name)
    assert found is not None
    return found


def agents(db: Database) -> list[LocalAgent]:
    """Those that live here."""
    rows = db.all(f"SELECT {_COLUMNS} FROM agents WHERE NOT {REMOVED} ORDER BY id")  # noqa: S608 - constant
    return [_agent(row) for row in rows]


def agent_named(db: Database, name: str) -> LocalAgent | None:
    row = db.one(f"SELECT {_COLUMNS} FROM agents WHERE name = ? AND NOT {REMOVED}", (name,))  # noqa: S608 - constant
    return _agent(row) if row else None


def choose(db: Database, agent: int) -> None:
    """Make it the default agent."""
    db.run("UPDATE agents SET chosen = (id = ?)", (agent,))


def set_status(db: Database, agent: int, status: str) -> None:
    db.run("UPDATE agents SET status = ? WHERE id = ?", (status, agent))


def set_policy(db: Database, agent: int, policy: str) -> None:
    db.run("UPDATE agents SET policy = ? WHERE id = ?", (policy, agent))


def set_introductions(db: Database, agent: int, policy: str) -> None:
    db.run("UPDATE agents SET introductions = ? WHERE id = ?", (policy, agent))


# --- identity logs ---


def load_identity(db: Database, agent: bytes) -> Identity | None:
    """None for a log that is not known, or that a disk damaged: whoever it is of shows it again, as a stranger does."""
    rows = _log(db, agent)
    try:
        identity = replay(rows) if rows else None
    except PeerFault:
        return None
    return identity if identity is not None and identity.agent == agent else None


def is_damaged(db: Database, agent: bytes) -> bool:
    """Whether there is a log which no longer holds."""
    return bool(_log(db, agent)) and load_identity(db, agent) is None


def _log(db: Database, agent: bytes) -> list[bytes]:
    return [row[0] for row in db.all("SELECT entry FROM identities WHERE agent = ? ORDER BY n", (agent,))]


def owner_of(db: Database, device: bytes) -> bytes | None:
    """The agent that a device key belongs to for ever (PROTOCOL E1)."""

    def find() -> bytes | None:
        row = db.one("SELECT agent FROM devices WHERE device = ?", (device,))
        return row[0] if row else None

    return db.known((owner_of, device), ("devices",), find)


def live_devices(db: Database, agent: bytes) -> list[bytes]:
    """Those that the agent's known log names, in no order."""
    return list(db.known((live_devices, agent), ("devices",), lambda: _devices(db, agent, live=1)))


def gone_devices(db: Database, agent: bytes) -> list[bytes]:
    """Those that its log once named, and has revoked."""
    return _devices(db, agent, live=0)


def _devices(db: Database, agent: bytes, live: int) -> list[bytes]:
    return [row[0] for row in db.all("SELECT device FROM devices WHERE agent = ? AND live = ?", (agent, live))]


def save_identity(db: Database, identity: Identity) -> None:
    """Store a log that was merged with the known one: a tail that a rotate superseded is replaced, but its devices stay
    the agent's. Raises BadIdentity for another agent's device, and for one that takes the place of a damaged log and is
    not that log (PROTOCOL E1, E2)."""
    if is_damaged(db, identity.agent):
        _check_remains(identity, _log(db, identity.agent))
    for device in (*identity.devices, *identity.revoked):
        owner = owner_of(db, device)
        if owner is None:
            db.run("INSERT INTO devices (device, agent) VALUES (?, ?)", (device, identity.agent))
        elif owner != identity.agent:
            raise BadIdentity("a device key of this identity already belongs to another agent")
    db.run("UPDATE devices SET live = 0 WHERE agent = ?", (identity.agent,))
    db.many("UPDATE devices SET live = 1 WHERE device = ?", [(device,) for device in identity.devices])
    db.run("DELETE FROM identities WHERE agent = ?", (identity.agent,))
    db.many(
        "INSERT INTO identities VALUES (?, ?, ?)",
        [(identity.agent, n, entry) for n, entry in enumerate(identity.entries)],
    )


def _check_remains(identity: Identity, remains: list[bytes]) -> None:
    """What is left of a log must be part of the one that takes its place, all but one entry: a disk is no reason to
    believe somebody who shows less than was known, or another branch."""
    shown = identity.entries[: len(remains)]
    if len(shown) < len(remains) or sum(one != other for one, other in zip(shown, remains, strict=True)) > 1:
        raise BadIdentity("the identity log contradicts what the disk left of the known one")


def forget_identity(db: Database, agent: bytes) -> None:
    """The next log that it shows is treated as a stranger's. Its devices stay bound to it."""
    db.run("UPDATE devices SET live = 0 WHERE agent = ?", (agent,))
    db.run("DELETE FROM identities WHERE agent = ?", (agent,))


# --- prekeys of our devices ---


@dataclass(frozen=True, slots=True)
class Prekey:
    seed: bytes
    created_ms: int
    expires_ms: int


def prekeys(db: Database, device: bytes) -> list[Prekey]:
    """Newest first."""
    rows = db.all(
        "SELECT seed, created_ms, expires_ms FROM prekeys WHERE device = ? ORDER BY created_ms DESC",
        (device,),
    )
    return [Prekey(*row) for row in rows]


def add_prekey(db: Database, device: bytes, prekey: Prekey) -> None:
    db.run("INSERT INTO prekeys VALUES (?, ?, ?, ?)", (device, prekey.seed, prekey.created_ms, prekey.expires_ms))


def date_back_prekeys(db: Database, now_ms: int, after_ms: int) -> None:
    """Those dated after `after_ms` count as made now."""
    db.run("UPDATE prekeys SET created_ms = ? WHERE created_ms > ?", (now_ms, after_ms))


def destroy_prekeys(db: Database, created_before_ms: int) -> None:
    """secure_delete overwrites them in place; the next truncating checkpoint empties the WAL of them."""
    db.run("DELETE FROM prekeys WHERE created_ms < ?", (created_before_ms,))
