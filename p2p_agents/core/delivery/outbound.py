"""Signs, logs and owes what our agents send, in one transaction (PROTOCOL B2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import write_message
from p2p_agents.conversation.states import State, folded, least
from p2p_agents.core.identity import talks
from p2p_agents.core.kernel.effects import PeersChanged, Wake
from p2p_agents.core.links import memory, seeking
from p2p_agents.crypto.digest import H
from p2p_agents.errors import DeviceRevoked, IdConflict, OutboxFull, PeerBlocked
from p2p_agents.limits import OUTBOX_ENTRIES
from p2p_agents.store import agents, contacts, conversations, entries, log, outbox
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.entry import SALT_BYTES

if TYPE_CHECKING:
    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted


@dataclass(frozen=True, slots=True)
class Words:
    """The content of a message."""

    content: bytes
    content_type: str = "text/plain"
    reply_to: bytes | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to one peer, already checked."""

    peer: bytes
    name: str  # the peer's name, as known here
    kind: str
    words: Words
    key: str


@dataclass(frozen=True, slots=True)
class Sent:
    entry: int
    hash: bytes
    cursor: int
    state: State
    duplicate: bool


def send(core: Core, hosted: Hosted, draft: Draft) -> Sent:
    """Accept a message: it is durable, signed, logged and owed. Raises IdConflict, PeerBlocked, OutboxFull."""
    agent = hosted.local.id
    words = draft.words
    digest = H("p2pa/1 key", draft.peer, words.content, words.content_type, words.reply_to)
    taken = outbox.take_key(core.db, agent, draft.key, digest)
    if taken is None and (earlier := outbox.used_key(core.db, agent, draft.key)) is not None:
        if earlier[0] != digest:
            raise IdConflict
        return _sent_before(core, agent, earlier[1])
    _befriend(core, hosted, draft)
    sent = say(core, hosted, talks.with_peer(hosted, draft.peer), draft.words)
    if sent.entry != taken:  # to befriend the peer stored another one first
        outbox.keep_key(core.db, agent, draft.key, digest, sent.entry)
    return sent


def say(core: Core, hosted: Hosted, talk: Conversation, words: Words) -> Sent:
    """Raises DeviceRevoked, PeerBlocked or OutboxFull."""
    return post(core, hosted, talk, _write(core, hosted, talk, words))


def post(core: Core, hosted: Hosted, talk: Conversation, record: Record) -> Sent:
    """Log an entry written for a conversation, and owe it to the other members. Raises DeviceRevoked, PeerBlocked or
    OutboxFull."""
    agent = hosted.local.id
    if hosted.retired:
        raise DeviceRevoked(
            f"this installation of {hosted.local.name} was revoked or replaced; nobody accepts messages from it"
        )
    recipients = talk.others(hosted.local.agent)
    for peer in recipients:
        _check_outbox(core, agent, peer)
    conversations.keep(core.db, talk)
    entry = entries.append(core.db, record)
    cursor = log.add(core.db, agent, entry, talk.id, incoming=False, trust=Trust.VERIFIED)
    state = least([_bring(core, hosted, peer, entry, record) for peer in recipients])
    core.hooks.logged(core, hosted, entry, b"")
    core.effect(Wake(agent))
    return Sent(entry, record.hash, cursor, state, duplicate=False)


def _check_outbox(core: Core, agent: int, peer: bytes) -> None:
    """Counting is slow near the limit, so count only if sends since the last count may have reached it."""
    counted = core.owed.get((agent, peer))
    if counted is None or counted >= OUTBOX_ENTRIES:
        counted = outbox.count_owed(core.db, agent, peer)
    if counted >= OUTBOX_ENTRIES:
        raise OutboxFull(f"{OUTBOX_ENTRIES} messages to this peer are undelivered")
    core.owed[agent, peer] = counted + 1


def _sent_before(core: Core, agent: int, entry: int) -> Sent:
    cursor = log.cursor_of(core.db, agent, entry)
    assert cursor is not None
    reached = folded((d.peer, d.state) for d in outbox.deliveries(core.db, agent, entry))
    return Sent(entry, entries.load(core.db, entry).hash, cursor, least(reached.values()), duplicate=True)


def _befriend(core: Core, hosted: Hosted, draft: Draft) -> None:
    """A peer that we write to may answer: sending accepts the peer, and a request from it (PROTOCOL B11)."""
    agent = hosted.local.id
    contact = contacts.contact(core.db, agent, draft.peer)
    if contact is not None:
        contacts.check_open(contact)
    if contact is not None and contact.trust >= Trust.ACCEPTED:
        return
    contacts.settle_request(core.db, agent, draft.peer, "accepted")
    contacts.save_contact(
        core.db,
        agent,
        draft.peer,
        name=draft.name,
        kind=draft.kind,
        trust=Trust.ACCEPTED,
        now_ms=core.now_ms(),
    )
    for link in core.links_to(agent, draft.peer):
        memory.remember_peer(core, link)
    core.hooks.regard(core, hosted, draft.peer)
    seeking.seek(core, draft.peer)
    core.effect(PeersChanged())


def _write(core: Core, hosted: Hosted, talk: Conversation, words: Words) -> Record:
    return write_message(
        hosted.speaker.key,
        hosted.local.agent,
        entries.next_place(core.db, talk.id, hosted.local.device),
        content=words.content,
        salt=core.entropy.draw(SALT_BYTES),
        content_type=words.content_type,
        reply_to=words.reply_to,
        time_ms=core.now_ms(),
    )


def _bring(core: Core, hosted: Hosted, peer: bytes, entry: int, record: Record) -> State:
    local = core.hosted_id(peer)
    return _owe(core, hosted, peer, entry) if local is None else _hand_over(core, hosted, local, entry, record)


def _hand_over(core: Core, hosted: Hosted, to: Hosted, entry: int, record: Record) -> State:
    """Deliver between two agents of one node: one transaction, no socket."""
    trust = _welcome(core, hosted, to)
    log.add(core.db, to.local.id, entry, record.conversation, incoming=core.hooks.is_unread(record), trust=trust)
    core.hooks.logged(core, to, entry, b"")
    core.hooks.arrived(core, to, hosted.local.agent, record)
    device = to.local.device
    outbox.owe(core.db, hosted.local.id, entry, to.local.agent, device, core.now_ms(), State.DELIVERED)
    core.effect(Wake(to.local.id))
    return State.DELIVERED


def _welcome(core: Core, hosted: Hosted, to: Hosted) -> Trust:
    """Agents of one node accept each other unless one has blocked the other."""
    known = contacts.contact(core.db, to.local.id, hosted.local.agent)
    if known is not None and known.trust is Trust.BLOCKED:
        why = f"{to.local.name} has blocked {hosted.local.name}"
        raise PeerBlocked(why, hint=f"run: p2p-agents --as {to.local.name} trust unblock {hosted.local.name}")
    if known is not None and known.trust >= Trust.ACCEPTED:
        return known.trust
    local = hosted.local
    contacts.save_contact(
        core.db,
        to.local.id,
        local.agent,
        name=local.name,
        kind=local.kind,
        trust=Trust.ACCEPTED,
        now_ms=core.now_ms(),
    )
    return Trust.ACCEPTED


def _owe(core: Core, hosted: Hosted, peer: bytes, entry: int) -> State:
    """Owe it to each of the peer's devices; if none is known, to the first one that appears."""
    local = hosted.local
    devices = agents.live_devices(core.db, peer)
    for device in devices or [outbox.NO_DEVICE]:
        outbox.owe(core.db, local.id, entry, peer, device, core.now_ms())
        core.mark_ready((local.device, device))
    links = list(core.links_to(local.id, peer))
    for link in links:
        core.hooks.owed(core, link)
    if len({link.peer_device for link in links}) < max(1, len(devices)):
        core.seek_links()
        seeking.want(core, peer)
    return State.QUEUED
