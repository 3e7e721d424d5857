"""The control methods that answer at once: each takes the core and checked parameters, inside a batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.conversation.states import State, folded, least
from p2p_agents.core.agents import hosting, ownership
from p2p_agents.core.api import addressing, allowlist, introduction, invitation, reading, showing, trust
from p2p_agents.core.contact import cards, consent, directory, petition
from p2p_agents.core.contact.directory import Known
from p2p_agents.core.contact.naming import Names
from p2p_agents.core.delivery import outbound
from p2p_agents.core.delivery.outbound import Draft, Words
from p2p_agents.core.identity import talks
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.core.kernel.state import Waiter
from p2p_agents.core.links import presence
from p2p_agents.core.links.dialing import dial_due
from p2p_agents.core.relay import ways
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import NoAgent, NotAContact, NotReachable, PeerAmbiguous, PeerUnknown
from p2p_agents.link.routing import Target
from p2p_agents.output import did_you_mean
from p2p_agents.store import agents as stored
from p2p_agents.store import contacts as kept
from p2p_agents.store import entries, introductions, log, outbox
from p2p_agents.store.contacts import Contact, Trust
from p2p_agents.wire.frame import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2p_agents.core.delivery.outbound import Sent
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.results import messages, people

Json = dict[str, Any]

# --- agents ---


def init(core: Core, params: Json) -> people.Created:
    before = len(core.hosted)
    hosted = hosting.create(
        core, name=params["name"], kind=params["kind"], policy=params["policy"], hidden=params["hidden"]
    )
    return {"agent": showing.agent(core, hosted), "created": len(core.hosted) > before}


def agents(core: Core, params: Json) -> people.Agents:
    return {"agents": [showing.agent(core, hosted) for hosted in core.hosted.values()]}


def use(core: Core, params: Json) -> people.AgentAnswer:
    hosted = core.acting(params["name"])
    stored.choose(core.db, hosted.local.id)
    hosting.reload(core)
    return {"agent": showing.agent(core, hosted)}


def whoami(core: Core, params: Json) -> people.AgentAnswer:
    return {"agent": showing.agent(core, core.acting(params["agent"]))}


def set_status(core: Core, params: Json) -> people.Status:
    hosted = core.acting(params["agent"])
    stored.set_status(core.db, hosted.local.id, params["status"])
    hosting.reload(core)
    presence.tell_all(core, hosted.local.id)
    return {"status": params["status"]}


# --- peers and contacts ---


def peers(core: Core, params: Json) -> Json:
    hosted = core.acting(params["agent"])
    names = Names(core, hosted)
    return {"peers": [showing.peer(core, hosted, known, names) for known in directory.everyone(core, hosted)]}


def contacts(core: Core, params: Json) -> people.Contacts:
    hosted = core.acting(params["agent"])
    found = [c for c in kept.contacts(core.db, hosted.local.id) if c.trust is not Trust.UNKNOWN or c.frozen]
    return {"contacts": [showing.contact(core, hosted, each) for each in found]}


def name_contact(core: Core, params: Json) -> people.ContactAnswer:
    hosted = core.acting(params["agent"])
    known = directory.resolve(core, hosted, params["peer"])
    if kept.contact(core.db, hosted.local.id, known.agent) is None:
        raise NotAContact(f"{known.name} is not a contact of {hosted.local.name} yet")
    petname = params["petname"]
    checked = directory.check_petname(core, hosted, known.agent, petname) if petname else None
    kept.set_petname(core.db, hosted.local.id, known.agent, checked)
    found = kept.contact(core.db, hosted.local.id, known.agent)
    assert found is not None
    return {"contact": showing.contact(core, hosted, found)}


def add_places(core: Core, addresses: Sequence[str]) -> None:
    """Store the addresses of one node and dial them."""
    for address in addresses:
        kept.add_place(core.db, address, core.now_ms())
        core.router.want(Target(b"", address), [address], core.now())
    core.router.resumed(core.now())
    dial_due(core)


def agents_at(core: Core, params: Json, addresses: Sequence[str]) -> tuple[str, list[Json]] | None:
    """The address that answered, and the agents that the node there lists; None while none has answered."""
    hosted = core.acting(params["agent"]) if core.hosted else None
    for peering in core.peerings.values():
        reached = {peering.address, *peering.also} if peering.node and peering.dialed else set()
        if address := next((address for address in addresses if address in reached), None):
            claimed = {entry.agent for entry in peering.roster}
            if hosted is None:
                return address, []
            names, everyone = Names(core, hosted), directory.everyone(core, hosted)
            return address, [showing.peer(core, hosted, k, names) for k in everyone if k.agent in claimed]
    return None


# --- requests ---


def requests(core: Core, params: Json) -> people.Requests:
    hosted = core.acting(params["agent"])
    names = Names(core, hosted)
    return {"requests": showing.asking(core, hosted, names) + _asked(core, hosted, names)}


def _asked(core: Core, hosted: Hosted, names: Names) -> list[people.Request]:
    """Our own requests: peers we wrote to that have not accepted us."""
    shown: list[people.Request] = []
    for contact in kept.contacts(core.db, hosted.local.id):
        talk = talks.with_peer(hosted, contact.peer)
        entry = outbox.first_owed(core.db, hosted.local.id, talk.id, contact.peer)
        if entry is None or not showing.is_asked(core, hosted, contact.peer):
            continue
        record = entries.load(core.db, entry)
        shown.append(
            {
                "id": id_text(contact.peer),
                "name": contact.name,
                **names.worth(contact.peer, contact.name, contact.petname),
                "kind": contact.kind,
                "text": petition.preview(core, record),
                "time": time_text(record.time_ms),
                "direction": "out",
                "state": "pending",
                "introducer": None,
            }
        )
    return shown


def accept(core: Core, params: Json) -> people.ContactAnswer:
    hosted, known = _who_asked(core, params)
    contact = cards.accept(core, hosted, known.agent) or consent.accept(core, hosted, known.agent)
    return {"contact": showing.contact(core, hosted, contact)}


def reject(core: Core, params: Json) -> people.ContactAnswer:
    """For a peer that was introduced and asked nothing, reject the introduction only."""
    hosted, known = _who_asked(core, params)
    introduced = cards.reject(core, hosted, known.agent)
    request = kept.request(core.db, hosted.local.id, known.agent)
    if introduced is None or (request is not None and request.state == "pending"):
        return {"contact": showing.contact(core, hosted, consent.reject(core, hosted, known.agent))}
    stranger = Contact(
        known.agent, None, introduced.name, introduced.kind, Trust.UNKNOWN, None, False, introduced.time_ms
    )
    return {"contact": showing.contact(core, hosted, kept.contact(core.db, hosted.local.id, known.agent) or stranger)}


def block(core: Core, params: Json) -> people.ContactAnswer:
    hosted = core.acting(params["agent"])
    try:
        known = directory.resolve(core, hosted, params["peer"])
    except (PeerAmbiguous, PeerUnknown):
        _, known = _who_asked(core, params)
    contact = consent.block(core, hosted, known.agent, known.name, known.kind)
    return {"contact": showing.contact(core, hosted, contact)}


def _who_asked(core: Core, params: Json) -> tuple[Hosted, Known]:
    """A peer that is listed as asking or introduced comes before all others of that name, which may be ours."""
    hosted = core.acting(params["agent"])
    word, agent = params["peer"], hosted.local.id
    introduced = [(i.peer, i.name, i.kind) for i in introductions.pending(core.db, agent)]
    asked = [(r.peer, r.name, r.kind) for r in kept.requests(core.db, agent)]
    pending = {each[0]: Known(*each, None, Trust.UNKNOWN) for each in (*introduced, *asked)}
    meant = [known for known in pending.values() if directory.is_meant(known, word)]
    if len(meant) > 1:
        raise directory.ambiguous(word, meant)
    try:
        return hosted, meant[0] if meant else directory.resolve(core, hosted, word)
    except PeerUnknown as fault:
        near = did_you_mean(word, (known.name for known in pending.values()))
        raise PeerUnknown(fault.message, hint=f"{near}run: p2p-agents requests list") from None


def policy(core: Core, params: Json) -> people.PolicyAnswer:
    hosted = core.acting(params["agent"])
    if params["policy"] is not None:
        stored.set_policy(core.db, hosted.local.id, params["policy"])
        hosting.reload(core)
        for found in core.links.values():
            for link in list(found):
                if link.agent == hosted.local.id:
                    consent.regard(core, hosted, link.peer)
    return {"policy": hosted.local.policy}


# --- messages ---


def send(core: Core, params: Json) -> messages.Sent:
    return post(core, params)[0]


def post(core: Core, params: Json) -> tuple[messages.Sent, int]:
    """The answer to `send`, and the entry, for callers that wait for its state."""
    hosted = core.acting(params["agent"])
    known = addressing.meant(core, hosted, params["to"])
    reply_to = None
    if params["reply_to"] is not None:
        reply_to = reading.find_message(core, hosted, params["reply_to"]).record.hash
    key = params["id"] or core.entropy.draw(16).hex()
    draft = Draft(
        known.agent,
        known.name,
        known.kind,
        Words(params["text"].encode(), params["type"], reply_to),
        key,
    )
    sent = outbound.send(core, hosted, draft)
    answer: messages.Sent = {
        "id": id_text(sent.hash),
        "cursor": showing.cursor_text(core, sent.cursor),
        "state": showing.shown_state(core, hosted, known.agent, sent.state),
        "why": _why(core, hosted, known.agent, sent),
        "duplicate": sent.duplicate,
        "key": key,
        "to": Names(core, hosted).of(known.agent),
    }
    return answer, sent.entry


def _why(core: Core, hosted: Hosted, peer: bytes, sent: Sent) -> str | None:
    """What a message waits for, or why it failed; None if it is new and on a link to a peer that takes it."""
    link = next(core.links_to(hosted.local.id, peer), None)
    if not sent.duplicate and not hosted.behind and link is not None and link.peer_standing is Standing.ACCEPTS:
        return None
    waiting = (showing.why(core, hosted, d) for d in outbox.deliveries(core.db, hosted.local.id, sent.entry))
    return next(filter(None, waiting), None)


def state_of(core: Core, entry: int) -> tuple[State, str]:
    """The shown state of one of our messages, and why. Raises NoAgent once its author was removed."""
    found = [d for h in core.hosted.values() for d in outbox.deliveries(core.db, h.local.id, entry)]
    if not found:
        raise NoAgent("the agent that sent it was removed from this node")
    state = least(folded((d.peer, d.state) for d in found).values())
    return state, next((d.why for d in found if d.state is state), "")


def begin_wait(core: Core, params: Json, ticket: int) -> tuple[int, str, messages.Awaited]:
    """(agent, cursor to continue from, what is unread already). Somebody is attending from now on; if nothing is
    unread, the batch that brings something answers the ticket."""
    hosted = core.acting(params["agent"])
    peer = directory.resolve(core, hosted, params["from"]).agent if params.get("from") else None
    start = params["after"] if params["after"] is not None else showing.START
    reading.parse_cursor(core, start)
    page = reading.awaited(reading.unread_of(core, hosted, peer, params), shared=False)
    waiter = Waiter(hosted.local.id, peer, params)
    page["shared"] = params["after"] is None and reading.is_shared(core, waiter)
    presence.reader_came(core, hosted.local.id)
    if not reading.ends_wait(core, waiter, page):
        core.waiters[ticket] = replace(waiter, shared=page["shared"])
        core.undo.append(partial(core.waiters.pop, ticket, None))
    return hosted.local.id, start, page


def end_wait(core: Core, agent: int, ticket: int) -> None:
    core.waiters.pop(ticket, None)
    presence.reader_left(core, agent)


def begin_watch(core: Core, params: Json) -> tuple[int, bytes | None, int, Json]:
    """(agent, peer or None, position, the ready event)."""
    hosted = core.acting(params["agent"])
    peer = directory.resolve(core, hosted, params["from"]).agent if params.get("from") else None
    after = params["after"]
    position = log.last_cursor(core.db) if after is None else reading.parse_cursor(core, after)
    presence.reader_came(core, hosted.local.id)
    asked = showing.count_asking(core, hosted.local.id)
    ready = {"type": "ready", "cursor": showing.cursor_text(core, position), "requests": asked}
    return hosted.local.id, peer, position, ready


def news(core: Core, agent: int, moved: set[int], asked: set[bytes]) -> list[Json]:
    """State events of own messages, by row id, and the pending requests and introductions of these peers."""
    hosted = core.host(agent)
    lines = [log.line(core.db, agent, entry) for entry in sorted(moved)]
    found = [kept.request(core.db, agent, peer) for peer in sorted(asked)]
    states = [
        {
            "type": "state",
            "id": id_text(line.record.hash),
            "state": showing.state_of(core, hosted, line),
        }
        for line in lines
        if line is not None
    ]
    names = Names(core, hosted)
    petition = [showing.request(r, names) for r in found if r is not None and r.state == "pending"]
    petition += [
        showing.introduction(i, names) for peer in sorted(asked) for i in introductions.pending(core.db, agent, peer)
    ]
    return states + [{"type": "request", **request} for request in petition]


def ping(core: Core, params: Json, nonce_bytes: int) -> tuple[people.Party, bytes | None, Json]:
    """(who, nonce that will be echoed or None for an agent of this node, path). Raises NotReachable or NotAContact."""
    hosted = core.acting(params["agent"])
    known = directory.resolve(core, hosted, params["to"])
    if core.hosted_id(known.agent) is not None:
        return Names(core, hosted).of(known.agent), None, {"path": "local"}
    if known.trust < Trust.ACCEPTED:
        raise NotAContact(f"{known.name} has not been accepted; a ping travels the sealed link of two contacts")
    for link in core.paths_to(hosted.local.id, known.agent):
        if link.peer_standing is not Standing.ACCEPTS:
            raise NotAContact(f"{known.name} has not accepted you yet", hint="run: p2p-agents requests list")
        key = core.pair_key(link)
        if core.newest_link(key) is link and ways.is_open(core, link, key):
            nonce = core.entropy.draw(nonce_bytes)
            link.asks.append(nonce)
            core.mark_ready(key)
            return Names(core, hosted).of(known.agent), nonce, showing.path(core, link)
    why = ways.trouble(core, hosted.local.id, known.agent)
    raise NotReachable(f"there is no connection to {known.name}" + (f"; {why}" if why else ""))


HANDLERS: dict[str, Callable[[Core, Json], Any]] = {
    "init": init,
    "agents": agents,
    "use": use,
    "whoami": whoami,
    "status.set": set_status,
    "peers": peers,
    "contacts": contacts,
    "contacts.name": name_contact,
    "contacts.remove": trust.remove,
    "requests.list": requests,
    "requests.accept": accept,
    "requests.reject": reject,
    "requests.block": block,
    "requests.policy": policy,
    "requests.introductions": introduction.policy,
    "introduce": introduction.introduce,
    "allow.add": allowlist.add,
    "allow.remove": allowlist.remove,
    "allow.list": allowlist.list_,
    "pair.start": invitation.start,
    "pair.status": invitation.status,
    "pair.cancel": invitation.cancel,
    "trust.show": trust.show,
    "trust.verify": trust.verify,
    "trust.block": trust.block,
    "trust.unblock": trust.unblock,
    "trust.reset": trust.reset,
    "identity.show": ownership.show,
    "devices.list": ownership.devices,
    "devices.revoke": ownership.revoke,
    "inbox": reading.unread,
    "ack": reading.acknowledge,
    "history": reading.history,
    "show": reading.show,
    "search": reading.search,
}
