"""A backup moves an agent to another machine: what comes back, what must not, and who is shut out."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

import pytest

from p2p_agents.core.agents import ownership, restoration
from p2p_agents.core.agents.restoration import Found
from p2p_agents.core.api import commands, reading, trust
from p2p_agents.crypto import backup as backups
from p2p_agents.crypto.backup import Cost
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import (
    AgentExists,
    BackupDamaged,
    BackupOutdated,
    BackupPassphrase,
    BackupTruncated,
    BackupVersion,
    BadPassphrase,
    FileExists,
    IdentityBehind,
    NextRootMissing,
    NextRootWrong,
    P2PError,
    StoreFull,
)
from p2p_agents.node import doctor, keeping, vault
from p2p_agents.store import archive, contacts, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import Data
from tests.sim.hostile import inject
from tests.sim.owners import frozen, identity_of, knows, rotates, secrets_of, told
from tests.sim.wire import frames_in
from tests.sim.world import Agent, settled

CHEAP = Cost(kib=8, passes=1, lanes=1)
WORDS = "correct horse battery"


def saves(agent, path, passphrase=WORDS):
    """As `backup export` does, with a passphrase that costs nothing to guess."""
    number, backup = agent.call(restoration.gather)
    keeping.write_backup(str(path), backup, archive.chunks(agent.core.db, number), passphrase, CHEAP)
    return path


def restores(world, node, path, passphrase=WORDS, name=None, seed=None):
    """As `backup import` does."""
    with open(path, "rb") as file:
        backup, log = backups.read(file.read, passphrase)
        params = {"name": name} | ({"seed": seed} if seed else {})
        node.run(lambda core: restoration.restore(core, params, Found(backup, log)))
    agent = object.__new__(Agent)
    agent.node, agent.name, agent.id = node, name or backup.name, backup.identity.agent
    agent.device = agent.hosted.local.device
    world.agents.append(agent)
    return agent


def talkers(world):
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    bob.sends(alice, "hello you")
    world.settle()
    return alice, bob


def moved(world, alice, tmp_path):
    """Her machine burnt down; she is on another one, from her backup."""
    path = saves(alice, tmp_path / "alice.backup")
    alice.node.crash()
    return restores(world, world.node(), path)


# --- what comes back ---


def test_an_agent_comes_back_with_its_contacts_its_log_and_its_place_in_it(world, tmp_path):
    """E2: restore rotates, revokes the old device, and goes on; nothing is shown twice as unread."""
    alice, bob = talkers(world)
    digits = alice.call(trust.show, peer="bob")["safety_number"]
    alice.call(trust.verify, peer="bob", digits=digits)
    alice.call(commands.name_contact, peer="bob", petname="robert")
    assert alice.reads() == ["hello you"]
    bob.sends(alice, "unread")
    world.settle()
    again = moved(world, alice, tmp_path)
    world.run(60)
    assert again.id == alice.id
    shown = again.call(trust.show, peer="robert")
    assert (shown["trust"], shown["safety_number"]) == ("verified", digits)
    assert knows(bob, alice) == identity_of(again)
    assert (identity_of(again).revoked, identity_of(again).devices) == ((alice.device,), (again.device,))
    assert again.inbox() == ["unread"]
    assert [m["text"] for m in again.history(bob)] == ["hello", "hello you", "unread"]
    assert settled(again.states(bob))
    sent = [again.sends("robert", "I am back"), bob.sends(again, "welcome")]
    world.settle()
    assert [again.state(sent[0]), bob.state(sent[1])] == ["delivered", "delivered"]
    assert bob.heard(alice) == ["hello", "I am back"]
    assert "identity_rotated" in told(bob, again)
    assert frozen(bob, again) is None


def test_what_waited_when_the_backup_was_made_is_delivered_by_the_new_device(world, tmp_path):
    """E3, B1: under a cut, since the device that wrote it is revoked."""
    alice, bob = talkers(world)
    world.part(alice, bob)
    world.run(20)
    alice.sends(bob, "one")
    alice.sends(bob, "two")
    again = moved(world, alice, tmp_path)
    world.run(60)
    assert bob.heard(alice) == ["hello", "one", "two"]
    assert settled(again.states(bob))


def test_what_came_after_the_backup_is_given_back_by_those_who_wrote_it(world, tmp_path):
    """B1, E3: not what the lost device itself wrote since: nobody alive vouches for that."""
    alice, bob = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    bob.sends(alice, "later")
    alice.sends(bob, "my answer")
    world.settle()
    alice.node.crash()
    again = restores(world, world.node(), path)
    world.run(60)
    assert again.heard(bob) == ["hello you", "later"]
    assert [m["text"] for m in again.history(bob)] == ["hello", "hello you", "later"]
    assert bob.heard(alice) == ["hello", "my answer"]
    again.sends(bob, "and on")
    bob.sends(again, "and on too")
    world.settle()
    assert bob.heard(alice)[-1] == "and on"
    assert again.heard(bob)[-1] == "and on too"


def test_settings_and_every_kind_of_contact_come_back(world, tmp_path):
    """E4: a blocked one blocked, a frozen one frozen, one that was never met with its name alone."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    dave = world.agent("dave")
    world.settle()
    alice.blocks(carol)
    alice.befriends(dave)
    alice.node.run(lambda core: contacts.freeze(core.db, bob.id, "two different entries", final=True))
    again = moved(world, alice, tmp_path)
    found = {c.name: c for c in contacts.contacts(again.core.db, again.hosted.local.id)}
    assert {name: c.trust for name, c in found.items()} == {
        "bob": Trust.ACCEPTED,
        "carol": Trust.BLOCKED,
        "dave": Trust.ACCEPTED,
    }
    assert (found["bob"].frozen, found["bob"].final, found["dave"].frozen) == ("two different entries", True, None)


def test_beside_another_agent_of_that_name(world, tmp_path):
    alice, _ = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    node = world.agent("alice").node
    with pytest.raises(AgentExists):
        restores(world, node, path)
    assert restores(world, node, path, name="alice2").hosted.local.name == "alice2"
    with pytest.raises(AgentExists):
        restores(world, alice.node, path, name="alice3")


# --- what must not come back ---


def test_a_restored_node_opens_no_old_session_and_reuses_no_key(world, tmp_path):
    """Backup: restored node opens no old session and reuses no key: D1, E2."""
    alice, bob = talkers(world)
    seen = []
    world.net.tamper = lambda end, data: seen.extend(f for f in frames_in(data) if isinstance(f, Data)) or data
    bob.sends(alice, "for the old device")
    world.settle()
    old = secrets_of(alice)
    sids = {held.session.sid for held in sessions.load(alice.core.db, alice.device, bob.device)}
    again = moved(world, alice, tmp_path)
    new = secrets_of(again)
    assert new.root == old.next_root
    assert not {new.root, new.next_root, new.device} & {old.root, old.device}
    assert new.next_root != old.next_root
    assert sessions.load(again.core.db, again.device, bob.device) == []
    world.run(60)
    assert not sids & {held.session.sid for held in sessions.load(again.core.db, again.device, bob.device)}
    assert sessions.load(bob.core.db, bob.device, alice.device) == []
    before = again.heard(bob)
    world.net.tamper = lambda _, data: data
    frames = [frame for frame in seen if isinstance(frame, Data)]
    assert frames
    for frame in frames:
        inject(again, bob, frame)
    world.run(20)
    assert again.heard(bob) == before


def test_no_secret_but_in_the_sealed_file(world, tmp_path):
    """Backup: neither seeds nor names are to be seen in it, nor its words anywhere."""
    alice, _ = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    content = path.read_bytes()
    kept = secrets_of(alice)
    for secret in (kept.root, kept.next_root, kept.device, b"alice", b"bob", b"hello", WORDS.encode()):
        assert secret not in content
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    number, backup = alice.call(restoration.gather)
    assert kept.root.hex() not in repr(backup)
    assert kept.device not in repr(backup).encode("latin-1", "ignore")
    assert number


def test_the_old_machine_is_shut_out(world, tmp_path):
    """E2, E3: whoever found it speaks for nobody, however long its log grows meanwhile."""
    alice, bob = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    again = restores(world, world.node(), path)
    world.part(alice, again)
    world.run(60)
    assert {link.peer_device for link in bob.links(alice)} == {again.device}
    late = alice.sends(bob, "I am the old one")
    world.run(60)
    assert alice.state(late) == "queued"
    assert "I am the old one" not in bob.heard(alice)
    assert alice.node.events("identity_behind")
    assert frozen(bob, again) is None


def test_the_old_machine_says_that_it_may_be_replaced_and_does_not_rotate(world, tmp_path):
    """E2: a second rotate would freeze every contact for good. A human may know better: that contact may lie."""
    alice, bob = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    assert alice.call(commands.whoami)["agent"]["behind"] is False
    again = restores(world, world.node(), path)
    world.part(alice, again)
    world.run(60)
    assert alice.call(commands.whoami)["agent"]["behind"] is True
    late = alice.sends(bob, "I am the old one")
    assert "may live elsewhere" in alice.call(reading.show, id=late)["recipients"][0]["why"]
    assert alice.call(reading.unread, after=None, limit=10, reader="default")["behind"] is True
    told = alice.node.run(doctor.what_the_store_tells)
    assert [it["ok"] for it in told if "may have been replaced" in it["detail"]] == [False]
    with pytest.raises(IdentityBehind):
        rotates(alice)
    assert frozen(bob, again) is None
    rotates(alice, anyway=True)
    world.run(60)
    assert frozen(bob, again) is not None


# --- what is refused, and leaves nothing behind ---


def untouched(node):
    tables = ("agents", "contacts", "log", "entries", "identities", "devices", "outbox", "prekeys")
    rows = {table: node.db.one(f"SELECT count(*) FROM {table}")[0] for table in tables}
    return rows, sorted(os.listdir(node.keys))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data, BackupPassphrase),
        (lambda data: data[:-300] + bytes([data[-300] ^ 1]) + data[-299:], BackupDamaged),
        (lambda data: data[:-1], BackupTruncated),
        (lambda data: data[:5] + b"\x02" + data[6:], BackupDamaged),
    ],
    ids=["wrong passphrase", "flipped byte", "truncated", "another version without its digest"],
)
def test_a_file_that_is_not_right_leaves_nothing_behind(world, tmp_path, change, error):
    """Backup: wrong passphrase; flipped byte: each has a code of its own."""
    alice, bob = talkers(world)
    for number in range(20):
        bob.sends(alice, f"message {number}")
    world.settle()
    path = saves(alice, tmp_path / "alice.backup")
    path.write_bytes(change(path.read_bytes()))
    node = world.node()
    before = untouched(node)
    with pytest.raises(P2PError) as caught:
        restores(world, node, path, "wrong words here" if error is BackupPassphrase else WORDS)
    assert type(caught.value) is error
    assert untouched(node) == before
    assert node.core.hosted == {}


def test_a_version_of_another_release_is_said_to_be_one(world, tmp_path, monkeypatch):
    """Downgrade: any other version is refused."""
    alice, _ = talkers(world)
    monkeypatch.setattr(backups, "VERSION", 2)
    path = saves_unchecked(alice, tmp_path / "alice.backup")
    monkeypatch.undo()
    with pytest.raises(BackupVersion):
        restores(world, world.node(), path)


def saves_unchecked(agent, path):
    number, backup = agent.call(restoration.gather)
    parts = backups.write(backup, archive.chunks(agent.core.db, number), WORDS, bytes(16), CHEAP)
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("statement", [2, 6, 12, 30])
def test_a_full_disk_leaves_nothing_behind(world, tmp_path, statement):
    """A6"""
    alice, _ = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    node = world.node()
    before = untouched(node)
    node.db.full_at = node.db.statements + statement
    with pytest.raises(StoreFull):
        restores(world, node, path)
    node.db.full_at = None
    assert untouched(node) == before
    assert restores(world, node, path).hosted.local.name == "alice"


def test_a_backup_brings_back_an_agent_whose_keys_are_broken(world, tmp_path):
    """In its place: under its name, with its log, which may be longer than the backup's."""
    alice, bob = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    alice.sends(bob, "after the backup")
    world.settle()
    heard = alice.heard(bob)
    (alice.node.keys / f"{alice.id.hex()}.key").write_bytes(b"half")
    alice.node.restart()
    again = restores(world, alice.node, path)
    world.run(60)
    assert [each.local.name for each in alice.core.hosted.values()] == ["alice"]
    assert not alice.core.unusable
    assert again.heard(bob) == heard
    again.sends(bob, "it is me")
    world.run(60)
    assert bob.heard(again)[-2:] == ["after the backup", "it is me"]
    again.node.restart()
    assert again.hosted.local.device == again.device


def test_a_passphrase_that_is_none_and_a_file_that_exists_are_refused(world, tmp_path):
    alice, _ = talkers(world)
    with pytest.raises(BadPassphrase):
        saves(alice, tmp_path / "alice.backup", "short")
    assert not (tmp_path / "alice.backup").exists()
    saves(alice, tmp_path / "alice.backup")
    before = (tmp_path / "alice.backup").read_bytes()
    with pytest.raises(FileExists):
        saves(alice, tmp_path / "alice.backup")
    assert (tmp_path / "alice.backup").read_bytes() == before


def test_a_disk_that_lies_is_noticed(world, tmp_path, monkeypatch):
    """The file is opened again, with the passphrase, before anybody relies on it."""
    alice, _ = talkers(world)
    write = vault.write_new

    def lossy(path, parts):
        content = b"".join(parts)
        write(path, [content[:-100], bytes(50), content[-50:]])

    monkeypatch.setattr(vault, "write_new", lossy)
    with pytest.raises(BackupDamaged):
        saves(alice, tmp_path / "alice.backup")
    assert not (tmp_path / "alice.backup").exists()


def test_a_backup_without_the_next_root_needs_its_file(world, tmp_path):
    """E2: the file and passphrase alone then cannot take the agent over."""
    alice, bob = talkers(world)
    _, seed = alice.call(ownership.next_root)
    alice.call(lambda core, params: ownership.forget_next_root(core, params, seed))
    path = saves(alice, tmp_path / "alice.backup")
    alice.node.crash()
    node = world.node()
    before = untouched(node)
    with pytest.raises(NextRootMissing):
        restores(world, node, path)
    with pytest.raises(NextRootWrong):
        restores(world, node, path, seed=b"x" * 32)
    assert untouched(node) == before
    again = restores(world, node, path, seed=seed)
    world.run(60)
    assert knows(bob, again) == identity_of(again)


def test_a_backup_of_before_a_rotation_is_refused_where_that_is_known(world, tmp_path):
    """E2: it would be a second rotate of one commitment."""
    alice, bob = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    rotates(alice)
    world.settle()
    assert knows(bob, alice).rotated == 2
    with pytest.raises(BackupOutdated):
        restores(world, bob.node, path)
    assert bob.core.hosted_id(alice.id) is None


def test_a_restored_agent_is_restored_once_more(world, tmp_path):
    """E2: from a backup of its own, as often as machines burn down."""
    alice, bob = talkers(world)
    second = moved(world, alice, tmp_path)
    world.run(60)
    (tmp_path / "alice.backup").rename(tmp_path / "first.backup")
    third = moved(world, second, tmp_path)
    world.run(60)
    assert knows(bob, third) == identity_of(third)
    assert identity_of(third).rotated == 5
    third.sends(bob, "third")
    world.settle()
    assert bob.heard(alice)[-1] == "third"
    assert [id_text(d) for d in identity_of(third).devices] == [id_text(third.device)]
    assert SigningKey.from_seed(secrets_of(third).root).public == identity_of(third).root


def test_a_line_of_another_conversation_is_refused(world):
    """A4: its peer would be taken for a member of a conversation that others have."""
    alice, _ = talkers(world)
    (line, *_) = archive.lines(next(archive.chunks(alice.core.db, alice.hosted.local.id)))
    forged = replace(line, peer=b"m" * 32)
    with pytest.raises(BackupDamaged):
        alice.node.run(lambda core: archive.restore(core.db, alice.hosted.local.id, [forged], 1))
