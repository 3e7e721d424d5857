"""A session's state: two chains, a root between them, the positions reached. A value, stored as one row."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Any

from p2p_agents.crypto.kem import PUBLIC_BYTES, SEED_BYTES, KemKey
from p2p_agents.errors import Malformed
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, flag, uint, version

NO_TURN = -1
KEY_BYTES = 32

_HEAL_LABEL = b"p2pa/1 heal"
_HEAL_ID_LABEL = b"p2pa/1 heal id"
_HEAL_ID_BYTES = 6  # an integer on the wire
_HEALS = 2  # the two ends' latest common turn is one of the last two of either


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a session: a device, and the agent it speaks for."""

    agent: bytes
    device: bytes

    def __post_init__(self) -> None:
        blob(self.agent, size=32, what="agent")
        blob(self.device, size=32, what="device")


@dataclass(frozen=True, slots=True)
class Sending:
    """The own direction. `key` waits for the peer's next turn; `count` and `digest` run over all turns."""

    turn: int
    n: int
    count: int
    digest: bytes
    chain: bytes = field(repr=False)
    key: KemKey | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receiving:
    """The peer's direction. `public` is the peer's latest KEM key: the own next turn is sealed to it."""

    turn: int
    n: int
    count: int
    digest: bytes
    chain: bytes = field(repr=False)
    public: bytes = field(repr=False)


Heals = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Session:
    """The state of one session of a device pair; sealing and opening return a new state."""

    sid: bytes
    me: Party
    peer: Party
    gen: int
    initiator: bool
    out: Sending
    into: Receiving
    last_step_ms: int
    since_step: int
    root: bytes = field(repr=False)
    heals: Heals = field(repr=False)  # (id, secret) of the last two turns, to mix into a successor

    @property
    def confirmed(self) -> bool:
        """Whether a frame of the peer was opened: both ends hold this session."""
        return self.into.count > 0

    @property
    def sent(self) -> int:
        """Frames sealed so far, which is the position of the next."""
        return self.out.count

    @property
    def received(self) -> int:
        """Frames opened so far, which is the position of the next."""
        return self.into.count

    @property
    def sent_hash(self) -> bytes:
        """H after `sent` frames: H_0 = sid, H_k+1 = SHA-256(H_k || SHA-256(frame)) (PROTOCOL B3)."""
        return self.out.digest

    @property
    def received_hash(self) -> bytes:
        """H after `received` frames."""
        return self.into.digest

    @property
    def own_turn(self) -> int:
        """The turn of the own chain; -1 before the acceptor's first."""
        return self.out.turn

    @property
    def own_n(self) -> int:
        """Frames sealed in the own turn."""
        return self.out.n

    @property
    def peer_turn(self) -> int:
        """The peer's newest turn held; -1 before the acceptor's first was opened."""
        return self.into.turn

    @property
    def peer_n(self) -> int:
        """Frames opened in the peer's turn."""
        return self.into.n

    def dump(self) -> bytes:
        """The whole state, secrets included, as one row holds it."""
        out, into = self.out, self.into
        ends = [self.me.agent, self.me.device, self.peer.agent, self.peer.device]
        seed = out.key.seed if out.key else b""
        return encode(
            [
                VERSION,
                [self.sid, *ends, self.gen, self.initiator],
                [out.turn + 1, out.n, out.count, out.digest, out.chain, seed],
                [into.turn + 1, into.n, into.count, into.digest, into.chain, into.public],
                [self.last_step_ms, self.since_step, self.root, [list(heal) for heal in self.heals]],
            ]
        )

    @classmethod
    def load(cls, dumped: bytes) -> Session:
        """The session that was dumped. Raises Malformed or UnknownVersion."""
        fields = array(decode(dumped), what="session")
        version(fields[0] if fields else None)
        _, head, out, into, tail = array(fields, 5, what="session")
        sid, my_agent, my_device, peer_agent, peer_device, gen, initiator = array(head, 7, what="session")
        last_step_ms, since_step, root, heals = array(tail, 4, what="session")
        return cls(
            blob(sid, size=32, what="sid"),
            Party(my_agent, my_device),
            Party(peer_agent, peer_device),
            uint(gen, what="gen"),
            flag(initiator, what="initiator"),
            _load_sending(out),
            _load_receiving(into),
            uint(last_step_ms, what="last_step_ms"),
            uint(since_step, what="since_step"),
            blob(root, size=KEY_BYTES, what="root"),
            tuple(_load_heal(heal) for heal in array(heals, *range(_HEALS + 1), what="heals")),
        )


def heals_after(heals: Heals, root: bytes) -> Heals:
    """`heals` with the secret of a new turn; the oldest falls out.

    Its id is made from it: after a rollback of a store, two ends may have made one turn twice, with different secrets.
    """
    secret = hmac.digest(root, _HEAL_LABEL, "sha256")
    identity = int.from_bytes(hmac.digest(secret, _HEAL_ID_LABEL, "sha256")[:_HEAL_ID_BYTES], "big")
    return (*heals, (identity, secret))[-_HEALS:]


def _load_sending(row: Any) -> Sending:
    *place, chain, seed = array(row, 6, what="sending")
    turn, n, count, digest = _load_place(place)
    if blob(seed, what="seed") and len(seed) != SEED_BYTES:
        raise Malformed("the KEM seed has the wrong size")
    return Sending(turn, n, count, digest, _load_chain(chain, turn), KemKey.from_seed(seed) if seed else None)


def _load_receiving(row: Any) -> Receiving:
    *place, chain, public = array(row, 6, what="receiving")
    turn, n, count, digest = _load_place(place)
    blob(public, size=0 if turn == NO_TURN else PUBLIC_BYTES, what="the peer's key")
    return Receiving(turn, n, count, digest, _load_chain(chain, turn), public)


def _load_place(place: list[Any]) -> tuple[int, int, int, bytes]:
    turn, n, count, digest = place
    uint(turn, what="turn")
    return turn + NO_TURN, uint(n, what="n"), uint(count, what="count"), blob(digest, size=32, what="digest")


def _load_chain(chain: Any, turn: int) -> bytes:
    return blob(chain, size=0 if turn == NO_TURN else KEY_BYTES, what="chain")


def _load_heal(heal: Any) -> tuple[int, bytes]:
    identity, secret = array(heal, 2, what="heal")
    return uint(identity, what="heal id"), blob(secret, size=KEY_BYTES, what="heal")
