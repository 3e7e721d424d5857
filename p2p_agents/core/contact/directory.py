"""The agents around: what records claim, what links prove, and whom a person's word means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.core.kernel.state import Sighting
from p2p_agents.core.links import opening
from p2p_agents.core.links.dialing import dial_due
from p2p_agents.crypto.fingerprint import ID_CHARS, id_text, is_id_prefix, parse_id
from p2p_agents.errors import BadName, Malformed, PeerAmbiguous, PeerUnknown
from p2p_agents.limits import DISCOVERED_AGENTS
from p2p_agents.link.routing import Target
from p2p_agents.output import did_you_mean
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.names import check_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.wire.advert import Advert
    from p2p_agents.wire.frame import RosterAgent

CANDIDATES_SHOWN = 8
NODES_PER_AGENT = 8  # nodes that records may name for one agent
ID_LIKE_CHARS = 16  # letters of the id alphabet: nobody's name, since people could take it for an id
_agent_id = lru_cache(maxsize=DISCOVERED_AGENTS)(parse_id)  # people write to the same few again and again


@dataclass(frozen=True, slots=True)
class Known:
    """One agent, as one of ours knows it."""

    agent: bytes
    name: str
    kind: str
    petname: str | None
    trust: Trust


# --- records ---


def found(core: Core, source: str, advert: Advert, addresses: Sequence[str]) -> None:
    """A record was received: reason to dial, not to believe."""
    if advert.node == core.node:
        return
    nodes = core.sightings.setdefault(advert.agent, {})
    earlier = nodes.get(advert.node)
    sources = {source} | (earlier.sources if earlier else set())
    nodes[advert.node] = Sighting(advert.name, advert.kind, advert.status, advert.incarnation, sources)
    _forget_excess(core, nodes)
    core.router.found(advert.node, advert.incarnation, addresses, core.now())
    if contacts.is_unmet(core.db, advert.agent):
        core.router.want(Target(advert.node), (), core.now())
    dial_due(core)
    for peering in list(core.peerings.values()):
        if peering.node == advert.node:
            opening.open_to(core, peering, advert.agent)
    core.effect(PeersChanged())


def _forget_excess(core: Core, nodes: dict[bytes, Sighting]) -> None:
    """Anyone on the LAN may invent records: beyond the limits the oldest go, except those of contacts."""
    while len(nodes) > NODES_PER_AGENT:  # inventions do not push out nodes heard first or connected
        nodes.pop(next((node for node in reversed(nodes) if not core.router.connections(node)), next(iter(nodes))))
    for _ in range(len(core.sightings) - DISCOVERED_AGENTS):
        _forget_oldest(core)


def _forget_oldest(core: Core) -> None:
    """A contact that becomes the oldest counts as new, so that it is looked at only once in as many records as are
    kept."""
    for _ in range(len(core.sightings)):
        agent = next(iter(core.sightings))
        nodes = core.sightings.pop(agent)
        if not contacts.is_linked(core.db, agent):
            break
        core.sightings[agent] = nodes
    else:
        nodes = core.sightings.pop(next(iter(core.sightings)))
    for node in nodes:
        _lose_node(core, node)


def lost(core: Core, source: str, agent: bytes, incarnation: int) -> None:
    """A record was withdrawn."""
    nodes = core.sightings.get(agent, {})
    for node, sighting in list(nodes.items()):
        if sighting.incarnation == incarnation:
            sighting.sources.discard(source)
            if not sighting.sources:
                del nodes[node]
                _lose_node(core, node)
    if not nodes:
        core.sightings.pop(agent, None)
    core.effect(PeersChanged())


def _lose_node(core: Core, node: bytes) -> None:
    if not any(node in nodes for nodes in core.sightings.values()):
        core.router.lost(node)


# --- known agents ---


def everyone(core: Core, hosted: Hosted) -> list[Known]:
    """Local agents, contacts and discovered agents, each once."""
    known: dict[bytes, Known] = {}
    for contact in contacts.contacts(core.db, hosted.local.id):
        known[contact.peer] = Known(contact.peer, contact.name, contact.kind, contact.petname, contact.trust)
    for agent, name, kind in _heard_of(core):
        if agent != hosted.local.agent and agent not in known:
            trust = Trust.ACCEPTED if core.hosted_id(agent) else Trust.UNKNOWN
            known[agent] = Known(agent, name, kind, None, trust)
    return list(known.values())


def _heard_of(core: Core) -> Iterable[tuple[bytes, str, str]]:
    """Proven ones first: an agent's own word on a link counts more than what records say of it."""
    for hosted in core.hosted.values():
        yield hosted.local.agent, hosted.local.name, hosted.local.kind
    for peering in core.peerings.values():
        for link in peering.links.values():
            if link.up:
                yield link.peer, link.name, link.kind
    for entry in _named_by_nodes(core):
        yield entry.agent, entry.name, entry.kind
    for agent, nodes in core.sightings.items():
        for sighting in nodes.values():
            yield agent, sighting.name, sighting.kind


def _named_by_nodes(core: Core) -> Iterable[RosterAgent]:
    """Nodes that we dialed first; a node that hung up recently will be dialed again at once."""
    for peering in sorted(core.peerings.values(), key=lambda peering: not peering.dialed):
        yield from peering.roster
    for _, roster in core.lately.values():
        yield from roster


# --- what a word means ---


def resolve(core: Core, hosted: Hosted, word: str) -> Known:
    """A petname, an unambiguous announced name, or an id prefix. Raises PeerUnknown or PeerAmbiguous."""
    if len(word) == ID_CHARS and (peer := _with_id(core, hosted, word)) is not None:
        return peer
    known = everyone(core, hosted)
    lowered = word.lower()
    for peer in known:
        if peer.petname is not None and peer.petname.lower() == lowered:
            return peer
    own = lowered == hosted.local.name.lower() and contacts.pinned(core.db, hosted.local.id, word) is None
    if own or lowered == id_text(hosted.local.agent):
        raise PeerUnknown(f"{hosted.local.name} is the agent you act for", hint="others of that name have an id prefix")
    named = _trusted_first(core, hosted, word, _named(core, known, lowered))
    begun = _by_prefix(known, lowered)
    meant = _let_in_first(core, {peer.agent: peer for peer in (*named, *begun)}) if begun else named
    if len(meant) > 1:
        raise ambiguous(word, meant)
    if not meant:
        raise PeerUnknown(f"no peer is called {word[:64]!r}", hint=_meant(core, known, word) + PeerUnknown.hint)
    return meant[0]


def _let_in_first(core: Core, meant: dict[bytes, Known]) -> list[Known]:
    """A stranger may have the beginning of a contact's id as its name, or an id that begins with a contact's name: then
    the contact is meant. Of two accepted ones neither is preferred."""
    if len(meant) < 2:
        return list(meant.values())
    let_in = [peer for peer in meant.values() if peer.trust >= Trust.ACCEPTED or core.hosted_id(peer.agent) is not None]
    return let_in or list(meant.values())


def _meant(core: Core, known: list[Known], word: str) -> str:
    """Who may have been meant by a mistyped word: accepted ones only. A stranger must not gain a message by its
    name."""
    near = [peer for peer in known if peer.trust >= Trust.ACCEPTED or core.hosted_id(peer.agent) is not None]
    return did_you_mean(word, {name for peer in near for name in (peer.petname, peer.name) if name})


def _named(core: Core, known: list[Known], lowered: str) -> list[Known]:
    """Everyone with the name, whatever the source: a record hides nobody, it only makes a name ambiguous."""
    proven = {link.peer for found in core.links.values() for link in found}
    claimed = {agent for agent, name, _ in _heard_of(core) if name.lower() == lowered and agent not in proven}
    return [peer for peer in known if peer.name.lower() == lowered or peer.agent in claimed]


def _with_id(core: Core, hosted: Hosted, word: str) -> Known | None:
    """The fast path for a whole id, which programs use: no name is as long, so nobody else needs to be looked at."""
    try:
        agent = _agent_id(word)
    except Malformed:
        return None
    if agent == hosted.local.agent:  # with several devices it is a contact of itself, but nobody to write to
        return None
    found = contacts.contact(core.db, hosted.local.id, agent)
    return Known(agent, found.name, found.kind, found.petname, found.trust) if found else None


def _trusted_first(core: Core, hosted: Hosted, word: str, named: list[Known]) -> list[Known]:
    """A name means our own agents first, then the id that we used it for; nobody can take it over later (PROTOCOL E5).

    A peer that was turned away is meant only if nobody else has the name.
    """
    pin = contacts.pinned(core.db, hosted.local.id, word)
    owners = [peer for peer in named if peer.agent == pin or core.hosted_id(peer.agent) is not None]
    welcome = [peer for peer in named if not _turned_away(core, hosted, peer)]
    return owners or welcome or named


def _turned_away(core: Core, hosted: Hosted, peer: Known) -> bool:
    request = contacts.request(core.db, hosted.local.id, peer.agent)
    return peer.trust is Trust.BLOCKED or (request is not None and request.state == "rejected")


def is_meant(peer: Known, word: str) -> bool:
    """Whether the word is its announced name or the beginning of its id."""
    lowered = word.lower()
    return peer.name.lower() == lowered or (is_id_prefix(lowered) and id_text(peer.agent).startswith(lowered))


def _by_prefix(known: list[Known], lowered: str) -> list[Known]:
    return [peer for peer in known if is_id_prefix(lowered) and id_text(peer.agent).startswith(lowered)]


def ambiguous(word: str, candidates: list[Known]) -> PeerAmbiguous:
    """The error that lists whom a word may mean."""
    listed = ", ".join(f"{peer.name} {id_text(peer.agent)[:12]}" for peer in candidates[:CANDIDATES_SHOWN])
    return PeerAmbiguous(
        f"{len(candidates)} peers are called {word[:64]!r}: {listed}",
        candidates=[{"id": id_text(p.agent), "name": p.name} for p in candidates[:CANDIDATES_SHOWN]],
    )


def check_petname(core: Core, hosted: Hosted, peer: bytes, petname: str) -> str:
    """A petname is a valid name, not an id prefix, and used once. Raises BadName (PROTOCOL E5)."""
    check_name(petname)
    if is_id_prefix(petname) and (
        len(petname) >= ID_LIKE_CHARS
        or any(id_text(known.agent).startswith(petname.lower()) for known in everyone(core, hosted))
    ):
        raise BadName(f"{petname!r} reads like the beginning of an id")
    for contact in contacts.contacts(core.db, hosted.local.id):
        if contact.peer != peer and (contact.petname or "").lower() == petname.lower():
            raise BadName(f"{petname!r} is the petname of another contact")
    return petname
