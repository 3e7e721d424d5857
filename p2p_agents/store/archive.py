"""An agent's log as a backup holds it: rows that another store can import, with nothing specific to this one.
Only direct conversations are backed up.

row = [peer, incoming, trust, read, item, void or null, [[device, state, why]...]]
item = [0, signed entry, body or null] or [1, signed void of a peer]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from p2p_agents.conversation.direct import DIRECT, direct
from p2p_agents.conversation.record import intact_part, read_item
from p2p_agents.conversation.states import State
from p2p_agents.errors import BackupDamaged, BadSignature, Malformed, UnknownVersion
from p2p_agents.limits import BACKUP_CHUNK_BYTES
from p2p_agents.store import conversations, entries, log, outbox, purges, readers
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.cbor import array, blob, decode, encode, flag, text, uint
from p2p_agents.wire.payload import Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from p2p_agents.store.database import Database
    from p2p_agents.store.log import Logged

PAGE = 200  # lines read at once, so that no transaction is open for long
ROW_BYTES = BACKUP_CHUNK_BYTES // 2  # a row has less: a body, a signature, a void


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery state of one of our entries at one device of its recipient."""

    device: bytes
    state: State
    why: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an agent's log."""

    peer: bytes
    incoming: bool
    trust: Trust
    read: bool
    item: Item
    void: bytes | None
    deliveries: tuple[Delivery, ...]


# --- out ---


def chunks(db: Database, agent: int) -> Iterator[bytes]:
    """The log, oldest line first, in chunks of a backup. Damaged lines are left out: a backup holds only what
    its author signed."""
    rows: list[bytes] = []
    size = 0
    for line in _lines(db, agent):
        row = encode(_pack(line))
        if rows and size + len(row) > ROW_BYTES:
            yield _join(rows)
            rows, size = [], 0
        rows.append(row)
        size += len(row)
    if rows:
        yield _join(rows)


def _join(rows: list[bytes]) -> bytes:
    return encode([decode(row) for row in rows])


def _intact(line: Line, entry_hash: bytes) -> Line | None:
    item = intact_part(entry_hash, line.item)
    return None if item is None else replace(line, item=item)


def _lines(db: Database, agent: int) -> Iterator[Line]:
    after, own = 0, _id_of(db, agent)
    while found := log.everything(db, agent, after, PAGE)[0]:
        for logged in found:
            conversation = conversations.find(db, logged.conversation)
            if conversation is None or conversation.kind != DIRECT:
                continue
            (peer,) = conversation.others(own) or [own]
            line = _intact(_line(db, agent, peer, logged), logged.record.hash)
            if line is not None:
                yield line
        after = found[-1].entry


def _id_of(db: Database, agent: int) -> bytes:
    row = db.one("SELECT agent FROM agents WHERE id = ?", (agent,))
    assert row is not None
    return bytes(row[0])


def _line(db: Database, agent: int, peer: bytes, logged: Logged) -> Line:
    record = logged.record
    read = logged.incoming and readers.is_read(db, agent, readers.DEFAULT, logged.cursor)
    sent = () if logged.incoming else outbox.deliveries(db, agent, logged.entry)
    deliveries = tuple(Delivery(d.device, d.state, d.why) for d in sent)
    void = entries.void_of(db, logged.entry)
    return Line(peer, logged.incoming, logged.trust, read, record.item, void, deliveries)


def _pack(line: Line) -> list[Any]:
    item: list[Any] = [1, line.item.signed] if line.item.void else [0, line.item.signed, line.item.body]
    deliveries = [[d.device, str(d.state), d.why] for d in line.deliveries]
    return [line.peer, line.incoming, int(line.trust), line.read, item, line.void, deliveries]


# --- in ---


def restore(db: Database, agent: int, lines: Iterable[Line], now_ms: int, *, revived: bool = False) -> int:
    """Import the lines into this store, as the agent's; returns how many. Unread ones are unread again. One that was
    removed from here, and is `revived`, has the words of these lines again; of one that was not, what it deleted stays
    deleted."""
    count, seen, unread, own = 0, 0, None, _id_of(db, agent)
    for line in lines:
        cursor = _restore(db, agent, own, line, now_ms, revived=revived)
        count += 1
        if line.incoming and not line.read and unread is None:
            unread = seen
        seen = cursor
    readers.start_at(db, agent, readers.DEFAULT, seen if unread is None else unread)
    if revived:
        purges.forget_words(db)  # the index passed them by
    return count


def _restore(db: Database, agent: int, own: bytes, line: Line, now_ms: int, *, revived: bool) -> int:
    record = read_item(line.item)
    conversation = direct(own, line.peer)
    if record.conversation != conversation.id:
        raise BackupDamaged("the backup's log holds a message of somebody else's conversation")
    conversations.keep(db, conversation)
    entry = entries.find(db, record.hash)
    if entry is None:
        entry = entries.append(db, record)
    elif revived and record.body is not None:
        purges.give_back(db, agent, entry, record.body)
    if line.void is not None:
        entries.set_void(db, entry, line.void)
    for delivery in line.deliveries:
        outbox.restore(db, agent, entry, line.peer, delivery.device, delivery.state, delivery.why, now_ms)
    held = log.cursor_of(db, agent, entry)  # if the agent's log outlived its keys
    return held or log.add(db, agent, entry, record.conversation, incoming=line.incoming, trust=line.trust)


def lines(chunk: bytes) -> list[Line]:
    """The lines of a chunk. Raises BackupDamaged."""
    try:
        return [_unpack(row) for row in array(decode(chunk), what="log")]
    except (Malformed, UnknownVersion, BadSignature, ValueError) as error:
        raise BackupDamaged("the backup's log was written wrong") from error


def _unpack(row: Any) -> Line:
    peer, incoming, trust, read, item, void, deliveries = array(row, 7, what="line")
    return Line(
        blob(peer, size=32, what="peer"),
        flag(incoming, what="incoming"),
        Trust(uint(trust, what="trust")),
        flag(read, what="read"),
        _unpack_item(array(item, 2, 3, what="item")),
        None if void is None else blob(void, what="void"),
        tuple(_unpack_delivery(each) for each in array(deliveries, what="deliveries")),
    )


def _unpack_item(fields: list[Any]) -> Item:
    body = fields[2] if len(fields) == 3 else None
    return Item(blob(fields[1], what="entry"), None if body is None else blob(body, what="body"), void=fields[0] == 1)


def _unpack_delivery(fields: Any) -> Delivery:
    device, state, why = array(fields, 3, what="delivery")
    return Delivery(
        blob(device, what="device"), State(text(state, at_most=16, what="state")), text(why, at_most=256, what="why")
    )
