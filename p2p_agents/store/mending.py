"""Repairs rows that the disk damaged and other rows confirm, when a store is opened and before anybody reads it.

An id is a hash or a key: two honest ones never differ in just one byte, so one that does is a damaged copy of the
other. An identity log decides which of the two is right. Chains and conversations are rebuilt from their entries. A
field with only a few possible words gets the nearest one. What nothing confirms is dropped, to be requested again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import defaultdict
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from p2p_agents.conversation.direct import direct
from p2p_agents.conversation.record import VOID, is_intact
from p2p_agents.conversation.states import State
from p2p_agents.limits import INT_MAX
from p2p_agents.link.admission import Introductions, Policy
from p2p_agents.store import agents, contacts, conversations, entries, introductions
from p2p_agents.store.upgrade import GENERATION_BYTES
from p2p_agents.wire.advert import STATUSES
from p2p_agents.wire.names import KIND_RE, NAME_RE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.store.database import Database

logger = logging.getLogger(__name__)

_AGENTS = (  # where ids of agents are, and in which rows
    ("agents", "agent", "1"),
    ("identities", "agent", "1"),
    ("devices", "agent", "1"),
    ("contacts", "peer", "1"),
    ("pins", "peer", "1"),
    ("allowed", "peer", "1"),
    ("addresses", "peer", "1"),
    ("pairs", "peer", "1"),
    ("own_queues", "peer", "1"),
    ("outbox", "peer", "owed = 1"),
    ("members", "agent", "1"),
)
_DEVICES = (
    ("agents", "device", "1"),
    ("devices", "device", "1"),
    ("prekeys", "device", "1"),
    ("pairs", "device", "1"),
    ("pairs", "peer_device", "1"),
    ("bundles", "device", "1"),
    ("routes", "device", "1"),
    ("routes", "peer_device", "1"),
    ("own_queues", "device", "1"),
    ("own_queues", "peer_device", "1"),
    ("outbox", "device", "owed = 1"),
)
_WORDS = {  # of an agent of this node, and the default for an unknown word
    "status": (STATUSES, STATUSES[0]),
    "policy": (tuple(map(str, Policy)), str(Policy.ASK)),
    "introductions": (tuple(map(str, Introductions)), str(Introductions.ASK)),
}
_ID_BYTES = 32


def mend(db: Database) -> int:
    """The number of rows repaired or dropped."""
    mended = sum(part(db) for part in (_meta, _ids, _hosted, _chains, _outbox, _offers))
    if mended:
        logger.error("%d rows were damaged on the disk, and were repaired or dropped", mended)
    return mended


# --- ids ---


def _ids(db: Database) -> int:
    incepted = {hashlib.sha256(row[0]).digest() for row in db.all("SELECT entry FROM identities WHERE n = 0")}
    mended = _true_ids(db, _AGENTS, lambda one, _: one in incepted)
    return mended + _true_ids(db, _DEVICES, partial(_is_named, db))


def _true_ids(db: Database, places: Sequence[tuple[str, str, str]], is_true: Callable[[bytes, bytes], bool]) -> int:
    """`is_true` is called with an id and the similar one."""
    found = {
        row[0]
        for table, column, which in places
        for row in db.all(f"SELECT DISTINCT {column} FROM {table} WHERE {which}")  # noqa: S608 - constants
    }
    twins = [(one, other) for pair in _near(found) for one, other in (pair, pair[::-1])]
    return sum(
        _replace(db, places, wrong, right)
        for wrong, right in twins
        if is_true(right, wrong) and not is_true(wrong, right)
    )


def _near(ids: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Pairs that differ in one byte. Such ids have one half in common."""
    halves: dict[tuple[int, bytes], list[bytes]] = defaultdict(list)
    for each in ids:
        if len(each) == _ID_BYTES:
            halves[0, each[: _ID_BYTES // 2]].append(each)
            halves[1, each[_ID_BYTES // 2 :]].append(each)
    return [pair for alike in halves.values() for pair in combinations(alike, 2) if _differing(*pair) == 1]


def _differing(one: bytes, other: bytes) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _is_named(db: Database, device: bytes, twin: bytes) -> bool:
    """Whether the log of the agent that seems to own one of the two contains the first."""
    owners = {owner for owner in (agents.owner_of(db, device), agents.owner_of(db, twin)) if owner}
    logs = [agents.load_identity(db, owner) for owner in owners]
    return any(log is not None and device in (*log.devices, *log.revoked) for log in logs)


def _replace(db: Database, places: Sequence[tuple[str, str, str]], wrong: bytes, right: bytes) -> int:
    """If the right row exists too, it is kept."""
    changed = 0
    for table, column, which in places:
        where = f"{column} = ? AND {which}"
        changed += db.run(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {where}", (right, wrong)).rowcount  # noqa: S608 - constants
        changed += db.run(f"DELETE FROM {table} WHERE {where}", (wrong,)).rowcount  # noqa: S608 - constants
    return changed


# --- words and numbers ---


def _meta(db: Database) -> int:
    """Without a generation cursors are meaningless; a number that no clock or table can have produced counts as
    missing."""
    rows = db.all("SELECT key, value FROM meta")
    wrong = [(key,) for key, value in rows if len(value) == 8 and int.from_bytes(value, "big") > INT_MAX]
    db.many("DELETE FROM meta WHERE key = ?", wrong)
    if not any(key == "generation" for key, _ in rows):
        db.run("INSERT INTO meta VALUES ('generation', ?)", (os.urandom(GENERATION_BYTES),))
        return len(wrong) + 1
    return len(wrong)


def _hosted(db: Database) -> int:
    """Agents of this node are announced with this data: it must be a valid name, kind and status."""
    return sum(_mend_agent(db, local) for local in agents.agents(db))


def _mend_agent(db: Database, local: agents.LocalAgent) -> int:
    right = {column: _nearest(getattr(local, column), words, least) for column, (words, least) in _WORDS.items()}
    right["name"] = local.name if NAME_RE.fullmatch(local.name) else f"agent-{local.id}"
    right["kind"] = local.kind if KIND_RE.fullmatch(local.kind) else "other"
    wrong = {column: word for column, word in right.items() if word != getattr(local, column)}
    for column, word in wrong.items():
        db.run(f"UPDATE OR IGNORE agents SET {column} = ? WHERE id = ?", (word, local.id))  # noqa: S608 - constants
    return len(wrong)


def _nearest(word: str, words: Iterable[str], otherwise: str) -> str:
    """The known word that differs in at most one letter, otherwise the default."""
    alike = [each for each in words if len(each) == len(word) and sum(a != b for a, b in zip(each, word)) <= 1]  # noqa: B905 - of one length
    return alike[0] if alike else otherwise


def _outbox(db: Database) -> int:
    """Rows that are owed. A settled row is read as the nearest state."""
    misplaced = db.run(
        "UPDATE outbox SET conversation = (SELECT conversation FROM entries e WHERE e.id = outbox.entry)"
        " WHERE owed = 1 AND conversation <> (SELECT conversation FROM entries e WHERE e.id = outbox.entry)"
    )
    marks = ",".join("?" * len(State))
    rows = db.all(f"SELECT id, state FROM outbox WHERE owed = 1 AND state NOT IN ({marks})", tuple(map(str, State)))  # noqa: S608 - marks
    db.many("UPDATE outbox SET state = ? WHERE id = ?", [(str(State.nearest(state)), row) for row, state in rows])
    return misplaced.rowcount + len(rows)


def _offers(db: Database) -> int:
    """Requests and introductions: their senders make them again, or repeat them when asked."""
    return contacts.drop_damaged_requests(db) + introductions.drop_damaged(db)


# --- chains ---


def _chains(db: Database) -> int:
    mended = sum(_mend_chain(db, *row) for row in db.all(_PARTED))
    if mended:
        db.run(_MISSING)
    return mended + _conversations(db)


_PARTED = (  # the last entry of a run differs from what its chain says, or is missing; a floor has none
    "SELECT c.conversation, c.device, c.epoch, c.hash, e.hash, e.signed, e.kind FROM chains c LEFT JOIN entries e"
    " ON e.conversation = c.conversation AND e.device = c.device AND e.epoch = c.epoch AND e.seq = c.last"
    " WHERE c.last >= c.first AND e.hash IS NOT c.hash"
)
_MISSING = (  # runs of entries that have no chain
    "INSERT OR IGNORE INTO chains SELECT r.conversation, r.device, r.epoch,"
    " coalesce((SELECT p.epoch FROM entries p WHERE p.hash = f.prev), x''), r.first, r.last, e.hash, e.lamport"
    " FROM (SELECT conversation, device, epoch, min(seq) AS first, max(seq) AS last FROM entries"
    " WHERE conversation NOT IN (SELECT conversation FROM ended) GROUP BY 1, 2, 3) r"
    " JOIN entries f ON (f.conversation, f.device, f.epoch, f.seq) = (r.conversation, r.device, r.epoch, r.first)"
    " JOIN entries e ON (e.conversation, e.device, e.epoch, e.seq) = (r.conversation, r.device, r.epoch, r.last)"
)


def _mend_chain(
    db: Database, conversation: bytes, device: bytes, epoch: bytes, said: bytes, held: bytes | None, *entry: Any
) -> int:
    """A chain's hash is replaced by that of its last entry, if there is one; a chain without entries is removed."""
    which = "WHERE conversation = ? AND device = ? AND epoch = ?"
    if held is not None:
        signed, kind = entry
        if kind != VOID and hashlib.sha256(signed).digest() != held:
            return 0  # the entry is damaged
        db.run(f"UPDATE chains SET hash = ? {which}", (held, conversation, device, epoch))  # noqa: S608 - constant
        return 1
    found = entries.find(db, said)
    if found is not None and not is_intact(entries.load(db, found)):
        return 0  # here too
    return db.run(f"DELETE FROM chains {which}", (conversation, device, epoch)).rowcount  # noqa: S608 - constant


def _conversations(db: Database) -> int:
    """Of two candidates, the id tells which members and kind are right."""
    mended = db.run(
        "INSERT INTO conversations SELECT conversation, 'direct', max(lamport) FROM chains WHERE true GROUP BY 1"
        " ON CONFLICT (id) DO UPDATE SET lamport = excluded.lamport WHERE lamport < excluded.lamport"
    ).rowcount
    mended += db.run("DELETE FROM members WHERE conversation NOT IN (SELECT id FROM conversations)").rowcount
    unlike = [each for each in conversations.all_kept(db) if not _is_direct(each)]
    right = {each.id: each for each in _pairs(db)} if unlike else {}
    for each in unlike:
        if each.id in right:
            conversations.keep(db, right[each.id])
            mended += 1
    return mended


def _is_direct(conversation: Conversation) -> bool:
    """Whether its id follows from its members."""
    members = sorted(conversation.members)
    return len(members) in (1, 2) and direct(members[0], members[-1]) == conversation


def _pairs(db: Database) -> list[Conversation]:
    """All conversations that agents of this node may have with somebody."""
    own = db.all("SELECT id, agent FROM agents")
    peers = db.all(
        "SELECT agent, peer FROM contacts UNION SELECT agent, peer FROM outbox UNION SELECT id, agent FROM agents"
    )
    return [direct(agent, peer) for here, agent in own for known, peer in peers if known == here]
