"""Which entries of a revoked device are still accepted."""

import hashlib

import pytest

from p2p_agents.crypto.cuts import CUT_LABEL, Cut, allowed, read_cut, sign_cut
from p2p_agents.crypto.identity import add_device, inception, replay, revoke_device
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import BadIdentity, BadSignature, Malformed, UnknownVersion
from p2p_agents.limits import CUT_TIPS
from p2p_agents.wire.cbor import encode


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


def entry(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


ROOT, LAPTOP, PHONE, THIEF = map(key, ("root", "laptop", "phone", "thief"))
HERE, THERE = entry("a conversation"), entry("another conversation")
FIRST, SECOND, THIRD, FORGED = map(entry, ("first", "second", "third", "forged"))
PARENTS = {FIRST: bytes(32), SECOND: FIRST, THIRD: SECOND, FORGED: SECOND}

living = replay([inception(ROOT, key("next").public, 1)])
living = replay([*living.entries, add_device(living, ROOT, LAPTOP, "laptop")])
living = replay([*living.entries, add_device(living, ROOT, PHONE, "phone")])
after = replay([*living.entries, revoke_device(living, ROOT, LAPTOP.public)])


def cut(*tips: bytes, by: SigningKey = PHONE, conversation: bytes = HERE) -> Cut:
    return read_cut(sign_cut(by, after.agent, LAPTOP.public, conversation, tips), after)


def believed(*cuts: Cut, parents=PARENTS, conversation: bytes = HERE) -> list[bytes]:
    found = (FIRST, SECOND, THIRD, FORGED)
    return [e for e in found if allowed(after, LAPTOP.public, conversation, e, parents, cuts)]


def test_a_live_device_needs_no_cut():
    assert allowed(living, LAPTOP.public, HERE, THIRD, {}, [])
    assert allowed(after, PHONE.public, HERE, THIRD, {}, [])


def test_a_device_that_never_was_is_not_believed():
    assert not allowed(after, THIEF.public, HERE, FIRST, PARENTS, [cut(FIRST)])


def test_a_revoked_device_still_sending_is_not_believed():
    """E3: its entries not yet held are refused."""
    assert believed() == []


def test_ancestors_of_a_cut_are_believed_and_a_fork_beside_them_is_not():
    """E3: unless they are ancestors of a signed cut by a live device."""
    assert believed(cut(THIRD)) == [FIRST, SECOND, THIRD]
    assert believed(cut(SECOND)) == [FIRST, SECOND]
    assert believed(cut(FIRST, SECOND)) == [FIRST, SECOND]


def test_an_entry_is_no_ancestor_until_the_way_to_the_cut_is_shown():
    assert believed(cut(THIRD), parents={FIRST: bytes(32)}) == [THIRD]
    assert believed(cut(THIRD), parents={THIRD: SECOND}) == [SECOND, THIRD]


def test_a_cut_speaks_of_one_conversation():
    assert believed(cut(THIRD), conversation=THERE) == []


def test_a_cut_of_nothing_allows_nothing():
    assert believed(cut()) == []


def test_a_cut_by_a_device_revoked_since_is_void():
    tablet = key("tablet")
    more = replay([*after.entries, add_device(after, ROOT, tablet, "tablet")])
    theirs = read_cut(sign_cut(tablet, more.agent, LAPTOP.public, HERE, [THIRD]), more)
    gone = replay([*more.entries, revoke_device(more, ROOT, tablet.public)])
    assert allowed(more, LAPTOP.public, HERE, FIRST, PARENTS, [theirs])
    assert not allowed(gone, LAPTOP.public, HERE, FIRST, PARENTS, [theirs])


def test_a_circle_of_parents_ends():
    assert believed(cut(THIRD), parents={THIRD: SECOND, SECOND: THIRD}) == [SECOND, THIRD]


@pytest.mark.parametrize("signer", [THIEF, ROOT, key("next")])
def test_a_cut_by_a_stranger_is_refused(signer):
    with pytest.raises(BadIdentity):
        cut(THIRD, by=signer)


def test_a_revoked_device_cannot_vouch_for_itself():
    with pytest.raises(Malformed):
        cut(THIRD, by=LAPTOP)
    forged = [1, after.agent, PHONE.public, LAPTOP.public, HERE, [THIRD]]
    with pytest.raises(BadSignature):
        read_cut(LAPTOP.sign(encode(forged), CUT_LABEL), after)


def test_a_cut_of_another_agent_is_refused():
    with pytest.raises(BadIdentity):
        read_cut(sign_cut(PHONE, bytes(32), LAPTOP.public, HERE, [THIRD]), after)


@pytest.mark.parametrize(
    "tips",
    [
        [THIRD, THIRD],
        sorted([FIRST, SECOND], reverse=True),
        [b"short"],
        [1],
        "x",
        [bytes([i, j]) * 16 for i in range(2) for j in range(200)],
    ],
)
def test_tips_are_bounded_and_in_order(tips):
    assert CUT_TIPS < 400
    signed = PHONE.sign(encode([1, after.agent, PHONE.public, LAPTOP.public, HERE, tips]), CUT_LABEL)
    with pytest.raises(Malformed):
        read_cut(signed, after)


def test_another_version_is_refused():
    with pytest.raises(UnknownVersion):
        read_cut(PHONE.sign(encode([2]), CUT_LABEL), after)


def test_a_signature_under_another_label_is_refused():
    payload = encode([1, after.agent, PHONE.public, LAPTOP.public, HERE, [THIRD]])
    with pytest.raises(BadSignature):
        read_cut(PHONE.sign(payload, "p2pa/1 entry"), after)
