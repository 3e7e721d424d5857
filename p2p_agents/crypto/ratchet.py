"""The KEM ratchet: frames sealed and opened strictly in order, with a hybrid key encapsulation in every turn.

The initiator owns the even turns, the acceptor the odd ones. The first frame of a turn carries a fresh KEM
key and an encapsulation to the peer's; frames within a turn ride a hash chain. Each function returns a new
session beside its result, so a failure, or a rollback of the caller's transaction, changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

import nacl.bindings as sodium
import nacl.exceptions
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2p_agents.crypto import kem
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.padding import pad, unpad
from p2p_agents.crypto.session import KEY_BYTES, NO_TURN, Party, Receiving, Sending, Session, heals_after
from p2p_agents.errors import BadSeal, Gap, Malformed, Replayed, TooLarge
from p2p_agents.limits import PADDING_FLOOR, SESSION_FRAME_BYTES, TURN_MESSAGES, TURN_MS
from p2p_agents.wire.cbor import VERSION, decode, encode
from p2p_agents.wire.kinds import Bytes, Bytes32, Uint53
from p2p_agents.wire.layout import Layout, Versioned

if TYPE_CHECKING:
    from p2p_agents.crypto.entropy import Entropy

__all__ = ["Frame", "Party", "Session", "after", "open_frame", "parse_frame", "seal", "turn_due"]

NONCE_BYTES = 24
TAG_BYTES = 16

_FRAME_LABEL = "p2pa/1 msg"
_STEP_LABEL = "p2pa/1 step"
_RATCHET_LABEL = b"p2pa/1 ratchet"
_CHAIN_LABEL = b"p2pa/1 chain key"
_MESSAGE_LABEL = b"p2pa/1 message key"
_SEALED_BYTES = KEY_BYTES + kem.OVERHEAD_BYTES
_HEADER_BYTES = 1 + (3 + kem.PUBLIC_BYTES) + (3 + _SEALED_BYTES) + 9  # array, key, encapsulation, pn


@dataclass(frozen=True, slots=True)
class HeaderParts(Layout):
    """What the first frame of a turn brings: the sender's new key, what it sealed to the peer's, and the frames of its
    turn before."""

    RULE: ClassVar[str] = "header"
    public: Annotated[bytes, Bytes(kem.PUBLIC_BYTES), "pk"]
    sealed: Annotated[bytes, Bytes(_SEALED_BYTES), "c"]
    pn: Uint53


@dataclass(frozen=True, slots=True)
class FrameParts(Versioned):
    """A frame as it is sent."""

    RULE: ClassVar[str] = "frame"
    sid: Bytes32
    turn: Uint53
    n: Uint53
    header: Annotated[bytes, Bytes(at_most=_HEADER_BYTES, name="header")]
    nonce: Annotated[bytes, Bytes(NONCE_BYTES)]
    ciphertext: Annotated[bytes, Bytes()]


@dataclass(frozen=True, slots=True)
class Frame:
    """A parsed frame, not authenticated yet. `digest` is SHA-256 of its bytes, `size` their number."""

    sid: bytes
    turn: int
    n: int
    header: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    digest: bytes
    size: int


def parse_frame(data: bytes) -> Frame:
    """The frame in `data`. Raises Malformed or UnknownVersion."""
    sid, turn, n, header, nonce, ciphertext = FrameParts.parts(decode(data, limit=SESSION_FRAME_BYTES))
    if bool(header) != (turn > 0 and n == 0):
        raise Malformed("a header must be on the first frame of a turn, and only there")
    if len(ciphertext) < PADDING_FLOOR + TAG_BYTES:
        raise Malformed("the ciphertext is smaller than padding allows")
    return Frame(sid, turn, n, header, nonce, ciphertext, hashlib.sha256(data).digest(), len(data))


def turn_due(session: Session, now_ms: int) -> bool:
    """Whether the next seal takes a turn: a newer turn of the peer is held, and it is time (PROTOCOL D2)."""
    if session.into.turn <= session.out.turn:
        return False
    return (
        session.out.turn == NO_TURN
        or session.since_step >= TURN_MESSAGES
        or not 0 <= now_ms - session.last_step_ms < TURN_MS  # setting the clock back must not postpone healing
    )


def seal(session: Session, plaintext: bytes, now_ms: int, entropy: Entropy) -> tuple[Session, bytes]:
    """The session's next frame. Commit the new session together with these bytes before they leave.

    Raises TooLarge for a plaintext that no frame can hold.
    """
    header = b""
    if turn_due(session, now_ms):
        session, header = _take_turn(session, now_ms, entropy)
    s, out = session, session.out
    nonce = entropy.draw(NONCE_BYTES)  # random: a state restored from a copy never repeats (key, nonce)
    aad = _aad(s.sid, s.me, s.peer, out.turn, out.n, header)
    ciphertext = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(pad(plaintext), aad, nonce, _message_key(out.chain))
    frame = encode(FrameParts.packed(s.sid, out.turn, out.n, header, nonce, ciphertext))
    if len(frame) > SESSION_FRAME_BYTES:
        raise TooLarge(f"{len(plaintext)} bytes do not fit a frame of {SESSION_FRAME_BYTES}")
    digest = _running(out.digest, hashlib.sha256(frame).digest())
    moved = Sending(out.turn, out.n + 1, out.count + 1, digest, _next_chain(out.chain), out.key)
    return _moved(s, moved, s.into), frame


def open_frame(session: Session, frame: Frame) -> tuple[Session, bytes]:
    """The plaintext of the peer's next frame.

    Raises Replayed for a position opened before, Gap for one ahead, BadSeal if it does not open.
    """
    _check_position(session, frame)
    if frame.turn > session.into.turn:
        session = _follow_turn(session, frame)
    s, into = session, session.into
    aad = _aad(s.sid, s.peer, s.me, frame.turn, frame.n, frame.header)
    try:
        plaintext = unpad(
            sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
                frame.ciphertext, aad, frame.nonce, _message_key(into.chain)
            )
        )
    except (nacl.exceptions.CryptoError, Malformed):
        raise BadSeal from None
    digest = _running(into.digest, frame.digest)
    moved = Receiving(into.turn, into.n + 1, into.count + 1, digest, _next_chain(into.chain), into.public)
    return _moved(s, s.out, moved), plaintext


def derive(salt: bytes, secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """HKDF-SHA256 (RFC 5869) to 64 bytes: a root and a chain key."""
    okm = HKDF(SHA256(), 2 * KEY_BYTES, salt, info).derive(secret)
    return okm[:KEY_BYTES], okm[KEY_BYTES:]


def _check_position(session: Session, frame: Frame) -> None:
    """Refuse every frame but the one at the next position."""
    into = session.into
    if frame.sid != session.sid or frame.turn % 2 != int(session.initiator):
        raise BadSeal("the frame is of another session or direction")
    if (frame.turn, frame.n) < (into.turn, into.n):
        raise Replayed
    next_turn, next_n = (into.turn, into.n) if frame.turn == into.turn else (session.out.turn + 1, 0)
    if (frame.turn, frame.n) > (next_turn, next_n):
        raise Gap(f"turn {frame.turn}, frame {frame.n} came, but turn {into.turn} has {into.n}")


def _take_turn(session: Session, now_ms: int, entropy: Entropy) -> tuple[Session, bytes]:
    """The session at the start of its own next turn, and the header that brings the peer there."""
    s, pn, turn = session, session.out.n, session.into.turn + 1
    key, secret = entropy.kem_key(), entropy.draw(KEY_BYTES)
    info = _step_info(s.sid, turn, s.me, s.peer, s.into.public, key.public, pn)
    sealed = kem.seal(s.into.public, secret, info)
    root, chain = derive(s.root, secret, _RATCHET_LABEL + info)
    out = Sending(turn, 0, s.out.count, s.out.digest, chain, key)
    heals = heals_after(s.heals, root)
    stepped = Session(s.sid, s.me, s.peer, s.gen, s.initiator, out, s.into, now_ms, 0, root, heals)
    return stepped, encode(HeaderParts.packed(key.public, sealed, pn))


def _follow_turn(session: Session, frame: Frame) -> Session:
    """The session at the start of the peer's next turn, not yet proven by an opened frame."""
    s, into = session, session.into
    if s.out.key is None:
        raise BadSeal
    public, sealed, pn = _parse_header(frame.header)
    if pn > into.n:
        raise Gap(f"the peer's turn {into.turn} had {pn} frames; {into.n} were opened")
    if pn < into.n:
        raise BadSeal("the previous turn had fewer frames than were opened")
    info = _step_info(s.sid, frame.turn, s.peer, s.me, s.out.key.public, public, pn)
    root, chain = derive(s.root, s.out.key.open(sealed, info), _RATCHET_LABEL + info)
    moved = Receiving(frame.turn, 0, into.count, into.digest, chain, public)
    out = Sending(s.out.turn, s.out.n, s.out.count, s.out.digest, s.out.chain, None)
    heals = heals_after(s.heals, root)
    return Session(s.sid, s.me, s.peer, s.gen, s.initiator, out, moved, s.last_step_ms, s.since_step, root, heals)


def _parse_header(header: bytes) -> tuple[bytes, bytes, int]:
    """(public key, encapsulation, pn). Raises BadSeal for a header that cannot be read."""
    try:
        public, sealed, pn = HeaderParts.parts(decode(header, limit=_HEADER_BYTES))
        kem.check_public(public)
        return public, sealed, pn
    except Malformed as error:
        raise BadSeal(f"header: {error.message}") from None


def _step_info(
    sid: bytes, turn: int, sender: Party, receiver: Party, to_public: bytes, new_public: bytes, pn: int
) -> bytes:
    ends = (sender.agent, sender.device, receiver.agent, receiver.device)
    return H(_STEP_LABEL, VERSION, sid, turn, *ends, to_public, new_public, pn)


def _aad(sid: bytes, sender: Party, receiver: Party, turn: int, n: int, header: bytes) -> bytes:
    header_hash = hashlib.sha256(header).digest() if header else b""
    ends = (sender.agent, sender.device, receiver.agent, receiver.device)
    return encode([_FRAME_LABEL, VERSION, sid, *ends, turn, n, header_hash])


def _message_key(chain: bytes) -> bytes:
    return hmac.digest(chain, _MESSAGE_LABEL, "sha256")


def _next_chain(chain: bytes) -> bytes:
    return hmac.digest(chain, _CHAIN_LABEL, "sha256")


def after(digest: bytes, frame: bytes) -> bytes:
    """The running hash after these exact bytes, from the one before them."""
    return _running(digest, hashlib.sha256(frame).digest())


def _running(digest: bytes, frame_digest: bytes) -> bytes:
    return hashlib.sha256(digest + frame_digest).digest()


def _moved(s: Session, out: Sending, into: Receiving) -> Session:
    """One frame further; written out, because dataclasses.replace costs as much as the AEAD."""
    return Session(
        s.sid, s.me, s.peer, s.gen, s.initiator, out, into, s.last_step_ms, s.since_step + 1, s.root, s.heals
    )
