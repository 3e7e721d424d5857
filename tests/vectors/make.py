"""Write the known answers anew: python -m tests.vectors.make. Only a new protocol version may change them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from p2p_agents.crypto import identity
from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.cuts import sign_cut
from p2p_agents.crypto.fingerprint import id_text, safety_number
from p2p_agents.crypto.kem import KemKey, seal
from p2p_agents.crypto.oob import Invitation, show
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.wire import cbor, claims
from p2p_agents.wire.entry import ENTRY_LABEL, FIRST_PREV, Claims, body_hash, encode_body, encode_claims
from p2p_agents.wire.frame import decode_frame, encode_frame
from p2p_agents.wire.pairing import encode_message
from p2p_agents.wire.relay import decode_message as decode_relayed
from p2p_agents.wire.relay import encode_message as encode_relayed
from tests.crypto.ends import End, Seeded
from tests.link.pairs import ALICE, BOB, CODE, NOW, pair, shows, types
from tests.wire.test_claims import HELLO, REQUEST, RESET, SYNC, A, B, C
from tests.wire.test_frame import EXAMPLES as FRAMES
from tests.wire.test_relay import EXAMPLES as MESSAGES

HERE = Path(__file__).parent


def main() -> None:
    for name, make in (
        ("kem", kem),
        ("signature", signature),
        ("identity", identity_log),
        ("session", session),
        ("rotation", rotation),
        ("pairing", pairing),
        ("bundle", bundle),
        ("turns", turns),
        ("wire", wire),
    ):
        (HERE / f"{name}.json").write_text(json.dumps(make(), indent=1) + "\n")


def kem() -> dict[str, str]:
    seed = bytes(range(96))
    public = KemKey.from_seed(seed).public
    sealed = seal(public, b"a secret", b"p2pa/1 test")
    return {
        "seed": seed.hex(),
        "public": public.hex(),
        "info": b"p2pa/1 test".hex(),
        "plaintext": b"a secret".hex(),
        "sealed": sealed.hex(),
    }


def signature() -> dict[str, str]:
    key = SigningKey.from_seed(bytes(range(32)))
    body = encode_body(bytes(range(16)), b"hello")
    headers: dict[str, str | int | bytes] = {"type": "text/plain"}
    place = (b"a" * 32, key.public, b"c" * 32, b"epoch...", 1, FIRST_PREV, 1)
    payload = encode_claims(Claims(*place, 1_800_000_000_000, "message", headers, body_hash(body)))
    return {
        "seed": key.seed.hex(),
        "public": key.public.hex(),
        "label": ENTRY_LABEL,
        "body": body.hex(),
        "payload": payload.hex(),
        "signed": key.sign(payload, ENTRY_LABEL).hex(),
    }


def identity_log() -> dict[str, object]:
    root, following, device = (SigningKey.from_seed(bytes([i]) * 32) for i in (1, 2, 3))
    first = identity.inception(root, following.public, 1_800_000_000_000)
    second = identity.add_device(identity.replay([first]), root, device, "laptop")
    agent = identity.replay([first, second]).agent
    return {
        "root_seed": root.seed.hex(),
        "next_root_public": following.public.hex(),
        "device_seed": device.seed.hex(),
        "created_ms": 1_800_000_000_000,
        "device_name": "laptop",
        "entries": [first.hex(), second.hex()],
        "agent": agent.hex(),
        "text": id_text(agent),
        "safety_number_with_zero": safety_number(agent, bytes(32)),
    }


def rotation() -> dict[str, object]:
    """A log that adds two devices, revokes one and rotates, and a cut of the revoked one's chain."""
    root, following, after, laptop, phone = (SigningKey.from_seed(bytes([i]) * 32) for i in (1, 2, 4, 3, 5))
    log = identity.replay([identity.inception(root, following.public, 1_800_000_000_000)])
    for make, *said in (
        (identity.add_device, root, laptop, "laptop"),
        (identity.add_device, root, phone, "phone"),
        (identity.revoke_device, root, phone.public),
        (identity.rotate, following, after.public, root),
        (identity.rotate, after, bytes(32), None),
    ):
        log = identity.replay([*log.entries, make(log, *said)])
    cut = sign_cut(laptop, log.agent, phone.public, b"c" * 32, [b"f" * 32, b"e" * 32])
    return {
        "seeds": [key.seed.hex() for key in (root, following, after, laptop, phone)],
        "entries": [entry.hex() for entry in log.entries],
        "agent": log.agent.hex(),
        "root": log.root.hex(),
        "devices": [device.hex() for device in log.devices],
        "revoked": [device.hex() for device in log.revoked],
        "cut": cut.hex(),
    }


def pairing() -> dict[str, object]:
    """What crosses the wire in a typed and in a scanned run; the first two boxes are functions of these and of K."""
    picture = Invitation(ALICE.identity.agent, bytes(range(16)), (("192.168.1.20", 4433), ("fe80::1", 1)), NOW)
    runs = {}
    for name, secret in (("typed", CODE), ("scanned", picture)):
        wire = pair(shows(code=secret), types(code=secret), gift=b"a gift")
        runs[name] = [encode_message(message).hex() for message in wire.messages]
    return {
        "code": CODE.shown(),
        "picture": show(picture),
        "place": picture.place,
        "agents": [ALICE.identity.agent.hex(), BOB.identity.agent.hex()],
        "scalars": [_third_draw(who).hex() for who in ("alice shows", "bob types")],
        **runs,
    }


def _third_draw(who: str) -> bytes:
    """A side draws its nonce, its salt, and then what CPace multiplies with."""
    entropy = Seeded(who)
    return [entropy.draw(size) for size in (16, 16, 32)][2]


def session() -> dict[str, object]:
    """What bob receives, and his row after each step: opening is a function of these, sealing is not."""
    alice, bob = End("alice"), End("bob")
    init = alice.initiate(bob, gen=7)
    bob.accept(init, alice)
    steps = [_step(bob, "accept", init, b"")]
    for speaker, listener, words in ((alice, bob, b"one"), (alice, bob, b"two"), (bob, alice, b"three")) * 3:
        alice.wait(1_000)
        bob.wait(1_000)
        frame = speaker.say(words)
        listener.hear(frame)
        steps.append(_step(bob, "open" if listener is bob else "seal", frame, words))
    return {
        "alice": [alice.party.agent.hex(), alice.party.device.hex()],
        "bob": [bob.party.agent.hex(), bob.party.device.hex()],
        "offer_seed": bob.offer.seed.hex(),
        "accepted_ms": 1_800_000_000_000,
        "steps": steps,
    }


def bundle() -> dict[str, object]:
    device, prekey = SigningKey.from_seed(bytes([7]) * 32), KemKey.from_seed(bytes(range(96)))
    return {
        "device_seed": device.seed.hex(),
        "agent": (b"a" * 32).hex(),
        "prekey_seed": prekey.seed.hex(),
        "expires_ms": 1_800_000_000_000,
        "signed": sign_bundle(device, b"a" * 32, prekey.public, 1_800_000_000_000).hex(),
    }


class Recorded(Seeded):
    """Entropy that says what was drawn."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.drawn: list[bytes] = []

    def draw(self, size: int) -> bytes:
        self.drawn.append(super().draw(size))
        return self.drawn[-1]


def turns() -> dict[str, object]:
    """Both ends of a session and of the one that replaces it: what each drew, sealed and opened, and held after.

    What the KEM draws for an encapsulation is not among it: the peer's private key, which is, opens it again.
    """
    ends = {"alice": End("alice"), "bob": End("bob")}
    alice, bob = ends["alice"], ends["bob"]
    for name, end in ends.items():
        end.entropy = Recorded(f"{name} draws")
    steps = _session_steps(ends, "alice", gen=7)
    steps += [step for words in ("one", "two") for step in _exchange(ends, "alice", words)]
    for number in range(4):
        for end in ends.values():
            end.wait(1_000)
        for speaker in ("bob", "alice"):
            steps += _exchange(ends, speaker, f"turn {number} of {speaker}")
    (dead, heals), bob.offer = (alice.session.sid, alice.session.heals), KemKey.from_seed(bytes(range(1, 97)))
    steps += _session_steps(ends, "alice", gen=8, dead=dead, heal=heals[-1])
    steps += _exchange(ends, "bob", "healed")
    return {
        **{
            name: {"agent": end.party.agent.hex(), "device": end.party.device.hex(), "device_seed": end.key.seed.hex()}
            for name, end in ends.items()
        },
        "offer_seeds": [End("bob").offer.seed.hex(), bob.offer.seed.hex()],
        "steps": steps,
    }


def _session_steps(ends: dict[str, End], name: str, **terms: Any) -> list[dict[str, object]]:
    first, second = ends[name], next(end for other, end in ends.items() if other != name)
    other = next(each for each, end in ends.items() if end is second)
    init = first.initiate(second, **terms)
    began = _record(first, name, "init", init, b"")
    heal = terms["heal"][1] if "heal" in terms else None
    second.accept(init, first, heal=heal)
    return [began, _record(second, other, "accept", init, b"")]


def _exchange(ends: dict[str, End], name: str, words: str) -> list[dict[str, object]]:
    other = next(each for each in ends if each != name)
    frame = ends[name].say(words.encode())
    sealed = _record(ends[name], name, "seal", frame, words.encode())
    ends[other].hear(frame)
    return [sealed, _record(ends[other], other, "open", frame, words.encode())]


def _record(end: End, name: str, act: str, data: bytes, words: bytes) -> dict[str, object]:
    entropy, s = end.entropy, end.session
    assert isinstance(entropy, Recorded)
    drawn, entropy.drawn = entropy.drawn, []
    return {
        "who": name,
        "act": act,
        "now_ms": end.now_ms,
        "drawn": [each.hex() for each in drawn],
        "bytes": data.hex(),
        "plaintext": words.hex(),
        "root": s.root.hex(),
        "own": [s.out.turn, s.out.n, s.out.count, s.out.digest.hex(), s.out.chain.hex()],
        "own_key_seed": s.out.key.seed.hex() if s.out.key else "",
        "peer": [s.into.turn, s.into.n, s.into.count, s.into.digest.hex(), s.into.chain.hex()],
        "peer_key": s.into.public.hex(),
        "heals": [[identity, secret.hex()] for identity, secret in s.heals],
    }


LATER = {"later": [1, {"deep": None}], "x-y": b"bytes"}  # keys that no release knows yet

_CLAIMS = {
    "OpenClaims": (claims.OpenClaims(A, B, C, A, B, C, 2), claims.OpenClaims.encoded, claims.OpenClaims.decoded),
    "HelloClaims": (HELLO, claims.encode_hello, claims.decode_hello),
    "SyncClaims": (SYNC, claims.encode_sync, claims.decode_sync),
    "ResetClaims": (RESET, claims.encode_reset, claims.decode_reset),
    "RequestClaims": (REQUEST, claims.encode_request, claims.decode_request),
}
WIRE = {  # an example, how it is written and read; of several of one kind the first
    **{type(each).__name__: (each, encode_frame, decode_frame) for each in reversed(FRAMES)},
    **_CLAIMS,
    **{f"bridge {type(each).__name__}": (each, encode_relayed, decode_relayed) for each in reversed(MESSAGES)},
}


def wire() -> dict[str, dict[str, str]]:
    """`later` is what a later release may say in its place, `before` what the version before this one said."""
    found = {name: {"bytes": write(example).hex()} for name, (example, write, _) in WIRE.items()}
    for vector in found.values():
        fields = cbor.decode(bytes.fromhex(vector["bytes"]))
        if isinstance(fields[-1], dict):
            vector["later"] = cbor.encode([*fields[:-1], {**fields[-1], **LATER}]).hex()
    for name, at, dropped in (("Node", 2, 1), ("HelloClaims", 0, 3), ("SyncClaims", 0, 1)):
        fields = cbor.decode(bytes.fromhex(found[name]["bytes"]))
        found[name]["before"] = cbor.encode([*fields[:at], 1, *fields[at + 1 : -dropped]]).hex()
    return found


def _step(bob: End, act: str, data: bytes, words: bytes) -> dict[str, str]:
    return {"act": act, "bytes": data.hex(), "plaintext": words.hex(), "row": bob.session.dump().hex()}


if __name__ == "__main__":
    main()
