"""Known answers, frozen: what this version sealed, signed or stored can be opened for ever."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import cbor2
import nacl.bindings as sodium
import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from p2p_agents.crypto.bundle import sign_bundle, verify_bundle
from p2p_agents.crypto.codes import parse
from p2p_agents.crypto.cuts import read_cut
from p2p_agents.crypto.fingerprint import id_text, safety_number
from p2p_agents.crypto.handshake import accept, read_init
from p2p_agents.crypto.identity import add_device, inception, replay
from p2p_agents.crypto.kem import KemKey
from p2p_agents.crypto.oob import read
from p2p_agents.crypto.pake import Side, begin
from p2p_agents.crypto.ratchet import open_frame, parse_frame
from p2p_agents.crypto.session import Party, Session
from p2p_agents.crypto.signing import SigningKey, verify
from p2p_agents.wire.entry import body_hash, decode_body, decode_claims, encode_claims
from p2p_agents.wire.pairing import encode_message
from tests.crypto.ends import Seeded
from tests.crypto.second import cbor, h, hkdf, unpad
from tests.link.pairs import NOW, pair, shows, types


def vector(name: str) -> dict:
    """A vector file, its hexadecimal strings made bytes."""
    path = Path(__file__).parent.parent / "vectors" / f"{name}.json"
    return json.loads(path.read_text(), object_hook=lambda found: {k: from_hex(v) for k, v in found.items()})


def from_hex(value):
    if isinstance(value, list):
        return [from_hex(item) for item in value]
    try:
        return bytes.fromhex(value) if isinstance(value, str) else value
    except ValueError:
        return value


def test_x_wing_known_answer():
    v = vector("kem")
    key = KemKey.from_seed(v["seed"])
    assert key.public == v["public"]
    assert key.open(v["sealed"], v["info"]) == v["plaintext"]


def test_x_wing_opened_by_another_implementation():
    """X-Wing and RFC 9180 base mode written out: the library's wire format is the published one."""
    v = vector("kem")
    lattice, curve = v["seed"][:64], x25519.X25519PrivateKey.from_private_bytes(v["seed"][64:])
    ct_m, ct_x, box = v["sealed"][:1088], v["sealed"][1088:1120], v["sealed"][1120:]
    ss_m = mlkem.MLKEM768PrivateKey.from_seed_bytes(lattice).decapsulate(ct_m)
    ss_x = curve.exchange(x25519.X25519PublicKey.from_public_bytes(ct_x))
    shared = hashlib.sha3_256(ss_m + ss_x + ct_x + v["public"][1184:] + b"\\.//^\\").digest()
    suite = b"HPKE" + bytes.fromhex("647a 0001 0003")

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(prk: bytes, label: bytes, info: bytes, size: int) -> bytes:
        labelled = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.digest(prk, labelled + b"\x01", "sha256")[:size]

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", v["info"])
    secret = extract(shared, b"secret", b"")
    key, nonce = expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)
    assert ChaCha20Poly1305(key).decrypt(nonce, box, b"") == v["plaintext"]


def test_signature_known_answer():
    v = vector("signature")
    key = SigningKey.from_seed(v["seed"])
    assert key.public == v["public"]
    assert key.sign(v["payload"], v["label"]) == v["signed"]
    claims = decode_claims(verify(v["public"], v["signed"], v["label"]))
    assert encode_claims(claims) == v["payload"]
    assert claims.body_hash == body_hash(v["body"])
    assert decode_body(v["body"]) == b"hello"


def test_identity_known_answer():
    v = vector("identity")
    root, device = SigningKey.from_seed(v["root_seed"]), SigningKey.from_seed(v["device_seed"])
    first = inception(root, v["next_root_public"], v["created_ms"])
    assert [first, add_device(replay([first]), root, device, v["device_name"])] == v["entries"]
    identity = replay(v["entries"])
    assert identity.agent == v["agent"]
    assert identity.devices == (device.public,)
    assert id_text(identity.agent) == v["text"]
    assert safety_number(identity.agent, bytes(32)) == v["safety_number_with_zero"]


def test_a_recorded_session_still_opens():
    v = vector("session")
    alice, bob = Party(*v["alice"]), Party(*v["bob"])
    accepted, *steps = v["steps"]
    session = accept(
        read_init(accepted["bytes"], alice),
        me=bob,
        offer_key=KemKey.from_seed(v["offer_seed"]),
        now_ms=v["accepted_ms"],
        entropy=Seeded("not drawn from"),
    )
    assert session.dump() == accepted["row"]
    for step in steps:
        if step["act"] == "open":
            session, words = open_frame(session, parse_frame(step["bytes"]))
            assert words == step["plaintext"]
            assert session.dump() == step["row"]
        session = Session.load(step["row"])


def test_bundle_known_answer():
    v = vector("bundle")
    prekey, device = KemKey.from_seed(v["prekey_seed"]), SigningKey.from_seed(v["device_seed"])
    assert sign_bundle(device, v["agent"], prekey.public, v["expires_ms"]) == v["signed"]
    read = verify_bundle(v["signed"], device.public)
    assert (read.agent, read.prekey, read.expires_ms) == (v["agent"], prekey.public, v["expires_ms"])


class Follower:
    """docs/protocol.md section 5 written out, step by step: what each end drew leads to what it held after."""

    def __init__(self, v: dict) -> None:
        self.ends = {name: [v[name]["agent"], v[name]["device"]] for name in ("alice", "bob")}
        self.offers = [KemKey.from_seed(seed) for seed in v["offer_seeds"]]
        self.before, self.heals, self.healed = {}, {None: b""}, []

    def follow(self, step: dict) -> None:
        {"init": self.init, "accept": self.accept, "seal": self.frame, "open": self.frame}[step["act"]](step)
        healing = hmac.digest(step["root"], b"p2pa/1 heal", "sha256")
        identity = int.from_bytes(hmac.digest(healing, b"p2pa/1 heal id", "sha256")[:6], "big")
        assert [identity, healing] == step["heals"][-1]
        self.heals[identity] = healing
        self.before[step["who"]] = step

    def init(self, step: dict) -> None:
        _, *terms, c0 = cbor2.loads(cbor2.loads(step["bytes"])[2])
        transcript, offer, (seed, secret) = h("p2pa/1 init", 1, *terms), self.offers.pop(0), step["drawn"]
        assert (terms[4], terms[8]) == (h("p2pa/1 offer", offer.public), KemKey.from_seed(seed).public)
        assert offer.open(c0, transcript) == secret
        assert verify(self.ends[step["who"]][1], step["bytes"], "p2pa/1 init")
        self.healed.append(terms[7])
        root, chain = hkdf(transcript, secret + self.heals[terms[7]], b"p2pa/1 root")
        self.begun = root, [0, 0, 0, h("p2pa/1 sid", transcript, c0), chain]
        assert (step["root"], step["own"]) == self.begun

    def accept(self, step: dict) -> None:
        assert (step["root"], step["peer"]) == self.begun

    def frame(self, step: dict) -> None:
        who, seals = step["who"], step["act"] == "seal"
        other, side = "bob" if who == "alice" else "alice", "own" if seals else "peer"
        sender, receiver = (who, other) if seals else (other, who)
        was, (_, sid, turn, n, header, nonce, box) = self.before[who], cbor2.loads(step["bytes"])
        root, (_, _, count, digest, chain) = was["root"], was[side]
        drawn = [nonce]
        if header:
            key, (public, sealed, pn) = KemKey.from_seed(self.before[receiver]["own_key_seed"]), cbor2.loads(header)
            parties = [*self.ends[sender], *self.ends[receiver]]
            info = h("p2pa/1 step", 1, sid, turn, *parties, key.public, public, pn)
            secret = key.open(sealed, info)
            drawn = [secret, nonce]
            root, chain = hkdf(root, secret, b"p2pa/1 ratchet" + info)
        assert step["drawn"][-len(drawn) :] == drawn or not seals
        aad = ["p2pa/1 msg", 1, sid, *self.ends[sender], *self.ends[receiver], turn, n]
        aad = cbor([*aad, hashlib.sha256(header).digest() if header else b""])
        key = hmac.digest(chain, b"p2pa/1 message key", "sha256")
        assert unpad(sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(box, aad, nonce, key)) == step["plaintext"]
        chain = hmac.digest(chain, b"p2pa/1 chain key", "sha256")
        digest = hashlib.sha256(digest + hashlib.sha256(step["bytes"]).digest()).digest()
        assert (step["root"], step[side]) == (root, [turn, n + 1, count + 1, digest, chain])


def test_turns_are_followed_by_another_implementation():
    """D2, D3: a session of many turns, and the one that replaces it and inherits its healing."""
    v = vector("turns")
    follower = Follower(v)
    for step in v["steps"]:
        follower.follow(step)
    assert [healed is not None for healed in follower.healed] == [False, True]
    assert max(step["own"][0] for step in v["steps"]) > 4


def test_rotation_known_answer():
    v = vector("rotation")
    log = replay(v["entries"])
    assert (log.agent, log.root, list(log.devices), list(log.revoked)) == (
        v["agent"],
        v["root"],
        v["devices"],
        v["revoked"],
    )
    cut = read_cut(v["cut"], log)
    assert (cut.device, cut.conversation, cut.tips) == (v["revoked"][0], b"c" * 32, (b"e" * 32, b"f" * 32))


@pytest.mark.parametrize("name", ["typed", "scanned"])
def test_pairing_known_answer(name):
    v = vector("pairing")
    secret = parse(v["code"]) if name == "typed" else read(v["picture"], NOW)
    wire = pair(shows(code=secret), types(code=secret), gift=b"a gift")
    assert [encode_message(message) for message in wire.messages] == v[name]


@pytest.mark.parametrize("name", ["typed", "scanned"])
def test_pairing_followed_by_another_implementation(name):
    """docs/protocol.md section 11 written out, from the codes and CPace's key on."""
    v = vector("pairing")
    messages = [cbor2.loads(message) for message in v[name]]
    (_, _, place, purpose, joined), (_, _, nonce, _share, ad), (_, _, their_share, their_ad, their_tag) = messages[:3]
    ci, sid = cbor(["p2pa/1 pair", purpose, None]), h("p2pa/1 pair sid", place, nonce, joined)
    if name == "typed":
        assert place == v["code"].split("-")[2]
        run = {"prs": b"CORAL-FIDDLE", "ci": ci, "sid": sid, "ad": ad, "scalar": v["scalars"][0]}
        key = begin(Side.INITIATOR, **run).finish(their_share, their_ad).key
        mac_key = hashlib.sha512(b"CPaceMac" + sid + key).digest()
        assert their_tag == hmac.digest(mac_key, b"\x20" + their_share + b"\x20" + their_ad, "sha512")
    else:
        invitation = cbor2.loads(base64.b32decode(v["picture"][7:] + "=" * (-len(v["picture"][7:]) % 8)))
        assert invitation[1] == v["agents"][0]
        assert place == h("p2pa/1 qr place", invitation[2])[:10].hex().upper()
        key = b"".join(hkdf(b"", invitation[2], b"p2pa/1 qr" + cbor([ci, sid, ad, their_ad])))
        assert their_tag == hmac.digest(key, cbor([b"p2pa/1 qr", 1]), "sha256")

    def opened(index: int, side: int) -> bytes:
        box_key, _ = hkdf(b"", key, cbor([b"p2pa/1 pair box", side, index]))
        return ChaCha20Poly1305(box_key).decrypt(bytes(12), messages[index][-1], None)

    for index, side, agent, ads in ((3, 0, v["agents"][0], [ad, their_ad]), (4, 1, v["agents"][1], [their_ad, ad])):
        introduction, proof, consent, routes = cbor2.loads(opened(index, side))
        assert h("p2pa/1 pair introduction", introduction) == ads[0]
        _, _, device, entries, *_ = cbor2.loads(introduction)
        assert hashlib.sha256(entries[0]).digest() == agent
        assert verify(device, proof, "p2pa/1 pair") == cbor([side, ci, sid, *ads])
        assert (consent, routes) == (b"", [])
    assert opened(5, 0) == b"a gift"


@pytest.mark.parametrize("name", ["kem", "signature", "identity", "session", "rotation", "pairing", "bundle", "turns"])
def test_vectors_are_frozen(name):
    """A change here is a change of the protocol, and needs another version of it."""
    path = Path(__file__).parent.parent / "vectors" / f"{name}.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] == FROZEN[name]


FROZEN = {
    "kem": "eeec26c4897fdac3",
    "signature": "04c23290eec17a12",
    "identity": "76ad3dc6263244f2",
    "session": "29b5884690838e73",
    "rotation": "0a7609e5143569aa",
    "pairing": "caf69a8fab01f049",
    "bundle": "9cb83bcd10880748",
    "turns": "e510c1a55d0b7527",
}
