"""A peer that was met by a pairing code becomes a contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.contact import directory
from p2p_agents.core.identity import adoption
from p2p_agents.core.pairing import linking
from p2p_agents.core.pairing.desk import Display, Join
from p2p_agents.core.relay import ways
from p2p_agents.crypto.identity import merge
from p2p_agents.errors import BadIdentity, BadName, IdentityFork, LocalFault
from p2p_agents.store import agents, contacts
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.pairing import Purpose

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.crypto.introduction import Peer
    from p2p_agents.link.pairing import Met


class Unwelcome(LocalFault):
    """A contact that was blocked or frozen here; only a human's decision lets it in, never a code."""


def met(core: Core, owner: Display | Join, found: Met) -> tuple[Hosted, bytes, bytes]:
    """Our agent, the id of the agent that was met, and what a displayer sends to its joiner; both may be the same
    agent."""
    if owner.purpose is Purpose.LINK and isinstance(owner, Join):
        hosted = linking.settle(core, owner, found)
        return hosted, hosted.local.agent, b""
    hosted = core.host(owner.agent)
    if isinstance(owner, Display):
        owner.device = found.peer.device
        if owner.purpose is Purpose.LINK:
            return hosted, hosted.local.agent, linking.admit(core, hosted, owner, found.peer)
    peer = keep(core, hosted, found.peer, owner.petname)
    ways.met(core, hosted, peer, found.peer, owner.prepared)
    return hosted, peer, b""


def keep(core: Core, hosted: Hosted, peer: Peer, petname: str | None) -> bytes:
    """Store the identity and the contact, with trust `paired` or more; returns its id. Stores everything, or raises a
    PeerFault or Unwelcome and stores nothing."""
    assert peer.identity is not None
    agent, local = peer.identity.agent, hosted.local.id
    earlier = contacts.contact(core.db, local, agent)
    if earlier is not None and (earlier.trust is Trust.BLOCKED or earlier.frozen):
        raise Unwelcome(f"{earlier.name} is {'frozen' if earlier.frozen else 'blocked'} here")
    identity = _merged(core, peer.identity)
    if peer.device not in identity.devices:
        raise BadIdentity("the device is no longer the agent's")
    with core.db.savepoint():
        adoption.adopt(core, identity)
        trust = max(Trust.PAIRED, earlier.trust) if earlier else Trust.PAIRED
        contacts.save_contact(core.db, local, agent, name=peer.name, kind=peer.kind, trust=trust, now_ms=core.now_ms())
        contacts.announce(core.db, local, agent, peer.name, peer.kind)
        contacts.settle_request(core.db, local, agent, "accepted")
        _name(core, hosted, agent, petname)
    return agent


def _merged(core: Core, offered: Identity) -> Identity:
    """The log as shown, merged with what is known of it. A fork freezes the contact (PROTOCOL E2)."""
    try:
        return merge(agents.load_identity(core.db, offered.agent), 0, offered.entries)
    except IdentityFork as fork:
        adoption.freeze(core, offered.agent, fork)
        raise


def _name(core: Core, hosted: Hosted, agent: bytes, petname: str | None) -> None:
    """Give it the name that the human chose, unless another contact got that name meanwhile."""
    if petname is None:
        return
    try:
        contacts.set_petname(core.db, hosted.local.id, agent, directory.check_petname(core, hosted, agent, petname))
    except BadName:
        return
