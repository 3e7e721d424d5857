"""The control methods by which a human decides how far a peer is trusted (PROTOCOL E4)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from p2p_agents.core.api import showing
from p2p_agents.core.contact import consent, directory
from p2p_agents.core.identity import adoption, talks
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.core.links import memory
from p2p_agents.crypto.fingerprint import id_text, safety_number
from p2p_agents.errors import NotAContact, NumberDiffers
from p2p_agents.store import agents, allowed, contacts, outbox
from p2p_agents.store.contacts import Trust

if TYPE_CHECKING:
    from p2p_agents.core.contact.directory import Known
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.results import people

Json = dict[str, Any]

EVENTS_SHOWN = 20


def show(core: Core, params: Json) -> people.Trusted:
    """What a human needs to compare and decide."""
    hosted, known = _whom(core, params)
    found = contacts.contact(core.db, hosted.local.id, known.agent)
    return {
        "peer": {"id": id_text(known.agent), "name": known.name, "petname": known.petname},
        "trust": known.trust.name.lower(),
        "accepts": showing.accepts(core, hosted, known.agent),
        "allowed": allowed.holds(core.db, hosted.local.id, known.agent),
        "frozen": found.frozen if found else None,
        "safety_number": safety_number(hosted.local.agent, known.agent),
        "events": [
            {"kind": event.kind, "detail": event.detail, "time": time_text(event.time_ms)}
            for event in contacts.events_of(core.db, hosted.local.id, known.agent, EVENTS_SHOWN)
        ],
    }


def verify(core: Core, params: Json) -> people.ContactAnswer:
    """A human compared the safety number. Raises NumberDiffers or NotAContact."""
    hosted, known = _whom(core, params)
    if known.trust < Trust.ACCEPTED or contacts.contact(core.db, hosted.local.id, known.agent) is None:
        raise NotAContact(f"{known.name} is not a contact of {hosted.local.name} yet", hint="run: p2p-agents pair")
    ours = safety_number(hosted.local.agent, known.agent).replace(" ", "")
    if not hmac.compare_digest(ours.encode(), "".join(params["digits"].split()).encode()):
        raise NumberDiffers
    return _set(core, hosted, known, Trust.VERIFIED)


def block(core: Core, params: Json) -> people.ContactAnswer:
    hosted, known = _whom(core, params)
    contact = consent.block(core, hosted, known.agent, known.name, known.kind)
    return {"contact": showing.contact(core, hosted, contact)}


def unblock(core: Core, params: Json) -> people.ContactAnswer:
    """It becomes unknown, whatever it was before the block. Raises NotAContact for one that is not blocked."""
    hosted, known = _whom(core, params)
    if known.trust is not Trust.BLOCKED:
        raise NotAContact(f"{known.name} is not blocked", hint="run: p2p-agents contacts")
    return _set(core, hosted, known, Trust.UNKNOWN)


def reset(core: Core, params: Json) -> people.ContactAnswer:
    """Forget what is pinned of a peer, for every agent of this node: whoever shows its id next is a stranger. A blocked
    peer stays blocked. Raises NotAContact."""
    hosted, known = _whom(core, params)
    found = contacts.contact(core.db, hosted.local.id, known.agent)
    if found is None or core.hosted_id(known.agent) is not None:
        raise NotAContact(f"no identity is known of {known.name}", hint="run: p2p-agents contacts")
    for own in core.hosted.values():
        adoption.part(core, own, known.agent)
    agents.forget_identity(core.db, known.agent)
    contacts.forget_pins(core.db, known.agent)
    memory.forget_peer(core, known.agent)
    core.effect(PeersChanged())
    after = contacts.contact(core.db, hosted.local.id, known.agent)
    assert after is not None
    return {"contact": showing.contact(core, hosted, after)}


def remove(core: Core, params: Json) -> people.ContactRemoved:
    """Remove a contact of one of our agents. {contact, failed}: the contact as it is afterwards, and how many messages
    to it fail; with `dry` nothing is done. Raises NotAContact, PeerBlocked or ContactFrozen."""
    hosted, known = _whom(core, params)
    if core.hosted_id(known.agent) is not None:
        raise NotAContact(f"{known.name} lives on this node: agents of one node always know each other")
    found = contacts.contact(core.db, hosted.local.id, known.agent)
    if found is not None:
        contacts.check_open(found)
    if found is None or found.trust < Trust.ACCEPTED:
        hint = "a request is answered with: p2p-agents requests reject PEER"
        raise NotAContact(f"{known.name} is not a contact of {hosted.local.name}", hint=hint)
    talk = talks.with_peer(hosted, known.agent)
    failed = outbox.count_waiting(core.db, hosted.local.id, talk.id, known.agent, hosted.local.agent)
    if not params["dry"]:
        consent.remove(core, hosted, known.agent)
        found = contacts.contact(core.db, hosted.local.id, known.agent) or found
    return {"contact": showing.contact(core, hosted, found), "failed": failed}


def _whom(core: Core, params: Json) -> tuple[Hosted, Known]:
    hosted = core.acting(params["agent"])
    return hosted, directory.resolve(core, hosted, params["peer"])


def _set(core: Core, hosted: Hosted, known: Known, trust: Trust) -> people.ContactAnswer:
    contact = contacts.save_contact(
        core.db, hosted.local.id, known.agent, name=known.name, kind=known.kind, trust=trust, now_ms=core.now_ms()
    )
    consent.regard(core, hosted, known.agent)
    return {"contact": showing.contact(core, hosted, contact)}
