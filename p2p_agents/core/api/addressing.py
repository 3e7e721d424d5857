"""Addresses that people pass on: our own, where strangers may knock, and others', where we may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2p_agents.core.api import showing
from p2p_agents.core.contact import directory, knocking
from p2p_agents.core.contact.directory import Known
from p2p_agents.core.contact.naming import Names
from p2p_agents.core.identity import adoption
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.core.kernel.effects import PeersChanged, ReadQueues
from p2p_agents.core.relay import ways
from p2p_agents.crypto.request_address import PublicQueue, is_address, read, show
from p2p_agents.errors import AddressTooLong, BadAddress, BadIdentity, NoBridge, PeerUnknown
from p2p_agents.store import agents, contacts, doors, outbox, queues, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.store.doors import Door

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.crypto.request_address import RequestAddress
    from p2p_agents.store.queues import OwnQueue

Json = dict[str, Any]

WITHDRAWN = {"address": None, "bridge": None, "expires": None, "queue": None}


# --- our own ---


def address(core: Core, params: Json) -> Json:
    """The agent's address, created if missing, or withdrawn; with its queue's name, for asking the bridge about it.

    Raises NoBridge or AddressTooLong.
    """
    hosted = core.acting(params["agent"])
    own = queues.public_of(core.db, hosted.local.device)
    if params["off"]:
        if own is not None:
            _drop(core, own)
        return dict(WITHDRAWN)
    own = _kept(core, own) or _make(core, hosted)
    speaker, local = hosted.speaker, hosted.local
    at = PublicQueue(own.bridge, own.queue, own.key, local.name, local.kind)
    shown = show(speaker.key, speaker.identity, speaker.bundle, at)
    if not shown:
        raise AddressTooLong
    return {
        "address": shown,
        "bridge": own.bridge,
        "expires": time_text(agents.prekeys(core.db, local.device)[0].expires_ms),
        "queue": own.queue,
    }


def _kept(core: Core, own: OwnQueue | None) -> OwnQueue | None:
    """The existing queue, unless its bridge is no longer used."""
    if own is None or ((bridge := core.bridges.get(own.bridge)) is not None and bridge.configured):
        return own
    _drop(core, own)
    return None


def _make(core: Core, hosted: Hosted) -> OwnQueue:
    bridge = next((address for address, bridge in core.bridges.items() if bridge.configured), None)
    if bridge is None:
        raise NoBridge("an address names a queue at a bridge, and this node uses none")
    own = ways.make_queue(core, bridge, hosted.local.device, b"", hosted.local.agent, public=True)
    core.effect(ReadQueues(bridge, tuple(queues.readable_at(core.db, bridge))))
    return own


def _drop(core: Core, own: OwnQueue) -> None:
    """What is stored in it is forgotten with it."""
    queues.forget(core.db, own.queue)
    core.effect(ReadQueues(own.bridge, tuple(queues.readable_at(core.db, own.bridge))))


# --- others' ---


def add(core: Core, params: Json) -> Json:
    """Answers like peers.add for an address that is dialed."""
    hosted = core.acting(params["agent"])
    found, known = _learn(core, hosted, params["address"])
    return {
        "address": f"bridge {ways.host_of(found.at.bridge)}",
        "agents": [showing.peer(core, hosted, known, Names(core, hosted))],
    }


def meant(core: Core, hosted: Hosted, word: str) -> Known:
    """The peer that a word means, which may be an address. Raises PeerUnknown, PeerAmbiguous, BadAddress,
    AddressExpired."""
    return _learn(core, hosted, word)[1] if is_address(word) else directory.resolve(core, hosted, word)


def _learn(core: Core, hosted: Hosted, word: str) -> tuple[RequestAddress, Known]:
    """Store whose address it is and where to knock. This does not let anybody write to us."""
    found = read(word, core.now_ms())
    agent, peer = hosted.local.id, found.agent
    if peer == hosted.local.agent:
        raise PeerUnknown(f"this is the address of {hosted.local.name}, the agent you act for")
    local = core.hosted_id(peer)
    if local is not None:
        return found, Known(peer, local.local.name, local.local.kind, None, Trust.ACCEPTED)
    try:
        identity = adoption.adopt(core, found.identity)
    except BadIdentity as fault:
        raise BadAddress(f"the address contradicts what is known: {fault.message}") from fault
    if found.device not in identity.devices:
        raise BadAddress("the address is of a device that the agent has revoked", hint="ask for a fresh one")
    contact = contacts.contact(core.db, agent, peer) or contacts.save_contact(
        core.db, agent, peer, name=found.at.name, kind=found.at.kind, trust=Trust.UNKNOWN, now_ms=core.now_ms()
    )
    _keep_door(core, hosted, found)
    core.effect(PeersChanged())
    return found, Known(peer, contact.name, contact.kind, contact.petname, contact.trust)


def _keep_door(core: Core, hosted: Hosted, found: RequestAddress) -> None:
    agent, peer, at = hosted.local.id, found.agent, found.at
    earlier = doors.door(core.db, agent, peer)
    queues.keep_bundle(core.db, found.bundle, core.now_ms())
    sessions.note_pair(core.db, hosted.local.device, found.device, peer, heard_ms=0)
    outbox.bind_device(core.db, agent, peer, found.device)
    if earlier is None or (earlier.device, earlier.queue, earlier.key) != (found.device, at.queue, at.key):
        doors.learn(core.db, Door(agent, peer, found.device, at.bridge, at.queue, at.key))
    knocking.begin(core, agent, peer)
