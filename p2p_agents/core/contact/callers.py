"""Strangers at our public queue: each blob may bring one request from somebody we never met.

Its cost is bounded before anything in it is believed; it may do what a request on a link may (PROTOCOL B11, E4).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p_agents.core.contact import consent, reply
from p2p_agents.core.contact.consent import Said
from p2p_agents.core.identity import adoption
from p2p_agents.core.links import standing
from p2p_agents.crypto.bundle import read_bundle
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.identity import Identity, replay
from p2p_agents.crypto.outer import open_blob
from p2p_agents.crypto.signing import unverified_payload, verify
from p2p_agents.errors import BadIdentity, Malformed, PeerFault
from p2p_agents.limits import DAY_MS, REQUEST_DAYS
from p2p_agents.link.admission import Answer
from p2p_agents.store import contacts, doors
from p2p_agents.store.contacts import Trust
from p2p_agents.store.doors import Asker
from p2p_agents.wire.frame import Standing, decode_frame
from p2p_agents.wire.knock import KNOCK_LABEL, Knock, KnockClaims, decode_knock

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.store.queues import OwnQueue

log = logging.getLogger(__name__)


def knock_info(queue: bytes, agent: bytes, device: bytes) -> bytes:
    """What a request's seal is bound to, so that it opens nowhere else."""
    return H(KNOCK_LABEL, queue, agent, device)


def open_knock(core: Core, own: OwnQueue, blob: bytes) -> None:
    """Handle a blob of our public queue. Raises nothing that anybody can cause."""
    hosted = core.hosted.of_device(own.device)
    if hosted is None or not hosted.desk.hears(core.now()):
        return
    try:
        _, frames = open_blob(own.key, own.queue, blob)
        found = next((frame for frame in map(decode_frame, frames) if isinstance(frame, Knock)), None)
        if found is not None:
            _hear(core, hosted, own, found)
    except PeerFault as fault:
        log.info("at the public queue of %s: %s: %s", hosted.local.name, fault.code, fault.message)


def _hear(core: Core, hosted: Hosted, own: OwnQueue, frame: Knock) -> None:
    """Raises BadSeal, BadSignature, BadIdentity, Malformed or UnknownVersion."""
    signed = hosted.unseal(frame.sealed, knock_info(own.queue, hosted.local.agent, hosted.local.device))
    claims = decode_knock(unverified_payload(signed))
    if standing.towards(core, hosted, claims.agent) is Standing.CLOSED or core.hosted_id(claims.agent) is not None:
        return
    verify(claims.device, signed, KNOCK_LABEL)
    if claims.peer != hosted.local.agent:
        raise Malformed("the request is to another agent")
    if claims.stamp < core.now_ms() - REQUEST_DAYS * DAY_MS:
        return  # its sender gave up long ago: a replay
    identity = _identity(core, claims)
    asker = Asker(claims.agent, claims.device, claims.stamp, claims.bundle, claims.routes)
    if _is_contact(core, hosted, claims):
        _adopt(core, identity, claims)
        reply.open_way(core, hosted, asker)
    elif consent.is_welcome(core, hosted.local.id, claims.agent):
        _adopt(core, identity, claims)
        doors.keep_asker(core.db, hosted.local.id, asker)
        consent.take_in(core, hosted.local.id, claims.agent, claims.name, claims.kind)
        consent.regard(core, hosted, claims.agent)
    else:
        _ask(core, hosted, identity, claims, asker)


def _identity(core: Core, claims: KnockClaims) -> Identity:
    """The identity of the log, checked to be the agent's and to contain the device with its key bundle."""
    identity = replay(claims.entries)
    if identity.agent != claims.agent or claims.device not in identity.devices:
        raise BadIdentity("the identity log of the request is another agent's, or its device is not the agent's")
    if read_bundle(claims.bundle, claims.device, core.now_ms()).agent != claims.agent:
        raise BadIdentity("the key bundle is another agent's")
    return identity


def _is_contact(core: Core, hosted: Hosted, claims: KnockClaims) -> bool:
    contact = contacts.contact(core.db, hosted.local.id, claims.agent)
    return contact is not None and contact.trust >= Trust.ACCEPTED


def _ask(core: Core, hosted: Hosted, identity: Identity, claims: KnockClaims, asker: Asker) -> None:
    """A request for the agent or its human to decide; a repeated one is absorbed (PROTOCOL B11)."""
    earlier = doors.asker(core.db, hosted.local.id, claims.agent)
    if earlier is not None and claims.stamp <= earlier.stamp:
        return
    answer = consent.judge(core, hosted, claims.agent)
    if answer is Answer.DROP:
        return
    _adopt(core, identity, claims)
    doors.keep_asker(core.db, hosted.local.id, asker)
    said = Said(claims.agent, claims.name, claims.kind, claims.entry, claims.text)
    consent.keep(core, hosted, said, answer)


def _adopt(core: Core, identity: Identity, claims: KnockClaims) -> None:
    """Raises BadIdentity if we know that the device was revoked, or belongs to another agent."""
    if claims.device not in adoption.adopt(core, identity).devices:
        raise BadIdentity(f"{id_text(claims.agent)[:10]} has revoked that device")
