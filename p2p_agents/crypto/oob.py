"""A pairing code for cameras: P2PA:P/ and base32 of CBOR [1, agent id, secret, [[address, port]…], expiry].

All upper case, so that a QR code holds it in alphanumeric mode: 37 modules, an 80x24 terminal. The secret is 128 bits
and serves once; both sides prove that they hold it by tags over everything they say of themselves.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2p_agents.crypto.digest import H
from p2p_agents.crypto.pake import KEY_BYTES, Agreed, Side
from p2p_agents.errors import BadCode, CodeExpired, Malformed
from p2p_agents.limits import DATE_MS_MAX, OOB_ADDRESSES, OOB_CHARS, OOB_SKEW_MS
from p2p_agents.wire.cbor import blob, date, encode
from p2p_agents.wire.ip import ANY_ADDRESS, Address, pack_address
from p2p_agents.wire.kinds import Bytes, Bytes32, ListOf, Uint
from p2p_agents.wire.layout import Versioned

if TYPE_CHECKING:
    from p2p_agents.crypto.entropy import Entropy

PREFIX = "P2PA:P/"
SECRET_BYTES = 16

_KEY_LABEL = b"p2pa/1 qr"
_PLACE_LABEL = "p2pa/1 qr place"


@dataclass(frozen=True, slots=True)
class InvitationParts(Versioned):
    """An invitation as it is drawn."""

    RULE: ClassVar[str] = "invitation"
    agent: Bytes32
    secret: Annotated[bytes, Bytes(SECRET_BYTES)] = field(repr=False)
    addresses: Annotated[tuple[Address, ...], ListOf(ANY_ADDRESS, OOB_ADDRESSES)]
    expires_s: Annotated[int, Uint(DATE_MS_MAX // 1000), "expires"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """The content of a displayed QR code. Building one out of bounds raises Malformed."""

    agent: bytes
    secret: bytes = field(repr=False)
    addresses: tuple[tuple[str, int], ...]
    expires_ms: int

    def __post_init__(self) -> None:
        blob(self.agent, size=32, what="agent id")
        blob(self.secret, size=SECRET_BYTES, what="secret")
        date(self.expires_ms, what="expiry")
        if len(self.addresses) > OOB_ADDRESSES:
            raise Malformed(f"an invitation names at most {OOB_ADDRESSES} addresses")
        for address in self.addresses:
            pack_address(address)

    @property
    def place(self) -> str:
        """Where the two meet: public; a hash of the secret, so it reveals nothing."""
        return H(_PLACE_LABEL, self.secret)[:10].hex().upper()

    def begin(self, side: Side, *, ci: bytes, sid: bytes, ad: bytes, entropy: Entropy) -> Scan:
        """A side of one run; the secret is long enough to need no shares, and nothing is drawn."""
        return Scan(side, ci, sid, ad, self.secret)


@dataclass(frozen=True, slots=True)
class Scan:
    """One side of a run over a scanned secret, as pake.Run is for typed words."""

    side: Side
    ci: bytes
    sid: bytes
    ad: bytes
    _secret: bytes = field(repr=False, compare=False)

    @property
    def share(self) -> bytes:
        return b""

    def finish(self, share: bytes, ad: bytes) -> Agreed:
        """HKDF-SHA256 of the secret over purpose, run and ads, then an HMAC-SHA256 tag for each side."""
        blob(share, size=0, what="share")
        displayer, scanner = (self.ad, ad) if self.side is Side.INITIATOR else (ad, self.ad)
        context = encode([self.ci, self.sid, displayer, scanner])
        key = HKDF(SHA256(), KEY_BYTES, salt=None, info=_KEY_LABEL + context).derive(self._secret)
        tags = [hmac.digest(key, encode([_KEY_LABEL, int(side)]), "sha256") for side in Side]
        return Agreed(key, tags[self.side], tags[1 - self.side])


def show(invitation: Invitation) -> str:
    """The text to draw. With one IPv4 address 116 characters."""
    i = invitation
    said = InvitationParts(i.agent, i.secret, i.addresses, i.expires_ms // 1000).encoded()
    return PREFIX + base64.b32encode(said).decode().rstrip("=")


def is_invitation(text: str) -> bool:
    """Whether this looks like scanned text rather than a typed code."""
    return text.strip()[: len(PREFIX)].upper() == PREFIX


def read(text: str, now_ms: int) -> Invitation:
    """The invitation that was scanned, or pasted in either case. Raises BadCode, UnknownVersion, or CodeExpired."""
    text = text[: OOB_CHARS + 1].strip().upper()
    if len(text) > OOB_CHARS or not text.startswith(PREFIX):
        raise BadCode(f"a scanned code begins with {PREFIX}")
    try:
        invitation = _parse(unbase32(text[len(PREFIX) :]))
    except Malformed as error:
        raise BadCode(f"the scanned code is damaged: {error.message}") from error
    if invitation.expires_ms + OOB_SKEW_MS <= now_ms:
        raise CodeExpired("the scanned code has expired")
    return invitation


def _parse(data: bytes) -> Invitation:
    parts = InvitationParts.decoded(data)
    return Invitation(parts.agent, parts.secret, parts.addresses, parts.expires_s * 1000)


def unbase32(text: str) -> bytes:
    """RFC 4648 base32 without padding; one text for one value."""
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):  # ValueError: characters beyond ASCII
        raise Malformed("this is not base32") from None
    if base64.b32encode(data).decode().rstrip("=") != text:
        raise Malformed("the spare bits of the base32 text are not zero")
    return data
