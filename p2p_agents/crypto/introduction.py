"""How two sides of a pairing introduce themselves: hashed before the exchange, shown sealed after it.

    introduction = [1, salt, device, [* identity entry], bundle, name, kind]
    box = Seal([introduction, Sign(device, [side, ci, sid, own ad, peer's ad], "p2pa/1 pair"), consent, [route…]])

The hash is what the exchange confirms as `ad`, so nobody can exchange an introduction for another one; the salt keeps
somebody who overhears the hash from trying who it may be. The signature proves that the device is there itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, version
from p2p_agents.wire.names import told_kind, told_name
from p2p_agents.wire.pairing import Purpose
from p2p_agents.wire.route import Route, unpack_routes

PAIR_LABEL = "p2pa/1 pair"

_AD_LABEL = "p2pa/1 pair introduction"
_SID_LABEL = "p2pa/1 pair sid"
_BOX_LABEL = b"p2pa/1 pair box"
_SALT_BYTES = 16
_NONCE = bytes(12)  # every box has a key of its own


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
        entries = list(self.identity.entries) if self.identity else []
        return encode([VERSION, salt, self.key.public, entries, self.bundle, self.name, self.kind])


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
        return self.seal(step, encode([introduction, proof, agreed, [route.pack() for route in me.routes]]))

    def meet(self, step: int, box: bytes, now_ms: int) -> Peer:
        """Who the peer is. Raises BadSeal, BadSignature, BadIdentity, Malformed or UnknownVersion."""
        shown = array(decode(self.open(step, box), limit=PAIRING_MESSAGE_BYTES), 4, what="box")
        introduction, proof, agreed, routes = shown
        if introduction_hash(blob(introduction, what="introduction")) != self.peer_ad:
            raise BadSeal("the introduction is not the one that was confirmed")
        peer = _read(introduction, blob(agreed, what="consent"), unpack_routes(routes), now_ms)
        claim = _claim(self.purpose, Side(1 - self.side), self.sid, self.peer_ad, self.ad)
        if verify(peer.device, blob(proof, what="proof"), PAIR_LABEL) != claim:
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


def _read(introduction: bytes, agreed: bytes, routes: tuple[Route, ...], now_ms: int) -> Peer:
    fields = array(decode(introduction, limit=PAIRING_MESSAGE_BYTES), what="introduction")
    version(fields[0] if fields else None)
    _, salt, device, entries, bundle, name, kind = array(fields, 7, what="introduction")
    blob(salt, size=_SALT_BYTES, what="salt")
    blob(device, size=32, what="device key")
    identity = _whose(device, array(entries, what="identity log"), bundle, now_ms)
    nobody = identity is None  # a new device has no name until it belongs to an agent
    name, kind = told_name(name, optional=nobody), told_kind(kind, optional=nobody)
    return Peer(device, identity, bundle, name, kind, agreed, routes)


def _whose(device: bytes, entries: list[Any], bundle: bytes, now_ms: int) -> Identity | None:
    """The identity whose device this is; None if it has none yet."""
    if not entries:
        blob(bundle, size=0, what="bundle of no agent")
        return None
    identity = replay(entries)
    if device not in identity.devices:
        raise BadIdentity("the device is not the agent's")
    if read_bundle(blob(bundle, what="bundle"), device, now_ms).agent != identity.agent:
        raise BadIdentity("the key bundle is another agent's")
    return identity
