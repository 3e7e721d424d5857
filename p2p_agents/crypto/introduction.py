"""How two sides of a pairing introduce themselves: hashed before the exchange, shown sealed after it.

A box of CONFIRM and REVEAL holds an introduction and the proof Sign(device, [side, ci, sid, own ad, peer's ad]).
The hash is what the exchange confirms as `ad`, so nobody can exchange an introduction for another one; the salt keeps
somebody who overhears the hash from trying who it may be. The signature proves that the device is there itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2p_agents.crypto.bundle import read_bundle
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.identity import Identity, replay
from p2p_agents.crypto.identity import consent as consent_of
from p2p_agents.crypto.pake import Agreed, Side
from p2p_agents.crypto.signing import SigningKey, verify
from p2p_agents.errors import BadIdentity, BadSeal, BadSignature
from p2p_agents.limits import PAIRING_MESSAGE_BYTES
from p2p_agents.wire.cbor import array, blob, encode
from p2p_agents.wire.kinds import Bytes, Bytes32, Custom
from p2p_agents.wire.layout import Layout, Versioned
from p2p_agents.wire.names import KindOrNothing, NameOrNothing, told_kind, told_name
from p2p_agents.wire.pairing import Purpose
from p2p_agents.wire.route import Route, Routes

PAIR_LABEL = "p2pa/1 pair"

_AD_LABEL = "p2pa/1 pair introduction"
_SID_LABEL = "p2pa/1 pair sid"
_BOX_LABEL = b"p2pa/1 pair box"
_SALT_BYTES = 16
_NONCE = bytes(12)  # every box has a key of its own


def _log(value: Any) -> tuple[Any, ...]:
    """Its bounds are replay's to check: a log beyond them is a bad identity."""
    return tuple(array(value, what="identity log"))


@dataclass(frozen=True, slots=True)
class Introduction(Versioned):
    """Without entries and bundle, and perhaps without a name, of an installation that is to be linked."""

    RULE: ClassVar[str] = "introduction"
    salt: Annotated[bytes, Bytes(_SALT_BYTES)]
    device: Bytes32
    entries: Annotated[tuple[bytes, ...], Custom("[0*256 identity-entry]", _log, list)]
    bundle: Annotated[bytes, Bytes()]
    name: NameOrNothing
    kind: KindOrNothing


@dataclass(frozen=True, slots=True)
class Revealed(Layout):
    """What a box of CONFIRM or REVEAL holds."""

    RULE: ClassVar[str] = "revealed"
    WHAT: ClassVar[str] = "box"
    introduction: Annotated[bytes, Bytes()]
    proof: Annotated[bytes, Bytes()]
    consent: Annotated[bytes, Bytes()]
    routes: Routes


@dataclass(frozen=True, slots=True)
class Self:
    """How one of our agents, or a new installation that is to become a device of one, presents itself."""

    key: SigningKey  # of this installation's device
    identity: Identity | None  # None: this installation belongs to no agent yet
    bundle: bytes
    name: str
    kind: str
    routes: tuple[Route, ...] = ()  # where the other side may leave messages

    def __post_init__(self) -> None:
        if self.identity is not None and self.key.public not in self.identity.devices:
            raise BadIdentity("the device is not the agent's")

    def introduce(self, salt: bytes) -> bytes:
        """The introduction's bytes, `salt` being 16 fresh ones."""
        blob(salt, size=_SALT_BYTES, what="salt")
        entries = self.identity.entries if self.identity else ()
        return Introduction(salt, self.key.public, entries, self.bundle, self.name, self.kind).encoded()


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that proved itself. `identity` is None, and `consent` is set, for an installation to be linked."""

    device: bytes
    identity: Identity | None
    bundle: bytes
    name: str
    kind: str
    consent: bytes
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Meeting:
    """A run that both sides agreed in: all that follows is sealed to it."""

    purpose: Purpose
    side: Side
    sid: bytes
    ad: bytes
    peer_ad: bytes
    agreed: Agreed = field(repr=False)

    def seal(self, step: int, content: bytes) -> bytes:
        """`content` for the peer; each step once."""
        return _cipher(self.agreed.key, self.side, step).encrypt(_NONCE, content, None)

    def open(self, step: int, box: bytes) -> bytes:
        """The content that the peer sealed. Raises BadSeal."""
        try:
            return _cipher(self.agreed.key, Side(1 - self.side), step).decrypt(_NONCE, box, None)
        except InvalidTag:
            raise BadSeal("the pairing message does not open") from None

    def reveal(self, step: int, me: Self, introduction: bytes, host: Identity | None = None) -> bytes:
        """Our introduction, sealed and signed for this meeting; with our consent to become a device of `host`."""
        proof = me.key.sign(_claim(self.purpose, self.side, self.sid, self.ad, self.peer_ad), PAIR_LABEL)
        agreed = consent_of(host, me.key) if host else b""
        return self.seal(step, Revealed(introduction, proof, agreed, me.routes).encoded())

    def meet(self, step: int, box: bytes, now_ms: int) -> Peer:
        """Who the peer is. Raises BadSeal, BadSignature, BadIdentity, Malformed or UnknownVersion."""
        shown = Revealed.decoded(self.open(step, box), limit=PAIRING_MESSAGE_BYTES)
        if introduction_hash(shown.introduction) != self.peer_ad:
            raise BadSeal("the introduction is not the one that was confirmed")
        peer = _read(shown, now_ms)
        claim = _claim(self.purpose, Side(1 - self.side), self.sid, self.peer_ad, self.ad)
        if verify(peer.device, shown.proof, PAIR_LABEL) != claim:
            raise BadSignature("the proof is for another meeting")
        return peer


def context(purpose: Purpose) -> bytes:
    """The ci of an exchange: its purpose, and who admits the other: always the displayer (PROTOCOL F1)."""
    host = None if purpose is Purpose.CONTACT else int(Side.INITIATOR)
    return encode([PAIR_LABEL, str(purpose), host])


def session_id(place: str, displayer_nonce: bytes, joiner_nonce: bytes) -> bytes:
    """The sid of a run: both sides contributed randomness, so neither can repeat an old one."""
    return H(_SID_LABEL, place, displayer_nonce, joiner_nonce)


def introduction_hash(introduction: bytes) -> bytes:
    """The ad that stands for an introduction until it is shown."""
    return H(_AD_LABEL, introduction)


def _claim(purpose: Purpose, side: Side, sid: bytes, ad: bytes, peer_ad: bytes) -> bytes:
    return encode([int(side), context(purpose), sid, ad, peer_ad])


def _cipher(key: bytes, side: Side, step: int) -> ChaCha20Poly1305:
    info = encode([_BOX_LABEL, int(side), step])
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=None, info=info).derive(key))


def _read(shown: Revealed, now_ms: int) -> Peer:
    said = Introduction.decoded(shown.introduction, limit=PAIRING_MESSAGE_BYTES)
    identity = _whose(said.device, said.entries, said.bundle, now_ms)
    nobody = identity is None  # a new device has no name until it belongs to an agent
    name, kind = told_name(said.name, optional=nobody), told_kind(said.kind, optional=nobody)
    return Peer(said.device, identity, said.bundle, name, kind, shown.consent, shown.routes)


def _whose(device: bytes, entries: tuple[bytes, ...], bundle: bytes, now_ms: int) -> Identity | None:
    """The identity whose device this is; None if it has none yet."""
    if not entries:
        blob(bundle, size=0, what="bundle of no agent")
        return None
    identity = replay(entries)
    if device not in identity.devices:
        raise BadIdentity("the device is not the agent's")
    if read_bundle(bundle, device, now_ms).agent != identity.agent:
        raise BadIdentity("the key bundle is another agent's")
    return identity
