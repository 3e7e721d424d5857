"""Beginning a session: one signed init, sealed to a key that the peer offered, and nothing sent back.

The offer is HELLO's single-use key over a live link, a key in a reset request, or the weekly prekey of an
absent peer (PROTOCOL D1, D3). A session may replace a dead one and mix in its root, so that whoever stole
only the offer's private key still learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from p2p_agents.crypto import kem
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.ratchet import derive
from p2p_agents.crypto.session import KEY_BYTES, NO_TURN, Party, Receiving, Sending, Session, heals_after
from p2p_agents.crypto.signing import SigningKey, verify
from p2p_agents.errors import BadSeal, Malformed
from p2p_agents.wire.cbor import VERSION, blob, decode, encode, uint
from p2p_agents.wire.kinds import Bytes, Bytes32, Maybe, Uint, Uint53
from p2p_agents.wire.layout import Versioned

if TYPE_CHECKING:
    from p2p_agents.crypto.entropy import Entropy
    from p2p_agents.crypto.kem import KemKey

__all__ = ["Init", "Party", "Session", "accept", "initiate", "offer_hash", "read_init"]

INIT_LABEL = "p2pa/1 init"

_OFFER_LABEL = "p2pa/1 offer"
_SID_LABEL = "p2pa/1 sid"
_ROOT_LABEL = b"p2pa/1 root"
_SID_BYTES = 32
_SEALED_BYTES = KEY_BYTES + kem.OVERHEAD_BYTES
_INIT_BYTES = kem.PUBLIC_BYTES + _SEALED_BYTES + 512  # the other fields take under 300


@dataclass(frozen=True, slots=True)
class InitParts(Versioned):
    """An init as it is sent; all but the last are the terms."""

    RULE: ClassVar[str] = "init"
    from_agent: Annotated[Bytes32, "I's agent"]
    from_device: Annotated[Bytes32, "I's device"]
    to_agent: Annotated[Bytes32, "A's agent"]
    to_device: Annotated[Bytes32, "A's device"]
    offer_hash: Annotated[Bytes32, "offer"]
    gen: Uint53
    dead: Annotated[bytes, Bytes(0, _SID_BYTES)]
    heal_id: Annotated[int | None, Maybe(Uint())]
    public: Annotated[bytes, Bytes(kem.PUBLIC_BYTES), "pk0"]
    sealed: Annotated[bytes, Bytes(_SEALED_BYTES), "c0"]


@dataclass(frozen=True, slots=True)
class Init:
    """The terms of an init. Building one out of bounds raises Malformed."""

    frm: Party
    to: Party
    offer_hash: bytes
    gen: int
    dead: bytes
    heal_id: int | None
    public: bytes = field(repr=False)
    sealed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        blob(self.offer_hash, size=32, what="offer_hash")
        uint(self.gen, what="gen")
        blob(self.dead, size=_SID_BYTES if self.dead else 0, what="dead")
        if self.heal_id is not None:
            uint(self.heal_id, what="heal_id")
        kem.check_public(self.public)
        blob(self.sealed, size=_SEALED_BYTES, what="encapsulation")

    @property
    def transcript(self) -> bytes:
        """The hash of all terms: the encapsulation and the first root are bound to it."""
        return _transcript(self._terms())

    @property
    def sid(self) -> bytes:
        """The id of the session this begins."""
        return H(_SID_LABEL, self.transcript, self.sealed)

    def payload(self) -> bytes:
        """The bytes to sign under INIT_LABEL."""
        return encode(InitParts.packed(*self._terms(), self.sealed))

    def _terms(self) -> list[object]:
        return _terms(self.frm, self.to, self.offer_hash, self.gen, self.dead, self.heal_id, self.public)


def offer_hash(public: bytes) -> bytes:
    """How an init names the offered key."""
    return H(_OFFER_LABEL, public)


def initiate(
    *,
    me: Party,
    key: SigningKey,
    peer: Party,
    offer: bytes,
    gen: int,
    now_ms: int,
    entropy: Entropy,
    dead: bytes = b"",
    heal: tuple[int, bytes] | None = None,
) -> tuple[Session, bytes]:
    """A session with the holder of the offered KEM key, and the signed init that lets it accept.

    `dead` is the sid this session replaces; `heal` is an (id, secret) of that one. Raises Malformed for
    a bad offer.
    """
    if key.public != me.device:
        raise Malformed("the INIT must be signed by its own device")
    own, secret = entropy.kem_key(), entropy.draw(KEY_BYTES)
    heal_id, healing = heal or (None, b"")
    hashed = offer_hash(offer)
    transcript = _transcript(_terms(me, peer, hashed, gen, dead, heal_id, own.public))
    init = Init(me, peer, hashed, gen, dead, heal_id, own.public, kem.seal(offer, secret, transcript))
    root, chain = derive(transcript, secret + healing, _ROOT_LABEL)
    sid = init.sid
    out = Sending(0, 0, 0, sid, chain, own)
    into = Receiving(NO_TURN, 0, 0, sid, b"", b"")
    session = Session(sid, me, peer, gen, True, out, into, now_ms, 0, root, heals_after((), root))
    return session, key.sign(init.payload(), INIT_LABEL)


def read_init(signed: bytes, peer: Party) -> Init:
    """The init, signed by `peer`. Raises Malformed, UnknownVersion, or BadSignature."""
    payload = decode(verify(peer.device, signed, INIT_LABEL), limit=_INIT_BYTES)
    from_agent, from_device, to_agent, to_device, *rest = InitParts.parts(payload)
    init = Init(Party(from_agent, from_device), Party(to_agent, to_device), *rest)
    if init.frm != peer:
        raise Malformed("the INIT names another sender than the one who signed it")
    return init


def accept(
    init: Init, *, me: Party, offer_key: KemKey, now_ms: int, entropy: Entropy, heal: bytes | None = None
) -> Session:
    """The acceptor's end of the session; its first seal will be a turn, so `entropy` is not drawn from yet.

    The caller has checked `init.gen` (PROTOCOL D3) and looks up `heal` by `init.heal_id`. Raises BadSeal.
    """
    if init.to != me:
        raise BadSeal("the INIT is for another agent or device")
    if init.offer_hash != offer_hash(offer_key.public):
        raise BadSeal("the INIT is sealed to another offer")
    if (init.heal_id is None) != (heal is None):
        raise BadSeal("the INIT heals without a secret to heal with, or the reverse")
    transcript, sid = init.transcript, init.sid
    secret = offer_key.open(init.sealed, transcript)
    root, chain = derive(transcript, secret + (heal or b""), _ROOT_LABEL)
    out = Sending(NO_TURN, 0, 0, sid, b"", None)
    into = Receiving(0, 0, 0, sid, chain, init.public)
    return Session(sid, me, init.frm, init.gen, False, out, into, now_ms, 0, root, heals_after((), root))


def _terms(
    frm: Party, to: Party, offered: bytes, gen: int, dead: bytes, heal_id: int | None, public: bytes
) -> list[object]:
    """The terms that both agree on, in the order in which they are signed and hashed."""
    return [frm.agent, frm.device, to.agent, to.device, offered, gen, dead, heal_id, public]


def _transcript(terms: list[object]) -> bytes:
    return H(INIT_LABEL, VERSION, *terms)
