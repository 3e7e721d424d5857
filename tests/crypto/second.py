"""A second implementation of a session, from docs/protocol.md alone: plain, slow, sharing no code."""

from __future__ import annotations

import hashlib
import hmac
import os

import cbor2
import nacl.bindings as sodium
import nacl.signing
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


def cbor(value) -> bytes:
    return cbor2.dumps(value, canonical=True)


def h(*parts) -> bytes:
    return hashlib.sha256(cbor(list(parts))).digest()


def sign(seed: bytes, payload: bytes, label: str) -> bytes:
    protected = bytes.fromhex("a10127")
    structure = cbor(["Signature1", protected, label.encode(), payload])
    return cbor([protected, {}, payload, nacl.signing.SigningKey(seed).sign(structure).signature])


def hkdf(salt: bytes, ikm: bytes, info: bytes) -> tuple[bytes, bytes]:
    prk = hmac.digest(salt, ikm, "sha256")
    first = hmac.digest(prk, info + b"\x01", "sha256")
    return first, hmac.digest(prk, first + info + b"\x02", "sha256")


def pad(data: bytes) -> bytes:
    size = max(256, len(data) + 4)
    e = size.bit_length() - 1
    step = 2 ** (e - e.bit_length())
    return (len(data).to_bytes(4, "big") + data).ljust(-(-size // step) * step, b"\0")


def unpad(data: bytes) -> bytes:
    return data[4 : 4 + int.from_bytes(data[:4], "big")]


def kem_pair() -> tuple[hpke.MLKEM768X25519PrivateKey, bytes]:
    lattice, curve = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return hpke.MLKEM768X25519PrivateKey(lattice, curve), public


def seal_to(public: bytes, secret: bytes, info: bytes) -> bytes:
    lattice = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184])
    curve = x25519.X25519PublicKey.from_public_bytes(public[1184:])
    return SUITE.encrypt(secret, hpke.MLKEM768X25519PublicKey(lattice, curve), info=info)


class Initiator:
    """It takes a turn whenever it may, without regard to time."""

    def __init__(self, seed: bytes, me: list[bytes], peer: list[bytes], offer: bytes, gen: int) -> None:
        self.me, self.peer = me, peer
        self.private, public = kem_pair()
        secret = os.urandom(32)
        terms = [*me, *peer, h("p2pa/1 offer", offer), gen, b"", None, public]
        transcript = h("p2pa/1 init", 1, *terms)
        c0 = seal_to(offer, secret, transcript)
        self.public, self.peer_public = public, b""
        self.sid = h("p2pa/1 sid", transcript, c0)
        self.root, self.sending = hkdf(transcript, secret, b"p2pa/1 root")
        self.receiving = b""
        self.turn, self.n, self.peer_turn, self.peer_n = 0, 0, -1, 0
        self.init = sign(seed, cbor([1, *terms, c0]), "p2pa/1 init")

    def seal(self, words: bytes) -> bytes:
        header = b""
        if self.peer_turn > self.turn:
            turn, pn, secret = self.peer_turn + 1, self.n, os.urandom(32)
            self.private, self.public = kem_pair()
            ends = [*self.me, *self.peer]
            info = h("p2pa/1 step", 1, self.sid, turn, *ends, self.peer_public, self.public, pn)
            header = cbor([self.public, seal_to(self.peer_public, secret, info), pn])
            self.root, self.sending = hkdf(self.root, secret, b"p2pa/1 ratchet" + info)
            self.turn, self.n = turn, 0
        key = hmac.digest(self.sending, b"p2pa/1 message key", "sha256")
        self.sending = hmac.digest(self.sending, b"p2pa/1 chain key", "sha256")
        nonce, aad = os.urandom(24), self._aad(self.me, self.peer, self.turn, self.n, header)
        box = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(pad(words), aad, nonce, key)
        self.n += 1
        return cbor([1, self.sid, self.turn, self.n - 1, header, nonce, box])

    def open(self, frame: bytes) -> bytes:
        _, _, turn, n, header, nonce, box = cbor2.loads(frame)
        if turn > self.peer_turn:
            public, sealed, pn = cbor2.loads(header)
            ends = [*self.peer, *self.me]
            info = h("p2pa/1 step", 1, self.sid, turn, *ends, self.public, public, pn)
            secret = SUITE.decrypt(sealed, self.private, info=info)
            self.root, self.receiving = hkdf(self.root, secret, b"p2pa/1 ratchet" + info)
            self.peer_turn, self.peer_n, self.peer_public = turn, 0, public
        key = hmac.digest(self.receiving, b"p2pa/1 message key", "sha256")
        self.receiving = hmac.digest(self.receiving, b"p2pa/1 chain key", "sha256")
        aad = self._aad(self.peer, self.me, turn, n, header)
        return unpad(sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(box, aad, nonce, key))

    def _aad(self, sender: list[bytes], receiver: list[bytes], turn: int, n: int, header: bytes) -> bytes:
        header_hash = hashlib.sha256(header).digest() if header else b""
        return cbor(["p2pa/1 msg", 1, self.sid, *sender, *receiver, turn, n, header_hash])
