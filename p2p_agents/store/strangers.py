"""Those who asked and were not answered: nothing of them stays, or anyone could fill the store with identity logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.store.contacts import Trust

if TYPE_CHECKING:
    from p2p_agents.store.database import Database

_ONLY_ASKED = (  # contacts that did nothing but ask, and ask no more; what was sent to one would stand in the log
    "trust = ?1 AND petname IS NULL AND frozen IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.agent = contacts.agent AND r.peer = contacts.peer)"
    " AND NOT EXISTS (SELECT 1 FROM members m JOIN log l ON l.conversation = m.conversation"
    " WHERE m.agent = contacts.peer AND l.agent = contacts.agent)"
    " AND NOT EXISTS (SELECT 1 FROM allowed a WHERE a.agent = contacts.agent AND a.peer = contacts.peer)"
    " AND NOT EXISTS (SELECT 1 FROM introductions i WHERE i.agent = contacts.agent AND i.peer = contacts.peer)"
    " AND NOT EXISTS (SELECT 1 FROM doors d WHERE d.agent = contacts.agent AND d.peer = contacts.peer)"
)


def only_asked(db: Database, limit: int) -> list[tuple[int, bytes]]:
    """(agent, peer) of strangers whose request is gone, and of whom there is nothing else."""
    return db.all(
        f"SELECT agent, peer FROM contacts WHERE {_ONLY_ASKED} LIMIT ?2",  # noqa: S608 - constant
        (int(Trust.REQUESTED), limit),
    )


def forget(db: Database, agent: int, peer: bytes) -> bool:
    """One whose request is gone; whether nobody has anything of it any more."""
    gone = db.run(
        f"DELETE FROM contacts WHERE agent = ?2 AND peer = ?3 AND {_ONLY_ASKED}",  # noqa: S608 - constant
        (int(Trust.REQUESTED), agent, peer),
    )
    if gone.rowcount == 0:
        db.run(
            "UPDATE contacts SET trust = ? WHERE agent = ? AND peer = ? AND trust = ?",
            (int(Trust.UNKNOWN), agent, peer, int(Trust.REQUESTED)),
        )
        return False
    db.run("DELETE FROM unshared WHERE agent = ? AND peer = ?", (agent, peer))
    return db.one("SELECT 1 FROM contacts WHERE peer = ?", (peer,)) is None


def forget_agent(db: Database, agent: bytes) -> None:
    """All that a stranger showed of itself, as if it had never been met."""
    db.run("DELETE FROM bundles WHERE device IN (SELECT device FROM devices WHERE agent = ?)", (agent,))
    db.run("DELETE FROM pairs WHERE peer = ?", (agent,))
    for table in ("devices", "identities"):
        db.run(f"DELETE FROM {table} WHERE agent = ?", (agent,))  # noqa: S608 - constant
