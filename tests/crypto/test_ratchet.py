"""The ratchet, honest and attacked."""

import hashlib
import hmac
import random
from dataclasses import replace

import nacl.bindings as sodium
import nacl.exceptions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p_agents.crypto import ratchet
from p2p_agents.crypto.cuts import sign_cut
from p2p_agents.crypto.kem import KemKey
from p2p_agents.crypto.ratchet import Frame, open_frame, parse_frame, seal, turn_due
from p2p_agents.crypto.session import Session
from p2p_agents.errors import BadSeal, Gap, Malformed, Replayed, TooLarge, UnknownVersion
from p2p_agents.limits import (
    BODY_BYTES,
    DATE_MS_MAX,
    ECHOES_PER_FRAME,
    INT_MAX,
    KIND_CHARS,
    SESSION_FRAME_BYTES,
    TURN_MESSAGES,
    TURN_MS,
    VERDICTS_HELD,
)
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.entry import ENTRY_LABEL, Claims, encode_body, encode_claims
from p2p_agents.wire.payload import (
    ECHO_BYTES,
    READS,
    Ack,
    Item,
    Payload,
    ReadMark,
    Verdict,
    decode_payload,
    encode_payload,
)
from tests.crypto.ends import START_MS, End, Seeded, connected, talk

REFUSED = (BadSeal, Gap, Replayed, Malformed, UnknownVersion)


def test_words_arrive_in_order_over_many_turns():
    alice, bob = connected()
    talk(alice, bob, rounds=10)
    assert (alice.session.own_turn, bob.session.own_turn) == (18, 19)
    assert alice.session.confirmed
    assert bob.session.confirmed


def test_persist_and_restore_at_each_step():
    alice, bob = connected()
    for _ in range(5):
        for speaker, listener in ((alice, bob), (bob, alice)):
            for end in (alice, bob):
                end.wait(700)
                end.restart()
            frame = speaker.say(b"hello")
            speaker.restart()
            listener.restart()
            assert listener.hear(frame) == b"hello"


def test_both_ends_count_and_hash_alike():
    """B3: H runs over the frames received, H_0 = sid; an ACK with it proves which frames were opened."""
    alice, bob = connected()
    running = alice.session.sid
    for count in range(1, 6):
        frame = alice.say(b"hello")
        bob.hear(frame)
        running = hashlib.sha256(running + hashlib.sha256(frame).digest()).digest()
        assert alice.session.sent_hash == bob.session.received_hash == running
        assert alice.session.sent == bob.session.received == count
    bob.hear(alice.say(b"hello"))
    alice.hear(bob.say(b"and a turn"))
    assert bob.session.sent_hash == alice.session.received_hash


@pytest.mark.parametrize("seed", range(50))
def test_random_interleavings(seed):
    """Both speak at once, frames travel late, either end restarts; order and content hold."""
    rng = random.Random(seed)
    alice, bob = connected(f"alice {seed}", f"bob {seed}")
    ways = ((alice, bob, []), (bob, alice, []))
    said = heard = 0
    while heard < 60:
        speaker, listener, way = rng.choice(ways)
        for end in (alice, bob):
            end.wait(rng.choice((0, 0, 3, 1_500)))
        if rng.random() < 0.1:
            speaker.restart()
        if rng.random() < 0.5:
            words = rng.randbytes(rng.randrange(40))
            way.append((speaker.say(words), words))
            said += 1
        elif way:
            frame, words = way.pop(0)
            assert listener.hear(frame) == words
            heard += 1
    assert alice.session.own_turn + bob.session.own_turn > 2
    for speaker, listener, way in ways:
        assert [listener.hear(frame) for frame, _ in way] == [words for _, words in way]
        assert speaker.session.sent == listener.session.received
        assert speaker.session.sent_hash == listener.session.received_hash


# --- turns ---


def test_the_acceptors_first_act_is_a_turn():
    """D1: it steps at once, so the single-use key protects only what was said before."""
    _alice, bob = connected()
    assert turn_due(bob.session, bob.now_ms)
    frame = parse_frame(bob.say(b"hello"))
    assert (frame.turn, frame.n) == (1, 0)
    assert frame.header


def test_quick_exchanges_ride_the_chain_and_heal_within_a_second():
    """D2: a turn is due when a newer turn of the peer is held and 1 s has passed since the own step."""
    alice, bob = connected()
    bob.hear(alice.say(b"hello"))
    alice.hear(bob.say(b"hello"))
    alice.wait(TURN_MS - 1)
    assert parse_frame(alice.say(b"quick")).turn == 0
    alice.wait(1)
    assert parse_frame(alice.say(b"slow")).turn == 2


def test_busy_exchanges_heal_after_64_messages():
    """D2: or 64 messages, whoever sent them."""
    alice, bob = connected()
    bob.hear(alice.say(b"hello"))
    alice.hear(bob.say(b"hello"))
    for _ in range(TURN_MESSAGES - 2):
        assert not turn_due(alice.session, alice.now_ms)
        alice.hear(bob.say(b"chatter"))
    assert turn_due(alice.session, alice.now_ms)
    assert parse_frame(alice.say(b"healed")).turn == 2


def test_no_turn_without_a_newer_one_of_the_peer():
    """D2: a monologue rides one chain, however long."""
    alice, _ = connected()
    alice.wait(3_600_000)
    assert {parse_frame(alice.say(b"hello?")).turn for _ in range(TURN_MESSAGES + 2)} == {0}


def test_a_clock_set_back_does_not_postpone_healing():
    alice, bob = connected()
    alice.hear(bob.say(b"hello"))
    alice.wait(-3_600_000)
    assert turn_due(alice.session, alice.now_ms)


def test_a_turn_that_was_made_twice_heals_nothing():
    """D3: after a store went back, both ends may hold a secret of turn 2, and not the same one."""
    alice, bob = connected()
    talk(alice, bob)
    alice.wait(TURN_MS)
    before = alice.session
    bob.hear(alice.say(b"turn 2"))
    alice.session = before
    alice.say(b"turn 2, another one")
    mine, theirs = dict(alice.session.heals), dict(bob.session.heals)
    assert all(mine[each] == theirs[each] for each in mine.keys() & theirs.keys())
    assert mine.keys() != theirs.keys()


def test_the_last_two_turns_can_heal_a_successor():
    """D3: whatever is in flight, both ends hold one turn in common."""
    alice, bob = connected()
    talk(alice, bob)
    alice.wait(TURN_MS)
    late = alice.say(b"in flight")
    assert dict(alice.session.heals).keys() & dict(bob.session.heals).keys()
    bob.hear(late)
    bob.wait(TURN_MS)
    bob.say(b"in flight too")
    common = dict(alice.session.heals).keys() & dict(bob.session.heals).keys()
    assert all(dict(alice.session.heals)[turn] == dict(bob.session.heals)[turn] for turn in common)
    assert common


# --- attacks ---


def first_of_a_turn(speaker: End, listener: End, words: bytes) -> bytes:
    """A frame with a header, after turns of one frame each."""
    talk(speaker, listener)
    speaker.wait(TURN_MS)
    frame = speaker.say(words)
    assert parse_frame(frame).header
    return frame


def test_flip_any_byte_and_it_is_rejected_and_the_state_is_unchanged():
    alice, bob = connected()
    frame = first_of_a_turn(bob, alice, b"secret")
    rng = random.Random(1)
    before = alice.session
    for i in [*range(80), *rng.sample(range(80, len(frame)), 300)]:
        flipped = bytearray(frame)
        flipped[i] ^= 1 << rng.randrange(8)
        with pytest.raises(REFUSED):
            alice.hear(bytes(flipped))
    assert alice.session is before
    assert alice.session.dump() == before.dump()
    assert alice.hear(frame) == b"secret"


def test_replay():
    alice, bob = connected()
    frames = [bob.say(bytes([i])) for i in range(3)]
    for frame in frames:
        alice.hear(frame)
    before = alice.session
    for frame in frames:
        with pytest.raises(Replayed):
            alice.hear(frame)
    assert alice.session is before


def test_replay_of_an_older_turn():
    alice, bob = connected()
    old = alice.say(b"hello")
    bob.hear(old)
    talk(alice, bob)
    with pytest.raises(Replayed):
        bob.hear(old)


def test_reorder_and_gap():
    """B5: what is ahead is told apart from what is bad, so that the gap is asked for and nothing is reset."""
    alice, bob = connected()
    frames = [bob.say(bytes([i])) for i in range(5)]
    for ahead in reversed(frames[1:]):
        with pytest.raises(Gap):
            alice.hear(ahead)
    assert [alice.hear(frame) for frame in frames] == [bytes([i]) for i in range(5)]


def test_withheld_tail_of_a_turn():
    """A relay drops the last frame of a turn, then delivers the next turn."""
    alice, bob = connected()
    first, withheld = bob.say(b"1"), bob.say(b"2")
    alice.hear(first)
    bob.hear(alice.say(b"y"))
    alice.wait(TURN_MS)
    bob.hear(alice.say(b"z"))
    bob.wait(TURN_MS)
    third = bob.say(b"3")
    assert parse_frame(third).turn == 3
    with pytest.raises(Gap):
        alice.hear(third)
    assert alice.hear(withheld) == b"2"
    assert alice.hear(third) == b"3"


def test_a_forged_count_of_the_turn_before():
    """D5: pn below what was received is bad, not a gap; pn above it opens nothing either."""
    alice, bob = connected()
    frame = decode(first_of_a_turn(bob, alice, b"words"))
    public, sealed, pn = decode(frame[4])
    for forged, error in ((pn - 1, BadSeal), (pn + 1, Gap)):
        with pytest.raises(error):
            alice.hear(encode([*frame[:4], encode([public, sealed, forged]), *frame[5:]]))
    assert alice.hear(encode(frame)) == b"words"


@pytest.mark.parametrize("value", [-1, True, None, "0", b"", 2**53, []])
@pytest.mark.parametrize("field", [2, 3])
def test_turn_and_n_are_checked_before_use(field, value):
    """D5: as non-negative integers."""
    alice, _bob = connected()
    frame = decode(alice.say(b"hello"))
    frame[field] = value
    with pytest.raises(Malformed):
        parse_frame(encode(frame))


@pytest.mark.parametrize("pn", [-1, True, None, "0", 2**53])
def test_pn_is_checked_before_use(pn):
    """D5: as a non-negative integer."""
    alice, bob = connected()
    frame = decode(bob.say(b"hello"))
    public, sealed, _ = decode(frame[4])
    with pytest.raises((BadSeal, Malformed)):
        alice.hear(encode([*frame[:4], encode([public, sealed, pn]), *frame[5:]]))


def test_a_turn_beyond_the_next_is_ahead():
    alice, bob = connected()
    before = alice.session
    alice_later, bob_later = replace_ends(alice, bob)
    talk(alice_later, bob_later)
    bob_later.wait(TURN_MS)
    alice.session = before
    with pytest.raises(Gap):
        alice.hear(bob_later.say(b"from the future"))


def replace_ends(alice: End, bob: End) -> tuple[End, End]:
    """The same two ends, which will live on while the originals stand still."""
    later = End("alice"), End("bob")
    later[0].session, later[1].session = alice.session, bob.session
    return later


def test_reflection():
    alice, bob = connected()
    frame = alice.say(b"hello")
    with pytest.raises(BadSeal):
        alice.hear(frame)
    alice.hear(bob.say(b"hello"))
    with pytest.raises(BadSeal):
        alice.hear(frame)


def test_splice_between_sessions():
    _alice, bob = connected()
    other_alice, _ = connected("alice of another session", "bob")
    foreign = decode(other_alice.say(b"hello"))
    with pytest.raises(BadSeal):
        bob.hear(encode(foreign))
    with pytest.raises(BadSeal):
        bob.hear(encode([1, bob.session.sid, *foreign[2:]]))


def test_splice_between_frames_of_one_session():
    alice, bob = connected()
    bob.hear(alice.say(b"hello"))
    alice.hear(bob.say(b"hello"))
    alice.wait(TURN_MS)
    old, new = decode(alice.say(b"one")), decode(alice.say(b"two"))
    with pytest.raises(BadSeal):
        bob.hear(encode([*old[:5], *new[5:]]))


@pytest.mark.parametrize("who", ["me", "peer"])
@pytest.mark.parametrize("what", ["agent", "device"])
def test_the_ids_of_both_ends_are_under_the_seal(who, what):
    """D4: agent ids enter every frame's associated data."""
    alice, bob = connected()
    wrong = replace(getattr(bob.session, who), **{what: bytes(32)})
    bob.session = replace(bob.session, **{who: wrong})
    with pytest.raises(BadSeal):
        bob.hear(alice.say(b"hello"))


def secrets_of(session: Session) -> list[bytes]:
    keys = [session.root, session.out.chain, session.into.chain, *(secret for _, secret in session.heals)]
    return [key for key in keys if key]


def guesses(key: bytes) -> list[bytes]:
    labels = (b"p2pa/1 message key", b"p2pa/1 chain key", b"p2pa/1 heal", b"p2pa/1 root")
    return [key, *(hmac.digest(key, label, "sha256") for label in labels)]


def falls_to(thief: Session, data: bytes) -> bool:
    """Whether some secret in a stolen state, or one derived from it, opens the frame."""
    frame = parse_frame(data)
    header_hash = hashlib.sha256(frame.header).digest() if frame.header else b""
    ends = [thief.peer.agent, thief.peer.device, thief.me.agent, thief.me.device]
    aad = encode(["p2pa/1 msg", 1, frame.sid, *ends, frame.turn, frame.n, header_hash])
    return any(opens(frame, aad, guess) for secret in secrets_of(thief) for guess in guesses(secret))


def opens(frame: Frame, aad: bytes, key: bytes) -> bool:
    try:
        sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(frame.ciphertext, aad, frame.nonce, key)
    except nacl.exceptions.CryptoError:
        return False
    return True


def test_forward_secrecy_full_state_theft_after_delivery_cannot_open_the_old_frame():
    alice, bob = connected()
    alice.hear(bob.say(b"the first of a turn"))
    frame = bob.say(b"old")
    assert falls_to(alice.session, frame)
    alice.hear(frame)
    thief = Session.load(alice.session.dump())
    assert not falls_to(thief, frame)
    with pytest.raises(Replayed):
        open_frame(thief, parse_frame(frame))


def test_forward_secrecy_the_key_that_opened_a_turn_is_gone():
    alice, bob = connected()
    frame = bob.say(b"the first of a turn")
    alice.hear(frame)
    assert alice.session.out.key is None
    assert not falls_to(alice.session, frame)


def test_forward_secrecy_the_senders_state_cannot_open_it_either():
    alice, bob = connected()
    alice.hear(bob.say(b"the first of a turn"))
    before = mirrored(bob.session)
    frame = bob.say(b"old")
    assert falls_to(before, frame)
    assert not falls_to(mirrored(bob.session), frame)


def mirrored(session: Session) -> Session:
    """The other end's view with this end's secrets."""
    return replace(session, me=session.peer, peer=session.me)


def test_post_compromise_a_state_copy_cannot_read_after_one_round_trip():
    alice, bob = connected()
    talk(alice, bob)
    thief = Session.load(alice.session.dump())
    frame = bob.say(b"read by the thief")
    thief, words = open_frame(thief, parse_frame(frame))
    assert words == alice.hear(frame)
    alice.wait(TURN_MS)
    bob.hear(alice.say(b"healing"))
    bob.wait(TURN_MS)
    healed = [bob.say(b"healed"), bob.say(b"and stays so")]
    for frame in healed:
        assert not falls_to(thief, frame)
        with pytest.raises((BadSeal, Gap)):
            open_frame(thief, parse_frame(frame))
    assert [alice.hear(frame) for frame in healed] == [b"healed", b"and stays so"]


def test_a_rolled_back_state_sends_twice_and_nonces_differ():
    alice, _ = connected()
    row = alice.session.dump()
    frames = []
    for words in (b"one", b"two"):
        alice.session = Session.load(row)
        frames.append(parse_frame(alice.say(words)))
    one, two = frames
    assert (one.turn, one.n) == (two.turn, two.n)
    assert one.nonce != two.nonce
    assert one.ciphertext != two.ciphertext


def test_a_rolled_back_sender_is_told_from_a_duplicate():
    """B3: the same (turn, n) with another hash leaves the two ends with different H."""
    alice, bob = connected()
    row = alice.session.dump()
    bob.hear(alice.say(b"one"))
    alice.session = Session.load(row)
    with pytest.raises(Replayed):
        bob.hear(alice.say(b"two"))
    assert alice.session.sent == bob.session.received
    assert alice.session.sent_hash != bob.session.received_hash


def test_padding_hides_length():
    alice, _ = connected()
    assert len({len(alice.say(b"x" * n)) for n in range(24)}) == 1
    assert len({len(alice.say(b"x" * n)) for n in range(24, 252, 7)}) <= 2


def test_no_identity_in_frames():
    alice, bob = connected()
    for frame in (alice.say(b"hello"), bob.say(b"hello")):
        for end in (alice, bob):
            assert end.party.agent not in frame
            assert end.party.device not in frame


def test_a_peer_cannot_plant_a_key_that_nobody_can_use():
    """It would break the next own turn, so the turn that brings it does not open."""
    alice, bob = connected()
    for bad in (b"\xff" * 1216, b"short"):
        bob.entropy.kem_key = lambda bad=bad: replace(KemKey.from_seed(bytes(96)), public=bad)
        _, frame = seal(bob.session, b"hello", bob.now_ms, bob.entropy)
        with pytest.raises(BadSeal):
            alice.hear(frame)


def test_a_peer_cannot_unsay_frames_of_its_turn_before():
    """D5: pn below what was received is bad, even from one who can seal it."""
    alice, bob = connected()
    talk(bob, alice)
    bob.wait(TURN_MS)
    bob.session = replace(bob.session, out=replace(bob.session.out, n=0))
    with pytest.raises(BadSeal):
        alice.hear(bob.say(b"the first in this turn"))


def test_a_peer_cannot_choose_another_padding(monkeypatch):
    alice, bob = connected()
    monkeypatch.setattr(ratchet, "pad", lambda words: words + bytes(300))
    with pytest.raises(BadSeal):
        alice.hear(bob.say(b"hello"))


# --- shapes ---


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_what_was_sealed_opens(words):
    session_alice, session_bob = SESSIONS
    _, frame = seal(session_alice, words, START_MS, Seeded("one"))
    assert open_frame(session_bob, parse_frame(frame))[1] == words


SESSIONS = tuple(end.session for end in connected())
FRAME = seal(SESSIONS[0], b"hello", START_MS, Seeded("two"))[1]
fields = st.none() | st.integers(0, 9) | st.binary(max_size=40) | st.just([])


@given(st.binary(max_size=200) | st.lists(fields, max_size=8).map(encode))
def test_garbage_is_refused(data):
    with pytest.raises((Malformed, UnknownVersion)):
        parse_frame(data)


@given(st.integers(1, 6), fields)
def test_a_frame_with_one_field_garbled_is_refused(i, garble):
    parts = decode(FRAME)
    if parts[i] == garble:
        return
    parts[i] = garble
    with pytest.raises(REFUSED):
        open_frame(SESSIONS[1], parse_frame(encode(parts)))


@given(st.binary(max_size=100) | st.lists(fields, max_size=4).map(encode))
def test_a_garbled_header_does_not_open(header):
    alice, bob = connected()
    parts = decode(bob.say(b"hello"))
    with pytest.raises((BadSeal, Gap, Malformed)):
        alice.hear(encode([*parts[:4], header, *parts[5:]]))


@pytest.mark.parametrize("version", [0, 2, None, True])
def test_downgrade_any_other_version_is_refused(version):
    with pytest.raises(UnknownVersion):
        parse_frame(encode([version, *decode(FRAME)[1:], "and more to come"]))


def test_headers_stand_where_turns_begin():
    parts = decode(FRAME)
    for turn, n, header in ((0, 0, b"h"), (2, 1, b"h"), (2, 0, b"")):
        with pytest.raises(Malformed, match="header"):
            parse_frame(encode([*parts[:2], turn, n, header, *parts[5:]]))


def test_a_frame_knows_its_size_and_digest():
    frame = parse_frame(FRAME)
    assert (frame.size, frame.digest) == (len(FRAME), hashlib.sha256(FRAME).digest())


def test_the_largest_that_a_node_says_fits_a_frame():
    """C1: the largest body and headers, all verdicts that may be held, marks, echoes, a cut and a turn."""
    alice, bob = connected()
    alice.hear(bob.say(b"so that the next frame takes a turn"))
    claims = Claims(
        bytes(32),
        alice.key.public,
        bytes(32),
        bytes(8),
        INT_MAX,
        bytes(32),
        INT_MAX,
        DATE_MS_MAX,
        "k" * KIND_CHARS,
        {"h": b"x" * 4_090},
        bytes(32),
    )
    entry = Item(alice.key.sign(encode_claims(claims), ENTRY_LABEL), encode_body(bytes(16), bytes(BODY_BYTES)))
    payload = Payload(
        Ack(INT_MAX, INT_MAX, bytes(32), (Verdict.REFUSED,) * VERDICTS_HELD),
        (entry,),
        (ReadMark(bytes(32), bytes(32), bytes(8), INT_MAX),) * READS,
        (bytes(ECHO_BYTES),) * ECHOES_PER_FRAME,
        (bytes(ECHO_BYTES),) * ECHOES_PER_FRAME,
        (sign_cut(alice.key, bytes(32), bob.key.public, bytes(32), [bytes(32)]),),
    )
    alice.wait(TURN_MS)
    frame = alice.say(encode_payload(payload))
    assert SESSION_FRAME_BYTES // 2 < len(frame) <= SESSION_FRAME_BYTES
    assert parse_frame(frame).header
    assert decode_payload(bob.hear(frame)) == payload


def test_what_no_frame_can_hold_is_not_sealed():
    with pytest.raises(TooLarge):
        seal(SESSIONS[0], bytes(SESSION_FRAME_BYTES), START_MS, Seeded("three"))
    with pytest.raises(Malformed):
        parse_frame(bytes(SESSION_FRAME_BYTES + 1))
