"""Seals what is owed when a path has window, and sends it, one pair after the other (PROTOCOL B2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.delivery import integrity, quotas, receipts, resets, sync, vouchers
from p2p_agents.core.kernel.state import BridgedLink
from p2p_agents.core.links import opening
from p2p_agents.core.relay import questions, ways
from p2p_agents.crypto.ratchet import seal
from p2p_agents.limits import (
    BATCH_BYTES,
    BATCH_ENTRIES,
    ECHOES_PER_FRAME,
    PADDING_FLOOR,
    UNACKED_BYTES,
    UNACKED_FRAMES,
)
from p2p_agents.store import outbox, sessions
from p2p_agents.wire.frame import Data
from p2p_agents.wire.payload import ECHO_BYTES, Ack, Payload, Verdict, encode_payload

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.store.outbox import Owed
    from p2p_agents.store.sessions import Held

FRAMES_PER_TURN = 8  # frames one pair may seal before another has its turn: fair between peers
WAY_PATIENCE = 4  # over a bridge, a frame of its own costs all three parties more, and is delayed anyway
FRAME_OVERHEAD = 4096  # bytes of a sealed frame besides its items: header with KEM step, padding of small payloads


def due(core: Core) -> list[PairKey]:
    """The pairs whose turn it is to send; asked once per batch, before the commit."""
    core.ready.update((key, None) for key, due in core.quiet.items() if due <= core.now())
    keys = list(core.ready)
    core.ready.clear()
    return keys


def pump(core: Core, key: PairKey) -> None:
    """Seal and send what a pair owes. A separate item, so that a failure for one pair does not affect others."""
    link = core.newest_link(key)
    if link is None or not ways.is_open(core, link, key):
        core.quiet.pop(key, None)
    else:
        if isinstance(link, BridgedLink) and questions.is_due(core, link, key):
            sync.send_sync(core, link, reply=True)
        if _pump_link(core, link, key):
            core.mark_ready(key)


def give_up(core: Core, key: PairKey, why: str) -> None:
    """Nothing can be sealed for this pair: close its links, so that views are compared when they reopen."""
    core.quiet.pop(key, None)
    ways.set_aside(core, key, why)
    for link in list(core.links.get(key, [])):
        opening.decline(core, core.peerings[link.connection], link)
        core.close_link(link, why)


def _pump_link(core: Core, link: Link, key: PairKey) -> bool:
    """Returns whether there is more to send at once."""
    if not _resend(core, link, key):
        return False
    return all(_seal_next(core, link, key) for _ in range(FRAMES_PER_TURN))


def _resend(core: Core, link: Link, key: PairKey) -> bool:
    """After a reconnection, send again exactly the frames that the peer lacks. False if credit ran short."""
    for held in list(core.pair_sessions(key)):
        sid = held.session.sid
        while sid in link.resend:
            at = max(link.resend[sid], held.acked)
            frame = sessions.frame_at(core.db, sid, at)
            if frame is None:
                del link.resend[sid]
            elif not sync.is_whole(core, held, at, frame):
                sync.lose(core, link, key, held)
                return False
            elif not _transmit(core, link, frame, (sid, at)):
                return False
            else:
                link.resend[sid] = at + 1
    return True


def _transmit(core: Core, link: Link, frame: bytes, place: tuple[bytes, int]) -> bool:
    if len(frame) > link.allowance.left:
        return False
    link.allowance.sent += len(frame)
    core.send_on(link, Data(link.number, frame), place)
    return True


def _seal_next(core: Core, link: Link, key: PairKey) -> bool:
    """Seal one frame if there is something to send and window for it; returns whether there may be more."""
    held = _session_to_use(core, key)
    owed, more = _owed(core, link, _room(link, held))
    said = bool(owed or link.reads_due or link.asks or link.answers or (held and held.ack_due))
    if not said or not (owed or _may_answer(link, held)):
        core.quiet.pop(key, None)
        return False
    if not owed and _may_wait(core, link, key, held):
        return False
    core.quiet.pop(key, None)
    if held is None:
        held = resets.begin(core, link, key)
        if held is None:
            return False
    _seal(core, link, held, owed)
    return bool(more or link.asks or link.answers or link.reads_due)


def _session_to_use(core: Core, key: PairKey) -> Held | None:
    """The newest session. An unconfirmed one of ours will do, since its init is sent ahead of the frame."""
    found = core.pair_sessions(key)
    return found[0] if found else None


def _room(link: Link, held: Held | None) -> int:
    """Bytes of entries that may be sealed now, by the peer's credit and by what is unacknowledged (PROTOCOL B3)."""
    room = link.allowance.left
    if held is not None:
        if held.frames >= UNACKED_FRAMES:
            return 0
        room = min(room, UNACKED_BYTES - held.bytes)
    return room - FRAME_OVERHEAD


def _may_answer(link: Link, held: Held | None) -> bool:
    """Frames without entries have their own window: two sides with full windows must still acknowledge each other."""
    return link.allowance.left > FRAME_OVERHEAD and (held is None or held.frames < 2 * UNACKED_FRAMES)


def _may_wait(core: Core, link: Link, key: PairKey, held: Held | None) -> bool:
    """An acknowledgement or read mark alone waits a moment to travel with a message; a ping does not."""
    if not core.patience or link.asks or link.answers or held is None or not held.session.confirmed:
        return False
    patience = core.patience if not isinstance(link, BridgedLink) else WAY_PATIENCE * core.patience
    return core.quiet.setdefault(key, core.now() + patience) > core.now()


def _owed(core: Core, link: Link, room: int) -> tuple[list[Owed], bool]:
    """The next entries, as many as fit into one frame; and whether there may be more."""
    chosen: list[Owed] = []
    if room <= PADDING_FLOOR or not quotas.may_offer(core, link):
        return chosen, False
    left = min(room, BATCH_BYTES)
    rows = outbox.unsealed(core.db, link.agent, link.peer, link.peer_device, BATCH_ENTRIES)
    for row in rows:
        owed = integrity.sendable(core, link, row)
        if owed is None:
            break
        item = owed.item
        size = len(item.signed) + len(item.body or b"")
        if size > (left if chosen else room):
            break
        left -= size
        chosen.append(owed)
        if left <= 0:
            break
    return chosen, (bool(chosen) and len(chosen) < len(rows)) or len(rows) == BATCH_ENTRIES


def _seal(core: Core, link: Link, held: Held, owed: list[Owed]) -> None:
    payload = Payload(
        _ack(held),
        tuple(o.item for o in owed),
        tuple(receipts.due(core, link)),
        tuple(link.asks[:ECHOES_PER_FRAME]) or _nudge(core, held, owed),
        tuple(link.answers[:ECHOES_PER_FRAME]),
        vouchers.cuts(core, link, owed),
    )
    before = held.session
    session, frame = seal(before, encode_payload(payload), core.now_ms(), core.entropy)
    held.session, held.verdicts, held.ack_due = session, [], False
    link.asks, link.answers = link.asks[ECHOES_PER_FRAME:], link.answers[ECHOES_PER_FRAME:]
    rows = tuple(o.id for o in owed)
    if rows:
        outbox.seal(core.db, rows, session.sid)
    sessions.keep_frame(
        core.db,
        session.sid,
        sessions.SentFrame(before.sent, session.own_turn, session.own_n - 1, session.sent_hash, rows, len(frame)),
        frame,
    )
    held.frames += 1
    held.bytes += len(frame)
    core.touch(held)
    if not _transmit(core, link, frame, (session.sid, before.sent)):
        link.resend.setdefault(session.sid, before.sent)


def _nudge(core: Core, held: Held, owed: list[Owed]) -> tuple[bytes, ...]:
    """Many frames that need no acknowledgement would fill our window for good: now and then one asks for one."""
    return (core.entropy.draw(ECHO_BYTES),) if not owed and held.frames >= UNACKED_FRAMES // 2 else ()


def _ack(held: Held) -> Ack | None:
    s = held.session
    if not s.received:
        return None
    verdicts = tuple(Verdict.of(v) for v in held.verdicts)
    return Ack(s.peer_turn, s.peer_n - 1, s.received_hash, verdicts)
