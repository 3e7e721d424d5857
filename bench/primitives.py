"""The library calls one message needs, timed alone: what no arrangement of them can beat on this machine.

The message is of 200 bytes. Sealing, the commit and the packets are shared by the messages of one full frame.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from statistics import median
from typing import Any

import cbor2
import nacl.bindings as sodium

from bench.figure import Figure, figure, per_call
from p2p_agents.limits import BATCH_ENTRIES
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import Connected, Connection, Received
from p2p_agents.quic.private import configuration
from p2p_agents.store.database import Database

BODY = os.urandom(200)
SEALED_BYTES = 620  # one message in a full frame: claims, signature, body, CBOR, padding
COMMIT_ROWS = 64  # messages in one transaction under load
ROWS_EACH = 3  # entry, body and log line on either side; the outbox rows are ours, not the message's
NODES = (("127.0.0.1", 1), ("127.0.0.1", 2))


def measure(quick: bool) -> list[Figure]:
    """Microseconds per message, by part and in sum."""
    parts = shares(quick)
    samples = [1e6 * sum(parts.values())]
    return [figure("primitives", samples, "us", baseline={name: 1e6 * cost for name, cost in parts.items()})]


def shares(quick: bool) -> dict[str, float]:
    """Seconds each part costs one message of a full batch, both sides together."""
    rounds = 5 if quick else 30
    return {
        "sign": median(per_call(_signer(), rounds, 100)),
        "verify": median(per_call(_verifier(), rounds, 100)),
        "seal": median(per_call(_sealer(BATCH_ENTRIES), rounds, 20)) / BATCH_ENTRIES,
        "open": median(per_call(_opener(BATCH_ENTRIES), rounds, 20)) / BATCH_ENTRIES,
        "cbor": median(per_call(_coder(), rounds, 100)),
        "commit": 2 * median(commits(COMMIT_ROWS, rounds)) / COMMIT_ROWS,
        "quic": median(_streams(rounds)),
    }


def one_message(quick: bool) -> float:
    """Seconds that sealing and opening a frame of one message take."""
    rounds = 5 if quick else 30
    return median(per_call(_sealer(1), rounds, 50)) + median(per_call(_opener(1), rounds, 50))


def _signer() -> Any:
    _, secret = sodium.crypto_sign_seed_keypair(bytes(32))
    claims = os.urandom(280)
    return lambda: sodium.crypto_sign(claims, secret)


def _verifier() -> Any:
    public, secret = sodium.crypto_sign_seed_keypair(bytes(32))
    signed = sodium.crypto_sign(os.urandom(280), secret)
    return lambda: sodium.crypto_sign_open(signed, public)


def _sealer(messages: int) -> Any:
    plain, key, nonce = os.urandom(SEALED_BYTES * messages), bytes(32), bytes(24)
    return lambda: sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, b"", nonce, key)


def _opener(messages: int) -> Any:
    sealed, key, nonce = _sealer(messages)(), bytes(32), bytes(24)
    return lambda: sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, b"", nonce, key)


def _coder() -> Any:
    """Claims, body, signature wrapper and item, each encoded by one side, decoded and checked by the other."""
    key = bytes(32)
    body = [bytes(16), BODY]
    claims = [1, key, key, key, bytes(8), 1, key, 1, 1, "message", {"type": "text/plain"}, key]

    def code() -> None:
        salted = cbor2.dumps(body, canonical=True)
        payload = cbor2.dumps(claims, canonical=True)
        item = cbor2.dumps([0, cbor2.dumps([b"", {}, payload, bytes(64)], canonical=True), salted], canonical=True)
        _, signed, salted = cbor2.loads(item)
        cbor2.loads(cbor2.loads(signed)[2])
        cbor2.loads(salted)
        hashlib.sha256(salted).digest()
        hashlib.sha256(signed).digest()

    return code


# --- commits ---


def commits(messages: int, rounds: int) -> list[float]:
    """Seconds per durable transaction that stores so many messages."""
    with tempfile.TemporaryDirectory(prefix="p2pa-bench-") as directory:
        db = Database.open(os.path.join(directory, "store.db"))
        db.run("CREATE TABLE bench (a INTEGER PRIMARY KEY, b BLOB, c BLOB)")
        rows = [(os.urandom(32), os.urandom(120)) for _ in range(messages * ROWS_EACH)]

        def transaction() -> None:
            db.begin()
            db.many("INSERT INTO bench (b, c) VALUES (?, ?)", rows)
            db.commit()

        samples = per_call(transaction, 5 * rounds)
        db.close()
    return samples


# --- QUIC ---


def round_trips(quick: bool) -> list[float]:
    """Seconds for one small frame there and one back, over two connections of one process without a socket."""
    here, there = _connected()
    samples = []
    for _ in range(50 if quick else 500):
        began = time.perf_counter()
        here.send(bytes(SEALED_BYTES))
        _carry(here, there, 0)
        _drop_events(there)
        there.send(bytes(SEALED_BYTES))
        _carry(there, here, 1)
        _drop_events(here)
        samples.append(time.perf_counter() - began)
    return samples


def _streams(rounds: int) -> list[float]:
    """Seconds per message in a stream of full frames, sender and receiver together."""
    here, there = _connected()
    frame = bytes(SEALED_BYTES * BATCH_ENTRIES)
    samples = []
    for _ in range(rounds):
        began, got = time.perf_counter(), 0
        here.send(frame)
        while got < len(frame):
            _carry(here, there, 0)
            got += _drop_events(there)
            _carry(there, here, 1)
        samples.append((time.perf_counter() - began) / BATCH_ENTRIES)
    return samples


def _connected() -> tuple[Connection, Connection]:
    certificate = NodeCertificate.from_seed(bytes(32))
    client = configuration(is_client=True, alpn="bench", certificate=None)
    server = configuration(is_client=False, alpn="bench", certificate=certificate)
    now = time.monotonic()
    here = Connection.dial(client, NODES[1], 1, pin=None, now=now, wake=lambda _: None)
    first = here.datagrams(now)
    cid = first[0][0][6 : 6 + first[0][0][5]]  # RFC 9000, 17.2: the destination connection id
    there = Connection.accept(server, cid, 2, server_key=certificate.public, now=now, wake=lambda _: None)
    for data, _ in first:
        there.receive(data, NODES[0], now)
    seen: set[type] = set()
    while Connected not in seen or not there.connected:
        _carry(there, here, 1)
        seen |= {type(event) for event in here.events()}
        _carry(here, there, 0)
        there.events()
    return here, there


def _carry(sender: Connection, receiver: Connection, origin: int) -> None:
    now = time.monotonic()
    for data, _ in sender.datagrams(now):
        receiver.receive(data, NODES[origin], now)


def _drop_events(connection: Connection) -> int:
    """Bytes that arrived."""
    return sum(len(event.data) for event in connection.events() if isinstance(event, Received))
