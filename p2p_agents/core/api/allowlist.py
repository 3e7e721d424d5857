"""The control methods of the allowlist: who needs no request, once it proved its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2p_agents.core.contact import consent, directory
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.crypto.fingerprint import id_text, parse_id
from p2p_agents.errors import AllowlistFull, Malformed, NotListed, PeerUnknown
from p2p_agents.limits import ALLOWED_AGENTS
from p2p_agents.store import allowed, doors
from p2p_agents.store.contacts import Trust

if TYPE_CHECKING:
    from p2p_agents.core.contact.directory import Known
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.results import people

Json = dict[str, Any]


def add(core: Core, params: Json) -> people.ListedAnswer:
    """Takes effect at once, also on links that are up. Naming an id gives nobody access: a HELLO must prove it."""
    hosted = core.acting(params["agent"])
    peer = _meant(core, hosted, params["peer"])
    agent = hosted.local.id
    if not allowed.holds(core.db, agent, peer) and allowed.count(core.db, agent) >= ALLOWED_AGENTS:
        raise AllowlistFull(f"the allowlist of {hosted.local.name} holds {ALLOWED_AGENTS} ids already")
    allowed.add(core.db, agent, peer, core.now_ms())
    for link in list(core.links_to(agent, peer)):
        consent.welcome(core, link)
    if doors.asker(core.db, agent, peer) is not None and consent.is_welcome(core, agent, peer):
        consent.accept(core, hosted, peer)  # it asked over a bridge, and proved its identity then
    consent.regard(core, hosted, peer)
    return {"listed": next(shown for shown in _shown(core, hosted) if shown["id"] == id_text(peer))}


def remove(core: Core, params: Json) -> people.ListedAnswer:
    """A peer that was accepted stays a contact. Raises NotListed."""
    hosted = core.acting(params["agent"])
    peer = _meant(core, hosted, params["peer"])
    shown = next((shown for shown in _shown(core, hosted) if shown["id"] == id_text(peer)), None)
    if shown is None:
        raise NotListed(f"{params['peer'][:64]!r} is not on the allowlist of {hosted.local.name}")
    allowed.remove(core.db, hosted.local.id, peer)
    consent.regard(core, hosted, peer)
    return {"listed": shown}


def list_(core: Core, params: Json) -> people.Allowlist:
    hosted = core.acting(params["agent"])
    return {"allowlist": _shown(core, hosted)}


def _meant(core: Core, hosted: Hosted, word: str) -> bytes:
    """A whole id means itself, known or not; anything else a known peer. Raises PeerUnknown or PeerAmbiguous."""
    try:
        peer = parse_id(word)
    except Malformed:
        return directory.resolve(core, hosted, word).agent
    if peer == hosted.local.agent:
        raise PeerUnknown(f"{hosted.local.name} is the agent you act for")
    return peer


def _shown(core: Core, hosted: Hosted) -> list[people.Listed]:
    known = {known.agent: known for known in directory.everyone(core, hosted)}
    return [_entry(peer, since_ms, known.get(peer)) for peer, since_ms in allowed.everyone(core.db, hosted.local.id)]


def _entry(peer: bytes, since_ms: int, known: Known | None) -> people.Listed:
    return {
        "id": id_text(peer),
        "name": known.name if known else None,
        "petname": known.petname if known else None,
        "trust": (known.trust if known else Trust.UNKNOWN).name.lower(),
        "since": time_text(since_ms),
    }
