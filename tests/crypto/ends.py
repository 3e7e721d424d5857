"""Two ends of a session, with every secret drawn from a seed."""

from __future__ import annotations

import hashlib

from p2p_agents.crypto.handshake import accept, initiate, read_init
from p2p_agents.crypto.kem import SEED_BYTES, KemKey
from p2p_agents.crypto.ratchet import open_frame, parse_frame, seal
from p2p_agents.crypto.session import Party, Session
from p2p_agents.crypto.signing import SigningKey

START_MS = 1_800_000_000_000


class Seeded:
    """Entropy that a test can repeat."""

    def __init__(self, seed: str) -> None:
        self._state = seed.encode()

    def draw(self, size: int) -> bytes:
        self._state = hashlib.sha256(self._state).digest()
        return hashlib.shake_256(self._state).digest(size)

    def kem_key(self) -> KemKey:
        return KemKey.from_seed(self.draw(SEED_BYTES))


class End:
    """One device: its keys, its clock, and the session it holds."""

    session: Session

    def __init__(self, name: str) -> None:
        self.entropy = Seeded(name)
        self.key = SigningKey.from_seed(self.entropy.draw(32))
        self.party = Party(self.entropy.draw(32), self.key.public)
        self.offer = self.entropy.kem_key()
        self.now_ms = START_MS

    def initiate(self, peer: End, *, gen: int = 1, **more) -> bytes:
        self.session, init = initiate(
            me=self.party,
            key=self.key,
            peer=peer.party,
            offer=peer.offer.public,
            gen=gen,
            now_ms=self.now_ms,
            entropy=self.entropy,
            **more,
        )
        return init

    def accept(self, init: bytes, peer: End, *, heal: bytes | None = None) -> None:
        self.session = accept(
            read_init(init, peer.party),
            me=self.party,
            offer_key=self.offer,
            now_ms=self.now_ms,
            entropy=self.entropy,
            heal=heal,
        )

    def say(self, words: bytes) -> bytes:
        self.session, frame = seal(self.session, words, self.now_ms, self.entropy)
        return frame

    def hear(self, frame: bytes) -> bytes:
        self.session, words = open_frame(self.session, parse_frame(frame))
        return words

    def wait(self, ms: int) -> None:
        self.now_ms += ms

    def restart(self) -> None:
        """Forget everything but what the store would hold."""
        self.session = Session.load(self.session.dump())


def connected(first: str = "alice", second: str = "bob") -> tuple[End, End]:
    """Two ends with one session between them, nothing said yet."""
    alice, bob = End(first), End(second)
    bob.accept(alice.initiate(bob), alice)
    return alice, bob


def talk(alice: End, bob: End, rounds: int = 3) -> None:
    """Exchanges slow enough that every message takes a turn."""
    for _ in range(rounds):
        for speaker, listener in ((alice, bob), (bob, alice)):
            alice.wait(2_000)
            bob.wait(2_000)
            assert listener.hear(speaker.say(b"hello")) == b"hello"
