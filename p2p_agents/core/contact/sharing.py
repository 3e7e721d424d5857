"""The devices of an agent share what they learn or decide about contacts, as entries of the agent's conversation with
itself. Of two values for one field of a contact, the later by (lamport, device) wins."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import SHARE, write_message
from p2p_agents.core.contact import cards, consent, directory
from p2p_agents.core.identity import adoption, family, talks
from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.core.links import seeking
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.identity import replay
from p2p_agents.errors import BadIdentity, BadName, Malformed, PeerFault
from p2p_agents.limits import BODY_BYTES, PAGE
from p2p_agents.quic.address import format_address
from p2p_agents.store import contacts, conversations, entries, introductions, log
from p2p_agents.store import family as kept
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.entry import SALT_BYTES
from p2p_agents.wire.share import Share, decode_share, encode_share

if TYPE_CHECKING:
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.store.contacts import Contact
    from p2p_agents.wire.card import Card

SHARE_TYPE = "application/cbor"

logger = logging.getLogger(__name__)


# --- sending ---


def copy(core: Core, hosted: Hosted, entry: int, besides: bytes = b"") -> None:
    """An entry came into the agent's log: its other devices are owed it, except the one that sent it; and before it,
    anything about its author that they have not been told."""
    if family.others(hosted):
        tell(core, hosted)
        family.owe_copies(core, hosted, entry, besides)


def second(core: Core) -> None:
    """Once a second: share what changed."""
    for hosted in core.hosted.values():
        if family.others(hosted):
            tell(core, hosted)


def tell_all(core: Core, hosted: Hosted) -> None:
    """The first other device is told of every contact; later ones receive those same entries."""
    if not entries.authors(core.db, talks.within(hosted).id):
        kept.share_all(core.db, hosted.local.id)
    while tell(core, hosted):
        pass


def tell(core: Core, hosted: Hosted) -> bool:
    """Returns whether there was anything to tell."""
    agent = hosted.local.id
    found = kept.unshared(core.db, agent, PAGE)
    for peer, fields in found.items():
        contact = contacts.contact(core.db, agent, peer)
        if contact is not None and peer != hosted.local.agent:
            _tell(core, hosted, contact, fields)
        kept.told(core.db, agent, peer, fields)
    return bool(found)


def _tell(core: Core, hosted: Hosted, contact: Contact, fields: set[str]) -> None:
    """A stranger that only asked is not shared; one that was shared and is a stranger again is."""
    agent, peer = hosted.local.id, contact.peer
    known = kept.word(core.db, agent, peer, kept.TRUST) != (0, b"")
    if contact.trust in (Trust.UNKNOWN, Trust.REQUESTED) and not known:
        return
    share = Share(
        cards.card_of(core, peer, contact.name, contact.kind),
        int(contact.trust) if kept.TRUST in fields else None,
        contact.petname if kept.PETNAME in fields else None,
        kept.PETNAME in fields,
    )
    record = _write(core, hosted, share)
    conversations.keep(core.db, talks.within(hosted))
    entry = entries.append(core.db, record)
    log.add(core.db, agent, entry, record.conversation, incoming=False, trust=Trust.VERIFIED)
    family.owe_copies(core, hosted, entry)
    for field in fields - {kept.IDENTITY}:
        kept.keep_word(core.db, agent, peer, field, record.lamport, record.device)


def _write(core: Core, hosted: Hosted, share: Share) -> Record:
    content = encode_share(share)
    if len(content) > BODY_BYTES:
        content = encode_share(replace(share, card=replace(share.card, entries=())))
    own = hosted.local.agent
    return write_message(
        hosted.speaker.key,
        own,
        entries.next_place(core.db, talks.within(hosted).id, hosted.local.device),
        content=content,
        salt=core.entropy.draw(SALT_BYTES),
        content_type=SHARE_TYPE,
        reply_to=None,
        time_ms=core.now_ms(),
        kind=SHARE,
    )


# --- receiving ---


def on_share(core: Core, hosted: Hosted, giver: bytes, r: Record) -> None:
    """Another device of ours tells about a contact. Raises nothing."""
    own = hosted.local.agent
    if giver != own or r.author != own or r.conversation != talks.within(hosted).id or r.content is None:
        return
    try:
        share = decode_share(r.content)
    except PeerFault as fault:
        logger.warning("a device of %s: %s", hosted.local.name, fault.message)
        return
    peer = share.card.agent
    if peer == own:
        return
    _believe(core, share.card)
    if share.trust is not None and _is_newer(core, hosted, peer, kept.TRUST, r):
        _trust(core, hosted, share.card, Trust(share.trust))
    if share.renamed and _is_newer(core, hosted, peer, kept.PETNAME, r):
        _rename(core, hosted, peer, share.petname)
    kept.told(core.db, hosted.local.id, peer, (kept.TRUST, kept.PETNAME, kept.IDENTITY))
    core.effect(PeersChanged())


def _is_newer(core: Core, hosted: Hosted, peer: bytes, field: str, r: Record) -> bool:
    """Whether this is the newest value of the field; if so, it is stored as such."""
    newer = (r.lamport, r.device) > kept.word(core.db, hosted.local.id, peer, field)
    if newer:
        kept.keep_word(core.db, hosted.local.id, peer, field, r.lamport, r.device)
    return newer


def _believe(core: Core, card: Card) -> None:
    """Store the log, as our own device verified it, and where the peer was reached."""
    if core.hosted_id(card.agent) is not None:
        return
    try:
        if card.entries:
            identity = replay(card.entries)
            if identity.agent != card.agent:
                raise Malformed("the identity log is another agent's")
            adoption.adopt(core, identity)
    except (BadIdentity, Malformed) as fault:
        logger.warning("of %s: %s", id_text(card.agent)[:10], fault.message)
    if not contacts.addresses(core.db, card.agent):
        for place in card.places:
            for address in place.addresses:
                introductions.add_lead(core.db, card.agent, place.node, format_address(address))


def _trust(core: Core, hosted: Hosted, card: Card, trust: Trust) -> None:
    agent, peer = hosted.local.id, card.agent
    if trust is Trust.BLOCKED:
        consent.block(core, hosted, peer, card.name, card.kind)
        return
    known = contacts.contact(core.db, agent, peer)
    if trust is Trust.UNKNOWN and known is not None and known.trust >= Trust.ACCEPTED:
        consent.remove(core, hosted, peer)
        return
    contacts.save_contact(core.db, agent, peer, name=card.name, kind=card.kind, trust=trust, now_ms=core.now_ms())
    if trust >= Trust.ACCEPTED:
        contacts.settle_request(core.db, agent, peer, "accepted")
        introductions.settle(core.db, agent, peer, "accepted")
    consent.regard(core, hosted, peer)
    if trust >= Trust.ACCEPTED:
        seeking.seek(core, peer)


def _rename(core: Core, hosted: Hosted, peer: bytes, petname: str | None) -> None:
    """Unless another contact has that petname here, or it now reads like an id."""
    if contacts.contact(core.db, hosted.local.id, peer) is None:
        return
    try:
        name = directory.check_petname(core, hosted, peer, petname) if petname else None
    except BadName as fault:
        logger.info("a petname that another device gave: %s", fault.message)
        return
    contacts.set_petname(core.db, hosted.local.id, peer, name)
