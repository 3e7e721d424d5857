"""How our agents regard peers, as sent in HELLO and STANDING (PROTOCOL B11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.link.admission import Policy, standing_of
from p2p_agents.store import allowed, contacts
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import Standing

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted


def towards(core: Core, hosted: Hosted, peer: bytes) -> Standing:
    """How our agent regards a peer."""
    contact = contacts.contact(core.db, hosted.local.id, peer)
    if contact is not None and (contact.trust is Trust.BLOCKED or contact.frozen):
        return Standing.CLOSED
    accepted = (contact is not None and contact.trust >= Trust.ACCEPTED) or allowed.holds(
        core.db, hosted.local.id, peer
    )
    if not accepted:
        earlier = contacts.request(core.db, hosted.local.id, peer)
        if earlier is not None and earlier.state == "rejected":
            return Standing.CLOSED
    return standing_of(Policy(hosted.local.policy), accepted=accepted)
