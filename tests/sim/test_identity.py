"""Identity logs between whole nodes: rotation, revocation, forks, rollbacks, and who is told."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import pytest

from p2p_agents.conversation.record import read_item
from p2p_agents.core.agents import ownership, restoration
from p2p_agents.core.api import commands, reading, trust
from p2p_agents.core.delivery import inbound, outbound, vouchers
from p2p_agents.core.identity import adoption
from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.cuts import CUT_LABEL, sign_cut
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.identity import IDENTITY_LABEL
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import (
    ContactFrozen,
    DeviceUnknown,
    KeysBroken,
    NextRootMissing,
    NextRootWrong,
    NotAContact,
    OwnDevice,
    RootElsewhere,
    StoreFull,
    StoreUncertain,
)
from p2p_agents.node import doctor
from p2p_agents.quic.address import format_address
from p2p_agents.store import entries, keyring, log, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.payload import Payload, Verdict, encode_payload
from tests.sim.hostile import Forger
from tests.sim.owners import adds_device, frozen, grows, identity_of, installed, knows, rotates, secrets_of, told
from tests.sim.test_bridge import apart, patiently
from tests.sim.test_pairing import joins, shows
from tests.sim.world import Crashed, settled

MINE = b"m" * 32


def talkers(world):
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    bob.sends(alice, "hello you")
    world.settle()
    return alice, bob


def talk(world, alice, bob, text):
    """Both ways."""
    sent = [alice.sends(bob, text), bob.sends(alice, text)]
    world.run(40)
    world.settle()
    assert [alice.state(sent[0]), bob.state(sent[1])] == ["delivered", "delivered"]


# --- rotation ---


def test_a_rotation_reaches_contacts_at_once_and_talk_goes_on(world):
    """E2: identity: a root key replaced by the one it committed to; trust stays, the event is shown."""
    alice, bob = talkers(world)
    rotates(alice)
    world.settle()
    assert knows(bob, alice) == identity_of(alice)
    assert knows(bob, alice).rotated == 2
    assert told(bob, alice) == ["identity_rotated"]
    talk(world, alice, bob, "still me")
    rotates(alice)
    world.settle()
    assert knows(bob, alice).rotated == 3


def test_a_peer_that_was_away_learns_of_a_rotation_later(world):
    """E2"""
    alice, bob = talkers(world)
    world.part(alice, bob)
    world.run(20)
    rotates(alice)
    kept = alice.sends(bob, "after")
    world.join(alice, bob)
    world.run(40)
    assert knows(bob, alice) == identity_of(alice)
    assert alice.state(kept) == "delivered"


def test_a_rotate_without_the_pre_image_is_refused(world):
    """E2: identity: rotate without pre-image. A thief of the root key alone cannot take the identity over."""
    alice, bob = talkers(world)
    first, thief = identity_of(alice), SigningKey.from_seed(MINE)
    forged = identities.rotate(first, thief, SigningKey.from_seed(b"x" * 32).public, None)
    claimed = replace(first, n=2, root=thief.public, entries=(*first.entries, forged), rotated=2)
    alice.hosted.speaker = replace(alice.hosted.speaker, identity=claimed)
    world.net.cut()
    world.run(40)
    assert bob.links(alice) == []
    assert knows(bob, alice) == first
    assert frozen(bob, alice) is None
    assert "bad_identity" in told(bob, alice)


def test_a_fork_freezes_and_the_owners_rotation_lifts_it(world):
    """E2: identity: fork at n. A thief of the root key adds a device; bob believes it, until the owner speaks."""
    alice, bob = talkers(world)
    world.part(alice, bob)
    world.run(20)
    first = identity_of(alice)
    root = SigningKey.from_seed(secrets_of(alice).root)
    entry = identities.add_device(first, root, SigningKey.from_seed(MINE), "thief")
    thief = installed(world, "alice", alice, MINE, identities.replay([*first.entries, entry]))
    world.part(thief, alice)
    thief.befriends(bob)
    thief.sends(bob, "I am alice")
    world.settle()
    assert "I am alice" in bob.heard(alice)
    assert told(bob, alice) == ["device_added"]
    adds_device(alice, "phone")
    world.join(alice, bob)
    world.run(40)
    assert frozen(bob, alice)
    assert "identity_fork" in told(bob, alice)
    assert bob.links(alice) == []
    with pytest.raises(ContactFrozen) as refused:  # it is not blocked: unblocking would do nothing
        bob.sends(alice, "which of you?")
    assert "trust reset" in refused.value.hint
    waits = alice.sends(bob, "it is me")
    world.run(40)
    assert alice.state(waits) == "queued"
    rotates(alice)
    world.run(60)
    assert frozen(bob, alice) is None
    assert {"identity_rotated", "identity_thawed", "device_revoked"} <= set(told(bob, alice))
    assert alice.state(waits) == "delivered"
    assert thief.device not in knows(bob, alice).devices
    assert sessions.load(bob.core.db, bob.device, thief.device) == []
    late = thief.sends(bob, "but I am alice")
    world.run(60)
    assert thief.state(late) == "queued"
    assert "but I am alice" not in bob.heard(alice)
    talk(world, alice, bob, "settled")


def test_two_rotates_freeze_until_a_human_decides(world):
    """E2: who has both keys is as good as the owner: no log lifts this, a human does."""
    alice, bob = talkers(world)
    world.part(alice, bob)
    world.run(20)
    kept, first = secrets_of(alice), identity_of(alice)
    following = SigningKey.from_seed(kept.next_root)
    entry = identities.rotate(first, following, SigningKey.from_seed(MINE).public, None)
    rotated = identities.replay([*first.entries, entry])
    seen = identities.add_device(rotated, following, SigningKey.from_seed(MINE), "thief")
    thief = installed(world, "alice", alice, MINE, identities.replay([*rotated.entries, seen]))
    world.part(thief, alice)
    thief.befriends(bob)
    thief.sends(bob, "I am alice")
    world.settle()
    rotates(alice)
    world.join(alice, bob)
    world.run(60)
    assert "trust reset" in (frozen(bob, alice) or "")
    rotates(alice)
    world.run(60)
    assert frozen(bob, alice)
    world.part(thief, bob)
    world.run(20)
    assert bob.call(trust.reset, peer="alice")["contact"]["trust"] == "unknown"
    assert knows(bob, alice) is None
    world.run(60)
    assert joins(world, bob, shows(alice)["code"])["trust"] == "paired"
    world.settle()
    assert knows(bob, alice) == identity_of(alice)
    talk(world, alice, bob, "met again")


def test_reset_lets_nobody_in_who_was_blocked(world):
    """E4: and says nothing of agents that live here, or of strangers."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    dave = world.agent("dave", alice.node)
    world.settle()
    alice.blocks(bob)
    assert alice.call(trust.reset, peer="bob")["contact"]["trust"] == "blocked"
    with pytest.raises(NotAContact):
        alice.call(trust.reset, peer="dave")
    assert alice.call(trust.reset, peer="carol")["contact"]["trust"] == "unknown"
    assert knows(alice, carol) is None
    assert knows(alice, dave) == identity_of(dave)


# --- logs that went back, or are none ---


def test_a_store_that_is_put_back_keeps_its_identity(world):
    """A3, E2: the log stands beside the keys, so an old store is no rollback of the identity."""
    alice, bob = talkers(world)
    copy = alice.node.snapshot()
    rotates(alice)
    world.settle()
    rotated = identity_of(alice)
    alice.node.restore(copy)
    world.run(40)
    assert identity_of(alice) == rotated
    assert told(bob, alice) == ["identity_rotated"]
    talk(world, alice, bob, "still me")


def test_a_rollback_of_the_log_is_refused_and_both_are_told(world):
    """E2: identity: rollback of log. Files of before a rotation, put back, speak for nobody."""
    alice, bob = talkers(world)
    copy = alice.node.snapshot()
    key = (alice.node.keys / f"{alice.id.hex()}.key").read_bytes()
    rotates(alice)
    world.settle()
    (alice.node.keys / f"{alice.id.hex()}.key").write_bytes(key)
    alice.node.restore(copy)
    late = alice.sends(bob, "from the past")
    world.run(60)
    assert alice.state(late) == "queued"
    assert alice.links(bob) == []
    assert "identity_rollback" in told(bob, alice)
    assert frozen(bob, alice) is None
    assert alice.node.events("identity_behind")


def test_keys_of_an_older_log_are_said_to_be_so(world):
    """E2: nothing is signed with a root key that is in force no more."""
    alice, _ = talkers(world)
    key = (alice.node.keys / f"{alice.id.hex()}.key").read_bytes()
    rotates(alice)
    (alice.node.keys / f"{alice.id.hex()}.key").write_bytes(key)
    with pytest.raises(KeysBroken):
        rotates(alice)


def test_an_entry_of_an_unknown_kind_is_refused(world, monkeypatch):
    """E2: identity: unknown kind; with all that follows, and the contact is not frozen for it."""
    alice, bob = talkers(world)
    monkeypatch.setitem(identities._KINDS, "marry", lambda identity, said: identity)
    signs = lambda identity, root: root.sign(  # noqa: E731 - one line is clearer here
        encode([1, identity.n + 1, identity.head, "marry"]), IDENTITY_LABEL
    )
    grows(alice, signs)
    monkeypatch.delitem(identities._KINDS, "marry")
    world.run(5)
    assert knows(bob, alice).n == 1
    assert frozen(bob, alice) is None
    assert "bad_identity" in told(bob, alice)
    assert bob.links(alice) == []


def test_a_contact_whose_key_changed_without_an_entry_is_refused_and_both_keys_are_named(world):
    """E1, E2: a hard failure; there is nothing to click away."""
    alice, bob = talkers(world)
    world.part(alice, bob)
    world.run(20)
    mallory = installed(world, "alice", alice, MINE)  # her log, which is public, and a key of his own
    world.part(mallory, alice)
    mallory.befriends(bob)
    mallory.sends(bob, "new phone")
    world.run(40)
    assert bob.heard(alice) == ["hello"]
    (event,) = bob.node.events("bad_identity")
    for key in (alice.device, mallory.device):
        assert id_text(key)[:20] in event.detail
    assert knows(bob, alice) == identity_of(alice)


# --- devices ---


def with_phone(world):
    """Alice on two machines; bob knows both devices."""
    alice, bob = talkers(world)
    phone = installed(world, "alice", alice, adds_device(alice, "phone"))
    world.part(phone, alice)
    phone.befriends(bob)
    phone.sends(bob, "from the phone")
    world.settle()
    return alice, phone, bob


def test_a_device_is_revoked_by_another_and_its_links_and_sessions_end(world):
    """E3: identity: revoked device still sending."""
    alice, phone, bob = with_phone(world)
    assert len(knows(bob, alice).devices) == 2
    assert sessions.load(bob.core.db, bob.device, alice.device)
    shown = phone.call(ownership.revoke, device="device")["devices"]
    assert [(d["name"], d["state"], d["here"]) for d in shown] == [
        ("device", "revoked", False),
        ("phone", "live", True),
    ]
    world.settle()
    assert "device_revoked" in told(bob, phone)
    assert sessions.load(bob.core.db, bob.device, alice.device) == []
    assert {link.peer_device for link in bob.links(phone)} == {phone.device}
    late = alice.sends(bob, "still me")
    world.run(60)
    assert alice.state(late) == "queued"
    assert "still me" not in bob.heard(phone)
    assert alice.node.events("identity_behind")
    assert frozen(bob, phone) is None


def test_a_revoked_devices_frame_on_a_link_that_was_up_is_worth_nothing(world):
    """E3: at once, not at its next HELLO: the log came over another link."""
    alice, phone, bob = with_phone(world)
    before = {link.peer_device for link in bob.links(alice)}
    assert before == {alice.device, phone.device}
    phone.call(ownership.revoke, device="device")
    alice.sends(bob, "quick")
    world.settle()
    heard = bob.heard(phone)
    phone.sends(bob, "the phone goes on")
    world.settle()
    assert bob.heard(phone) == [*heard, "the phone goes on"]


def test_what_a_revoked_device_did_not_get_reaches_another(world):
    """B9, E3"""
    alice, phone, bob = with_phone(world)
    alice.node.crash()
    world.part(phone, bob)
    world.run(30)
    sent = bob.sends(phone, "for whoever is there")
    phone.call(ownership.revoke, device="device")
    world.join(phone, bob)
    world.run(60)
    assert bob.state(sent) == "delivered"
    assert phone.heard(bob)[-1] == "for whoever is there"
    assert bob.owes(phone) == 0
    assert [d["device"] for d in bob.call(reading.show, id=sent)["recipients"]] == [id_text(phone.device)]


def copies(phone, alice, bob, text):
    """The phone holds what the other device wrote to bob, as own devices will."""
    record = next(
        entries.load(alice.core.db, row[0])
        for row in alice.core.db.all("SELECT id FROM entries ORDER BY id DESC")
        if entries.load(alice.core.db, row[0]).content == text.encode()
    )
    earlier = [
        entries.load(alice.core.db, row[0])
        for row in alice.core.db.all(
            "SELECT id FROM entries WHERE device = ? AND seq <= ? ORDER BY seq", (record.device, record.seq)
        )
    ]

    def item(core):
        for each in earlier:
            if entries.find(core.db, each.hash) is None:
                entry = entries.append(core.db, read_item(each.item))
                log.add(core.db, phone.hosted.local.id, entry, each.conversation, incoming=False, trust=Trust.VERIFIED)
                outbound._owe(core, phone.hosted, bob.id, entry)

    phone.node.run(item)


def left_behind(world):
    """The first device wrote to bob what he never got, then it was revoked; the phone holds it."""
    alice, phone, bob = with_phone(world)
    world.part(alice, bob)
    world.run(20)
    for text in ("one", "two", "three"):
        alice.sends(bob, text)
    phone.call(ownership.revoke, device="device")
    world.settle()
    assert alice.device in knows(bob, phone).revoked
    copies(phone, alice, bob, "two")
    return alice, phone, bob


def test_entries_of_a_revoked_device_arrive_under_a_cut(world):
    """E3: what a live device holds and vouches for, and nothing that it does not hold."""
    alice, phone, bob = left_behind(world)
    world.run(40)
    world.join(alice, bob)
    world.run(60)
    assert [text for text in bob.heard(phone) if text in ("one", "two", "three")] == ["one", "two"]
    assert settled(phone.states(bob))


def test_entries_of_a_revoked_device_without_a_cut_are_refused(world, monkeypatch):
    """E3, B4: with a verdict that names it, and their sender is told."""
    monkeypatch.setattr(vouchers, "cuts", lambda *_: ())
    _, phone, bob = left_behind(world)
    world.run(40)
    assert not {"one", "two"} & set(bob.heard(phone))
    refused = {m["text"]: phone.why(m["id"]) for m in phone.history(bob) if m["text"] in ("one", "two")}
    assert refused == {"one": "refused: revoked", "two": "refused: revoked"}
    talk(world, phone, bob, "and on")


def test_a_cut_reaches_back_within_its_payload_and_never_forward(world, monkeypatch):
    """E3: entries that lead to a named one are believed with it, what follows it is not."""
    alice, phone, bob = with_phone(world)
    world.part(alice, bob)
    world.run(20)
    for text in ("one", "two", "three"):
        alice.sends(bob, text)
    phone.call(ownership.revoke, device="device")
    world.settle()
    given = []
    take = inbound._take_item
    monkeypatch.setattr(inbound, "_take_item", lambda *a: given.append(take(*a)) or given[-1])
    rows = alice.core.db.all("SELECT id FROM entries WHERE device = ? ORDER BY seq DESC LIMIT 3", (alice.device,))
    one, two, three = reversed([entries.load(alice.core.db, row[0]) for row in rows])
    talk = bob.conversation(phone)
    forger = Forger(phone, bob)
    for key in (SigningKey.from_seed(MINE), alice.hosted.speaker.key):  # by a stranger, and by the revoked one itself
        said = [1, alice.id, key.public, alice.device, talk, [three.hash]]
        forger.says(encode_payload(Payload(items=(one.item,), cuts=(key.sign(encode(said), CUT_LABEL),))))
    vouched = sign_cut(phone.hosted.speaker.key, alice.id, alice.device, talk, [two.hash])
    forger.says(encode_payload(Payload(items=(one.item, two.item, three.item), cuts=(b"garbage", vouched))))
    forger.says(encode_payload(Payload(items=(three.item,))))
    revoked = Verdict.REVOKED
    assert given == [revoked, revoked, Verdict.STORED, Verdict.STORED, revoked, revoked]
    assert bob.heard(phone)[-2:] == ["one", "two"]


def test_this_installation_is_not_revoked_by_itself(world):
    """E3"""
    alice, _ = talkers(world)
    with pytest.raises(OwnDevice):
        alice.call(ownership.revoke, device="device")
    with pytest.raises(DeviceUnknown):
        alice.call(ownership.revoke, device="phone")
    adds_device(alice, "phone")
    alice.call(ownership.revoke, device="phone")
    with pytest.raises(DeviceUnknown):
        alice.call(ownership.revoke, device="phone")


# --- keys on disk ---


def test_the_log_is_shown(world):
    alice, _ = talkers(world)
    shown = alice.call(ownership.show)
    assert [(e["n"], e["kind"], e["device"]) for e in shown["entries"]] == [
        (0, "inception", None),
        (1, "add-device", id_text(alice.device)),
    ]
    assert shown["next_root"] == "here"
    assert shown["entries"][0]["time"]


def test_a_next_root_that_was_moved_away_is_needed_to_rotate(world):
    """E2: doctor says so until it is gone from the disk, and again after the next rotation."""
    alice, bob = talkers(world)
    checks = alice.node.run(doctor.what_the_store_tells)
    assert [check["ok"] for check in checks if check["name"] == "identity"] == [None]
    assert "protects nothing" in checks[0]["detail"]
    agent, seed = alice.call(ownership.next_root)
    alice.call(lambda core, params: ownership.forget_next_root(core, params, seed))
    assert agent == alice.id
    assert seed not in (alice.node.keys / f"{alice.id.hex()}.key").read_bytes()
    assert [c["ok"] for c in alice.node.run(doctor.what_the_store_tells) if c["name"] == "identity"] == [True]
    for again in (ownership.rotate, ownership.next_root):
        with pytest.raises(NextRootMissing):
            alice.call(again)
    with pytest.raises(NextRootWrong):
        rotates(alice, seed=MINE)
    assert rotates(alice, seed=seed)["next_root"] == "here"
    world.settle()
    assert knows(bob, alice).rotated == 2


@pytest.mark.parametrize("death", ["before", "after"])
def test_a_crash_while_rotating_leaves_keys_and_log_as_one(world, death):
    """A6, E2: the file is what makes it; the store follows."""
    alice, bob = talkers(world)
    setattr(alice.node.db, f"die_{death}", alice.node.db.commits + 1)
    with pytest.raises(Crashed):
        rotates(alice)
    world.run(40)
    assert identity_of(alice).rotated == 2
    assert SigningKey.from_seed(secrets_of(alice).root).public == identity_of(alice).root
    world.settle()
    assert knows(bob, alice) == identity_of(alice)
    rotates(alice)
    talk(world, alice, bob, "still me")


def test_a_full_disk_while_rotating_is_made_good_by_the_next_attempt(world):
    """A6, E2: what was refused has not happened, on disk neither."""
    alice, bob = talkers(world)
    before, log = secrets_of(alice), identity_of(alice)
    alice.node.db.full_at = alice.node.db.statements + 3
    with pytest.raises(StoreFull):
        rotates(alice)
    assert (secrets_of(alice), identity_of(alice)) == (before, log)
    assert [name for name in os.listdir(alice.node.keys) if not name.endswith(".key")] == []
    committed = hashlib.sha256(SigningKey.from_seed(secrets_of(alice).next_root).public).digest()
    rotates(alice)
    world.run(40)
    assert identity_of(alice).next_root_hash != committed
    assert knows(bob, alice) == identity_of(alice)
    talk(world, alice, bob, "still me")


@pytest.mark.parametrize("takes_effect", [True, False])
def test_keys_and_log_are_one_after_a_rotation_of_unknown_outcome(world, takes_effect):
    """A6, E2: the new keys go with either store; nothing is left of the old ones once it is known."""
    alice, bob = talkers(world)
    disk = alice.node.db
    disk.takes_effect, disk.fail_at = takes_effect, disk.commits + 1
    with pytest.raises(StoreUncertain):
        rotates(alice)
    world.run(40)
    assert identity_of(alice).rotated == 2
    assert SigningKey.from_seed(secrets_of(alice).root).public == identity_of(alice).root
    assert [name for name in os.listdir(alice.node.keys) if not name.endswith(".key")] == []
    rotates(alice)
    world.run(40)
    assert knows(bob, alice) == identity_of(alice)
    talk(world, alice, bob, "still me")


def test_an_agent_whose_keys_are_broken_leaves_the_others_running(world):
    """The start says which; it is refused to act for it, and its neighbours send, read and expire as ever."""
    alice, bob = talkers(world)
    carol = world.agent("carol", alice.node)
    bob.befriends(carol)
    carol.befriends(bob)
    alice.sends(bob, "owed when it broke")
    (alice.node.keys / f"{alice.id.hex()}.key").write_bytes(b"half")
    alice.node.restart()
    assert [each.local.name for each in alice.core.hosted.values()] == ["carol"]
    with pytest.raises(KeysBroken, match="alice"):
        alice.sends(bob, "never")
    with pytest.raises(KeysBroken, match="alice"):
        alice.call(ownership.show)
    (check,) = [check for check in alice.node.run(doctor.what_the_store_tells) if check["name"] == "keys"]
    assert check["ok"] is False
    assert "alice" in check["detail"]
    assert "backup import" in check["hint"]
    talk(world, carol, bob, "we are fine")
    alice.node.clock.wall_offset_ms += 60 * 86_400_000
    world.run(20 * 60)
    assert not world.bugs


def test_an_installation_without_the_root_key_says_where_it_is(world):
    """E2: it cannot revoke or be backed up; with the next root's file it can still rotate, and has the key then."""
    alice, bob = talkers(world)
    adds_device(alice, "phone")
    kept = secrets_of(alice)
    keyring.write_agent_key(str(alice.node.keys), alice.id, replace(kept, root=b"", next_root=b""))
    with pytest.raises(RootElsewhere):
        alice.call(ownership.revoke, device="phone")
    with pytest.raises(RootElsewhere):
        alice.call(restoration.gather)
    assert alice.call(ownership.show)["next_root"] == "elsewhere"
    rotates(alice, seed=kept.next_root)
    alice.call(ownership.revoke, device="phone")
    world.settle()
    assert knows(bob, alice) == identity_of(alice)


def test_a_rotation_and_a_revocation_are_told_over_a_bridge(world):
    """E2, E3: where no packet passes."""
    alice, bob, _ = apart(world)
    alice.sends(bob, "hello")
    bob.sends(alice, "hello you")
    patiently(world)
    adds_device(alice, "phone")
    rotates(alice)
    patiently(world)
    assert knows(bob, alice) == identity_of(alice)
    assert {"identity_rotated", "device_added"} <= set(told(bob, alice))
    alice.call(ownership.revoke, device="phone")
    alice.sends(bob, "still me")
    patiently(world)
    assert knows(bob, alice) == identity_of(alice)
    assert bob.heard(alice)[-1] == "still me"


def test_a_hidden_contact_hears_of_the_rotation_that_undoes_a_thiefs_revocation(world):
    """E2: a thief of the root key revokes the owner's own device, at somebody who answers to devices he knows alone."""
    alice, bob = world.agent("alice"), world.agent("bob", hidden=True)
    for one, other in ((alice, bob), (bob, alice)):
        one.befriends(other)
    bob.node.run(lambda core: commands.add_places(core, [format_address(alice.node.address)]))
    world.settle()
    bob.sends(alice, "hello")
    world.settle()
    assert knows(bob, alice) == identity_of(alice)
    world.part(alice, bob)
    world.run(20)
    first, root = identity_of(alice), SigningKey.from_seed(secrets_of(alice).root)
    stolen = identities.replay([*first.entries, identities.add_device(first, root, SigningKey.from_seed(MINE), "x")])
    stolen = identities.replay([*stolen.entries, identities.revoke_device(stolen, root, alice.device)])
    bob.node.run(lambda core: adoption.adopt(core, stolen))
    assert alice.device in knows(bob, alice).revoked
    rotates(alice)
    alice.sends(bob, "it is me")
    world.join(alice, bob)
    world.run(90)
    assert knows(bob, alice) == identity_of(alice)
    assert bob.heard(alice) == ["it is me"]
