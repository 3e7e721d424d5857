"""Stores a contact's identity log and applies it at once: added and revoked devices, rotations, forks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.core.identity import family
from p2p_agents.core.kernel import sessions as ended
from p2p_agents.core.kernel.effects import ReadQueues
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.identity import merge
from p2p_agents.errors import IdentityFork, IdentityRollback
from p2p_agents.link.hello import FINGERPRINT_CHARS
from p2p_agents.store import agents, contacts, outbox, queues, sessions
from p2p_agents.store.contacts import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.crypto.identity import Identity

REVOKED = "revoked"  # the link's device was revoked
RESET = "reset"  # a human forgot the contact: it is a stranger again
FROZEN = "frozen"  # the contact's identity forked, and it showed no rotation that settles it


def adopt(core: Core, offered: Identity) -> Identity:
    """Merge a peer's log into the known one and apply it; returns the merged log.

    An older log changes nothing; a fork freezes the peer. Raises BadIdentity for another agent's device, or for entries
    that a thief of our own root key added.
    """
    agent = offered.agent
    family.check_growth(core, offered)
    known = agents.load_identity(core.db, agent)
    try:
        identity = merge(known, 0, offered.entries) if known else offered
    except IdentityRollback:
        assert known is not None
        return known
    except IdentityFork as fork:
        assert known is not None
        freeze(core, agent, fork)
        return known
    if known is None or identity.head != known.head:
        damaged = agents.is_damaged(core.db, agent)
        agents.save_identity(core.db, identity)
        if damaged:
            _record(core, agent, "damaged", "its identity log was damaged on this disk; it showed it again")
        family.speak_as(core, identity)
        _tell(core, known, identity)
        _obey(core, identity)
    return identity


def freeze(core: Core, agent: bytes, fork: IdentityFork) -> None:
    """Stop all exchange with the peer (PROTOCOL E2), and tell a human."""
    final = bool(fork.details.get("final"))
    lasts = "nothing but trust reset lifts it" if final else "a rotation of its root key lifts it"
    contacts.freeze(core.db, agent, f"{fork.message}; {lasts}", final=final)
    _record(core, agent, fork.code, f"{fork.message}: the contact is frozen; {lasts}")
    close_links(core, agent, FROZEN)


def close_links(core: Core, agent: bytes, code: str) -> None:
    """End every link to a peer."""
    for found in list(core.links.values()):
        for link in list(found):
            if link.peer == agent:
                core.close_link(link, code)


def part(core: Core, hosted: Hosted, peer: bytes) -> None:
    """End the links, sessions and queues between one of our agents and a peer that a human forgot."""
    for link in list(core.links_to(hosted.local.id, peer)):
        core.close_link(link, RESET)
    for device in sessions.peer_devices(core.db, hosted.local.device, peer):
        forget_device(core, hosted, peer, device)


def forget_device(core: Core, hosted: Hosted, agent: bytes, device: bytes) -> None:
    """Destroy what was shared with a device; what it was owed waits for another one."""
    key = (hosted.local.device, device)
    for link in list(core.links.get(key, [])):
        core.close_link(link, REVOKED)
    for held in list(core.pair_sessions(key)):
        ended.retire(core, key, held)
    sessions.forget_pair(core.db, *key)
    _forget_queues(core, key)
    core.ways.remove(key)
    core.paces.pop(key, None)
    outbox.orphan(core.db, hosted.local.id, agent, device)


def _forget_queues(core: Core, key: PairKey) -> None:
    """Tell the bridges that ours are no longer read: they drop them, and refuse what comes for them."""
    left = dict.fromkeys(own.bridge for own in queues.own_for(core.db, *key))
    queues.forget_pair(core.db, *key)
    for bridge in left:
        core.effect(ReadQueues(bridge, tuple(queues.readable_at(core.db, bridge))))


def _obey(core: Core, identity: Identity) -> None:
    """Devices that were revoked lose their sessions, links and outbox (PROTOCOL E3)."""
    agent = identity.agent
    for hosted in core.hosted.values():
        for device in agents.gone_devices(core.db, agent):
            forget_device(core, hosted, agent, device)
        for link in core.links_to(hosted.local.id, agent):
            core.undo.append(partial(setattr, link, "identity", link.identity))
            link.identity = identity
            outbox.bind_device(core.db, hosted.local.id, agent, link.peer_device)


def _tell(core: Core, known: Identity | None, identity: Identity) -> None:
    """Record key events for the human who trusts this contact."""
    if known is None:
        return
    if identity.rotated > known.rotated:
        detail = f"it replaced its root key by the one it had committed to, in identity entry {identity.rotated}"
        _record(core, identity.agent, "identity_rotated", detail)
        if contacts.thaw(core.db, identity.agent):
            _record(core, identity.agent, "identity_thawed", "the rotation settled the fork: no longer frozen")
    came = [device for device in identity.devices if device not in known.devices]
    went = [device for device in known.devices if device not in identity.devices]
    if came:
        _record(core, identity.agent, "device_added", f"it has a new device: {_named(came)}")
    if went:
        _record(core, identity.agent, "device_revoked", f"no longer its device: {_named(went)}")


def _named(devices: Iterable[bytes]) -> str:
    return ", ".join(id_text(device)[:FINGERPRINT_CHARS] for device in devices)


def _record(core: Core, agent: bytes, kind: str, detail: str) -> None:
    """For each agent of this node that has the contact."""
    for hosted in core.hosted.values():
        if contacts.contact(core.db, hosted.local.id, agent) is not None:
            contacts.record(core.db, Event(hosted.local.id, agent, kind, detail, core.now_ms()))
