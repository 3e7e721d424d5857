"""What happens by time alone: expiry, prekeys, due dials, silent connections, keys to be removed from the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.states import State
from p2p_agents.core.agents import remains
from p2p_agents.core.contact import consent, knocking, sharing
from p2p_agents.core.delivery import bulk, failures, integrity, quotas, sync
from p2p_agents.core.identity import prekeys
from p2p_agents.core.kernel.state import BridgedLink
from p2p_agents.core.links import crowds, opening, presence
from p2p_agents.core.links.dialing import dial_due
from p2p_agents.core.pairing import exchange
from p2p_agents.core.pairing.desk import Desk
from p2p_agents.core.relay import ways
from p2p_agents.core.turn import relays
from p2p_agents.limits import (
    CLOCK_KEPT_MS,
    DAY_MS,
    EXPIRY_DAYS,
    HELLO_TIMEOUT_S,
    PAIRING_TRIES_MS,
    REQUEST_DAYS,
)
from p2p_agents.store import contacts, doors, entries, introductions, lived, outbox, pairings, sessions
from p2p_agents.wire.payload import ECHO_BYTES

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Peering
    from p2p_agents.store.outbox import Delivery

EXPIRY_PAGE = 200  # rows looked at per round
INDEX_PAGE = 200  # bodies indexed per round
SETTLE_S = 30.0  # after a start or resume, nothing expires for this time: one attempt to reach everybody (PROTOCOL B12)


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
        else:
            opening.go_on(core, peering)
    for key, found in list(core.links.items()):
        for link in list(found):
            sync.ask_due(core, link)
        used = core.newest_link(key)
        if used is not None and not isinstance(used, BridgedLink):
            sync.watch(core, used, key)
    relays.second(core)
    sharing.second(core)
    bulk.second(core)
    remains.second(core)


def minute(core: Core) -> None:
    """Once a minute."""
    prekeys.renew(core)
    exchange.forget_prepared(core)
    quotas.minute(core)
    relays.minute(core)
    ways.leave_unused(core)
    if core.lived.now_ms() - lived.mark(core.db).lived_ms >= CLOCK_KEPT_MS:
        lived.keep(core.db, core.lived.mark())
    tried = core.now() - core.awake >= SETTLE_S
    if tried:
        expire(core)
    if core.trusted.look() and tried:
        prekeys.destroy_old(core)
        pairings.forget(core.db, core.now_ms() - PAIRING_TRIES_MS)
    for found in core.links.values():
        for link in found:
            consent.proceed(core, link)
    for peering in core.peerings.values():
        crowds.vouch(core, peering)
    entries.index_words(core.db, INDEX_PAGE)
    integrity.look(core)


def resumed(core: Core) -> None:
    """The machine slept, or its interfaces changed: dial again, and probe every link (PROTOCOL B12)."""
    core.awake = core.now()
    core.router.resumed(core.now())
    dial_due(core)
    knocking.resumed(core)
    for key, found in core.links.items():
        for link in found:
            link.asks.append(core.entropy.draw(ECHO_BYTES))
        core.mark_ready(key)


def _end_silent(core: Core) -> None:
    """Close connections without NODE, strangers' connections without a link (PROTOCOL C3), and links with half a
    HELLO."""
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
    """Whether nothing needs a connection that carries no link: we did not dial it, its node is not announced nearby
    (such nodes tell us of their agents and codes), and no code is shown or tried here that could be met on it."""
    near = peering.dialed or core.router.announced(peering.node)
    return not near and not core.of(Desk).shown() and not core.of(Desk).trying()


# --- expiry ---


def expire(core: Core) -> None:
    """Give up what nobody took within EXPIRY_DAYS that this node saw pass, and tell its sender (PROTOCOL B6, B12)."""
    lived_ms = core.lived.now_ms()
    for row, sealed in outbox.expired(core.db, core.hosted, lived_ms - EXPIRY_DAYS * DAY_MS, EXPIRY_PAGE):
        failures.fail(core, row, _why(core, row), sealed=sealed)
    contacts.forget_requests(core.db, lived_ms - REQUEST_DAYS * DAY_MS)
    introductions.forget(core.db, lived_ms - REQUEST_DAYS * DAY_MS)
    doors.forget_askers(core.db)
    consent.forget_strangers(core)


def _why(core: Core, row: Delivery) -> str:
    """Reached but never accepted, or never reached."""
    local = core.host(row.agent).local
    pair = sessions.pair(core.db, local.device, row.device)
    if not pair.heard_ms:  # a bridge may have kept a request, and more was not possible
        return "not accepted" if row.state is State.RELAYED else "expired: never reached"
    return "expired" if pair.gen_sent or pair.gen_seen else "not accepted"


# --- our agents' keys ---
