"""How many links and protected connections one peer may have, so that some are left for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.identity import family
from p2p_agents.core.kernel.effects import Vouch
from p2p_agents.core.kernel.state import Phase
from p2p_agents.errors import Flood
from p2p_agents.limits import LINKS_OF_A_PAIR, PLACES_OF_A_CONTACT, STRANGER_LINKS, STRANGER_LINKS_NEAR
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import GHOST, Standing

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Link, Peering

OVERRUN_S = 600.0  # how long we go slowly at a node that cut us off for a flood


def is_full_of_strangers(core: Core, peering: Peering) -> bool:
    """A link costs memory: strangers get few of them on a connection, contacts as many as they need."""
    strange = (
        link
        for link in peering.links.values()
        if link.phase is Phase.ANSWERED or contacts.contact(core.db, link.agent, link.peer) is None
    )
    return sum(1 for _ in strange) >= (STRANGER_LINKS_NEAR if peering.near else STRANGER_LINKS)


def may_ask(peering: Peering) -> bool:
    """Until a node lets one of our agents in, we are strangers to it, and many OPENs at once look like a flood: one
    link at a time, until the first CREDIT after it tells how the other side regards us."""
    ours = [link for link in peering.links.values() if link.phase is not Phase.ANSWERED]
    let_in = any(link.allowance.granted and link.peer_standing is Standing.ACCEPTS for link in ours)
    return let_in or all(link.allowance.granted for link in ours)


def is_let_in(core: Core, agent: int, peer: bytes) -> bool:
    """Whether a link between the two is wanted."""
    contact = contacts.contact(core.db, agent, peer)
    return agent in core.hosted and contact is not None and contact.trust >= Trust.ACCEPTED and not contact.frozen


def note_end(core: Core, peering: Peering | None, why: str) -> None:
    """A node that took our many OPENs for a flood, because others use up what it grants to all contacts, is asked
    slowly."""
    if peering is not None and peering.near and why == Flood.code:
        core.overrun = {node: until for node, until in core.overrun.items() if core.now() < until}
        core.overrun[peering.node] = core.now() + OVERRUN_S


def pace(core: Core, peering: Peering) -> None:
    """The peer told which node it is: slow down if it cut us off recently."""
    if core.now() < core.overrun.get(peering.node, 0.0):
        peering.slow_down()


def thin_out(core: Core, key: PairKey) -> None:
    """Two agents need one link: close the oldest extra ones, on whatever connection."""
    for spare in core.links[key][:-LINKS_OF_A_PAIR]:
        core.close_link(spare, GHOST)
        vouch(core, core.peerings[spare.connection])


def vouch(core: Core, peering: Peering) -> None:
    """A connection that carries the link of a contact or of our own device keeps its place when strangers crowd in;
    only some connections of each contact do, so that none takes all places."""
    known = not peering.dialed and any(_keeps_place(core, peering, link) for link in peering.links.values())
    if known != peering.vouched:
        peering.vouched = known
        core.effect(Vouch(peering.id, known))


def _keeps_place(core: Core, peering: Peering, link: Link) -> bool:
    return link.up and _is_known(core, link) and (peering.vouched or _places(core, link.peer) < PLACES_OF_A_CONTACT)


def _is_known(core: Core, link: Link) -> bool:
    contact = contacts.contact(core.db, link.agent, link.peer)
    return family.is_own(core, link) or (contact is not None and contact.trust >= Trust.ACCEPTED)


def _places(core: Core, peer: bytes) -> int:
    """Connections kept for the peer, or for another agent that is there too."""
    linked = {link.connection for found in core.links.values() for link in found if link.peer == peer}
    return sum(core.peerings[connection].vouched for connection in linked)
