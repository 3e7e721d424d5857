"""Frames of a proven link: open, verify, append, and give every item its verdict, in one transaction (PROTOCOL B4)."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import VOID, Record, read_item
from p2p_agents.conversation.states import State
from p2p_agents.core.delivery import holdings, integrity, quotas, receipts, resets, sync, vouchers
from p2p_agents.core.identity import family, talks
from p2p_agents.core.kernel import sessions as ended
from p2p_agents.core.kernel.effects import Echoed, Moved, Wake
from p2p_agents.core.kernel.state import BridgedLink, Phase
from p2p_agents.core.relay import ways
from p2p_agents.crypto import handshake
from p2p_agents.crypto.ratchet import Party, open_frame, parse_frame
from p2p_agents.errors import BadSeal, BadSignature, Flood, Gap, Malformed, Replayed, UnknownVersion
from p2p_agents.limits import GAP_POOL_BYTES, LAMPORT_LEAP, VERDICTS_HELD
from p2p_agents.link.gaps import GapBuffer
from p2p_agents.store import agents, contacts, conversations, entries, log, outbox, sessions
from p2p_agents.store.contacts import Event, Trust
from p2p_agents.store.sessions import Held
from p2p_agents.wire.entry import FIRST_PREV
from p2p_agents.wire.frame import Standing
from p2p_agents.wire.payload import ECHOES, Verdict, decode_payload

if TYPE_CHECKING:
    from p2p_agents.conversation.chains import Run
    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Hosted, Link
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.crypto.ratchet import Frame
    from p2p_agents.store.outbox import Delivery
    from p2p_agents.wire.frame import Data, Init
    from p2p_agents.wire.payload import Ack, Item, Payload

logger = logging.getLogger(__name__)

REFUSED = "refused"  # prefix of `why` for entries that the peer refused for good


# --- session start ---


def on_init(core: Core, link: Link, frame: Init) -> None:
    """A crossing init that loses is dropped (PROTOCOL D3). Raises BadSignature, BadSeal, Malformed or Replayed."""
    if link.phase is not Phase.SYNCED or link.standing is not Standing.ACCEPTS:
        raise Malformed("INIT came before SYNC")
    me, peer = core.host(link.agent).party, Party(link.peer, link.peer_device)
    init = handshake.read_init(frame.payload, peer)
    key = core.pair_key(link)
    pair = sessions.pair(core.db, *key)
    if init.gen <= pair.gen_seen:
        raise Replayed("the INIT is not newer than the last one accepted")
    crossing = [h for h in core.pair_sessions(key) if h.session.initiator and not h.session.confirmed]
    if crossing and me.device < peer.device:
        return
    heal = resets.heal_secret(core, link, key, init)
    offer = link.offer if not isinstance(link, BridgedLink) else ways.offered(core, link, init.offer_hash)
    if offer is None:
        raise BadSeal("the INIT is sealed to a key that was already used")
    session = handshake.accept(init, me=me, offer_key=offer, now_ms=core.now_ms(), entropy=core.entropy, heal=heal)
    link.offer, link.reset_asked = None, False  # single use
    for held in crossing:
        ended.retire(core, key, held)
    resets.retire_replaced(core, key, init.dead)
    sessions.note_pair(core.db, *key, link.peer, gen_seen=init.gen)
    core.add_session(key, Held(session, [], ack_due=True, acked=0, acked_hash=session.sid))
    core.mark_ready(key)


# --- frames ---


def on_data(core: Core, link: Link, frame: Data) -> None:
    """Handle one sealed frame. A frame that does not open changes and resets nothing (PROTOCOL B5). Raises Flood,
    Malformed."""
    if not link.up:
        raise Malformed("DATA came before HELLO")
    link.meter.take(len(frame.payload))
    parsed = parse_frame(frame.payload)
    key = core.pair_key(link)
    held = next((h for h in core.pair_sessions(key) if h.session.sid == parsed.sid), None)
    if held is None:  # a late frame of a dead session, or one that overtook its init: the views will tell
        sync.ask_again(core, link, "a frame of a session that is not held")
        return
    core.mark_ready(key)
    if _try(core, link, key, held, parsed):
        _drain_gaps(core, link, key, held)


def _try(core: Core, link: Link, key: PairKey, held: Held, frame: Frame) -> bool:
    """Returns whether the frame opened."""
    try:
        session, plaintext = open_frame(held.session, frame)
    except Replayed:
        _judge_replay(core, link, held, frame)
        return False
    except Gap as gap:
        if _keep(core, frame):
            sync.ask_again(core, link, gap.message)
        return False
    except BadSeal as fault:
        logger.info("a frame of %s does not open: %s", link.peer.hex()[:12], fault.message)
        return False
    sessions.note_received(core.db, frame.sid, held.session.received, frame.turn, frame.n, frame.digest)
    held.session = session
    core.undo.append(partial(core.heard.pop, frame.sid, None))
    core.heard[frame.sid] = link.incarnation
    core.touch(held)
    _settle_payload(core, link, key, held, plaintext)
    return True


def _keep(core: Core, frame: Frame) -> bool:
    """Keep an early frame, within one limit for all sessions; which link it came on does not matter."""
    held = sum(gaps.size for gaps in core.gaps.values())
    return held + frame.size <= GAP_POOL_BYTES and core.gaps.setdefault(frame.sid, GapBuffer()).keep(frame)


def _judge_replay(core: Core, link: Link, held: Held, frame: Frame) -> None:
    """The same bytes are absorbed and acknowledged again; other bytes at the same position are a rollback (PROTOCOL
    B3). A duplicate by a bridge is only absorbed: two sides that acknowledged each other's duplicated acknowledgements
    would never stop."""
    known = sessions.received_digest(core.db, frame.sid, frame.turn, frame.n)
    if known == frame.digest:
        held.ack_due = held.ack_due or not isinstance(link, BridgedLink)
        core.touch(held)
    elif known is not None:
        detail = "the peer sealed two different frames at one place: its store was rolled back"
        contacts.record(core.db, Event(link.agent, link.peer, "rollback", detail, core.now_ms()))
        sync.ask_again(core, link, "two frames at one place")


def _drain_gaps(core: Core, link: Link, key: PairKey, held: Held) -> None:
    gaps = core.gaps.get(held.session.sid)
    while gaps:
        s = held.session
        candidates = gaps.take(((s.peer_turn, s.peer_n), (s.own_turn + 1, 0)))
        if not any(_try(core, link, key, held, frame) for frame in candidates):
            return


def _settle_payload(core: Core, link: Link, key: PairKey, held: Held, plaintext: bytes) -> None:
    """The frame opened, so the ratchet advances whatever it contains: no content can block it (PROTOCOL B4)."""
    try:
        payload = decode_payload(plaintext)
    except Malformed as fault:
        logger.warning("a sealed payload of %s: %s", link.peer.hex()[:12], fault.message)
        return
    if payload.ack is not None:
        _settle_ack(core, link, held, payload.ack)
    if len(held.verdicts) + len(payload.items) > VERDICTS_HELD:
        raise Flood("there are more items than the peer lets us acknowledge")
    believed = vouchers.believed(link, payload) if payload.cuts else frozenset()
    for item in payload.items:
        held.verdicts.append(int(_take_item(core, link, item, believed)))
    if payload.elicits:
        held.ack_due = True
    _settle_reads_and_echoes(core, link, payload)
    core.mark_ready(key)


def _settle_reads_and_echoes(core: Core, link: Link, payload: Payload) -> None:
    holdings.mark_news(core, link, payload.reads)
    link.answers = [*link.answers, *payload.asks][:ECHOES]
    for nonce in payload.answers:
        core.effect(Echoed(nonce))


# --- acknowledgements ---


def _settle_ack(core: Core, link: Link, held: Held, ack: Ack) -> None:
    """`delivered` means that H matched (PROTOCOL B3)."""
    frames = sessions.frames_through(core.db, held.session.sid, ack.turn, ack.n)
    if not frames:
        if ack.verdicts or ack.digest != held.acked_hash:
            sync.ask_again(core, link, "an acknowledgement of frames that are settled")
        return
    last = frames[-1]
    rows = [row for frame in frames for row in frame.items]
    if (last.turn, last.n, last.hash) != (ack.turn, ack.n, ack.digest) or len(rows) != len(ack.verdicts):
        sync.ask_again(core, link, "an acknowledgement that does not match what was sent")
        return
    held.acked, held.acked_hash = last.pos + 1, last.hash
    held.frames -= len(frames)
    held.bytes -= sum(frame.size for frame in frames)
    core.touch(held)
    sessions.forget_frames(core.db, held.session.sid, last.pos)
    _settle_rows(core, link, rows, ack.verdicts)


def _settle_rows(core: Core, link: Link, rows: list[int], verdicts: tuple[Verdict, ...]) -> None:
    now_ms = core.now_ms()
    taken = [row for row, v in zip(rows, verdicts, strict=True) if v in (Verdict.STORED, Verdict.DUPLICATE)]
    for entry in outbox.delivered(core.db, taken, now_ms):
        core.effect(Moved(link.agent, entry))
    if taken:
        quotas.took(core, link)
    if later := [row for row, verdict in zip(rows, verdicts, strict=True) if verdict is Verdict.LATER]:
        quotas.wait(core, link, later)
    for row, verdict in zip(rows, verdicts, strict=True):
        if verdict in (Verdict.STORED, Verdict.DUPLICATE, Verdict.LATER):
            continue
        if (delivery := outbox.delivery(core.db, row)) is not None:
            _settle_refused(core, link, delivery, verdict)


def _settle_refused(core: Core, link: Link, delivery: Delivery, verdict: Verdict) -> None:
    why = ""
    if verdict is Verdict.GAP and not (why := _refused_before(core, delivery)):
        outbox.hold(core.db, delivery.id)
        sync.ask_again(core, link, "the peer lacks the entry before one we sent")
    else:
        outbox.refuse(core.db, delivery.id, why or f"{REFUSED}: {verdict.name.lower()}", core.now_ms())
        core.effect(Moved(link.agent, delivery.entry))


def _refused_before(core: Core, delivery: Delivery) -> str:
    """Why the peer refused the entry before this one for good, which no SYNC will mend; else nothing."""
    before = entries.find(core.db, entries.load(core.db, delivery.entry).prev)
    earlier = None if before is None else outbox.find(core.db, before, delivery.peer, delivery.device)
    return earlier.why if earlier and earlier.state is State.FAILED and earlier.why.startswith(REFUSED) else ""


# --- items ---


def _take_item(core: Core, link: Link, item: Item, believed: frozenset[bytes]) -> Verdict:
    """`believed` are the entries of revoked devices that a cut covers."""
    try:
        record = read_item(item)
    except BadSignature:
        return Verdict.BAD_SIGNATURE
    except (Malformed, UnknownVersion):
        return Verdict.MALFORMED
    verdict = _judge(core, link, record, believed)
    if verdict is Verdict.STORED:
        _append(core, link, record)
    elif verdict is Verdict.DUPLICATE:
        _append_for_agent(core, link, record)
    return verdict


def _judge(core: Core, link: Link, r: Record, believed: frozenset[bytes]) -> Verdict:
    within = family.is_own(core, link)
    doubt = family.doubt(core, core.host(link.agent), r) if within else _doubt(core, link, r)
    if doubt is not None:
        return doubt
    run, lamport = entries.tip(core.db, r.conversation, r.device, r.epoch)
    extends = _extends(run, r)
    if not extends and (place := entries.place_of(core.db, r.hash)) is not None:
        conversation, device, _, seq, _ = place
        return (
            Verdict.DUPLICATE if (conversation, device, seq) == (r.conversation, r.device, r.seq) else Verdict.MALFORMED
        )
    if run is not None and 0 < r.seq < run.first <= entries.floor(core.db, r.conversation, r.device) + 1:
        return Verdict.DUPLICATE  # deliberately left out here
    if not within and _is_revoked(core, link, r) and r.hash not in believed:
        return Verdict.REVOKED
    if not extends and entries.taken(core.db, r):
        _report_equivocation(core, link, r)
        return Verdict.EQUIVOCATION
    theirs = not within and r.author != core.host(link.agent).local.agent
    if theirs and quotas.is_full(core, link):
        return Verdict.LATER
    if r.lamport > lamport + LAMPORT_LEAP:
        return Verdict.LAMPORT
    verdict = Verdict.STORED if extends else _judge_chain(core, r, run)
    if verdict is not Verdict.STORED or not theirs:
        return verdict
    if run is None and not core.pace(core.pair_key(link)).epochs.take(core.now()):
        return Verdict.GAP  # it is owed again and taken later: each epoch adds to the cost of comparing views, for ever
    return Verdict.STORED if quotas.takes(core, link, r) else Verdict.LATER


def _doubt(core: Core, link: Link, r: Record) -> Verdict | None:
    """Why the entry cannot belong to a conversation of both ends of the link; None if it can."""
    talk = talks.between(core, core.host(link.agent), link.peer, r.conversation)
    author = _author(core, link, r)
    if author is not None:
        if r.device not in (*author.devices, *author.revoked):
            return Verdict.WRONG_AUTHOR
    elif talk is None or r.author not in talk.members:
        return Verdict.WRONG_AUTHOR
    elif (owner := agents.owner_of(core.db, r.device)) != r.author:
        return Verdict.WRONG_AUTHOR if owner else Verdict.GAP  # GAP: of a device that is not known yet
    return None if talk is not None else Verdict.WRONG_CONVERSATION


def _is_revoked(core: Core, link: Link, r: Record) -> bool:
    author = _author(core, link, r)
    return r.device not in (author.devices if author else agents.live_devices(core.db, r.author))


def _author(core: Core, link: Link, r: Record) -> Identity | None:
    """Ourselves, when the peer sends back what we lost, or the peer; None for a third member of the conversation."""
    own = core.host(link.agent).speaker.identity
    if r.author == own.agent:
        return own
    return link.identity if r.author == link.peer else None


def _extends(run: Run | None, r: Record) -> bool:
    """The common case, decided by one row: the entry follows the last one of its run, so nothing is at its place yet.

    A void contains the hash of its entry, so its place alone proves nothing.
    """
    return (
        run is not None and r.kind != VOID and (run.hash, run.last + 1) == (r.prev, r.seq) and run.lamport < r.lamport
    )


def _judge_chain(core: Core, r: Record, run: Run | None) -> Verdict:
    """An epoch is one run: with a second run beside it, the end of the first would be unknown."""
    if r.seq == 1:
        return Verdict.STORED if r.prev == FIRST_PREV else Verdict.MALFORMED
    fits = run is None or (run.hash, run.last + 1) == (r.prev, r.seq)
    before = entries.place_of(core.db, r.prev)
    if before is None:  # or it was left out here
        known = fits and r.seq - 1 <= entries.floor(core.db, r.conversation, r.device)
        return Verdict.STORED if known else Verdict.GAP
    conversation, device, _, seq, lamport = before
    follows = (conversation, device, seq + 1) == (r.conversation, r.device, r.seq) and lamport < r.lamport
    return Verdict.STORED if fits and follows else Verdict.MALFORMED


def _report_equivocation(core: Core, link: Link, r: Record) -> None:
    detail = f"two different entries {r.seq} of one device in one epoch; the second was refused"
    own = core.host(link.agent).local.agent
    whose = link.peer if r.author == own else r.author
    contacts.record(core.db, Event(link.agent, whose, "equivocation", detail, core.now_ms()))


def _append(core: Core, link: Link, r: Record) -> None:
    conversations.keep(core.db, _talk(core, link, r))
    entry = entries.append(core.db, r)
    _log(core, link, entry, r)
    core.hooks.arrived(core, core.host(link.agent), link.peer, r)


def _append_for_agent(core: Core, link: Link, r: Record) -> None:
    """The node already has the entry: log it for another of its agents, or fill in its missing body."""
    entry = entries.find(core.db, r.hash)
    if entry is None:  # left out of what this device was given
        return
    if r.body is not None:
        entries.mend_body(core.db, entry, r.body)
        integrity.mended(core, entry)
    if log.cursor_of(core.db, link.agent, entry) is None:
        _log(core, link, entry, r)


def _talk(core: Core, link: Link, r: Record) -> Conversation:
    """The conversation of an entry that was judged."""
    hosted = core.host(link.agent)
    within = family.is_own(core, link)
    talk = (
        talks.find(core, hosted, r.conversation) if within else talks.between(core, hosted, link.peer, r.conversation)
    )
    assert talk is not None
    return talk


def _log(core: Core, link: Link, entry: int, r: Record) -> None:
    """Log it for every member that lives here: the node keeps each entry once, so SYNC speaks for all of them."""
    hosted, talk = core.host(link.agent), _talk(core, link, r)
    _log_for(core, hosted, entry, r, link.peer_device)
    if r.author == hosted.local.agent:
        _settle_own(core, link, talk, entry)
    here = (core.hosted_id(member) for member in talk.others(hosted.local.agent))
    local = [each for each in here if each is not None and not each.retired]
    for each in local:
        if log.cursor_of(core.db, each.local.id, entry) is None:
            _log_for(core, each, entry, r, b"")
            if r.author != each.local.agent:
                core.hooks.arrived(core, each, link.peer, r)
    author = core.hosted_id(r.author) if local else None
    for each in (hosted, *local):
        if author is not None and each is not author:
            _delivered(core, author, each.local.agent, each.local.device, entry)


def _log_for(core: Core, hosted: Hosted, entry: int, r: Record, besides: bytes) -> None:
    agent, mine = hosted.local.id, r.author == hosted.local.agent
    contact = None if mine else contacts.contact(core.db, agent, r.author)
    trust = Trust.VERIFIED if mine else contact.trust if contact else Trust.UNKNOWN
    log.add(core.db, agent, entry, r.conversation, incoming=core.hooks.is_unread(r) and not mine, trust=trust)
    if not mine and family.others(hosted):
        receipts.came(core, hosted, r)
    core.hooks.logged(core, hosted, entry, besides)
    core.effect(Wake(agent))


def _settle_own(core: Core, link: Link, talk: Conversation, entry: int) -> None:
    """Our agent's own entry, written by another device of ours, or sent back by a peer, which therefore has it.
    Whichever of us reaches the other members first delivers it."""
    hosted = core.host(link.agent)
    for peer in talk.others(hosted.local.agent):
        if peer != link.peer:
            family.forward(core, hosted, entry, peer)
        else:
            _delivered(core, hosted, peer, link.peer_device, entry)


def _delivered(core: Core, author: Hosted, peer: bytes, device: bytes, entry: int) -> None:
    """A recipient's device has the entry, which was never owed to it from here."""
    if outbox.find(core.db, entry, peer, device) is None:
        outbox.owe(core.db, author.local.id, entry, peer, device, core.now_ms(), State.DELIVERED)
