"""Introducing two contacts to each other: each is sent the other's card."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from p2p_agents.conversation.record import CARD, write_message
from p2p_agents.core.agents import hosting
from p2p_agents.core.contact import cards, directory
from p2p_agents.core.contact.naming import Names
from p2p_agents.core.delivery import outbound
from p2p_agents.core.identity import talks
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import BadParams, NotAContact
from p2p_agents.limits import BODY_BYTES
from p2p_agents.store import agents, contacts, entries, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.card import encode_card
from p2p_agents.wire.entry import SALT_BYTES
from p2p_agents.wire.ip import Address, may_be_dialled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.core.contact.directory import Known
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.results import people

Json = dict[str, Any]

CARD_TYPE = "application/cbor"


def introduce(core: Core, params: Json) -> people.Introductions:
    """Send both cards or neither. `addresses` are where this node listens, (IP, port) each. Raises NotAContact,
    PeerBlocked, OutboxFull or BadParams."""
    hosted = core.acting(params["agent"])
    one, other = (directory.resolve(core, hosted, params[name]) for name in ("peer", "other"))
    if one.agent == other.agent:
        raise BadParams(f"{_called(one)} and {_called(other)} are the same agent", param="other")
    if core.hosted_id(one.agent) is not None and core.hosted_id(other.agent) is not None:
        raise BadParams("agents of one node know each other already", param="other")
    for known in (one, other):
        _check(core, hosted, known)
    own = [address for address in params.get("addresses", ()) if may_be_dialled(address)]
    return {"introductions": [_send(core, hosted, to, about, own) for to, about in ((one, other), (other, one))]}


def policy(core: Core, params: Json) -> people.IntroductionsPolicy:
    """Set what happens to introductions."""
    hosted = core.acting(params["agent"])
    if params["introductions"] is not None:
        agents.set_introductions(core.db, hosted.local.id, params["introductions"])
        hosting.reload(core)
    return {"introductions": hosted.local.introductions}


def _called(known: Known) -> str:
    return known.petname or known.name


def _check(core: Core, hosted: Hosted, known: Known) -> None:
    """Only a peer that is accepted here and has accepted us is introduced: both sides should know the introducer."""
    if core.hosted_id(known.agent) is not None:
        return
    contact = contacts.contact(core.db, hosted.local.id, known.agent)
    if contact is not None:
        contacts.check_open(contact)
    if contact is None or contact.trust < Trust.ACCEPTED:
        raise NotAContact(f"{_called(known)} is not a contact of {hosted.local.name} yet")
    if not sessions.ever_met(core.db, hosted.local.device, known.agent):
        raise NotAContact(f"{_called(known)} has not accepted {hosted.local.name} yet")


def _send(core: Core, hosted: Hosted, to: Known, about: Known, own: Sequence[Address]) -> people.Introduced:
    talk = talks.with_peer(hosted, to.agent)
    record = write_message(
        hosted.speaker.key,
        hosted.local.agent,
        entries.next_place(core.db, talk.id, hosted.local.device),
        content=_card(core, about, own),
        salt=core.entropy.draw(SALT_BYTES),
        content_type=CARD_TYPE,
        reply_to=None,
        time_ms=core.now_ms(),
        kind=CARD,
    )
    sent = outbound.post(core, hosted, talk, record)
    names = Names(core, hosted)
    return {
        "id": id_text(sent.hash),
        "to": names.of(to.agent),
        "about": names.of(about.agent),
        "state": str(sent.state),
    }


def _card(core: Core, about: Known, own: Sequence[Address]) -> bytes:
    """With its announced name, never our petname for it. A log that does not fit is left out: a HELLO shows it
    anyway."""
    card = cards.card_of(core, about.agent, about.name, about.kind, own)
    encoded = encode_card(card)
    return encoded if len(encoded) <= BODY_BYTES else encode_card(replace(card, entries=()))
