"""HELLO between two speakers, and everything that must not pass for one."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.kem import SEED_BYTES, KemKey
from p2p_agents.crypto.signing import SigningKey, unverified_payload
from p2p_agents.errors import BadIdentity, BadSignature, IdentityRollback, Malformed, UnknownVersion
from p2p_agents.limits import BUNDLE_BYTES, EXTENSION_BYTES, INT_MAX, NAME_CHARS
from p2p_agents.link.hello import Channel, Speaker, check, say
from p2p_agents.wire.claims import HELLO_LABEL, Role, decode_hello, encode_hello
from p2p_agents.wire.extensions import Extensions
from p2p_agents.wire.frame import Standing

SERVER, NODE, CHALLENGE, OWN = b"s" * 32, b"n" * 32, b"c" * 32, b"o" * 32
OFFER = KemKey.from_seed(bytes(SEED_BYTES)).public
EXPIRES_MS = 1_000


def speaker(letter, device=b"d"):
    root, later, key = (SigningKey.from_seed((letter + part) * 16) for part in (b"r", b"n", device))
    first = identities.replay([identities.inception(root, later.public, 1)])
    identity = identities.replay([*first.entries, identities.add_device(first, root, key, "device")])
    bundle = sign_bundle(key, identity.agent, OFFER, EXPIRES_MS)
    return Speaker(identity, key, bundle, letter.decode(), "other")


ALICE, BOB, CAROL = speaker(b"a"), speaker(b"b"), speaker(b"c")


def channel(peer, *, device=None, server=SERVER):
    fields = {"server_key": server, "peer": peer.identity.agent, "incarnation": 5}
    fields["peer_device"] = peer.key.public if device is None else device
    if "node" in {field.name for field in dataclasses.fields(Channel)}:
        fields["node"] = NODE
    return Channel(**fields)


def said(*, by=BOB, to=ALICE, challenge=CHALLENGE, known=None, held=0, server=SERVER, role=Role.ACCEPTOR):
    return say(
        by,
        role,
        channel(to, server=server),
        link=2,
        challenge=challenge,
        own_challenge=OWN if role is Role.ACCEPTOR else b"",
        known=known,
        held_by_peer=held,
        held_head=hashlib.sha256(by.identity.entries[held - 1]).digest() if held else b"",
        offer=OFFER,
        standing=Standing.ASK,
    )


def checked(hello, *, by=BOB, to=ALICE, challenge=CHALLENGE, known=None, server=SERVER, device=b""):
    """As `to` does, which expects `by` and has not met its device."""
    where = channel(by, device=device, server=server)
    return check(hello, Role.ACCEPTOR, where, to, challenge=challenge, known=known)


def forged(hello, key, **changes):
    """The same hello with other claims, signed by a key."""
    claims = dataclasses.replace(decode_hello(unverified_payload(hello.signed)), **changes)
    return dataclasses.replace(hello, signed=key.sign(encode_hello(claims), HELLO_LABEL))


def test_a_hello_proves_its_speaker():
    """C2"""
    proven = checked(said())
    assert proven.identity == BOB.identity
    assert proven.claims.device == BOB.key.public
    assert proven.claims.offer == OFFER
    assert (proven.name, proven.kind) == ("b", "other")


def test_only_what_the_peer_lacks_is_sent():
    """C2"""
    hello = said(held=1)
    assert (hello.start, len(hello.entries)) == (1, 1)
    assert checked(hello, known=BOB.identity).identity == BOB.identity


def test_a_stale_challenge_is_refused():
    """C2: transport: stale challenge."""
    with pytest.raises(BadSignature):
        checked(said(challenge=b"x" * 32))


def test_a_signature_for_another_server_is_refused():
    """C2: transport: signature for another server; what a relay in the middle gets."""
    with pytest.raises(BadSignature):
        checked(said(server=b"m" * 32))


def test_a_hello_to_another_agent_is_refused():
    """C2, D4: re-aimed."""
    with pytest.raises(BadSignature):
        checked(said(to=CAROL))


def test_a_hello_reflected_is_refused():
    """C2: my own hello, sent back to me; the roles differ as well."""
    with pytest.raises(BadSignature):
        checked(said(by=ALICE, to=BOB))
    with pytest.raises(BadSignature):
        checked(said(role=Role.OPENER))


def test_another_agents_identity_is_refused():
    """C2, E1: a device of carol's under bob's name, and bob's log under carol's signature."""
    with pytest.raises(BadSignature):
        checked(said(by=CAROL))
    with pytest.raises(BadIdentity):
        checked(forged(said(by=CAROL), CAROL.key, agent=BOB.identity.agent))
    stolen = dataclasses.replace(forged(said(), CAROL.key, device=CAROL.key.public))
    with pytest.raises(BadIdentity):
        checked(stolen)


def test_a_device_may_not_change_on_the_way():
    """C2: the one that opened is the one that proves itself."""
    with pytest.raises(BadSignature):
        checked(said(), device=CAROL.key.public)


def test_a_log_that_ends_elsewhere_is_refused():
    """Identity: rollback of log."""
    with pytest.raises(BadIdentity):
        checked(forged(said(), BOB.key, head=b"x" * 32))
    short = dataclasses.replace(said(), entries=BOB.identity.entries[:1])
    with pytest.raises((BadIdentity, IdentityRollback)):
        checked(short, known=BOB.identity)


def test_another_devices_bundle_is_refused():
    """Handshake: bundle swap."""
    with pytest.raises((BadSignature, BadIdentity, Malformed)):
        checked(dataclasses.replace(said(), bundle=CAROL.bundle))
    foreign = sign_bundle(BOB.key, CAROL.identity.agent, OFFER, EXPIRES_MS)
    with pytest.raises(BadIdentity):
        checked(dataclasses.replace(said(), bundle=foreign))


def test_a_peer_that_is_there_is_believed_whatever_the_clocks_say():
    """B12: its hello answers our challenge, so it holds the keys it shows; a bundle that expired says nothing more."""
    expired = sign_bundle(BOB.key, BOB.identity.agent, OFFER, 1)
    assert checked(dataclasses.replace(said(), bundle=expired)).bundle.expires_ms == 1


def test_a_peer_may_hold_more_of_my_log_than_there_is():
    """E2: a tail that a rotate superseded, or what this installation lost; the peer is shown everything then."""
    assert checked(forged(said(), BOB.key, held_n=99)).claims.held_n == 99


def test_another_key_without_an_entry_for_it_names_both():
    """E1: a contact's key changed: a hard failure, which says what spoke and what should have."""
    theirs, known = (id_text(key.key.public)[:20] for key in (CAROL, BOB))
    with pytest.raises(BadIdentity, match=f"{theirs}.*{known}"):
        checked(forged(said(), CAROL.key, device=CAROL.key.public))
    invented = dataclasses.replace(said(), entries=(*BOB.identity.entries, b"\x80"))
    with pytest.raises(BadIdentity, match=f"{theirs}.*{known}"):
        checked(forged(invented, CAROL.key, device=CAROL.key.public), known=BOB.identity)


def test_a_revoked_device_is_told_apart():
    """E3"""
    root = SigningKey.from_seed(b"br" * 16)
    revoke = identities.revoke_device(BOB.identity, root, BOB.key.public)
    after = identities.replay([*BOB.identity.entries, revoke])
    late = dataclasses.replace(BOB, identity=after)
    with pytest.raises(BadIdentity, match="a revoked device spoke"):
        checked(said(by=late))


def test_every_byte_of_a_hello_is_signed():
    """C2"""
    hello = said()
    for place in range(0, len(hello.signed), 7):
        flipped = hello.signed[:place] + bytes([hello.signed[place] ^ 1]) + hello.signed[place + 1 :]
        with pytest.raises((BadSignature, Malformed, BadIdentity)):
            checked(dataclasses.replace(hello, signed=flipped))


def test_a_hello_of_other_suites_is_refused_as_another_version():
    """Downgrade: a peer that supports none of ours is not a forger, and there is nothing to fall back to."""
    with pytest.raises(UnknownVersion):
        checked(forged(said(), BOB.key, extensions=Extensions(suites=(2, 3))))
    assert checked(forged(said(), BOB.key, extensions=Extensions(("rooms",), (1, 2)))).claims.extensions.suites == (
        1,
        2,
    )


def test_the_largest_hello_fits_its_place():
    """C2: with all that a later release may add."""
    most = dataclasses.replace(
        decode_hello(unverified_payload(said().signed)),
        name="n" * NAME_CHARS,
        kind="k" * NAME_CHARS,
        held=bytes(32),
        incarnation=INT_MAX,
    )
    room = encode_hello(most)[:-1]  # but for its map
    assert len(BOB.key.sign(room + bytes(EXTENSION_BYTES), HELLO_LABEL)) <= BUNDLE_BYTES
