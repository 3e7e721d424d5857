"""How clients see agents, peers and messages: flat JSON objects, ids in base32, times in RFC 3339."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2p_agents.conversation.direct import DIRECT
from p2p_agents.conversation.record import is_intact
from p2p_agents.conversation.states import ASKED, State, folded, least
from p2p_agents.core.contact import knocking
from p2p_agents.core.identity import talks
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.core.kernel.state import BridgedLink
from p2p_agents.core.links import presence, releases
from p2p_agents.core.relay import ways
from p2p_agents.crypto.fingerprint import id_text, safety_number
from p2p_agents.store import contacts, introductions, outbox, readers, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import Standing

if TYPE_CHECKING:
    from p2p_agents.core.agents.restoration import Restored
    from p2p_agents.core.contact.directory import Known
    from p2p_agents.core.contact.naming import Names
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link, Peering
    from p2p_agents.results import identity, messages, people
    from p2p_agents.store.contacts import Contact, Request
    from p2p_agents.store.introductions import Introduction
    from p2p_agents.store.log import Logged
    from p2p_agents.store.outbox import Delivery

Json = dict[str, Any]
START = "0"

CROWDED = "its node accepts no more strangers at the moment; it is asked again every half minute"
ONE_BY_ONE = "many links to its node are being opened, one after another"


def cursor_text(core: Core, cursor: int) -> str:
    """Opaque to clients: the store's generation and a position in it."""
    return f"{core.db.generation}-{cursor}" if cursor else START


def agent(core: Core, hosted: Hosted) -> people.Agent:
    local = hosted.local
    return {
        "id": id_text(local.agent),
        "name": local.name,
        "kind": local.kind,
        "status": local.status,
        "policy": local.policy,
        "introductions": local.introductions,
        "hidden": local.hidden,
        "default": local.chosen,
        "device_ids": [id_text(device) for device in hosted.speaker.identity.devices],
        "attending": presence.attending(core, hosted),
        "created": time_text(local.created_ms),
        "retired": hosted.retired,
        "behind": hosted.behind,
    }


BEHIND = "a contact knows a newer identity of this agent, which may live elsewhere now: see doctor"


# --- peers ---


def peer(core: Core, hosted: Hosted, known: Known, names: Names) -> Json:
    """Reachable means a live link or connection now, or a recent message over a bridge; records do not count."""
    shown = {
        "id": id_text(known.agent),
        "name": known.name,
        "petname": known.petname,
        **names.worth(known.agent, known.name, known.petname),
        "kind": known.kind,
        "trust": known.trust.name.lower(),
    }
    local = core.hosted_id(known.agent)
    if local is not None:
        return shown | _local_presence(core, local)
    link = next(core.links_to(hosted.local.id, known.agent), None)
    if link is not None:
        return shown | _link_presence(core, link)
    stranger = _stranger_presence(core, hosted, known.agent)
    way = next(core.ways.between(hosted.local.id, known.agent), None)
    return shown | stranger | (_way_presence(core, way) if way is not None else {})


def _local_presence(core: Core, local: Hosted) -> Json:
    return {
        "status": local.local.status,
        "reachable": True,
        "last_seen": time_text(core.now_ms()),
        "attending": presence.attending(core, local),
        "last_read": time_text(local.last_read_ms) if local.last_read_ms else None,
        "accepts": True,
        "local": True,
        "path": "local",
        "addresses": [],
    }


def _link_presence(core: Core, link: Link) -> Json:
    peering = core.peerings[link.connection]
    return {
        "status": link.status,
        "reachable": True,
        "last_seen": time_text(core.now_ms()),
        "attending": link.attending,
        "last_read": time_text(link.last_read_ms) if link.last_read_ms else None,
        "accepts": accepts(core, core.host(link.agent), link.peer),
        "local": False,
        "path": "direct",
        "addresses": [peering.address],
    }


def _way_presence(core: Core, link: BridgedLink) -> Json:
    """Over bridges, a peer that was heard recently is there."""
    there = ways.is_there(core, link.way)
    return {
        "status": "online" if there else "offline",
        "reachable": there,
        "accepts": accepts(core, core.host(link.agent), link.peer),
        "path": "bridge" if there else None,
        "bridge": ways.host_of(link.way.using.bridge) if link.way.using else None,
        "why": ways.trouble(core, link.agent, link.peer) or ways.why_not_direct(core, link),
    }


def path(core: Core, link: Link) -> Json:
    """The path that frames take, and why there is no better one."""
    if not isinstance(link, BridgedLink):
        return {"path": "direct"}
    bridge = ways.host_of(link.way.using.bridge) if link.way.using else None
    return {"path": "bridge", "bridge": bridge, "why": ways.why_not_direct(core, link)}


def is_asked(core: Core, hosted: Hosted, peer_id: bytes) -> bool:
    """Whether we wrote to a peer that, as far as we know, has not accepted us: it never met us, nor asked us first. If
    our agent has or had other devices, those may have met it: then only the peer's word on a link counts."""
    local, identity = hosted.local, hosted.speaker.identity
    standings = [link.peer_standing for link in core.links_to(local.id, peer_id)]
    if Standing.ACCEPTS in standings:
        return False
    found = contacts.contact(core.db, local.id, peer_id)
    if found is None or found.trust is not Trust.ACCEPTED or core.hosted_id(peer_id) is not None:
        return False
    if standings or len(identity.devices) + len(identity.revoked) > 1:
        return bool(standings)
    request = contacts.request(core.db, local.id, peer_id)
    return not (sessions.ever_met(core.db, local.device, peer_id) or (request and request.state == "accepted"))


def accepts(core: Core, hosted: Hosted, peer_id: bytes) -> bool | None:
    """Whether a peer has accepted us, as it says on a link or shows by its routes at a bridge. None if not known."""
    if core.hosted_id(peer_id) is not None:
        return True
    if (link := next(core.links_to(hosted.local.id, peer_id), None)) is not None:
        return link.peer_standing is Standing.ACCEPTS
    way = next(core.ways.between(hosted.local.id, peer_id), None)
    if way is not None and way.way.routes:
        return True
    return False if is_asked(core, hosted, peer_id) else None


def shown_state(core: Core, hosted: Hosted, peer_id: bytes, state: State) -> str:
    """A message's state as people see it."""
    return ASKED if state is State.QUEUED and is_asked(core, hosted, peer_id) else str(state)


def _stranger_presence(core: Core, hosted: Hosted, peer_id: bytes) -> Json:
    peering, crowd = _connection_of(core, peer_id), _crowd(core, hosted.local.id, peer_id)
    heard = max(
        (
            sessions.pair(core.db, hosted.local.device, device).heard_ms
            for device in sessions.peer_devices(core.db, hosted.local.device, peer_id)
        ),
        default=0,
    )
    sightings = core.sightings.get(peer_id, {})
    addresses = [a for node in sightings for a in core.router.addresses(node)]
    return {
        "status": _announced_status(peering, peer_id) if peering else "offline",
        "reachable": peering is not None,
        "last_seen": time_text(core.now_ms()) if peering else (time_text(heard) if heard else None),
        "attending": None,
        "last_read": None,
        "accepts": accepts(core, hosted, peer_id),
        "local": False,
        "path": "direct" if peering else None,
        "addresses": [peering.address] if peering else addresses,
    } | ({} if crowd is None else {"why": crowd})


def _announced_status(peering: Peering, peer_id: bytes) -> str:
    return next(presence.claimed(entry.status) for entry in peering.roster if entry.agent == peer_id)


def _connection_of(core: Core, peer_id: bytes) -> Peering | None:
    """A live connection whose node lists the agent: the connection is real, the agent's presence a claim."""
    for peering in core.peerings.values():
        if any(entry.agent == peer_id for entry in peering.roster):
            return peering
    return None


def contact(core: Core, hosted: Hosted, found: Contact) -> people.Contact:
    """With the safety number: 60 digits, the same on both sides, for two humans to compare."""
    return {
        "id": id_text(found.peer),
        "name": found.name,
        "petname": found.petname,
        "kind": found.kind,
        "trust": found.trust.name.lower(),
        "accepts": accepts(core, hosted, found.peer),
        "allowed": found.allowed,
        "since": time_text(found.since_ms),
        "frozen": found.frozen,
        "safety_number": safety_number(hosted.local.agent, found.peer),
    }


def request(found: Request, names: Names) -> people.Request:
    return {
        "id": id_text(found.peer),
        "name": found.name,
        **names.worth(found.peer, found.name),
        "kind": found.kind,
        "text": found.text,
        "time": time_text(found.time_ms),
        "direction": "in",
        "state": found.state,
        "introducer": None,
    }


def introduction(found: Introduction, names: Names) -> people.Request:
    """Shown like a request, made by somebody else: name and kind are the introducer's words."""
    return {
        "id": id_text(found.peer),
        "name": found.name,
        **names.worth(found.peer, found.name),
        "kind": found.kind,
        "text": "",
        "time": time_text(found.time_ms),
        "direction": "in",
        "state": found.state,
        "introducer": names.of(found.introducer),
    }


def count_asking(core: Core, agent: int) -> int:
    """The number of requests and introductions that wait for a decision."""
    return contacts.pending_requests(core.db, agent) + introductions.count_pending(core.db, agent)


def asking(core: Core, hosted: Hosted, names: Names, peer: bytes | None = None) -> list[people.Request]:
    """The requests and introductions that wait for a decision; of one peer only, if given."""
    asked = [r for r in contacts.requests(core.db, hosted.local.id) if peer in (None, r.peer)]
    introduced = [i for i in introductions.pending(core.db, hosted.local.id) if peer in (None, i.peer)]
    return [*(request(r, names) for r in asked), *(introduction(i, names) for i in introduced)]


# --- messages ---


def message(core: Core, hosted: Hosted, line: Logged, names: Names) -> messages.Message:
    record = line.record
    damaged, is_shown = not is_intact(record), core.hooks.is_shown(record)
    content = record.content if is_shown and not damaged else None
    shown: messages.Message = {
        "id": id_text(record.hash),
        "cursor": cursor_text(core, line.cursor),
        "from": names.of(record.author if line.incoming else hosted.local.agent),
        "conversation": id_text(record.conversation),
        "type": record.type if is_shown else record.kind,
        "text": None if content is None else core.texts.of(record.hash, content),
        "time": time_text(record.time_ms),
        "state": state_of(core, hosted, line),
        "trust": line.trust.name.lower() if line.incoming else "own",
        "reply_to": None if record.reply_to is None else id_text(record.reply_to),
    }
    if (peer := _peer(core, hosted, line)) is not None and not line.incoming:
        shown["to"] = names.of(peer)
    if damaged:  # only then: a damaged body is nobody's words
        shown["damaged"] = True
    return shown


def state_of(core: Core, hosted: Hosted, line: Logged) -> str:
    if line.incoming:
        read = readers.is_read(core.db, hosted.local.id, readers.DEFAULT, line.cursor)
        return str(State.READ if read else State.DELIVERED)
    reached = folded((d.peer, d.state) for d in outbox.deliveries(core.db, hosted.local.id, line.entry))
    state, peer = least(reached.values()), _peer(core, hosted, line)
    return str(state) if peer is None else shown_state(core, hosted, peer, state)


def _peer(core: Core, hosted: Hosted, line: Logged) -> bytes | None:
    """The peer in a direct conversation; None for other kinds."""
    talk = talks.find(core, hosted, line.conversation)
    if talk is None or talk.kind != DIRECT:
        return None
    return next(iter(talk.others(hosted.local.agent)), hosted.local.agent)


def recipients(core: Core, hosted: Hosted, line: Logged, names: Names) -> list[messages.Recipient]:
    """One for each device of each recipient. Only direct conversations ask for acceptance."""
    peer = _peer(core, hosted, line)
    return [
        {
            **names.of(d.peer),
            "device": id_text(d.device) if d.device else None,
            "state": str(d.state) if peer is None else shown_state(core, hosted, d.peer, d.state),
            "why": why(core, hosted, d),
            "time": time_text(d.changed_ms),
        }
        for d in outbox.deliveries(core.db, hosted.local.id, line.entry)
    ]


def why(core: Core, hosted: Hosted, delivery: Delivery) -> str | None:
    """Why it failed, or what it still waits for."""
    if delivery.why or delivery.state not in (State.QUEUED, State.RELAYED):
        return delivery.why or None
    if hosted.behind:
        return BEHIND
    if (shut := knocking.why(core, delivery.agent, delivery.peer, delivery.state)) is not None:
        return shut
    if delivery.state is State.RELAYED:
        return None
    link = next(core.links_to(hosted.local.id, delivery.peer), None)
    if link is None:
        return ways.trouble(core, delivery.agent, delivery.peer) or _why_no_link(core, delivery.agent, delivery.peer)
    return None if link.peer_standing is Standing.ACCEPTS else "awaits acceptance"


def _why_no_link(core: Core, agent: int, peer_id: bytes) -> str:
    if (agent, peer_id) in core.apart:
        return releases.APART
    return _crowd(core, agent, peer_id) or ("peer does not answer" if _connection_of(core, peer_id) else "peer is away")


def _crowd(core: Core, agent: int, peer_id: bytes) -> str | None:
    """Whether it waits for other agents of the peer's node, which has more of them than a connection names."""
    pair = agent, peer_id
    for peering in core.peerings.values():
        if pair in peering.busy:
            return CROWDED
        if peering.waiting and (pair in peering.waiting or pair in peering.pairs()):
            return ONE_BY_ONE
    return None


def restored(core: Core, found: Restored) -> identity.Restored:
    """The answer to `backup import`."""
    return {"agent": agent(core, found.hosted), "contacts": found.contacts, "entries": found.entries}
