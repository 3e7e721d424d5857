"""SYNC: both sides say what they hold, which shows what is owed, what arrived, and whether a store was rolled back
(PROTOCOL B1, B5, D3)."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.core.delivery import holdings
from p2p_agents.core.identity import family
from p2p_agents.core.kernel import sessions as ended
from p2p_agents.core.kernel.state import BridgedLink, Phase, Stall
from p2p_agents.core.links import releases
from p2p_agents.core.relay import questions, ways
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.kem import seal
from p2p_agents.crypto.ratchet import after
from p2p_agents.crypto.signing import verify
from p2p_agents.errors import Malformed, Replayed
from p2p_agents.limits import DAY_MS, SESSION_FRAME_BYTES, STALLED_ASKS, STALLED_S, SYNC_EVERY_MS
from p2p_agents.link.reconcile import MyView, Outcome, compare
from p2p_agents.store import contacts, outbox, sessions
from p2p_agents.store.contacts import Event
from p2p_agents.wire.claims import (
    CONVERSATIONS,
    SYNC_LABEL,
    SessionView,
    SyncClaims,
    decode_sync,
    encode_sync,
)
from p2p_agents.wire.frame import STALLED, Standing, Sync
from p2p_agents.wire.payload import ECHO_BYTES

if TYPE_CHECKING:
    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.store.sessions import Held, Pair

STALLS = Backoff(STALLED_S, math.inf)  # STALLED_ASKS times
WAY_SYNC_S = 10.0  # over a bridge, a disagreement sends at most one SYNC in this time
GEN_LEAP_MS = DAY_MS  # a peer's clock may be ahead of ours by a day

log = logging.getLogger(__name__)


# --- sending ---


def send_sync(core: Core, link: Link, *, reply: bool) -> bool:
    """Send what we hold; False if it cannot be sent now. Needs a link that is up between accepting agents.

    Between two devices of one agent it may take several frames, the last of which asks for the reply.
    """
    if isinstance(link, BridgedLink) and not _say_who(core, link):
        return False
    told = holdings.told(core, link)
    pages = [told[at : at + CONVERSATIONS] for at in range(0, len(told), CONVERSATIONS)]
    for page in pages:
        _send_page(core, link, page, reply=reply and page is pages[-1])
    link.sync_sent = True
    link.awaits_view = link.awaits_view or reply
    link.reads_due.clear()
    return True


def _send_page(core: Core, link: Link, page: list[Conversation], *, reply: bool) -> None:
    hosted = core.host(link.agent)
    local, key = hosted.local, core.pair_key(link)
    assert link.bundle is not None
    pair = sessions.pair(core.db, *key)
    stamp = rising(pair, core.now_ms())
    sessions.note_pair(core.db, *key, link.peer, stamp_sent=stamp)
    challenge = ways.challenge(core, link, key) if reply and isinstance(link, BridgedLink) else b""
    claims = SyncClaims(
        local.agent,
        local.device,
        link.peer,
        link.peer_device,
        nonce=link.peer_challenge,
        stamp=stamp,
        gen=pair.gen_seen,
        sessions=tuple(_view(held) for held in core.pair_sessions(key)[:2]),
        holdings=tuple(holdings.say(core, link, talk) for talk in page),
        reply=reply,
        challenge=challenge,
        routes=ways.routes_for(core, key, link.peer),
        dead=link.heal.dead,
        dead_heals=tuple(identity for identity, _ in link.heal.heals),
        extensions=hosted.speaker.extensions,
    )
    signed = hosted.speaker.key.sign(encode_sync(claims), SYNC_LABEL)
    core.send_on(link, Sync(link.number, seal(link.bundle.prekey, signed, _info(local.device, link.peer_device))))


def _say_who(core: Core, link: BridgedLink) -> bool:
    """Send the greeting that precedes a SYNC in a queue; False if it cannot be sent."""
    if link.way.using is None or link.bundle is None:
        return False
    core.send_on(link, ways.greeting(core, link))
    return True


def rising(pair: Pair, now_ms: int) -> int:
    """The next stamp of a SYNC, or gen of an init: one counter, so that it shows which of the two came first."""
    return max(pair.stamp_sent + 1, pair.gen_sent + 1, now_ms)


def ask_again(core: Core, link: Link, why: str) -> None:
    """States disagree: compare views again, at most once a second (PROTOCOL B5). A disagreement from a late queue is
    settled over the direct link; any other on the link where it showed, because the peer sends there, whichever link we
    prefer."""
    log.info("views of the session with %s differ: %s", link.peer.hex()[:12], why)
    if isinstance(link, BridgedLink):
        link = core.newest_link(core.pair_key(link)) or link
    link.disagrees = True
    ask_due(core, link)


def ask_due(core: Core, link: Link) -> None:
    """Also called once a second, so that a disagreement within the pause is not forgotten."""
    if link.disagrees and link.sync_sent and core.now() >= link.sync_due:
        link.disagrees = False
        link.sync_due = core.now() + (SYNC_EVERY_MS / 1000 if not isinstance(link, BridgedLink) else WAY_SYNC_S)
        send_sync(core, link, reply=True)


def watch(core: Core, link: Link, key: PairKey) -> None:
    """Called once a second for the link in use. A peer that acknowledges nothing may have dropped the frames, and their
    credit with them; once the window is full nothing else would show this. It is asked at growing intervals, and then
    links and sessions begin again. Frames without content need no acknowledgement, so silence about them means
    nothing."""
    waiting = [held for held in core.pair_sessions(key) if held.frames]
    if not waiting and link.allowance.left >= SESSION_FRAME_BYTES:  # nothing is under way, and more may go
        if link.stall.progress:
            link.stall = Stall()
        return
    progress = (link.allowance.granted, *(held.session.sid + held.acked.to_bytes(8, "big") for held in waiting))
    stall = link.stall
    if progress != stall.progress or not (waiting or _is_starved(core, link)):
        link.stall = Stall(progress, core.now())
    elif core.now() - stall.since >= STALLS.after(stall.asked):
        if not _is_owing(core, link, waiting):
            link.stall = Stall(progress, core.now())
            return
        if stall.asked == STALLED_ASKS:
            _begin_anew(core, key, waiting)
            return
        link.stall = Stall(progress, core.now(), stall.asked + 1)
        link.asks = link.asks or [core.entropy.draw(ECHO_BYTES)]  # makes the peer acknowledge what it received long ago
        core.mark_ready(key)
        ask_again(core, link, "nothing is acknowledged")


def _is_starved(core: Core, link: Link) -> bool:
    """Whether something is owed and there is no credit for it."""
    owed = link.allowance.left < SESSION_FRAME_BYTES and link.peer_standing is Standing.ACCEPTS
    return owed and _is_owing(core, link, [])


def _is_owing(core: Core, link: Link, waiting: list[Held]) -> bool:
    """Whether anything waits to be sealed, or waits in frames of these sessions for the peer's verdict."""
    offered = core.pace(core.pair_key(link)).paused <= core.now()  # otherwise the peer said that it has no room
    unsealed = offered and outbox.unsealed(core.db, link.agent, link.peer, link.peer_device, 1)
    return bool(unsealed) or any(outbox.is_carried(core.db, held.session.sid) for held in waiting)


def _begin_anew(core: Core, key: PairKey, waiting: list[Held]) -> None:
    """Credit belongs to a link, so all links are closed: dropped frames have used it up on each."""
    for held in waiting:
        ended.retire(core, key, held)
    for link in list(core.links.get(key, [])):
        core.close_link(link, STALLED)


def _view(held: Held) -> SessionView:
    s = held.session
    return SessionView(s.sid, s.sent, s.received, s.received_hash, tuple(identity for identity, _ in s.heals))


def _info(sender: bytes, recipient: bytes) -> bytes:
    return H(SYNC_LABEL, sender, recipient)


# --- receiving ---


def on_sync(core: Core, link: Link, frame: Sync) -> None:
    """Raises BadSeal, BadSignature, Malformed or Replayed."""
    if not link.up or link.standing is not Standing.ACCEPTS:
        return  # it crossed a change of our standing
    if not family.is_own(core, link) and not core.pace(core.pair_key(link)).syncs.take(core.now()):
        return  # an honest peer asks again
    claims = _open(core, link, frame)
    key = core.pair_key(link)
    if isinstance(link, BridgedLink):
        _on_late_sync(core, link, key, claims)
        return
    if claims.stamp <= link.stamp_seen:
        raise Replayed("the SYNC is not newer than the last one")
    link.stamp_seen = claims.stamp
    core.trusted.confirm(claims.stamp)
    ways.learn_routes(core, key, link.peer, claims)
    if not link.sync_sent:
        link.peer_standing = Standing.ACCEPTS  # its SYNC overtook its STANDING
        send_sync(core, link, reply=False)
    elif claims.reply:
        send_sync(core, link, reply=False)
    if not _is_overtaken(core, link, key, claims.stamp):
        _learn(core, link, key, claims)
    link.phase = Phase.SYNCED
    _note_room(core, link, key, claims)
    core.peerings[link.connection].come_near()
    core.mark_ready(key)


def _on_late_sync(core: Core, link: BridgedLink, key: PairKey, claims: SyncClaims) -> None:
    """A SYNC from a queue may be days old. One that answers our challenge is compared as usual, with the state when the
    challenge was drawn; from any other, only what stays true is used (PROTOCOL B1)."""
    fresh = bool(link.own_challenge) and claims.nonce == link.own_challenge
    if not fresh and claims.stamp <= sessions.pair(core.db, *key).stamp_seen:
        return
    link.features = claims.extensions.features
    releases.agree(core, link)
    ways.learn_routes(core, key, link.peer, claims)
    _note_room(core, link, key, claims)
    link.peer_challenge = claims.challenge or link.peer_challenge
    if fresh:
        questions.heard(core, link, key)
        _learn(core, link, key, claims)
        link.own_challenge = b""
    else:
        holdings.settle_held(core, link, claims)
    if claims.reply and (ways.is_open(core, link, key) and send_sync(core, link, reply=False)):
        link.peer_challenge = b""  # otherwise the next SYNC answers it
    core.mark_ready(key)


def _note_room(core: Core, link: Link, key: PairKey, claims: SyncClaims) -> None:
    """A peer that had no room sends its view unasked once it has some."""
    answers, link.awaits_view = link.awaits_view, False
    if not (answers or claims.reply):
        core.pace(key).paused = 0.0


def _is_overtaken(core: Core, link: Link, key: PairKey, stamp: int) -> bool:
    """Whether a newer SYNC from the same run of the peer came on another link. SYNCs of an earlier run do not count:
    the peer's clock may have gone back with its store, and the link's nonce proves that this one is fresh."""
    return any(
        other.stamp_seen > stamp and other.incarnation == link.incarnation
        for other in core.links.get(key, [])
        if other is not link
    )


def _learn(core: Core, link: Link, key: PairKey, claims: SyncClaims) -> None:
    sessions.note_pair(core.db, *key, link.peer, gen_sent=_gen_floor(core, key, claims.gen))
    overtaken = _holds_more_by_now(core, link, key, claims)  # computed before sessions are given up
    _reconcile(core, link, key, claims)
    holdings.settle(core, link, claims, reopens=not overtaken)


def _holds_more_by_now(core: Core, link: Link, key: PairKey, claims: SyncClaims) -> bool:
    """Whether frames that came after this view, on another path, show that the peer holds more than it names: then what
    was settled is not lost. The peer is asked again, and a second such view in a row is believed: sending back what it
    holds costs a duplicate, not sending it would cost a message."""
    theirs = {view.sid: view for view in claims.sessions}
    behind = any(
        _is_late(core, link, held, view, claims)
        for held in core.pair_sessions(key)
        if (view := theirs.get(held.session.sid)) is not None or held.acked or held.session.received
    )
    link.behind, believed = behind and not link.behind, link.behind
    link.disagrees = link.disagrees or link.behind
    return behind and not believed


def _gen_floor(core: Core, key: PairKey, seen_by_peer: int) -> int:
    """After a rollback our own counter may be behind what the peer has accepted. Raises Malformed for a value that no
    clock of ours can have produced, since it would use up the counter."""
    sent = sessions.pair(core.db, *key).gen_sent
    if seen_by_peer > max(sent, core.now_ms() + GEN_LEAP_MS):
        raise Malformed("the SYNC names a generation far ahead")
    return max(sent, seen_by_peer)


def _open(core: Core, link: Link, frame: Sync) -> SyncClaims:
    hosted = core.host(link.agent)
    signed = hosted.unseal(frame.payload, _info(link.peer_device, hosted.local.device))
    claims = decode_sync(verify(link.peer_device, signed, SYNC_LABEL))
    nonce = link.own_challenge if not isinstance(link, BridgedLink) else claims.nonce  # in a queue it may be an old one
    said = (claims.agent, claims.device, claims.peer, claims.peer_device, claims.nonce)
    meant = (link.peer, link.peer_device, hosted.local.agent, hosted.local.device, nonce)
    if said != meant:
        raise Malformed("the SYNC is for another link")
    return claims


# --- sessions ---


def _reconcile(core: Core, link: Link, key: PairKey, claims: SyncClaims) -> None:
    theirs = {view.sid: view for view in claims.sessions}
    if isinstance(link, BridgedLink):
        ways.reconcile(core, link, key, theirs)
        ways.forget_heal(link, theirs, claims)
        return
    if link.heal.dead not in theirs:
        link.heal = replace(link.heal, required=False)
    link.resend.clear()
    for held in reversed(list(core.pair_sessions(key))):  # the successor inherits from the newest abandoned session
        sid = held.session.sid
        view = theirs.get(sid)
        outcome = compare(_mine(core, held, view), view)
        if outcome is not Outcome.GO_ON and not _is_late(core, link, held, view, claims):
            ended.give_up(core, link, key, held, view, outcome)
        elif held.frames:
            link.resend[sid] = max(held.acked, view.received if view else 0)


def _is_late(core: Core, link: Link, held: Held, view: SessionView | None, claims: SyncClaims) -> bool:
    """Whether the view was overtaken on another link: it was true when written, and shows no loss."""
    s = held.session
    if view is not None:
        behind = view.received < held.acked or view.sent < s.received
        return behind and core.heard.get(s.sid) == link.incarnation  # a store goes back only between two incarnations
    if s.initiator:
        carrier = core.init_links.get(s.sid)
        return claims.gen < s.gen and carrier is not None and carrier in core.links.get(core.pair_key(link), [])
    return claims.stamp < s.gen


def _mine(core: Core, held: Held, view: SessionView | None) -> MyView:
    s = held.session
    at = None if view is None else ended.hash_at(core, held, view.received)
    return MyView(s.confirmed, s.sent, held.acked, s.received, at)


def is_whole(core: Core, held: Held, at: int, frame: bytes) -> bool:
    """Whether a kept frame is the one that was sealed: the peer would take any other for a forgery."""
    before, behind = ended.hash_at(core, held, at), ended.hash_at(core, held, at + 1)
    return before is not None and after(before, frame) == behind


def lose(core: Core, link: Link, key: PairKey, held: Held) -> None:
    """The disk damaged something that the session needs: what it carried is sealed again in another one."""
    detail = "a session with it is damaged on this disk; a new one starts and nothing is lost"
    contacts.record(core.db, Event(link.agent, link.peer, "damaged", detail, core.now_ms()))
    if isinstance(link, BridgedLink):
        link.resend.pop(held.session.sid, None)
        ended.retire(core, key, held)
        core.mark_ready(key)
    else:
        _begin_anew(core, key, [held])
