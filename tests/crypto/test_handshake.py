"""Session start, honest and attacked."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p_agents.crypto.handshake import INIT_LABEL, Init, accept, initiate, offer_hash, read_init
from p2p_agents.crypto.kem import KemKey
from p2p_agents.crypto.session import Party
from p2p_agents.crypto.signing import unverified_payload
from p2p_agents.errors import BadSeal, BadSignature, Malformed, UnknownVersion
from p2p_agents.wire.cbor import decode, encode
from tests.crypto.ends import End, connected, talk


def test_one_init_and_both_can_speak():
    alice, bob = connected()
    assert bob.hear(alice.say(b"hello")) == b"hello"
    assert alice.hear(bob.say(b"hello, alice")) == b"hello, alice"
    assert alice.session.sid == bob.session.sid
    assert (alice.session.initiator, bob.session.initiator) == (True, False)
    assert (alice.session.peer, bob.session.peer) == (bob.party, alice.party)


def test_the_acceptor_may_speak_first():
    alice, bob = connected()
    assert alice.hear(bob.say(b"yes?")) == b"yes?"
    assert bob.hear(alice.say(b"hello")) == b"hello"


def test_an_init_says_what_the_acceptor_must_check():
    """D3: gen, the dead sid and the healing turn stand in the init; D4: so do the agent ids."""
    alice, bob = End("alice"), End("bob")
    signed = alice.initiate(bob, gen=77, dead=b"d" * 32, heal=(5, b"h" * 32))
    init = read_init(signed, alice.party)
    assert (init.frm, init.to) == (alice.party, bob.party)
    assert (init.gen, init.dead, init.heal_id) == (77, b"d" * 32, 5)
    assert init.offer_hash == offer_hash(bob.offer.public)
    assert init.sid == alice.session.sid
    assert alice.session.gen == 77


def test_a_replayed_init_names_the_same_session_and_generation():
    """D3: the caller refuses a gen not above the highest accepted; the same init never makes another sid."""
    alice, bob = End("alice"), End("bob")
    signed = alice.initiate(bob, gen=3)
    bob.accept(signed, alice)
    first = bob.session
    bob.accept(signed, alice)
    assert (bob.session.sid, bob.session.gen) == (first.sid, 3)


def test_a_stale_prekey_is_refused():
    alice, bob = End("alice"), End("bob")
    signed = alice.initiate(bob)
    bob.offer = bob.entropy.kem_key()
    with pytest.raises(BadSeal, match="another offer"):
        bob.accept(signed, alice)


def test_an_init_re_aimed_at_another_is_refused():
    alice, bob, carol = End("alice"), End("bob"), End("carol")
    signed = alice.initiate(bob)
    with pytest.raises(BadSeal, match="another agent"):
        carol.accept(signed, alice)
    carol.offer = bob.offer
    with pytest.raises(BadSeal, match="another agent"):
        carol.accept(signed, alice)


def test_an_init_for_another_agent_of_the_same_device_is_refused():
    alice, bob = End("alice"), End("bob")
    signed = alice.initiate(bob)
    bob.party = Party(b"other agent here" * 2, bob.party.device)
    with pytest.raises(BadSeal):
        bob.accept(signed, alice)


def test_an_init_claimed_from_another_is_refused():
    alice, bob, carol = End("alice"), End("bob"), End("carol")
    signed = alice.initiate(bob)
    with pytest.raises(BadSignature):
        bob.accept(signed, carol)
    with pytest.raises(Malformed, match="another sender"):
        read_init(signed, Party(carol.party.agent, alice.party.device))


def test_an_init_re_signed_by_another_does_not_open():
    """Unknown key share: carol claims alice's handshake as her own."""
    alice, bob, carol = End("alice"), End("bob"), End("carol")
    init = read_init(alice.initiate(bob), alice.party)
    stolen = replace(init, frm=carol.party)
    with pytest.raises(BadSeal):
        bob.accept(carol.key.sign(stolen.payload(), INIT_LABEL), carol)


@pytest.mark.parametrize(
    "change",
    [
        {"gen": 2},
        {"dead": b"d" * 32},
        {"public": KemKey.from_seed(bytes(96)).public},
        {"frm": Party(bytes(32), End("alice").party.device)},
        {"to": Party(bytes(32), End("bob").party.device)},
    ],
)
def test_every_term_is_in_the_transcript(change):
    alice, bob = End("alice"), End("bob")
    init = replace(read_init(alice.initiate(bob), alice.party), **change)
    assert init.sid != alice.session.sid
    with pytest.raises(BadSeal):
        accept(init, me=init.to, offer_key=bob.offer, now_ms=0, entropy=bob.entropy)


def test_a_signature_for_another_purpose_is_no_init():
    alice, bob = End("alice"), End("bob")
    payload = unverified_payload(alice.initiate(bob))
    with pytest.raises(BadSignature):
        read_init(alice.key.sign(payload, "p2pa/1 bundle"), alice.party)


def test_a_flipped_encapsulation_does_not_open():
    alice, bob = End("alice"), End("bob")
    init = read_init(alice.initiate(bob), alice.party)
    for i in (0, 1087, 1088, 1119, 1120, 1167):
        sealed = bytearray(init.sealed)
        sealed[i] ^= 1
        with pytest.raises(BadSeal):
            bob.accept(alice.key.sign(replace(init, sealed=bytes(sealed)).payload(), INIT_LABEL), alice)


def test_a_bad_offer_is_refused():
    alice, bob = End("alice"), End("bob")
    for offer in (b"\xff" * 1216, bytes(1215), bob.offer.public[:1184] + bytes(32)):
        bad = {"offer": offer, "me": alice.party, "key": alice.key, "peer": bob.party}
        with pytest.raises(Malformed):
            initiate(**bad, gen=1, now_ms=0, entropy=alice.entropy)


def test_an_init_is_signed_by_its_own_device():
    alice, bob = End("alice"), End("bob")
    alice.key = bob.key
    with pytest.raises(Malformed):
        alice.initiate(bob)


def test_crossing_inits_make_two_sessions_that_both_work():
    """D3: which of them lives, the smaller device key decides; neither harms the other."""
    alice, bob = End("alice"), End("bob")
    from_alice, from_bob = alice.initiate(bob), bob.initiate(alice)
    other_alice, other_bob = End("alice"), End("bob")
    other_alice.session, other_bob.session = alice.session, bob.session
    bob.accept(from_alice, alice)
    alice.accept(from_bob, bob)
    assert bob.hear(other_alice.say(b"one")) == b"one"
    assert alice.hear(other_bob.say(b"two")) == b"two"
    assert alice.session.sid != bob.session.sid


def healing_turn(alice: End, bob: End) -> tuple[int, bytes, bytes]:
    """A turn both still know the root of, and what either says its secret is."""
    mine, theirs = dict(alice.session.heals), dict(bob.session.heals)
    turn = max(mine.keys() & theirs.keys())
    return turn, mine[turn], theirs[turn]


def test_a_successor_mixes_in_the_root_of_the_dead_session():
    alice, bob = connected()
    talk(alice, bob)
    dead = alice.session.sid
    turn, mine, theirs = healing_turn(alice, bob)
    assert mine == theirs
    bob.accept(alice.initiate(bob, gen=2, dead=dead, heal=(turn, mine)), alice, heal=theirs)
    assert bob.hear(alice.say(b"again")) == b"again"
    assert alice.hear(bob.say(b"and again")) == b"and again"


def test_the_thief_of_the_offered_key_cannot_accept_a_healed_session():
    alice, bob = connected()
    talk(alice, bob)
    turn, secret, _ = healing_turn(alice, bob)
    init = alice.initiate(bob, gen=2, dead=alice.session.sid, heal=(turn, secret))
    bob.accept(init, alice, heal=b"not the secret of it" + bytes(12))
    frame = alice.say(b"for bob alone")
    with pytest.raises(BadSeal):
        bob.hear(frame)


def test_healing_is_asked_for_and_given_or_neither():
    alice, bob = End("alice"), End("bob")
    healed = alice.initiate(bob, heal=(0, b"h" * 32))
    with pytest.raises(BadSeal):
        bob.accept(healed, alice)
    plain = alice.initiate(bob)
    with pytest.raises(BadSeal):
        bob.accept(plain, alice, heal=b"h" * 32)


INIT = read_init(End("alice").initiate(End("bob")), End("alice").party)


@pytest.mark.parametrize(
    "change",
    [
        {"offer_hash": b""},
        {"gen": -1},
        {"gen": True},
        {"dead": b"d" * 31},
        {"dead": None},
        {"heal_id": -1},
        {"heal_id": False},
        {"public": b"\xff" * 1216},
        {"sealed": bytes(1167)},
    ],
)
def test_an_init_out_of_bounds_cannot_be_built(change):
    with pytest.raises(Malformed):
        replace(INIT, **change)


ALICE_KEY = End("alice").key
fields = st.none() | st.integers(0, 9) | st.binary(max_size=8) | st.binary(min_size=32, max_size=32)


@settings(max_examples=50)
@given(st.binary(max_size=60) | st.lists(fields, max_size=12).map(encode))
def test_a_signed_garble_is_refused(payload):
    with pytest.raises((Malformed, UnknownVersion)):
        read_init(ALICE_KEY.sign(payload, INIT_LABEL), INIT.frm)


@settings(max_examples=50)
@given(st.integers(1, 10), fields)
def test_an_init_with_one_field_garbled_is_refused_or_another_init(i, garble):
    parts = decode(INIT.payload())
    parts[i] = garble
    try:
        found = read_init(ALICE_KEY.sign(encode(parts), INIT_LABEL), INIT.frm)
    except Malformed:
        return
    assert isinstance(found, Init)
    assert decode(found.payload()) == parts


@pytest.mark.parametrize("version", [0, 2, None, True])
def test_downgrade_another_version_is_refused(version):
    payload = encode([version, *decode(INIT.payload())[1:]])
    with pytest.raises(UnknownVersion):
        read_init(ALICE_KEY.sign(payload, INIT_LABEL), INIT.frm)


def test_a_party_is_two_ids():
    with pytest.raises(Malformed):
        Party(b"short", bytes(32))
    with pytest.raises(Malformed):
        Party(bytes(32), bytes(33))
