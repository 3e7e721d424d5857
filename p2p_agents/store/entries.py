"""Entries, once per node; chains over them; bodies beside them; the lazy word index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2p_agents.conversation.chains import Run
from p2p_agents.conversation.record import TEXT_TYPES, Place, Record
from p2p_agents.errors import Malformed
from p2p_agents.wire.entry import FIRST_PREV, decode_body

if TYPE_CHECKING:
    from p2p_agents.store.database import Database, Row

ENTRY = (  # the columns of a Record, except its body
    "e.hash, e.kind, e.conversation, e.author, e.device, e.epoch, e.seq, e.prev, e.lamport, e.time_ms,"
    " e.type, e.reply_to, e.signed"
)
ALL_RUNS = 0
INDEXED = "indexed"  # meta: the last entry in the word index
_RUN = "SELECT epoch, parent, first, last, hash, lamport FROM chains WHERE conversation = ? AND device = ?"


def record_of(row: Row) -> Record:
    """From the columns of ENTRY and a body."""
    return Record(*row[:14])


def find(db: Database, entry_hash: bytes) -> int | None:
    """The entry's row id, if it is held."""
    row = db.one("SELECT id FROM entries WHERE hash = ?", (entry_hash,))
    return row[0] if row else None


def load(db: Database, entry: int) -> Record:
    row = db.one(
        f"SELECT {ENTRY}, b.body FROM entries e LEFT JOIN bodies b ON b.entry = e.id WHERE e.id = ?",  # noqa: S608 - constant
        (entry,),
    )
    assert row is not None
    return record_of(row)


def place_of(db: Database, entry_hash: bytes) -> tuple[bytes, bytes, bytes, int, int] | None:
    """(conversation, device, epoch, seq, lamport) of a held entry."""
    return db.one("SELECT conversation, device, epoch, seq, lamport FROM entries WHERE hash = ?", (entry_hash,))


def end_of(db: Database, conversation: bytes, device: bytes, entry_hash: bytes) -> bytes | None:
    """The epoch of the run that ends with an entry, or begins after it; the entry need not be held."""
    row = db.one(
        "SELECT epoch FROM chains WHERE conversation = ? AND device = ? AND hash = ?",
        (conversation, device, entry_hash),
    )
    return row[0] if row else None


def floor(db: Database, conversation: bytes, device: bytes) -> int:
    """The last of the device's entries that were left out when the conversation was given to this device; 0: none."""
    row = db.one("SELECT seq FROM floors WHERE conversation = ? AND device = ?", (conversation, device))
    return row[0] if row else 0


def taken(db: Database, r: Record) -> bool:
    """Whether another entry has the record's place in its chain and epoch."""
    return (
        db.one(
            "SELECT 1 FROM entries WHERE conversation = ? AND device = ? AND epoch = ? AND seq = ?",
            (r.conversation, r.device, r.epoch, r.seq),
        )
        is not None
    )


def runs(db: Database, conversation: bytes, device: bytes, newest: int = ALL_RUNS) -> list[Run]:
    """The runs of a chain; with `newest` only so many, newest first."""
    if newest == ALL_RUNS:
        return [Run(*row) for row in db.all(_RUN, (conversation, device))]
    return [Run(*row) for row in db.all(f"{_RUN} ORDER BY lamport DESC LIMIT ?", (conversation, device, newest))]


def tip(db: Database, conversation: bytes, device: bytes, epoch: bytes) -> tuple[Run | None, int]:
    """The run that the device writes in an epoch, and the lamport of the conversation."""
    place = (conversation, device, epoch)

    def find() -> Run | None:
        row = db.one(f"{_RUN} AND epoch = ?", place)
        return Run(*row) if row else None

    return db.known((Run, *place), ("chains",), find), _lamport(db, conversation) or 0


def _lamport(db: Database, conversation: bytes) -> int | None:
    """None for a conversation that is not kept."""

    def find() -> int | None:
        row = db.one("SELECT lamport FROM conversations WHERE id = ?", (conversation,))
        return row[0] if row else None

    return db.known((_lamport, conversation), ("conversations",), find)


def newest(db: Database, conversation: bytes, device: bytes) -> Run | None:
    row = db.one(f"{_RUN} ORDER BY lamport DESC, last DESC LIMIT 1", (conversation, device))
    return Run(*row) if row else None


def authors(db: Database, conversation: bytes) -> list[bytes]:
    """The devices that wrote in a conversation."""
    return [row[0] for row in db.all("SELECT DISTINCT device FROM chains WHERE conversation = ?", (conversation,))]


def next_place(db: Database, conversation: bytes, device: bytes) -> Place:
    """Where the device's next entry goes, in the epoch of this opening of the store."""
    run, lamport = tip(db, conversation, device, db.epoch)
    run = run or newest(db, conversation, device)
    seq, prev = (run.last + 1, run.hash) if run else (1, FIRST_PREV)
    return Place(conversation, db.epoch, seq, prev, lamport + 1)


def append(db: Database, r: Record) -> int:
    """Store a verified record whose predecessor is held, of a conversation that is kept; returns its row id."""
    entry = db.insert(
        "INSERT INTO entries (hash, kind, conversation, author, device, epoch, seq, prev, lamport, time_ms,"
        " type, reply_to, signed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(r.hash, r.kind, r.conversation, r.author, r.device, r.epoch, r.seq, r.prev, r.lamport, r.time_ms),
            *(r.type, r.reply_to, r.signed),
        ),
    )
    if r.body is not None:
        db.later_row("bodies", (entry, r.body))
    _extend_chain(db, r)
    raise_lamport(db, r.conversation, r.lamport)
    return entry


def raise_lamport(db: Database, conversation: bytes, lamport: int) -> None:
    """The conversation has an entry with this one. Written once in a transaction."""
    known = _lamport(db, conversation)
    assert known is not None
    if lamport > known:
        db.later(
            (_lamport, conversation),
            "UPDATE conversations SET lamport = max(lamport, ?) WHERE id = ?",
            (lamport, conversation),
        )
        db.knows((_lamport, conversation), ("conversations",), lamport)


def _extend_chain(db: Database, r: Record) -> None:
    """Its run is written once in a transaction."""
    place = (r.conversation, r.device, r.epoch)
    run, _ = tip(db, *place)
    if run is None:
        before = place_of(db, r.prev)
        parent = before[2] if before else end_of(db, r.conversation, r.device, r.prev) or b""
        db.run(
            "INSERT INTO chains VALUES (?,?,?,?,?,?,?,?)",
            (r.conversation, r.device, r.epoch, parent, r.seq, r.seq, r.hash, r.lamport),
        )
        return
    db.later(
        (Run, *place),
        "UPDATE chains SET last = ?, hash = ?, lamport = ? WHERE conversation = ? AND device = ? AND epoch = ?",
        (r.seq, r.hash, r.lamport, *place),
    )
    db.knows((Run, *place), ("chains",), replace(run, last=r.seq, hash=r.hash, lamport=r.lamport))


def supply_body(db: Database, entry: int, body: bytes) -> None:
    """Fill in a body that came later than its entry. What every agent that had it deleted does not come back."""
    deleted = db.one(
        "SELECT 1 FROM purged WHERE entry = ?1 AND NOT EXISTS (SELECT 1 FROM log l WHERE l.entry = ?1"
        " AND NOT EXISTS (SELECT 1 FROM purged p WHERE p.agent = l.agent AND p.entry = ?1))",
        (entry,),
    )
    if deleted is None:
        db.run("INSERT OR IGNORE INTO bodies VALUES (?, ?)", (entry, body))


def mend_body(db: Database, entry: int, body: bytes) -> None:
    """Put the signed body in place of one that the disk changed."""
    db.run("DELETE FROM bodies WHERE entry = ? AND body <> ?", (entry, body))
    supply_body(db, entry, body)


def after(db: Database, entry: int, limit: int) -> list[tuple[int, Record]]:
    """The next entries by row id."""
    rows = db.all(
        f"SELECT {ENTRY}, b.body, e.id FROM entries e LEFT JOIN bodies b ON b.entry = e.id"  # noqa: S608 - constant
        " WHERE e.id > ? ORDER BY e.id LIMIT ?",
        (entry, limit),
    )
    return [(row[14], record_of(row)) for row in rows]


def count_behind(db: Database, r: Record, at_most: int) -> int:
    """Entries of the record's device in its conversation from its seq on, as far as they are few."""
    row = db.one(
        "SELECT count(*) FROM (SELECT 1 FROM entries WHERE conversation = ? AND device = ? AND seq >= ? LIMIT ?)",
        (r.conversation, r.device, r.seq, at_most + 1),
    )
    return int(row[0]) if row else 0


# --- voids ---


def set_void(db: Database, entry: int, signed: bytes) -> None:
    db.run("INSERT OR IGNORE INTO voids VALUES (?, ?)", (entry, signed))


def void_of(db: Database, entry: int) -> bytes | None:
    row = db.one("SELECT signed FROM voids WHERE entry = ?", (entry,))
    return row[0] if row else None


# --- search ---


def index_words(db: Database, limit: int) -> bool:
    """Index up to `limit` more bodies; True when nothing is left."""
    rows = db.all(
        "SELECT e.id, b.body, e.type FROM entries e LEFT JOIN bodies b ON b.entry = e.id"
        " WHERE e.id > ? ORDER BY e.id LIMIT ?",
        (db.remembered(INDEXED), limit),
    )
    for entry, body, content_type in rows:
        if body is not None and content_type in TEXT_TYPES and (text := _text(body)):
            db.run("INSERT INTO words (rowid, body) VALUES (?, ?)", (entry, text))
    if rows:
        db.remember(INDEXED, rows[-1][0])
    return len(rows) < limit


def _text(body: bytes) -> str:
    """Empty for a body so damaged that it is no longer one."""
    try:
        return decode_body(body).decode("utf-8", errors="replace")
    except Malformed:
        return ""
