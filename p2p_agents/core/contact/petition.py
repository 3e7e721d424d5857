"""What we say to a peer that has not accepted us: one request; and what becomes of messages it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.record import MESSAGE, is_intact, write_void
from p2p_agents.core.identity import family
from p2p_agents.core.kernel.effects import Moved
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.kem import seal
from p2p_agents.limits import (
    PAGE_MAX,
    REQUEST_AGAIN_MAX_S,
    REQUEST_AGAIN_S,
    REQUEST_AGAIN_STEADY,
    TEXT_PREVIEW_BYTES,
)
from p2p_agents.link.admission import Policy, standing_of
from p2p_agents.store import allowed, contacts, entries, outbox
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.claims import REQUEST_LABEL, RequestClaims, encode_request
from p2p_agents.wire.frame import Request, Standing

if TYPE_CHECKING:
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link
    from p2p_agents.store.outbox import Delivery


def standing(core: Core, hosted: Hosted, peer: bytes) -> Standing:
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


def ask(core: Core, link: Link) -> None:
    """We have something for a peer that has not accepted us: offer a request, or give up."""
    if link.peer_standing is Standing.CLOSED and link.allowance.granted:  # its HELLO may have been for any stranger
        give_up(core, link.agent, link.peer)
    if link.peer_standing is not Standing.ASK or core.now() < link.request_due or link.bundle is None:
        return
    entry = outbox.first_owed(core.db, link.agent, link.peer)
    if entry is None:
        return
    hosted = core.host(link.agent)
    record = entries.load(core.db, entry)
    claims = RequestClaims(
        hosted.local.agent,
        hosted.local.device,
        link.peer,
        record.hash,
        preview(record),
        record.time_ms,
    )
    signed = hosted.speaker.key.sign(encode_request(claims), REQUEST_LABEL)
    core.send_on(
        link,
        Request(link.number, seal(link.bundle.prekey, signed, request_info(hosted.local.agent, link.peer))),
    )
    slower = max(0, link.requests - REQUEST_AGAIN_STEADY)
    link.request_due = core.now() + min(REQUEST_AGAIN_S * 2**slower, REQUEST_AGAIN_MAX_S)
    link.requests += 1


def give_up(core: Core, agent: int, peer: bytes) -> None:
    """The peer takes nothing from us: say so for everything that waits."""
    for row in outbox.queued_for(core.db, agent, peer, PAGE_MAX):
        void(core, agent, row.id, row.entry, "not accepted")


def fail_all(core: Core, agent: int, peer: bytes, why: str) -> None:
    """Nothing that waits for the peer is to reach it any more."""
    while rows := outbox.waiting(core.db, agent, peer, PAGE_MAX):
        for row, sealed in rows:
            fail(core, row, why, sealed=sealed)


def fail(core: Core, row: Delivery, why: str, *, sealed: bool) -> None:
    """Give up what waits. What was sealed may have arrived, and what another device of its own agent or of the peer is
    to have is not voided: it stays owed, whole."""
    if sealed or family.is_copy(core, row) or outbox.is_elsewhere(core.db, row):
        outbox.fail_sealed(core.db, row.id, core.now_ms())
        core.effect(Moved(row.agent, row.entry))
    else:
        void(core, row.agent, row.id, row.entry, why)


def void(core: Core, agent: int, row: int, entry: int, why: str) -> None:
    """Fail one unsealed entry; its void keeps the chain whole should the peer accept us later (PROTOCOL B6)."""
    record = entries.load(core.db, entry)
    key = core.host(agent).speaker.key
    if record.author == core.host(agent).local.agent and record.device != key.public:
        outbox.refuse(core.db, row, why, core.now_ms())  # another device of ours wrote it, and voids it
        core.effect(Moved(agent, entry))
        return
    if record.device != key.public:  # the peer's own, to be given back: its next SYNC owes it anew
        outbox.drop(core.db, row)
        return
    outbox.fail_unsealed(core.db, row, why, core.now_ms())
    entries.set_void(core.db, entry, write_void(key, record, why))
    core.effect(Moved(agent, entry))


def preview(record: Record) -> str:
    """The first TEXT_PREVIEW_BYTES of a message's text, cut between characters; of other entries nothing."""
    content = record.content if record.kind == MESSAGE and is_intact(record) else None
    return (content or b"")[:TEXT_PREVIEW_BYTES].decode("utf-8", errors="ignore")


def request_info(sender: bytes, recipient: bytes) -> bytes:
    """What a request's seal is bound to."""
    return H(REQUEST_LABEL, sender, recipient)
