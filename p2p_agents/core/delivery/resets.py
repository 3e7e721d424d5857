"""Sessions end, and their successors inherit healing (PROTOCOL D3): a reset must not undo what a turn has healed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.delivery import sync
from p2p_agents.core.kernel import sessions as ended
from p2p_agents.core.kernel.state import BridgedLink, Heal, Phase
from p2p_agents.core.relay import ways
from p2p_agents.crypto import handshake
from p2p_agents.crypto.ratchet import Party
from p2p_agents.crypto.signing import verify
from p2p_agents.errors import BadSeal, Malformed
from p2p_agents.link.reconcile import common_heal
from p2p_agents.store import sessions
from p2p_agents.store.sessions import Held
from p2p_agents.wire.claims import RESET_LABEL, ResetClaims, decode_reset, encode_reset
from p2p_agents.wire.frame import Init, Reset

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.crypto.handshake import Init as SignedInit

SESSIONS = 2  # per device pair (PROTOCOL D4)


def begin(core: Core, link: Link, key: PairKey) -> Held | None:
    """A new session sealed to the peer's single-use key; None if that is used up: then a RESET offers ours."""
    if isinstance(link, BridgedLink):
        link.peer_offer = ways.prekey_of(core, link)
        if link.peer_offer is None:
            return None
    if link.peer_offer is None:
        _ask_for_init(core, link)
        return None
    hosted = core.host(link.agent)
    pair = sessions.pair(core.db, *key)
    gen = sync.rising(pair, core.now_ms())
    session, init = handshake.initiate(
        me=hosted.party,
        key=hosted.speaker.key,
        peer=Party(link.peer, link.peer_device),
        offer=link.peer_offer,
        gen=gen,
        now_ms=core.now_ms(),
        entropy=core.entropy,
        dead=link.heal.dead,
        heal=_inherited(link.heal),
    )
    link.peer_offer = None  # single use
    sessions.note_pair(core.db, *key, link.peer, gen_sent=gen)
    held = Held(session, [], ack_due=False, acked=0, acked_hash=session.sid)
    core.add_session(key, held)
    retire_replaced(core, key, b"")
    core.send_on(link, Init(link.number, init), (session.sid, ways.INIT))
    core.init_links[session.sid] = link
    if isinstance(link, BridgedLink):
        link.way.inits.add(session.sid)
    return held


def _inherited(heal: Heal) -> tuple[int, bytes] | None:
    if heal.common is None:
        return None
    return heal.common, dict(heal.heals)[heal.common]


def heal_secret(core: Core, link: Link, key: PairKey, init: SignedInit) -> bytes | None:
    """The secret that the peer's init must have mixed in. Raises BadSeal if it left out a required one or claims one
    that it may not."""
    heal = _heal_of(core, link, key, init.dead)
    if heal.required and init.heal_id != heal.common:
        raise BadSeal("the INIT does not inherit the session that it replaces")
    if init.heal_id is None:
        return None
    secret = dict(heal.heals).get(init.heal_id)
    if secret is None:
        raise BadSeal("the INIT inherits a session that this side does not hold")
    return secret


def _heal_of(core: Core, link: Link, key: PairKey, dead: bytes) -> Heal:
    if dead and link.heal.dead == dead:
        return link.heal
    held = next((h for h in core.pair_sessions(key) if h.session.sid == dead), None)
    return Heal(dead, held.session.heals) if held else Heal()


def retire_replaced(core: Core, key: PairKey, dead: bytes) -> None:
    """Drop the session that an init names, and the oldest beyond the limit of a pair."""
    for held in list(core.pair_sessions(key)):
        if held.session.sid == dead:
            ended.retire(core, key, held)
    for held in core.pair_sessions(key)[SESSIONS:]:
        ended.retire(core, key, held)


# --- RESET ---


def _ask_for_init(core: Core, link: Link) -> None:
    """Offer a fresh signed single-use key; at most once per key."""
    if link.offer is not None and link.reset_asked:
        return
    hosted = core.host(link.agent)
    link.offer, link.reset_asked = core.entropy.kem_key(), True
    claims = ResetClaims(
        hosted.local.agent,
        hosted.local.device,
        link.peer,
        link.peer_device,
        link.peer_challenge,
        link.offer.public,
        link.heal.dead,
        tuple(identity for identity, _ in link.heal.heals),
    )
    signed = hosted.speaker.key.sign(encode_reset(claims), RESET_LABEL)
    core.send_on(link, Reset(link.number, signed))


def on_reset(core: Core, link: Link, frame: Reset) -> None:
    """The peer wants a new session sealed to this key. Raises BadSignature or Malformed."""
    if link.phase is not Phase.SYNCED:
        raise Malformed("RESET came before SYNC")
    claims = decode_reset(verify(link.peer_device, frame.payload, RESET_LABEL))
    local = core.host(link.agent).local
    said = (claims.agent, claims.device, claims.peer, claims.peer_device, claims.nonce)
    if said != (link.peer, link.peer_device, local.agent, local.device, link.own_challenge):
        raise Malformed("the RESET is for another link")
    key = core.pair_key(link)
    heal = _heal_of(core, link, key, claims.dead)
    link.heal = Heal(claims.dead, heal.heals, common_heal(tuple(each for each, _ in heal.heals), claims.heals))
    link.peer_offer = claims.offer
    retire_replaced(core, key, claims.dead)
    begin(core, link, key)
    core.mark_ready(key)
