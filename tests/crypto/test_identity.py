"""The identity log, honest and attacked."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.identity import (
    DEVICE_LABEL,
    IDENTITY_LABEL,
    ROTATE_LABEL,
    Identity,
    add_device,
    admit_device,
    inception,
    merge,
    read_out,
    replay,
    revoke_device,
    rotate,
)
from p2p_agents.crypto.identity import consent as agree
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import BadIdentity, IdentityFork, IdentityRollback, Malformed, UnknownVersion
from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES
from p2p_agents.wire.cbor import encode


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


ROOT, NEXT, AFTER, LAPTOP, PHONE, THIEF = map(key, ("root", "next", "after", "laptop", "phone", "thief"))
E0 = inception(ROOT, NEXT.public, 1_800_000_000_000)
E1 = add_device(replay([E0]), ROOT, LAPTOP, "laptop")
E2 = add_device(replay([E0, E1]), ROOT, PHONE, "phone")
ONE, TWO = replay([E0, E1]), replay([E0, E1, E2])


def entry(identity: Identity, kind: str, *said, signer: SigningKey = ROOT, n=None, version=1) -> bytes:
    """An entry after `identity`, honest in all but what the test changes."""
    n = identity.n + 1 if n is None else n
    return signer.sign(encode([version, n, identity.head, kind, *said]), IDENTITY_LABEL)


def consent(device: SigningKey, agent: bytes, n: int, prev: bytes) -> bytes:
    return device.sign(encode([agent, n, prev]), DEVICE_LABEL)


def test_a_log_says_whose_devices_these_are():
    assert TWO.agent == hashlib.sha256(E0).digest()
    assert (TWO.n, TWO.root, TWO.created_ms) == (2, ROOT.public, 1_800_000_000_000)
    assert TWO.next_root_hash == hashlib.sha256(NEXT.public).digest()
    assert TWO.devices == (LAPTOP.public, PHONE.public)
    assert TWO.entries == (E0, E1, E2)
    assert TWO.head == hashlib.sha256(E2).digest()


def test_news_extend_what_is_known():
    assert merge(None, 0, [E0, E1, E2]) == TWO
    assert merge(ONE, 2, [E2]) == TWO
    assert merge(ONE, 1, [E1, E2]) == TWO
    assert merge(ONE, 0, [E0, E1, E2]) == TWO


def test_no_news_change_nothing():
    assert merge(TWO, 3, []) is TWO
    assert merge(TWO, 0, [E0, E1, E2]) is TWO
    assert merge(TWO, 2, [E2]) is TWO


@pytest.mark.parametrize(("start", "offered"), [(0, [E0]), (0, [E0, E1]), (1, [E1]), (0, []), (2, [])])
def test_a_rollback_of_the_log_is_refused(start, offered):
    with pytest.raises(IdentityRollback):
        merge(TWO, start, offered)


def test_a_fork_at_n_is_seen():
    other = add_device(replay([E0]), ROOT, key("tablet"), "tablet")
    for start, offered in ((1, [other]), (0, [E0, other]), (1, [other, E2])):
        with pytest.raises(IdentityFork):
            merge(ONE, start, offered)


def test_a_fork_below_the_head_shows_in_what_follows_it():
    other = replay([E0, add_device(replay([E0]), ROOT, key("tablet"), "tablet")])
    with pytest.raises(IdentityFork):
        merge(ONE, 2, [add_device(other, ROOT, PHONE, "phone")])


def test_a_stranger_cannot_stage_a_fork():
    forged = entry(replay([E0]), "add-device", THIEF.public, "x", consent(THIEF, ONE.agent, 1, b""), signer=THIEF)
    for offered in ([forged], [b"garbage"], [E2]):
        with pytest.raises(BadIdentity) as caught:
            merge(ONE, 1, offered)
        assert type(caught.value) is BadIdentity


def test_the_log_of_another_agent_is_refused():
    theirs = inception(ROOT, NEXT.public, 1_800_000_000_001)
    with pytest.raises(BadIdentity, match="another agent"):
        merge(ONE, 0, [theirs, E1])


@pytest.mark.parametrize(("known", "start"), [(None, 1), (ONE, 3), (ONE, -1)])
def test_a_hole_in_the_log_is_refused(known, start):
    with pytest.raises(BadIdentity):
        merge(known, start, [E2])


def test_an_empty_log_is_refused():
    with pytest.raises(BadIdentity):
        merge(None, 0, [])


def test_only_the_root_adds_devices():
    agreed = consent(PHONE, ONE.agent, 2, ONE.head)
    assert replay([E0, E1, entry(ONE, "add-device", PHONE.public, "phone", agreed)]) == TWO
    for signer in (LAPTOP, PHONE, NEXT, THIEF):
        with pytest.raises(BadIdentity):
            replay([E0, E1, entry(ONE, "add-device", PHONE.public, "phone", agreed, signer=signer)])


def test_a_device_agrees_to_one_agent_and_place():
    """E1: add-device is signed by the root and by the device over [agent id, n, prev]."""
    wrong = [
        consent(THIEF, ONE.agent, 2, ONE.head),
        consent(PHONE, bytes(32), 2, ONE.head),
        consent(PHONE, ONE.agent, 1, ONE.head),
        consent(PHONE, ONE.agent, 2, bytes(32)),
        PHONE.sign(encode([ONE.agent, 2, ONE.head]), "p2pa/1 entry"),
        b"",
    ]
    for proof in wrong:
        with pytest.raises(BadIdentity):
            merge(ONE, 2, [entry(ONE, "add-device", PHONE.public, "phone", proof)])


def test_a_device_is_added_once():
    again = add_device(ONE, ROOT, LAPTOP, "laptop again")
    with pytest.raises(BadIdentity, match="twice"):
        merge(ONE, 2, [again])


@pytest.mark.parametrize("kind", ["inception", "", "x", "Rotate"])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(BadIdentity, match="unknown kind"):
        merge(ONE, 2, [entry(ONE, kind)])


def test_rotate_without_the_pre_image_is_refused():
    """E2: neither the old root nor a stranger can name the next one."""
    for signer in (ROOT, THIEF):
        for new in (THIEF, ROOT, LAPTOP):
            with pytest.raises(BadIdentity):
                merge(ONE, 2, [entry(ONE, "rotate", new.public, sha(AFTER.public), b"", signer=signer)])
    with pytest.raises(BadIdentity):
        merge(ONE, 2, [entry(ONE, "rotate", NEXT.public, sha(AFTER.public), b"", signer=ROOT)])


def test_a_rotate_puts_the_committed_root_in_force():
    for old in (ROOT, None):
        rotated = merge(ONE, 2, [rotate(ONE, NEXT, AFTER.public, old)])
        assert (rotated.root, rotated.next_root_hash) == (NEXT.public, sha(AFTER.public))
        assert (rotated.agent, rotated.n, rotated.rotated) == (ONE.agent, 2, 2)
        assert rotated.devices == (LAPTOP.public,)
        assert replay(rotated.entries) == rotated


def test_after_a_rotate_the_old_root_is_worth_nothing():
    rotated = replay([*ONE.entries, rotate(ONE, NEXT, AFTER.public, ROOT)])
    with pytest.raises(BadIdentity) as caught:
        merge(rotated, 3, [add_device(rotated, ROOT, THIEF, "thief")])
    assert type(caught.value) is BadIdentity
    assert merge(rotated, 3, [add_device(rotated, NEXT, PHONE, "phone")]).devices == TWO.devices


def test_rotates_follow_each_other():
    once = replay([*ONE.entries, rotate(ONE, NEXT, AFTER.public, ROOT)])
    twice = merge(once, 3, [rotate(once, AFTER, key("last").public, None)])
    assert (twice.root, twice.rotated) == (AFTER.public, 3)


def test_a_rotate_commits_to_another_key_than_it_brings_in():
    with pytest.raises(BadIdentity, match="brings in"):
        merge(ONE, 2, [rotate(ONE, NEXT, NEXT.public, ROOT)])


def test_a_rotate_with_a_forged_consent_is_refused():
    wrong = [
        THIEF.sign(encode([ONE.agent, 2, ONE.head, NEXT.public]), ROTATE_LABEL),
        ROOT.sign(encode([ONE.agent, 2, ONE.head, NEXT.public]), IDENTITY_LABEL),
        ROOT.sign(encode([ONE.agent, 3, ONE.head, NEXT.public]), ROTATE_LABEL),
        b"garbage",
    ]
    for agreed in wrong:
        with pytest.raises(BadIdentity):
            merge(ONE, 2, [entry(ONE, "rotate", NEXT.public, sha(AFTER.public), agreed, signer=NEXT)])


def test_a_stolen_root_is_undone_by_a_rotate():
    """E2: a valid rotate supersedes any non-rotate at its n, and all after it, however long that is."""
    stolen = replay([*ONE.entries, revoke_device(ONE, ROOT, LAPTOP.public)])
    stolen = replay([*stolen.entries, add_device(stolen, ROOT, THIEF, "thief")])
    rotated = replay([*ONE.entries, rotate(ONE, NEXT, AFTER.public, None)])
    for start in (0, 1, 2):
        assert merge(stolen, start, rotated.entries[start:]) == rotated


def test_a_rotate_settles_a_fork_that_a_thief_began_before_it():
    stolen = replay([*ONE.entries, add_device(ONE, ROOT, THIEF, "thief")])
    rotated = replay([*TWO.entries, rotate(TWO, NEXT, AFTER.public, None)])
    with pytest.raises(IdentityFork):
        merge(stolen, 0, TWO.entries)
    assert merge(stolen, 0, rotated.entries) == rotated


def test_what_a_rotate_superseded_does_not_come_back():
    stolen = replay([*ONE.entries, add_device(ONE, ROOT, THIEF, "thief")])
    rotated = replay([*ONE.entries, rotate(ONE, NEXT, AFTER.public, None)])
    with pytest.raises(IdentityRollback):
        merge(rotated, 0, stolen.entries)


def test_two_valid_rotates_freeze():
    """E2: only two valid rotates do, wherever they stand: they consume one commitment."""
    one = replay([*ONE.entries, rotate(ONE, NEXT, AFTER.public, None)])
    for base in (ONE, TWO, replay([E0])):
        other = replay([*base.entries, rotate(base, NEXT, key("other").public, None)])
        with pytest.raises(IdentityFork):
            merge(one, 0, other.entries)


def test_a_stolen_later_root_cannot_rewrite_the_rotation_that_brought_it_in():
    rotated = replay([*TWO.entries, rotate(TWO, NEXT, AFTER.public, ROOT)])
    earlier = replay([E0, rotate(replay([E0]), NEXT, THIEF.public, None)])
    with pytest.raises(IdentityFork):
        merge(rotated, 0, earlier.entries)


def test_garbage_behind_a_rotate_is_refused_with_it():
    stolen = replay([*ONE.entries, add_device(ONE, ROOT, THIEF, "thief")])
    rotated = replay([*ONE.entries, rotate(ONE, NEXT, AFTER.public, None)])
    with pytest.raises(BadIdentity) as caught:
        merge(stolen, 0, [*rotated.entries, b"garbage"])
    assert type(caught.value) is BadIdentity


def test_a_rotate_of_another_branch_freezes_nobody_until_all_is_shown():
    stolen = replay([*ONE.entries, add_device(ONE, ROOT, THIEF, "thief")])
    rotated = replay([*TWO.entries, rotate(TWO, NEXT, AFTER.public, None)])
    with pytest.raises(BadIdentity) as caught:
        merge(stolen, 3, rotated.entries[3:])
    assert type(caught.value) is BadIdentity
    start, entries = rotated.owed(3, stolen.head)
    assert start == 0
    assert merge(stolen, start, entries) == rotated


def test_a_log_is_shown_from_where_the_peer_stands():
    rotated = replay([*ONE.entries, rotate(ONE, NEXT, AFTER.public, None)])
    assert TWO.owed(2, ONE.head) == (2, (E2,))
    assert TWO.owed(3, TWO.head) == (3, ())
    assert rotated.owed(2, ONE.head) == (2, rotated.entries[2:])


@pytest.mark.parametrize("held", [(0, b""), (3, bytes(32)), (9, TWO.head), (2, TWO.head), (3, b"")])
def test_a_log_is_shown_whole_to_a_peer_that_holds_something_else(held):
    assert TWO.owed(*held) == (0, TWO.entries)


def test_a_log_is_read_out_for_people():
    after = replay([*TWO.entries, revoke_device(TWO, ROOT, LAPTOP.public)])
    said = [(each.kind, each.device, each.name) for each in read_out(after)]
    assert said == [
        ("inception", b"", ""),
        ("add-device", LAPTOP.public, "laptop"),
        ("add-device", PHONE.public, "phone"),
        ("revoke-device", LAPTOP.public, ""),
    ]
    assert [each.n for each in read_out(after)] == [0, 1, 2, 3]


def test_a_revoked_device_is_none_of_the_agents():
    after = merge(TWO, 3, [revoke_device(TWO, ROOT, LAPTOP.public)])
    assert after.devices == (PHONE.public,)
    assert after.revoked == (LAPTOP.public,)


def test_a_revoked_device_does_not_come_back():
    after = replay([*TWO.entries, revoke_device(TWO, ROOT, LAPTOP.public)])
    with pytest.raises(BadIdentity, match="twice"):
        merge(after, 4, [add_device(after, ROOT, LAPTOP, "laptop")])
    with pytest.raises(BadIdentity, match="not the agent"):
        merge(after, 4, [revoke_device(after, ROOT, LAPTOP.public)])


def test_only_the_root_revokes():
    for signer in (LAPTOP, PHONE, NEXT, THIEF):
        with pytest.raises(BadIdentity):
            merge(TWO, 3, [revoke_device(TWO, signer, LAPTOP.public)])


def test_another_installation_is_admitted_by_its_consent():
    assert replay([*ONE.entries, admit_device(ONE, ROOT, PHONE.public, "phone", agree(ONE, PHONE))]) == TWO
    for stale in (agree(TWO, PHONE), agree(ONE, THIEF), b""):
        with pytest.raises(BadIdentity):
            admit_device(ONE, ROOT, PHONE.public, "phone", stale)


@pytest.mark.parametrize("n", [0, 1, 3, True, None, -1, "2"])
def test_an_entry_has_its_own_number(n):
    payload = encode([1, n, ONE.head, "add-device", PHONE.public, "phone", consent(PHONE, ONE.agent, 2, ONE.head)])
    with pytest.raises(BadIdentity):
        merge(ONE, 2, [ROOT.sign(payload, IDENTITY_LABEL)])


def test_true_is_not_the_number_one():
    known = replay([E0])
    said = [PHONE.public, "phone", consent(PHONE, known.agent, 1, known.head)]
    merge(known, 1, [entry(known, "add-device", *said)])
    with pytest.raises(BadIdentity):
        merge(known, 1, [entry(known, "add-device", *said, n=True)])


def test_downgrade_another_version_is_refused():
    with pytest.raises(UnknownVersion):
        merge(ONE, 2, [entry(ONE, "add-device", version=2)])
    with pytest.raises(UnknownVersion):
        replay([ROOT.sign(encode([2, 0, b"", "inception"]), IDENTITY_LABEL)])


def test_a_log_begins_with_its_inception_signed_by_its_own_root():
    said = [ROOT.public, bytes(32), 0]
    replay([ROOT.sign(encode([1, 0, b"", "inception", *said]), IDENTITY_LABEL)])
    wrong = [
        THIEF.sign(encode([1, 0, b"", "inception", *said]), IDENTITY_LABEL),
        ROOT.sign(encode([1, 0, b"", "add-device", *said]), IDENTITY_LABEL),
        ROOT.sign(encode([1, 0, bytes(32), "inception", *said]), IDENTITY_LABEL),
        ROOT.sign(encode([1, 0, b"", "inception", ROOT.public, bytes(31), 0]), IDENTITY_LABEL),
        ROOT.sign(encode([1, 0, b"", "inception", ROOT.public, bytes(32), -1]), IDENTITY_LABEL),
        ROOT.sign(encode([1, 0, b"", "inception", *said]), "p2pa/1 bundle"),
        E1,
    ]
    for first in wrong:
        with pytest.raises(BadIdentity):
            replay([first])


def test_a_log_is_bounded():
    identity = ONE
    while identity.n < IDENTITY_ENTRIES - 1:
        signed = add_device(identity, ROOT, key(f"device {identity.n}"), "d" * 32)
        assert len(signed) <= IDENTITY_ENTRY_BYTES
        identity = merge(identity, identity.n + 1, [signed])
    with pytest.raises(BadIdentity, match=str(IDENTITY_ENTRIES)):
        merge(identity, identity.n + 1, [add_device(identity, ROOT, PHONE, "one too many")])


def test_an_entry_is_bounded():
    with pytest.raises(BadIdentity, match=str(IDENTITY_ENTRY_BYTES)):
        merge(ONE, 2, [entry(ONE, "add-device", bytes(IDENTITY_ENTRY_BYTES))])


def test_local_mistakes_are_refused_too():
    with pytest.raises(Malformed):
        inception(ROOT, b"short", 0)
    with pytest.raises(Malformed):
        add_device(ONE, ROOT, PHONE, "p" * 33)


said = st.none() | st.integers(0, 9) | st.binary(max_size=40) | st.sampled_from(["add-device", "rotate", NEXT.public])


@given(st.binary(max_size=80) | st.lists(said, max_size=8).map(encode))
def test_a_signed_garble_is_refused(payload):
    with pytest.raises((BadIdentity, UnknownVersion)):
        replay([ROOT.sign(payload, IDENTITY_LABEL)])
    with pytest.raises((BadIdentity, UnknownVersion)):
        merge(ONE, 2, [ROOT.sign(payload, IDENTITY_LABEL)])


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises(BadIdentity):
        replay([data])
