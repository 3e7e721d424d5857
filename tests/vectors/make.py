"""Write the known answers anew: python -m tests.vectors.make. Only a new protocol version may change them."""

from __future__ import annotations

import json
from pathlib import Path

from p2p_agents.crypto import identity
from p2p_agents.crypto.fingerprint import id_text, safety_number
from p2p_agents.crypto.kem import KemKey, seal
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.wire.entry import ENTRY_LABEL, FIRST_PREV, Claims, body_hash, encode_body, encode_claims
from tests.crypto.ends import End

HERE = Path(__file__).parent


def main() -> None:
    for name, make in (
        ("kem", kem),
        ("signature", signature),
        ("identity", identity_log),
        ("session", session),
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


def _step(bob: End, act: str, data: bytes, words: bytes) -> dict[str, str]:
    return {"act": act, "bytes": data.hex(), "plaintext": words.hex(), "row": bob.session.dump().hex()}


if __name__ == "__main__":
    main()
