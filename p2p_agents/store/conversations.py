"""The conversations that hold entries, and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.conversation import Conversation
from p2p_agents.conversation.direct import DIRECT

if TYPE_CHECKING:
    from p2p_agents.store.database import Database


def find(db: Database, conversation: bytes) -> Conversation | None:
    """Looked up once: who changes it here tells what is remembered."""
    found: Conversation | None = db.derived.get((Conversation, conversation))
    if found is None and (found := _load(db, conversation)) is not None:
        db.derived[Conversation, conversation] = found
    return found


def _load(db: Database, conversation: bytes) -> Conversation | None:
    rows = db.all(
        "SELECT c.kind, m.agent FROM conversations c LEFT JOIN members m ON m.conversation = c.id WHERE c.id = ?",
        (conversation,),
    )
    return Conversation(conversation, rows[0][0], frozenset(row[1] for row in rows if row[1])) if rows else None


def all_kept(db: Database) -> list[Conversation]:
    members: dict[tuple[bytes, str], set[bytes]] = {}
    for conversation, kind, member in db.all(
        "SELECT c.id, c.kind, m.agent FROM conversations c LEFT JOIN members m ON m.conversation = c.id"
    ):
        members.setdefault((conversation, kind), set()).update((member,) if member else ())
    return [Conversation(*place, frozenset(found)) for place, found in members.items()]


def keep(db: Database, conversation: Conversation) -> None:
    """It may hold entries from now on, and these are its members."""
    known = find(db, conversation.id)
    if known == conversation:
        return
    db.run(
        "INSERT INTO conversations (id, kind) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind",
        (conversation.id, conversation.kind),
    )
    db.run("DELETE FROM members WHERE conversation = ?", (conversation.id,))
    db.many("INSERT INTO members VALUES (?, ?)", [(conversation.id, member) for member in conversation.members])
    db.derived[Conversation, conversation.id] = conversation


def of_many(db: Database, agent: bytes) -> list[Conversation]:
    """Those of an agent that are not of two by themselves."""
    rows = db.all(
        "SELECT m.conversation FROM members m JOIN conversations c ON c.id = m.conversation"
        " WHERE m.agent = ? AND c.kind <> ? ORDER BY m.conversation",
        (agent, DIRECT),
    )
    found = (find(db, row[0]) for row in rows)
    return [conversation for conversation in found if conversation is not None]


def of_both(db: Database, agent: bytes, peer: bytes) -> list[Conversation]:
    """Those that both are in, but direct ones: as many are looked at as the peer is in, which are few."""
    rows = db.all(
        "SELECT p.conversation FROM members p CROSS JOIN conversations c ON c.id = p.conversation"
        " CROSS JOIN members o ON o.conversation = p.conversation AND o.agent = ?"
        " WHERE p.agent = ? AND c.kind <> ? ORDER BY p.conversation",
        (agent, peer, DIRECT),
    )
    found = (find(db, row[0]) for row in rows)
    return [conversation for conversation in found if conversation is not None]
