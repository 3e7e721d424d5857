"""Session states, the exact frames not acknowledged yet, digests of frames received, and per-pair counters.

Everything of a session changes in the one transaction that its effects belong to (PROTOCOL B2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.crypto.digest import H
from p2p_agents.crypto.ratchet import Session
from p2p_agents.errors import Malformed, PeerFault
from p2p_agents.limits import UNACKED_FRAMES
from p2p_agents.wire.cbor import decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.store.database import Database


@dataclass(slots=True)
class Held:
    """A session in use, with its state outside the ratchet. Changed in memory; `save` writes it."""

    session: Session
    verdicts: list[int]  # of items received since our last acknowledgement
    ack_due: bool
    acked: int  # frames of ours the peer acknowledged
    acked_hash: bytes
    frames: int = 0  # sealed and not acknowledged
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class SentFrame:
    pos: int
    turn: int
    n: int
    hash: bytes
    items: tuple[int, ...]  # outbox rows
    size: int


_SESSION = "p2pa/1 session row"  # the fields that the digests of rows cover
_FRAME = "p2pa/1 frame row"
_ROWS = "SELECT digest, sid, device, peer_device, gen, state, verdicts, acked, acked_hash FROM sessions"


def load(db: Database, device: bytes, peer_device: bytes) -> list[Held]:
    """Newest generation first, without damaged ones."""
    rows = db.all(f"{_ROWS} WHERE device = ? AND peer_device = ? ORDER BY gen DESC", (device, peer_device))
    loaded = [_held(db, *row[4:]) for digest, *row in rows if _is_whole(digest, _SESSION, row)]
    return [held for held in loaded if held is not None]


def damaged(db: Database) -> list[tuple[tuple[bytes, bytes], bytes]]:
    """The pairs and ids of sessions whose rows are damaged."""
    rows = db.all(_ROWS)
    return [((row[1], row[2]), row[0]) for digest, *row in rows if not _is_whole(digest, _SESSION, row)]


def others(db: Database, device: bytes, peer_device: bytes, found: list[Held]) -> list[bytes]:
    """The ids of sessions of the pair that are not among these."""
    rows = db.all("SELECT sid FROM sessions WHERE device = ? AND peer_device = ?", (device, peer_device))
    intact = {held.session.sid for held in found}
    return [row[0] for row in rows if row[0] not in intact]


def _is_whole(digest: bytes, label: str, row: Sequence[bytes | int]) -> bool:
    return not digest or digest == H(label, *row)


def _held(db: Database, state: bytes, verdicts: bytes, acked: int, acked_hash: bytes) -> Held | None:
    """None if the row cannot be read, has no digest, or lacks a frame that is to be acknowledged."""
    try:
        session = Session.load(state)
        pending, due = decode(verdicts)
    except (PeerFault, ValueError, TypeError):
        return None
    flight = db.one(
        "SELECT count(*), coalesce(sum(length(frame)), 0), min(pos), max(pos) FROM frames WHERE sid = ?", (session.sid,)
    )
    assert flight is not None
    count, size, first, last = flight
    if count != session.sent - acked or (count and (first, last) != (acked, session.sent - 1)):
        return None
    return Held(session, pending, due, acked, acked_hash, count, size)


def save(db: Database, held: Held) -> None:
    """Once in a transaction, however many items changed it."""
    s = held.session
    verdicts = encode([held.verdicts, held.ack_due])
    row = (s.sid, s.me.device, s.peer.device, s.gen, s.dump(), verdicts, held.acked, held.acked_hash)
    db.later(
        (save, s.sid),
        "INSERT INTO sessions VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (sid) DO UPDATE SET state = excluded.state,"
        " verdicts = excluded.verdicts, acked = excluded.acked, acked_hash = excluded.acked_hash,"
        " digest = excluded.digest",
        (*row, H(_SESSION, *row)),
    )


def drop(db: Database, sid: bytes) -> None:
    """Forget a session, its frames and digests; the outbox rows it carried are `outbox.unseal`'s."""
    for table in ("sessions", "frames", "received"):
        db.run(f"DELETE FROM {table} WHERE sid = ?", (sid,))  # noqa: S608 - constant


# --- frames sent ---


def keep_frame(db: Database, sid: bytes, f: SentFrame, frame: bytes) -> None:
    """The running hash covers the frame, the digest the rest."""
    row = (sid, f.pos, f.turn, f.n, f.hash, encode(list(f.items)))
    db.run("INSERT INTO frames VALUES (?,?,?,?,?,?,?,?)", (*row, frame, H(_FRAME, *row)))


def frame_at(db: Database, sid: bytes, pos: int) -> bytes | None:
    """The exact bytes to send again, as long as they are unacknowledged."""
    row = db.one("SELECT frame FROM frames WHERE sid = ? AND pos = ?", (sid, pos))
    return row[0] if row else None


def frames_through(db: Database, sid: bytes, turn: int, n: int) -> list[SentFrame]:
    """Unacknowledged frames up to (turn, n), in order; the last one is that frame if it exists. Nothing where a
    disk damaged one of them: what they carried is not known."""
    rows = db.all(
        "SELECT digest, length(frame), sid, pos, turn, n, hash, items FROM frames"
        " WHERE sid = ? AND (turn, n) <= (?, ?) ORDER BY pos",
        (sid, turn, n),
    )
    if not all(_is_whole(digest, _FRAME, row) for digest, _, *row in rows):
        return []
    return [SentFrame(pos, t, m, h, _items(items), size) for _, size, _, pos, t, m, h, items in rows]


def _items(encoded: bytes) -> tuple[int, ...]:
    try:
        return tuple(decode(encoded))
    except Malformed:  # of a row without a digest
        return ()


def items_at(db: Database, sid: bytes, pos: int) -> list[int]:
    """The outbox rows that a frame carries, while it is unacknowledged."""
    row = db.one("SELECT items FROM frames WHERE sid = ? AND pos = ?", (sid, pos))
    return list(_items(row[0])) if row else []


def hash_at(db: Database, sid: bytes, count: int) -> bytes | None:
    """The running hash after `count` frames, while the last of them is unacknowledged."""
    row = db.one("SELECT hash FROM frames WHERE sid = ? AND pos = ?", (sid, count - 1))
    return row[0] if row else None


def forget_frames(db: Database, sid: bytes, through: int) -> None:
    db.run("DELETE FROM frames WHERE sid = ? AND pos <= ?", (sid, through))


# --- frames received ---


def note_received(db: Database, sid: bytes, pos: int, turn: int, n: int, digest: bytes) -> None:
    db.run("INSERT INTO received VALUES (?,?,?,?,?)", (sid, pos, turn, n, digest))
    if pos % 64 == 0:
        db.run("DELETE FROM received WHERE sid = ? AND pos < ?", (sid, pos - 2 * UNACKED_FRAMES))


def received_digest(db: Database, sid: bytes, turn: int, n: int) -> bytes | None:
    row = db.one("SELECT digest FROM received WHERE sid = ? AND turn = ? AND n = ?", (sid, turn, n))
    return row[0] if row else None


# --- pairs of devices ---


@dataclass(frozen=True, slots=True)
class Pair:
    """The counters of one of our devices and one of a peer."""

    gen_sent: int
    gen_seen: int
    stamp_sent: int
    stamp_seen: int
    heard_ms: int


_NONE = Pair(0, 0, 0, 0, 0)
_PAIR = ("gen_sent", "gen_seen", "stamp_sent", "stamp_seen", "heard_ms")


def pair(db: Database, device: bytes, peer_device: bytes) -> Pair:
    row = db.one(
        f"SELECT {', '.join(_PAIR)} FROM pairs WHERE device = ? AND peer_device = ?",  # noqa: S608 - constant
        (device, peer_device),
    )
    return Pair(*row) if row else _NONE


def note_pair(db: Database, device: bytes, peer_device: bytes, peer: bytes, **changes: int) -> None:
    """Create the pair or change what `changes` names."""
    db.run(
        "INSERT OR IGNORE INTO pairs (device, peer_device, peer) VALUES (?, ?, ?)",
        (device, peer_device, peer),
    )
    assert set(changes) <= set(_PAIR)
    assignments = ", ".join(f"{name} = ?" for name in changes)
    db.run(
        f"UPDATE pairs SET {assignments} WHERE device = ? AND peer_device = ?",  # noqa: S608 - names asserted above
        (*changes.values(), device, peer_device),
    )


def peer_devices(db: Database, device: bytes, peer: bytes) -> list[bytes]:
    rows: Sequence[tuple[bytes]] = db.all(
        "SELECT peer_device FROM pairs WHERE device = ? AND peer = ? ORDER BY heard_ms DESC", (device, peer)
    )
    return [row[0] for row in rows]


def forget_pair(db: Database, device: bytes, peer_device: bytes) -> None:
    """Forget the pair: the peer's device is gone."""
    db.run("DELETE FROM pairs WHERE device = ? AND peer_device = ?", (device, peer_device))


def ever_met(db: Database, device: bytes, peer: bytes) -> bool:
    """Whether a session with any device of the peer ever began."""
    row = db.one("SELECT 1 FROM pairs WHERE device = ? AND peer = ? AND (gen_sent > 0 OR gen_seen > 0)", (device, peer))
    return row is not None
