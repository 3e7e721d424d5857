"""What a valid HELLO must still satisfy before its link is up, and who is told of an invalid one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p_agents.core.identity import adoption, family
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import BadIdentity, IdentityFork
from p2p_agents.store import agents, contacts
from p2p_agents.store.contacts import Event, Trust

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.errors import PeerFault
    from p2p_agents.link.hello import Proven

log = logging.getLogger(__name__)

FELL_BEHIND = (
    "it knows a newer identity log of this agent than this node holds: this installation was revoked or replaced, or"
    " its files are an old copy"
)


def check(core: Core, link: Link, proven: Proven) -> None:
    """A device key belongs to one agent for ever (PROTOCOL E1), and only a rotation ends a freeze (E2). Raises
    BadIdentity."""
    owner = agents.owner_of(core.db, proven.claims.device)
    if owner is not None and owner != link.peer:
        raise BadIdentity("the device key belongs to another agent")
    family.check_growth(core, proven.identity)
    contact = contacts.contact(core.db, link.agent, link.peer)
    rotated = link.identity is not None and proven.identity.rotated > link.identity.rotated
    if contact is not None and contact.frozen and (contact.final or not rotated):
        raise BadIdentity(f"the contact is frozen: {contact.frozen}")


def failed(core: Core, link: Link, fault: PeerFault) -> None:
    """A HELLO was invalid. If it came in a contact's name, a human is told."""
    contact = contacts.contact(core.db, link.agent, link.peer)
    level = logging.DEBUG if contact is None else logging.WARNING
    log.log(level, "link to %s refused: %s: %s", id_text(link.peer)[:10], fault.code, fault.message)
    if isinstance(fault, IdentityFork):
        adoption.freeze(core, link.peer, fault)
    elif isinstance(fault, BadIdentity) and contact is not None and not contact.frozen:
        contacts.record(core.db, Event(link.agent, link.peer, fault.code, fault.message, core.now_ms()))


def look_back(core: Core, link: Link, own: Identity, proven: Proven) -> None:
    """Check whether the peer holds more of our identity log than we do."""
    if len(own.devices) > 1:  # another device may have added to it, and will tell us
        return
    if proven.claims.held_n > own.n + 1 and not own.rotated:  # after a rotation it may be a superseded tail
        fell_behind(core, link)


def fell_behind(core: Core, link: Link) -> None:
    """A proven contact has a newer log of ours than we do: a human is told."""
    contact = contacts.contact(core.db, link.agent, link.peer)
    if contact is not None:
        hosted = core.host(link.agent)
        if contact.trust >= Trust.ACCEPTED:
            hosted.outdated = hosted.speaker.identity.n
        contacts.record(core.db, Event(link.agent, link.peer, "identity_behind", FELL_BEHIND, core.now_ms()))
