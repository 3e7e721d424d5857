"""Asking for acceptance over a bridge: what is owed to a peer that we never met waits, and a request is sent first.

A request is sent if no link comes up by itself, again an hour after the bridge kept it, and then at growing intervals;
the bridge's confirmation makes the message `relayed`. The peer's acceptance comes as routes, in a queue that the
request named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.conversation.states import State
from p2p_agents.core.contact import petition
from p2p_agents.core.contact.callers import knock_info
from p2p_agents.core.delivery import failures, sync
from p2p_agents.core.identity import talks
from p2p_agents.core.kernel.effects import Moved, PeersChanged, Post, ReadQueues
from p2p_agents.core.kernel.state import BridgedLink
from p2p_agents.core.relay import ways
from p2p_agents.crypto.kem import OVERHEAD_BYTES, seal
from p2p_agents.errors import BadIdentity
from p2p_agents.limits import KNOCK_AGAIN_MAX_S, KNOCK_AGAIN_S, KNOCK_BYTES, REQUEST_DAYS
from p2p_agents.link.bridge_news import in_words
from p2p_agents.store import contacts, doors, entries, outbox, queues, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import Standing, encode_frame
from p2p_agents.wire.knock import KNOCK_LABEL, Knock, KnockClaims, encode_knock
from p2p_agents.wire.relay_answers import Refusal
from p2p_agents.wire.route import Route

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Hosted, Link
    from p2p_agents.store.doors import Door
    from p2p_agents.wire.frame import Stand

DAY_S = 86_400.0
NEAR_FIRST_S = 2.0  # a peer nearby is linked within this time
LINKED_S = 60.0  # while a link carries our request
ANSWER_S = 180.0  # a bridge that has not answered by then never will
DOWN = Backoff(15.0, 600.0)  # after a bridge could not be reached
REFUSED = Backoff(60.0, 3_600.0)  # after a refusal: another try costs work
AGAIN = Backoff(KNOCK_AGAIN_S, KNOCK_AGAIN_MAX_S, factor=4)  # after a request that a bridge kept
NO_TOKEN = bytes(32)  # a public queue takes work instead
EXPIRED = "the peer's address has expired: ask for a fresh one"
LONG = "this agent's identity log is too long for a request over a bridge: pair instead"


@dataclass(slots=True)
class Knocking:
    """The state of our requests at one door. A cache: what must last is in the store."""

    due: float  # not before
    why: str = ""  # why nothing is kept there
    failures: int = 0


class Knocks(dict[tuple[int, bytes], Knocking]):
    """By (agent, peer): doors of peers that we never met."""


def restored(core: Core) -> None:
    """At start."""
    for door in (door for door in doors.doors(core.db) if door.agent in core.hosted):
        core.of(Knocks).setdefault((door.agent, door.peer), Knocking(core.now() + NEAR_FIRST_S))


def begin(core: Core, agent: int, peer: bytes) -> None:
    """A door became known; a known one may have moved."""
    core.undo.append(partial(core.of(Knocks).pop, (agent, peer), None))
    core.of(Knocks)[agent, peer] = Knocking(core.now() + NEAR_FIRST_S)


def wanted(core: Core, peer: bytes) -> None:
    """Something may be owed to the peer, and there is no link to it."""
    for (_, each), knocking in core.of(Knocks).items():
        if each == peer:
            knocking.due = min(knocking.due, core.now() + NEAR_FIRST_S)


def resumed(core: Core) -> None:
    """The machine slept: start our waits again."""
    for _, peer in core.of(Knocks):
        wanted(core, peer)


def second(core: Core) -> None:
    """Once a second."""
    now = core.now()
    for (agent, peer), knocking in list(core.of(Knocks).items()):
        if now >= knocking.due:
            _look(core, agent, peer, knocking)


def _look(core: Core, agent: int, peer: bytes, knocking: Knocking) -> None:
    """Knock, or find out when to look again."""
    door, talk = doors.door(core.db, agent, peer), talks.with_peer(core.host(agent), peer)
    entry = outbox.first_owed(core.db, agent, talk.id, peer)
    knocking.due = math.inf
    if door is None:
        del core.of(Knocks)[agent, peer]
        return
    if not _is_shut(core, door):
        return
    if entry is None:
        _rest(core, door, knocking)
        return
    if next(core.links_to(agent, peer), None) is not None:
        knocking.due = core.now() + LINKED_S
        return
    wait_s = (door.knocked_ms - core.lived.now_ms()) / 1000 + _patience(door, entry)
    if wait_s > 0:
        knocking.due = core.now() + wait_s
        return
    _knock(core, door, entry, knocking)


def _rest(core: Core, door: Door, knocking: Knocking) -> None:
    """There is nothing to ask for. An answer to an earlier request may come as long as the peer can send one."""
    left_s = (door.knocked_ms - core.lived.now_ms()) / 1000 + REQUEST_DAYS * DAY_S
    if not door.knocked_ms:
        return
    if left_s > 0:
        knocking.due = core.now() + left_s
    else:
        _leave(core, (core.host(door.agent).local.device, door.device))


def _leave(core: Core, key: PairKey) -> None:
    """No answer is expected any more: drop the queues for it, and the bridges that nothing else needs."""
    for own in queues.own_for(core.db, *key):
        queues.forget(core.db, own.queue)
        core.effect(ReadQueues(own.bridge, tuple(queues.readable_at(core.db, own.bridge))))


def _is_shut(core: Core, door: Door) -> bool:
    """Whether we would write to the peer and it has not accepted us."""
    contact = contacts.contact(core.db, door.agent, door.peer)
    wanted = contact is not None and contact.trust >= Trust.ACCEPTED and not contact.frozen
    return wanted and not queues.routes(core.db, core.host(door.agent).local.device, door.device)


def _patience(door: Door, entry: int) -> float:
    """Seconds between the last kept request and the next."""
    again = max(0, door.kept - 1) if entry == door.entry else 0
    return AGAIN.after(again) if door.knocked_ms else 0.0


def _knock(core: Core, door: Door, entry: int, knocking: Knocking) -> None:
    hosted = core.host(door.agent)
    key = (hosted.local.device, door.device)
    bundle = queues.bundle(core.db, door.peer, door.device)
    if bundle is None or bundle.expires_ms <= core.now_ms():
        knocking.why = EXPIRED
        return
    signed = _signed(core, hosted, door, entry)
    if len(signed) + OVERHEAD_BYTES > KNOCK_BYTES:
        knocking.why = LONG
        return
    sealed = seal(bundle.prekey, signed, knock_info(door.queue, door.peer, door.device))
    rows = tuple(
        d.id for d in outbox.deliveries(core.db, door.agent, entry) if (d.peer, d.device) == (door.peer, door.device)
    )
    route = Route(door.bridge, door.queue, NO_TOKEN, door.key)
    core.effect(Post(route, encode_frame(Knock(sealed)), 0, key, rows=rows, public=True))
    doors.knock(core.db, door.agent, door.peer, entry)
    knocking.due = core.now() + ANSWER_S


def _signed(core: Core, hosted: Hosted, door: Door, entry: int) -> bytes:
    local, speaker, record = hosted.local, hosted.speaker, entries.load(core.db, entry)
    key = (local.device, door.device)
    stamp = sync.rising(sessions.pair(core.db, *key), core.now_ms())
    sessions.note_pair(core.db, *key, door.peer, stamp_sent=stamp)
    claims = KnockClaims(
        local.agent,
        local.device,
        door.peer,
        record.hash,
        petition.preview(core, record),
        stamp,
        speaker.identity.entries,
        speaker.bundle,
        speaker.name,
        speaker.kind,
        ways.routes_for(core, key, door.peer, door.bridge),
    )
    return speaker.key.sign(encode_knock(claims), KNOCK_LABEL)


# --- results ---


def stored(core: Core, post: Post) -> None:
    """The bridge keeps it, and nothing more is known (PROTOCOL B7)."""
    door, knocking = _door_of(core, post)
    for agent, entry in outbox.relayed(core.db, post.rows, core.now_ms()):
        core.effect(Moved(agent, entry))
    if door is None or knocking is None:
        return
    doors.note_kept(core.db, door.agent, door.peer, core.lived.now_ms())
    knocking.due, knocking.why, knocking.failures = core.now() + NEAR_FIRST_S, "", 0


def refused(core: Core, post: Post, code: str, retry_ms: int, *, down: bool) -> None:
    """The bridge did not keep it."""
    _, knocking = _door_of(core, post)
    if knocking is None:
        return
    least = (DOWN if down else REFUSED).after(knocking.failures)
    if not down and code == Refusal.RATE:
        least = DOWN.first_s
    knocking.failures = min(knocking.failures + 1, 16)
    knocking.due = core.now() + max(retry_ms / 1000, least)
    knocking.why = f"bridge {ways.host_of(post.route.bridge)}: {in_words(code)}"
    core.effect(PeersChanged())


def bridge_up(core: Core, bridge: str) -> None:
    """What failed there may work now."""
    for (agent, peer), knocking in core.of(Knocks).items():
        door = doors.door(core.db, agent, peer) if knocking.why else None
        if door is not None and door.bridge == bridge:
            knocking.due = core.now()


def on_standing(core: Core, link: Link, frame: Stand) -> None:
    """An answer to our request; the queue it came by was named to nobody but the peer."""
    door = doors.door(core.db, link.agent, link.peer)
    if not isinstance(link, BridgedLink) or link.way.routes or door is None or door.device != link.peer_device:
        raise BadIdentity("a STANDING came over a bridge from somebody who was not asked")
    if frame.standing is Standing.CLOSED:
        doors.forget(core.db, link.agent, link.peer)
        failures.give_up(core, link.agent, link.peer)
        _leave(core, core.pair_key(link))
        core.effect(PeersChanged())


def why(core: Core, agent: int, peer: bytes, state: State) -> str | None:
    """What a message to a peer we never met waits for; None if it does not wait for this."""
    door = doors.door(core.db, agent, peer)
    if door is None or not _is_shut(core, door):
        return None
    knocking = core.of(Knocks).get((agent, peer))
    if knocking is not None and knocking.why:
        return knocking.why
    return "awaits acceptance" if state is State.RELAYED else None


def _door_of(core: Core, post: Post) -> tuple[Door | None, Knocking | None]:
    hosted = core.hosted.of_device(post.pair[0])
    door = doors.door_at(core.db, hosted.local.id, post.route.queue) if hosted else None
    return door, core.of(Knocks).get((door.agent, door.peer)) if door else None
