"""Which entries of a revoked device are still believed: the ancestors of a cut signed by a live one (PROTOCOL E3).

A cut concerns one conversation, so that only its members see it. It names the tips of the device's chain,
one for each epoch that was not continued; what they descend from is believed with them, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from p2p_agents.crypto.signing import SigningKey, unverified_payload, verify
from p2p_agents.errors import BadIdentity, Malformed
from p2p_agents.limits import CUT_TIPS
from p2p_agents.wire.kinds import Bytes, Bytes32, ListOf
from p2p_agents.wire.layout import Versioned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2p_agents.crypto.identity import Identity

CUT_LABEL = "p2pa/1 cut"


@dataclass(frozen=True, slots=True)
class Cut(Versioned):
    """A verified cut. Building one out of bounds raises Malformed."""

    RULE: ClassVar[str] = "cut"
    CHECKED: ClassVar[bool] = True
    agent: Bytes32
    signer: Annotated[Bytes32, "live-device"]
    device: Annotated[Bytes32, "revoked-device"]
    conversation: Bytes32
    tips: Annotated[tuple[bytes, ...], ListOf(Bytes(32), CUT_TIPS, label="entry-id")]

    def __post_init__(self) -> None:
        self.check()
        if list(self.tips) != sorted(set(self.tips)):
            raise Malformed("a cut names its tips in order and each once")
        if self.signer == self.device:
            raise Malformed("the cut is by the device that it is about")


def sign_cut(key: SigningKey, agent: bytes, device: bytes, conversation: bytes, tips: Iterable[bytes]) -> bytes:
    """The cut by the live device of `key` of what it holds of a revoked one in a conversation: COSE_Sign1 bytes."""
    cut = Cut(agent, key.public, device, conversation, tuple(sorted(set(tips))))
    return key.sign(cut.encoded(), CUT_LABEL)


def read_cut(signed: bytes, identity: Identity) -> Cut:
    """A cut by a live device of `identity`. Raises Malformed, UnknownVersion, BadSignature or BadIdentity."""
    cut = Cut.decoded(unverified_payload(signed))
    if cut.agent != identity.agent or cut.signer not in identity.devices:
        raise BadIdentity("the cut is not by a live device of the agent")
    verify(cut.signer, signed, CUT_LABEL)
    return cut


def allowed(
    identity: Identity,
    device: bytes,
    conversation: bytes,
    entry: bytes,
    parents: Mapping[bytes, bytes],
    cuts: Iterable[Cut],
) -> bool:
    """Whether an entry not held yet may be taken from `device`: it lives, or the entry leads to a cut.

    `parents` gives the prev of each entry at hand, by entry id, of that device in that conversation: those offered
    together. Ids are hashes, so an entry reached from a tip existed when the tip was signed.
    """
    if device in identity.devices:
        return True
    if device not in identity.revoked:
        return False
    sound = (c for c in cuts if c.signer in identity.devices and c.agent == identity.agent)
    tips = (tip for c in sound if (c.device, c.conversation) == (device, conversation) for tip in c.tips)
    return any(_descends(tip, entry, parents) for tip in tips)


def _descends(tip: bytes, entry: bytes, parents: Mapping[bytes, bytes]) -> bool:
    """Whether `entry` is `tip` or an ancestor of it. Hashes cannot form a cycle, but a caller's mapping might."""
    at: bytes | None = tip
    for _ in range(len(parents) + 1):
        if at == entry:
            return True
        if at is None:
            return False
        at = parents.get(at)
    return False
