"""What time alone brings: expiry, prekeys, dials that are due, silent connections, keys that must leave the files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.conversation.states import State
from p2p_agents.core.contact import consent, knocking, petition, sharing
from p2p_agents.core.delivery import integrity, quotas, sync
from p2p_agents.core.links import crowds, opening, presence
from p2p_agents.core.links.dialing import dial_due
from p2p_agents.core.pairing import exchange
from p2p_agents.core.relay import ways
from p2p_agents.core.turn import relays
from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.kem import SEED_BYTES, KemKey
from p2p_agents.limits import (
    BUNDLE_LIFE_MS,
    CLOCK_KEPT_MS,
    DAY_MS,
    EXPIRY_DAYS,
    HELLO_TIMEOUT_S,
    PAIRING_TRIES_MS,
    PREKEY_DAYS,
    REQUEST_DAYS,
)
from p2p_agents.link.routing import Target
from p2p_agents.store import agents, contacts, doors, entries, introductions, lived, outbox, pairings, sessions
from p2p_agents.store.agents import Prekey
from p2p_agents.wire.payload import ECHO_BYTES

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Peering
    from p2p_agents.store.outbox import Delivery

EXPIRY_PAGE = 200  # rows looked at per round
INDEX_PAGE = 200  # bodies indexed per round
SETTLE_S = 30.0  # after a start or resume, before anything expires: one attempt to reach everybody (PROTOCOL B12)


def second(core: Core) -> None:
    """Once a second."""
    if core.trusted.slept():
        resumed(core)
    presence.flush(core)
    dial_due(core)
    _end_silent(core)
    exchange.tick(core)
    for peering in list(core.peerings.values()):
        if peering.seek or core.now() >= peering.seek_at:
            opening.open_wanted(core, peering)
    for key, found in list(core.links.items()):
        for link in list(found):
            sync.ask_due(core, link)
        used = core.newest_link(key)
        if used is not None and used.way is None:
            sync.watch(core, used, key)
    relays.second(core)
    sharing.second(core)


def minute(core: Core) -> None:
    """Once a minute."""
    renew_prekeys(core)
    ways.discard_unmet(core)
    quotas.minute(core)
    relays.minute(core)
    if core.lived.now_ms() - lived.mark(core.db).lived_ms >= CLOCK_KEPT_MS:
        lived.keep(core.db, core.lived.mark())
    tried = core.now() - core.awake >= SETTLE_S
    if tried:
        expire(core)
    if core.trusted.look() and tried:
        _destroy_prekeys(core)
        pairings.forget(core.db, core.now_ms() - PAIRING_TRIES_MS)
    for found in core.links.values():
        for link in found:
            consent.proceed(core, link)
    for peering in core.peerings.values():
        crowds.vouch(core, peering)
    entries.index_words(core.db, INDEX_PAGE)
    integrity.look(core)


def resumed(core: Core) -> None:
    """The machine slept, or its interfaces changed: dial anew, and probe every link (PROTOCOL B12)."""
    core.awake = core.now()
    core.router.resumed(core.now())
    dial_due(core)
    knocking.resumed(core)
    for key, found in core.links.items():
        for link in found:
            link.asks.append(core.entropy.draw(ECHO_BYTES))
        core.mark_ready(key)


def _destroy_prekeys(core: Core) -> None:
    """In the store and in memory, where a node may run for months. One made under a clock that was ahead counts as
    made now: it would be neither renewed nor destroyed for as long as the clock was wrong."""
    agents.date_back_prekeys(core.db, core.now_ms(), core.now_ms() + DAY_MS)
    agents.destroy_prekeys(core.db, core.now_ms() - BUNDLE_LIFE_MS)
    for hosted in core.hosted.values():
        left = len(agents.prekeys(core.db, hosted.local.device))
        if left < len(hosted.prekeys):
            core.undo.append(partial(hosted.prekeys.extend, hosted.prekeys[left:]))
            del hosted.prekeys[left:]


def _end_silent(core: Core) -> None:
    """Connections without NODE, those of strangers that carry no link (PROTOCOL C3), and links with half a HELLO."""
    core.lately = {node: found for node, found in core.lately.items() if core.now() < found[0]}
    late = core.now() - HELLO_TIMEOUT_S
    for peering in list(core.peerings.values()):
        if any(link.up for link in peering.links.values()):
            peering.carried = core.now()
        if not peering.node and peering.opened < late:
            core.hang_up(peering.id, "silent")
            continue
        if peering.carried < late and _is_for_nothing(core, peering):
            core.hang_up(peering.id, "no_link")
            continue
        for link in list(peering.links.values()):
            if not link.up and link.opened < late:
                core.close_link(link, "silent")


def _is_for_nothing(core: Core, peering: Peering) -> bool:
    """What carries no link is kept where we would dial it: a node nearby, whose agents and codes are heard of so; and
    any while a code is shown or tried here, for it may come that way."""
    near = peering.dialed or core.router.announced(peering.node)
    return not near and not core.desk.shown() and not core.desk.trying()


def remember_places(core: Core) -> None:
    """At start: addresses that were given, and where contacts were last reached."""
    for place in contacts.places(core.db):
        core.router.want(Target(b"", place), [place], core.now())
    for hosted in core.hosted.values():
        for peer in contacts.linked(core.db, hosted.local.id):
            want(core, peer)


def want(core: Core, peer: bytes) -> None:
    """Keep dialling where the peer was reached, or is said to live; knock where it takes requests."""
    knocking.wanted(core, peer)
    for address, node in contacts.reached_at(core.db, peer):
        if node:
            core.router.want(Target(node), (), core.now(), peer=peer, proven=[address])
    for address, node in contacts.addresses(core.db, peer):
        core.router.want(Target(node) if node else Target(b"", address), [address], core.now())
    for node, address in introductions.leads(core.db, peer):
        core.router.want(Target(node), [address], core.now())


def seek(core: Core, peer: bytes) -> None:
    """Keep dialling where the peer was reached or seen, and open a link where a connection stands already."""
    want(core, peer)
    for node in core.sightings.get(peer, {}):
        core.router.want(Target(node), (), core.now())
    for peering in list(core.peerings.values()):
        opening.open_wanted(core, peering)


# --- expiry ---


def expire(core: Core) -> None:
    """Give up what nobody took in EXPIRY_DAYS that this node saw pass, and say so to its sender (PROTOCOL B6, B12)."""
    lived_ms = core.lived.now_ms()
    for row, sealed in outbox.expired(core.db, core.hosted, lived_ms - EXPIRY_DAYS * DAY_MS, EXPIRY_PAGE):
        petition.fail(core, row, _why(core, row), sealed=sealed)
    contacts.forget_requests(core.db, lived_ms - REQUEST_DAYS * DAY_MS)
    introductions.forget(core.db, lived_ms - REQUEST_DAYS * DAY_MS)
    doors.forget_askers(core.db)


def _why(core: Core, row: Delivery) -> str:
    """Reached but never let in, or never reached."""
    local = core.host(row.agent).local
    pair = sessions.pair(core.db, local.device, row.device)
    if not pair.heard_ms:  # a bridge may have kept a request, which is all that was asked for
        return "not accepted" if row.state is State.RELAYED else "expired: never reached"
    return "expired" if pair.gen_sent or pair.gen_seen else "not accepted"


# --- our agents' keys ---


def renew_prekeys(core: Core) -> None:
    for hosted in core.hosted.values():
        newest = agents.prekeys(core.db, hosted.local.device)[:1]
        if not newest or core.now_ms() - newest[0].created_ms > PREKEY_DAYS * DAY_MS:
            fresh_prekey(core, hosted)


def fresh_prekey(core: Core, hosted: Hosted) -> None:
    now_ms = core.now_ms()
    seed = core.entropy.draw(SEED_BYTES)
    expires_ms = now_ms + BUNDLE_LIFE_MS
    agents.add_prekey(core.db, hosted.local.device, Prekey(seed, now_ms, expires_ms))
    key = KemKey.from_seed(seed)
    hosted.prekeys.insert(0, key)
    speaker = hosted.speaker
    bundle = sign_bundle(speaker.key, speaker.identity.agent, key.public, expires_ms)
    hosted.speaker = replace(speaker, bundle=bundle)
