"""Introductions: confirmed unseen, then shown to one peer in one pairing."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.introduction import Meeting, Self, context, introduction_hash, session_id
from p2p_agents.crypto.pake import Agreed, Side
from p2p_agents.errors import BadIdentity, BadSeal, BadSignature, Malformed, PeerFault, UnknownVersion
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.pairing import Purpose
from tests.link.pairs import ALICE, BOB, NOW, PHONE, PREKEY, THIEF

STEP = 4
FIELDS = decode(BOB.introduce(bytes(16)))


def meeting(side: Side, introduction: bytes, peer_introduction: bytes, **other) -> Meeting:
    ads = introduction_hash(introduction), introduction_hash(peer_introduction)
    known = {"purpose": Purpose.CONTACT, "sid": bytes(32), "agreed": Agreed(bytes(64), b"", b"")} | other
    return Meeting(known["purpose"], side, known["sid"], *ads, known["agreed"])


def told(introduction: bytes, me: Self = BOB, *, said_in=None, heard_in=None, shown: bytes | None = None):
    """What alice learns when bob reveals himself."""
    alices = ALICE.introduce(bytes(16))
    theirs = meeting(Side.RESPONDER, introduction, alices, **(said_in or {}))
    ours = meeting(Side.INITIATOR, alices, introduction, **(heard_in or {}))
    return ours.meet(STEP, theirs.reveal(STEP, me, shown or introduction), NOW)


def test_who_introduces_itself_is_known():
    peer = told(BOB.introduce(bytes(16)))
    assert (peer.identity, peer.device, peer.name, peer.kind) == (BOB.identity, BOB.key.public, "bob", "human")
    assert peer.consent == b""


def test_an_installation_is_nobody_yet_and_agrees_to_its_host():
    introduction, alices = PHONE.introduce(bytes(16)), ALICE.introduce(bytes(16))
    box = meeting(Side.RESPONDER, introduction, alices).reveal(STEP, PHONE, introduction, ALICE.identity)
    peer = meeting(Side.INITIATOR, alices, introduction).meet(STEP, box, NOW)
    assert (peer.identity, peer.device, peer.bundle) == (None, PHONE.key.public, b"")
    assert peer.consent


def test_the_hash_hides_who_it_stands_for():
    one, two = (introduction_hash(BOB.introduce(salt * 16)) for salt in (b"a", b"b"))
    assert one != two


def test_another_introduction_than_the_confirmed_one_is_refused():
    with pytest.raises(BadSeal, match="not the one that was confirmed"):
        told(BOB.introduce(bytes(16)), shown=BOB.introduce(b"\1" * 16))


@pytest.mark.parametrize("other", [{"sid": b"\1" * 32}, {"purpose": Purpose.ROOM}])
def test_a_proof_for_another_meeting_is_refused(other):
    with pytest.raises(BadSignature):
        told(BOB.introduce(bytes(16)), said_in=other)


def test_a_proof_by_another_device_is_refused():
    with pytest.raises(BadSignature):
        told(BOB.introduce(bytes(16)), me=THIEF)


def test_a_box_opens_in_its_meeting_at_its_step_from_its_side():
    one = meeting(Side.INITIATOR, b"a", b"b")
    two = meeting(Side.RESPONDER, b"b", b"a")
    box = one.seal(STEP, b"content")
    assert two.open(STEP, box) == b"content"
    stranger = dataclasses.replace(two, agreed=Agreed(b"\1" * 64, b"", b""))
    for reader, step in ((two, STEP + 1), (one, STEP), (stranger, STEP)):
        with pytest.raises(BadSeal):
            reader.open(step, box)
    with pytest.raises(BadSeal):
        two.open(STEP, b"")


@pytest.mark.parametrize(
    "fields",
    [
        [],
        FIELDS[:6],
        [2, *FIELDS[1:]],
        [1, bytes(15), *FIELDS[2:]],
        [1, bytes(16), THIEF.key.public, *FIELDS[3:]],
        [*FIELDS[:3], [], *FIELDS[4:]],
        [*FIELDS[:3], [b"entry"], *FIELDS[4:]],
        [*FIELDS[:3], "log", *FIELDS[4:]],
        [*FIELDS[:3], list(THIEF.identity.entries), *FIELDS[4:]],
        [*FIELDS[:4], THIEF.bundle, *FIELDS[5:]],
        [*FIELDS[:4], b"", *FIELDS[5:]],
        [*FIELDS[:5], "n" * 33, "human"],
        [*FIELDS[:6], 1],
    ],
)
def test_a_garbled_introduction_is_refused(fields):
    with pytest.raises(PeerFault):
        told(encode(fields))


def test_a_device_cannot_put_itself_under_anothers_log():
    """Its signatures are right, and so is its bundle, but for whose device it is."""
    bundle = sign_bundle(THIEF.key, BOB.identity.agent, PREKEY, NOW + 1)
    with pytest.raises(BadIdentity, match="not the agent's"):
        told(encode([*FIELDS[:2], THIEF.key.public, FIELDS[3], bundle, *FIELDS[5:]]), me=THIEF)


def test_a_bundle_for_another_agent_is_refused():
    bundle = sign_bundle(BOB.key, THIEF.identity.agent, PREKEY, NOW + 1)
    with pytest.raises(BadIdentity, match="another agent's"):
        told(encode([*FIELDS[:4], bundle, *FIELDS[5:]]))


def test_an_expired_bundle_is_refused():
    alices, bobs = ALICE.introduce(bytes(16)), BOB.introduce(bytes(16))
    box = meeting(Side.RESPONDER, bobs, alices).reveal(STEP, BOB, bobs)
    with pytest.raises(BadSeal, match="expired"):
        meeting(Side.INITIATOR, alices, bobs).meet(STEP, box, NOW + 2 * 86_400_000)


def test_the_context_names_the_purpose_and_the_existing_side():
    """F1: ci names both; the displayer takes in, except among equals."""
    assert decode(context(Purpose.CONTACT)) == ["p2pa/1 pair", "contact", None]
    assert decode(context(Purpose.LINK)) == ["p2pa/1 pair", "link", 0]
    assert len({context(purpose) for purpose in Purpose}) == 3


def test_both_sides_draw_for_a_run():
    base = session_id("7Q2M0", b"a", b"b")
    assert base not in (
        session_id("7Q2M0", b"b", b"a"),
        session_id("7Q2M1", b"a", b"b"),
        session_id("7Q2M0", b"c", b"b"),
    )


def test_mistakes_of_our_own_are_refused():
    with pytest.raises(BadIdentity):
        Self(THIEF.key, BOB.identity, BOB.bundle, "bob", "human")
    with pytest.raises(Malformed):
        BOB.introduce(b"short")
    with pytest.raises(UnknownVersion):
        told(encode([0]))


def test_no_key_is_shown():
    assert "agreed" not in repr(meeting(Side.INITIATOR, b"a", b"b"))


values = st.none() | st.integers(-1, 9) | st.binary(max_size=40) | st.text(max_size=40)
logs = st.lists(values | st.sampled_from(BOB.identity.entries + THIEF.identity.entries), max_size=4)
fields = st.tuples(st.just(1), st.just(bytes(16)), st.sampled_from([BOB.key.public, b"x"]) | values, logs | values)


@given(fields, st.lists(values | st.just(BOB.bundle), max_size=4))
def test_whoever_holds_the_code_and_talks_nonsense_is_refused_or_understood(head, tail):
    try:
        peer = told(encode([*head, *tail]))
    except PeerFault:
        return
    assert peer.device == BOB.key.public
    assert peer.identity is None or peer.identity.devices == BOB.identity.devices
