"""Pairing over a typed or a scanned code: the common part of its two machines, displaying.py and joining.py.

Each is (event, now) -> [actions]. Times are milliseconds of the wall clock. Actions are carried out in order, and
what one asks to be stored is committed before later ones leave (PROTOCOL A6, F1). A run is one exchange
with one peer; the caller numbers it, by the connection or mailbox it uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from p2p_agents.crypto.identity import check_consent
from p2p_agents.errors import BadIdentity
from p2p_agents.wire.pairing import Message, Purpose, Reason, encode_message

if TYPE_CHECKING:
    from p2p_agents.crypto.entropy import Entropy
    from p2p_agents.crypto.introduction import Peer, Self
    from p2p_agents.crypto.pake import Agreed, Side

SALT_BYTES = 16


class Exchange(Protocol):
    """One side of a key exchange under way."""

    @property
    def share(self) -> bytes: ...

    def finish(self, share: bytes, ad: bytes) -> Agreed: ...


class Secret(Protocol):
    """The secret of both sides: a codes.Code that was typed, or an oob.Invitation that was scanned."""

    @property
    def place(self) -> str: ...

    @property
    def agent(self) -> bytes | None: ...

    def begin(self, side: Side, *, ci: bytes, sid: bytes, ad: bytes, entropy: Entropy) -> Exchange: ...


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes to the other side of `run`."""

    run: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Spend:
    """Store that `runs` runs were made for the code of `place`, before any later action leaves (PROTOCOL F1)."""

    place: str
    runs: int


@dataclass(frozen=True, slots=True)
class Met:
    """The peer proved itself and knew the code: keep it. `gift` is what a displayer sent with DONE."""

    run: int
    peer: Peer
    gift: bytes


@dataclass(frozen=True, slots=True)
class Wrong:
    """A tag was wrong: people are told so, and whose it was, so this comes before Over. `left` tries remain."""

    run: int
    left: int


@dataclass(frozen=True, slots=True)
class Over:
    """The run has ended; reason None: with success."""

    run: int
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Dead:
    """The code is no longer valid; reason None: it was used."""

    reason: Reason | None


Action = Send | Spend | Met | Wrong | Over | Dead


def send(run: int, message: Message) -> Send:
    return Send(run, encode_message(message))


def check_joiner(peer: Peer, purpose: Purpose, me: Self) -> None:
    """Raises BadIdentity, BadSignature or Malformed for a joiner that does not fit the purpose."""
    assert me.identity is not None
    if purpose is not Purpose.LINK:
        check_other(peer, me)
        return
    if peer.identity is not None or peer.device in me.identity.revoked:
        raise BadIdentity("the device already belongs to an agent")
    check_consent(me.identity, peer.device, peer.consent)


def check_other(peer: Peer, me: Self) -> None:
    """Raises BadIdentity unless the peer is an agent, and another one."""
    if peer.identity is None:
        raise BadIdentity("the introduction has no identity")
    if me.identity is not None and peer.identity.agent == me.identity.agent:
        raise BadIdentity("the agent would pair with itself")
