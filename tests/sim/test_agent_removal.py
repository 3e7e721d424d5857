"""A removed agent is gone from its node: nothing of it is sent or comes back, and other agents are not affected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from p2p_agents.core.agents import remains, restoration
from p2p_agents.core.agents.restoration import Found
from p2p_agents.core.api import claiming, commands, invitation, reading, removal
from p2p_agents.core.contact.knocking import Knocks
from p2p_agents.core.kernel.effects import Answered, LeaveBridge, Moved, ReadQueues, Transmit, Wake
from p2p_agents.core.pairing import linking
from p2p_agents.core.pairing.desk import Desk
from p2p_agents.crypto import backup as backups
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import BadParams, KeysBroken, NoAgent, P2PError, RemovedHere, StoreFull, StoreUncertain
from p2p_agents.store import agents, contacts, keyring, removals
from p2p_agents.wire.frame import Open
from tests.sim.test_backup import WORDS, restores, saves
from tests.sim.test_bridge import apart
from tests.sim.test_linking import ends, links, shows, tries
from tests.sim.wire import frames_in
from tests.sim.world import Crashed, World

KEPT = {"agents", "log", "purged", "outbox", "floors"}  # of tables with rows of an agent: what stays is numbers


def removes(agent, *, dry=False):
    return agent.node.run(lambda core: removal.remove(core, {"name": agent.name, "dry": dry}))


def clears(agent):
    while not agent.node.run(remains.clear):
        pass


def talkers(world):
    """Two that said something to each other, and one that lives beside the first and talks to both."""
    alice, bob = world.friends("alice", "bob")
    carol = world.agent("carol", alice.node)
    carol.befriends(bob)
    bob.befriends(carol)
    world.settle()
    for one, other in ((alice, bob), (bob, alice), (carol, bob), (alice, carol)):
        one.sends(other, f"swordfish of {one.name}")
    world.settle()
    return alice, bob, carol


def texts(agent, peer):
    return [message["text"] for message in agent.history(peer)]


def rows_of(core, number, device):
    """Tables that have rows of an agent or its device."""
    found = set()
    for (table,) in core.db.all("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%word%'"):
        columns = {row[1] for row in core.db.all(f"PRAGMA table_info({table})")}
        for column, value in (("agent", number), ("device", device)):
            told = column in columns and core.db.one(f"SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1", (value,))
            found |= {table} if told else set()
    return found


def mentions(core, number, device):
    """What memory still has of an agent."""
    keys = [*core.ways, *core.paces, *core.ready, *core.quiet, *core.links]
    pairs = [*core.shares, *core.owed, *core.of(Knocks)]
    for peering in core.peerings.values():
        pairs += [*peering.declined, *peering.busy]
    each = [*core.waiters.values(), *core.claims.values(), *core.init_links.values()]
    each += [*core.of(Desk).displays.values(), *core.of(Desk).joins.values()]
    each += [link for peering in core.peerings.values() for link in peering.links.values()]
    by_key = [key for key in keys if key[0] == device]
    return [*by_key, *(pair for pair in pairs if pair[0] == number), *(it for it in each if it.agent == number)]


def test_it_is_gone_and_its_neighbour_goes_on(world):
    """A5, D1: links, keys, rows and words; also after a restart. Bob sees it away, and carol notices nothing."""
    alice, bob, carol = talkers(world)
    number, device, key = alice.hosted.local.id, alice.device, alice.node.keys / f"{alice.id.hex()}.key"
    assert key.exists()
    gone = removes(alice)
    assert (gone["agent"]["name"], gone["owed"], gone["unread"], gone["default_agent"]) == ("alice", 0, 1, "carol")
    clears(alice)
    assert not key.exists()
    assert mentions(carol.core, number, device) == []
    for _ in range(2):
        world.settle()
        with pytest.raises(NoAgent):
            alice.call(commands.whoami)
        assert rows_of(carol.core, number, device) <= KEPT | {"devices", "entries", "chains"}
        assert not bob.links(alice)
        assert (bob.sees(alice)["reachable"], bob.sees(carol)["reachable"]) == (False, True)
        assert carol.node.run(lambda core: commands.whoami(core, {"agent": None}))["agent"]["name"] == "carol"
        assert texts(carol, alice) == ["swordfish of alice"]
        carol.node.restart()
    carol.sends(bob, "still here")
    late = bob.sends(alice, "and you?")
    world.run(60)
    assert bob.heard(carol) == ["swordfish of carol", "still here"]
    assert bob.state(late) == "queued"
    assert mentions(carol.core, number, device) == []


def test_no_byte_of_its_words_is_left_in_the_files(world):
    """A5: nor in the word index or the write-ahead log; what another agent of the node has stays that one's."""
    alice, bob, carol = talkers(world)
    alice.sends(bob, "the halibut alone")
    world.settle()
    while not alice.node.run(reading.index):
        pass
    removes(alice)
    clears(alice)
    alice.node.db.truncate()
    held = b"".join(path.read_bytes() for path in Path(alice.node.home).glob("store.db*"))
    assert b"halibut" not in held
    assert b"swordfish of bob" not in held
    assert b"swordfish of alice" in held  # which carol was told
    assert texts(carol, alice) == ["swordfish of alice"]


def test_what_it_owed_fails_and_never_leaves(world):
    """B6: bob hears nothing of it any more, however the two meet; who waited for the delivery is told."""
    alice, bob, carol = talkers(world)
    world.part(alice, bob)
    world.run(20)
    draft = {"to": "bob", "type": "text/plain", "id": None, "reply_to": None}
    late = [alice.call(commands.post, **draft, text=f"late {number}")[1] for number in range(3)]
    assert removes(alice, dry=True) == removes(alice) | {"default_agent": "alice"}
    assert carol.core.db.all("SELECT state, why FROM outbox WHERE owed = 1") == []
    failed = carol.core.db.all("SELECT state, why FROM outbox WHERE entry >= ?", (late[0],))
    assert failed == [("failed", removals.WHY)] * 3
    assert {effect.entry for effect in carol.node.effects if isinstance(effect, Moved)} >= set(late)
    with pytest.raises(NoAgent):
        carol.node.run(lambda core: commands.state_of(core, late[0]))
    world.join(carol, bob)
    world.run(120)
    assert bob.heard(alice) == ["swordfish of alice"]
    assert carol.links(bob)


def test_what_goes_is_counted_as_people_count(world):
    """B9: a message once, however many devices it is for."""
    alice, bob, _ = talkers(world)
    links(world, alice, name="desk")
    world.run(60)
    world.part(alice, bob)
    world.run(20)
    alice.sends(bob, "one")
    alice.sends(bob, "two")
    told = removes(alice, dry=True)
    assert (told["owed"], told["unread"], told["other_devices"]) == (2, 1, 1)
    assert alice.inbox() == ["swordfish of bob"]


def test_nothing_leaves_that_speaks_for_it(world):
    """E1: from the moment it was removed no frame opens a link in its name, or shows it to anybody."""
    alice, bob, carol = talkers(world)
    removes(alice)
    before = len(carol.node.effects)
    carol.node.restart()
    world.run(120)
    sent = [effect.data for effect in carol.node.effects[before:] if isinstance(effect, Transmit)]
    frames = [frame for data in sent for frame in frames_in(data)]
    assert any(isinstance(frame, Open) for frame in frames)
    assert not [frame for frame in frames if isinstance(frame, Open) and frame.frm == alice.id]
    assert not [data for data in sent if alice.id in data or alice.device in data]
    assert bob.links(carol)


def test_its_name_is_free_and_its_number_is_not(world):
    """A4: a new agent of that name reads nothing of what the old one had, and is nobody's old acquaintance."""
    alice, bob, carol = talkers(world)
    number = alice.hosted.local.id
    removes(alice)
    again = world.agent("alice", alice.node)
    assert again.id != alice.id
    assert again.hosted.local.id != number
    assert (again.inbox(), again.requests(), again.call(commands.contacts)["contacts"]) == ([], [], [])
    carol.sends("alice", "are you the new one?")
    assert again.inbox() == ["are you the new one?"]
    world.settle()
    assert bob.core.db.one("SELECT count(*) FROM contacts WHERE peer = ?", (again.id,)) == (0,)


def test_another_one_becomes_the_default_and_the_last_leaves_none(world):
    alice = world.agent("alice")
    bob, carol = (world.agent(name, alice.node) for name in ("bob", "carol"))
    assert removes(bob)["default_agent"] == "alice"
    assert removes(alice)["default_agent"] == "carol"
    assert removes(carol)["default_agent"] is None
    carol.node.restart()
    assert carol.core.hosted == {}
    again = world.agent("bob", carol.node)
    assert again.hosted.local.chosen


def test_one_whose_keys_are_broken_can_be_removed(world):
    alice, _, carol = talkers(world)
    path = alice.node.keys / f"{alice.id.hex()}.key"
    path.write_bytes(b"damaged")
    alice.node.restart()
    with pytest.raises(KeysBroken):
        alice.call(commands.whoami)
    assert removes(alice)["default_agent"] == "carol"
    clears(alice)
    assert not path.exists()
    assert carol.core.unusable == {}
    with pytest.raises(NoAgent):
        alice.call(commands.whoami)


@pytest.mark.parametrize(("name", "fault"), [("nobody", NoAgent), ("", BadParams)])
def test_it_must_be_named(world, name, fault):
    alice = world.agent("alice")
    with pytest.raises(fault):
        alice.node.run(lambda core: removal.remove(core, {"name": name, "dry": False}))
    assert [hosted.local.name for hosted in alice.core.hosted.values()] == ["alice"]


def test_who_waits_for_it_is_told(world):
    """A7: a wait, a claim, a watch, and codes that it shows or tries end; those of its neighbour do not."""
    alice, bob, carol = talkers(world)
    number = alice.hosted.local.id
    alice.reads()
    carol.reads()
    asked = {"reader": "default", "new_reader": False, "after": None, "limit": 10, "from": None}
    alice.call(lambda core, params: commands.begin_wait(core, params, 1), **asked)
    carol.call(lambda core, params: commands.begin_wait(core, params, 2), **asked)
    bob.sends(alice, "unread")
    world.settle()
    alice.call(
        lambda core, params: commands.begin_wait(core, params, 4), **asked | {"reader": "other", "new_reader": True}
    )
    alice.call(lambda core, params: claiming.take(core, params, 3), **asked)
    code = carol.call(invitation.start, petname=None, device=False, history="all")["code"]
    attempt = alice.call(invitation.begin_join, code=code, petname=None)
    alice.call(invitation.start, petname=None, device=False, history="all")
    alice.call(lambda core, params: commands.begin_wait(core, params | {"after": None}, 5), **asked | {"from": "carol"})
    removes(alice)
    ended = {e.ticket: e.error for e in alice.node.effects if isinstance(e, Answered) and e.error is not None}
    assert 5 in ended
    assert all(isinstance(error, NoAgent) for error in ended.values())
    assert [effect for effect in alice.node.effects if isinstance(effect, Wake) and effect.agent == number]
    assert list(carol.core.waiters) == [2]
    assert [display.agent for display in carol.core.of(Desk).displays.values()] == [carol.hosted.local.id]
    assert mentions(carol.core, number, alice.device) == []
    assert carol.node.run(lambda core: invitation.is_over(core, attempt))
    for item in (
        lambda core: commands.end_wait(core, number, 5),
        lambda core: claiming.give_back(core, 3),
    ):
        carol.node.run(item)
    with pytest.raises(NoAgent):
        carol.node.run(lambda core: reading.tail(core, number, 0, 10, None))
    with pytest.raises(NoAgent):
        carol.node.run(lambda core: commands.news(core, number, set(), set()))


def test_queues_of_one_reached_over_a_bridge_are_dropped_there(world):
    """B7: its public queue too; what comes for it is nobody's, and what is owed is not relayed."""
    alice, bob, bridge = apart(world)
    alice.sends(bob, "over the bridge")
    world.settle()
    number, device = alice.hosted.local.id, alice.device
    assert bridge.address in alice.node.reads.values()
    removes(alice)
    assert bridge.address not in alice.node.reads.values()
    late = bob.sends(alice, "nobody reads this")
    world.run(120)
    assert bob.state(late) == "queued"
    assert mentions(alice.core, number, device) == []
    alice.node.restart()
    world.run(120)
    assert mentions(alice.core, number, device) == []


def test_a_bridge_that_it_alone_was_told_of_drops_its_queue_and_is_left(world):
    """B7: first the one, then the other: what is dropped, nobody relays to."""
    alice, bob = world.friends("alice", "bob")
    bridge = world.bridge(bob.node)
    world.settle()
    world.part(alice, bob)
    world.run(20)
    assert bridge.address in alice.node.reads.values()
    assert not alice.core.bridges[bridge.address].configured
    before = len(alice.node.effects)
    removes(alice)
    world.run(90)
    told = [type(e) for e in alice.node.effects[before:] if isinstance(e, ReadQueues | LeaveBridge)]
    assert told[0] is ReadQueues
    assert told[-1] is LeaveBridge
    assert bridge.address not in alice.core.bridges
    assert bridge.address not in alice.node.reads.values()


def test_another_installation_goes_on(world):
    """B9: what comes then, comes there; and the code that linked this one is good for a new attempt."""
    alice, bob, _ = talkers(world)
    twin = links(world, alice, name="desk")
    world.run(60)
    key = Path(twin.node.keys) / "linking.key"
    removes(twin)
    assert not key.exists()
    bob.sends(alice, "to the one that is left")
    world.settle()
    assert alice.heard(bob)[-1] == "to the one that is left"
    assert twin.node.run(linking.newcomer).public != twin.device


def test_it_is_not_linked_to_what_it_left(world):
    """B9: what is held is not given again: it would know no contact. Elsewhere it is linked as ever."""
    alice, *_ = talkers(world)
    twin = links(world, alice, name="desk")
    world.run(60)
    removes(twin)
    before = alice.hosted.speaker.identity.devices
    attempt = tries(twin.node, shows(alice, link=True)["code"])
    world.run(3)
    with pytest.raises(RemovedHere):
        ends(twin.node, attempt)
    assert alice.hosted.speaker.identity.devices == before
    again = links(world, alice, name="desk")
    world.run(60)
    assert {contact["name"] for contact in again.call(commands.contacts)["contacts"]} == {"bob", "carol"}


def test_a_backup_brings_it_back(world, tmp_path):
    """E2: as a new device, with contacts and words as the backup has them; what came later stays deleted."""
    alice, bob, carol = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    alice.sends(bob, "after the backup")
    world.settle()
    removes(alice)
    clears(alice)
    again = restores(world, alice.node, path)
    assert again.hosted.local.name == "alice"
    assert again.device != alice.device
    assert texts(again, bob) == ["swordfish of alice", "swordfish of bob", None]
    assert texts(again, carol) == ["swordfish of alice"]
    world.settle()
    again.sends(bob, "I am back")
    bob.sends(again, "welcome")
    world.settle()
    assert bob.heard(alice) == ["swordfish of alice", "after the backup", "I am back"]
    assert again.heard(bob)[-1] == "welcome"
    again.node.restart()
    world.run(30)
    assert again.links(bob)
    assert (again.node.keys / f"{again.id.hex()}.key").exists()
    assert finds(again, "swordfish") == 3


def finds(agent, word):
    while not agent.node.run(reading.index):
        pass
    return len(agent.call(reading.search, text=word, limit=10)["messages"])


def test_removed_and_brought_back_in_one_batch_it_keeps_its_new_keys(world, tmp_path):
    """A6: what is done with key files after the commit is what the store then says."""
    alice, *_ = talkers(world)
    path = saves(alice, tmp_path / "alice.backup")
    with open(path, "rb") as file:
        backup, log = backups.read(file.read, WORDS)

        def both(core):
            removal.remove(core, {"name": "alice", "dry": False})
            restoration.restore(core, {"name": None}, Found(backup, log))

        alice.node.run(both)
    kept = keyring.read_agent_key(str(alice.node.keys), alice.id)
    alice.node.restart()
    assert alice.hosted.speaker.key.public == alice.hosted.local.device
    assert kept.device
    assert alice.core.unusable == {}


# --- whatever happens meanwhile ---


def statements(tmp_path):
    world = World(tmp_path)
    alice, *_ = talkers(world)
    before = alice.node.db.statements
    removes(alice)
    clears(alice)
    return alice.node.db.statements - before


def test_a_disk_that_is_full_at_any_statement_leaves_it_whole_or_gone(tmp_path):
    """A6: and what is left over then goes by itself."""
    (tmp_path / "whole").mkdir()
    for at in range(1, statements(tmp_path / "whole"), 3):
        home = tmp_path / f"{at}"
        home.mkdir()
        world = World(home)
        alice, bob, carol = talkers(world)
        number, device = alice.hosted.local.id, alice.device
        alice.node.db.full_at = alice.node.db.statements + at
        _tries(removes, alice)
        _tries(clears, alice)
        whole = alice.core.hosted_id(alice.id) is not None
        assert (alice.node.keys / f"{alice.id.hex()}.key").exists() is whole, at
        world.run(5)
        if whole:
            assert texts(alice, bob) == ["swordfish of alice", "swordfish of bob"]
            alice.sends(bob, "still here")
            world.run(30)
            assert bob.heard(alice)[-1] == "still here", at
        else:
            assert mentions(carol.core, number, device) == [], at
            assert removals.unemptied(carol.core.db) is None, at
        carol.sends(bob, "and I")
        world.run(30)
        assert bob.heard(carol)[-1] == "and I", at


def _tries(work, agent):
    try:
        work(agent)
    except (P2PError, Crashed):
        return


@pytest.mark.parametrize("when", ["die_before", "die_after"])
@pytest.mark.parametrize("commit", [1, 2, 3])
def test_killed_at_any_commit_it_is_whole_or_gone_for_good(world, monkeypatch, when, commit):
    """A6: the next start destroys what the last one could not, and the rest goes by itself."""
    alice, bob, carol = talkers(world)
    number, device, node = alice.hosted.local.id, alice.device, alice.node
    setattr(node.db, when, node.db.commits + commit)
    monkeypatch.setattr("p2p_agents.core.agents.remains.PURGE_PAGE", 2)
    _tries(removes, alice)
    _tries(lambda agent: node.running and clears(agent), alice)
    world.run(30)
    assert node.running
    gone = (when, commit) != ("die_before", 1)
    assert (node.core.hosted_id(alice.id) is None) is gone
    assert (node.keys / f"{alice.id.hex()}.key").exists() is not gone
    if gone:
        assert removals.unemptied(node.db) is None
        assert mentions(node.core, number, device) == []
    else:
        assert texts(alice, bob) == ["swordfish of alice", "swordfish of bob"]
    carol.sends(bob, "and I")
    world.run(30)
    assert bob.heard(carol)[-1] == "and I"


def test_a_disk_that_stays_full_is_not_asked_each_second(world, monkeypatch):
    """A6: what fails takes its batch with it, and every link: once a minute, until there is room."""
    alice, bob, carol = talkers(world)
    removes(alice)
    asked, clear = [], removals.clear

    def full(*page):
        asked.append(page)
        raise StoreFull

    monkeypatch.setattr(removals, "clear", full)
    world.run(100)
    assert len(asked) == 2
    carol.sends(bob, "meanwhile")
    world.run(15)
    assert bob.heard(carol)[-1] == "meanwhile"
    monkeypatch.setattr(removals, "clear", clear)
    world.run(60)
    assert removals.unemptied(carol.core.db) is None


def test_keys_that_outlived_the_commit_go_with_the_next_start(world, monkeypatch):
    """D1: killed between the commit and the deletion of the file."""
    alice, *_ = talkers(world)
    path = alice.node.keys / f"{alice.id.hex()}.key"
    content = path.read_bytes()
    removes(alice)
    path.write_bytes(content)
    os.link(path, f"{path}.0.old")
    alice.node.restart()
    assert not path.exists()
    assert not os.path.exists(f"{path}.0.old")


@pytest.mark.parametrize("takes_effect", [True, False], ids=["took effect", "did not"])
def test_memory_follows_what_a_failed_commit_left(world, takes_effect):
    """A6: of a removal that may or may not have been committed; who waits for it is told, or waits on."""
    alice, bob, carol = talkers(world)
    number, device = alice.hosted.local.id, alice.device
    asked = {"reader": "default", "new_reader": False, "after": None, "limit": 10, "from": "carol"}
    alice.call(lambda core, params: commands.begin_wait(core, params, 1), **asked)
    disk = alice.node.db
    disk.takes_effect, disk.fail_at = takes_effect, disk.commits + 1
    with pytest.raises(StoreUncertain):
        removes(alice)
    alice.node.run(lambda core: None)
    assert (alice.core.hosted_id(alice.id) is None) is takes_effect
    assert (alice.node.keys / f"{alice.id.hex()}.key").exists() is not takes_effect
    assert (1 in alice.core.waiters) is not takes_effect
    if takes_effect:
        assert mentions(alice.core, number, device) == []
    world.run(30)
    carol.sends(bob, "and I")
    world.run(30)
    assert bob.heard(carol)[-1] == "and I"
    assert bool(bob.links(alice)) is not takes_effect


def test_an_older_store_under_a_removed_agent_has_no_keys(world):
    """E2: who puts a copy of the store back brings no agent back."""
    alice, bob, _ = talkers(world)
    copy = alice.node.snapshot()
    removes(alice)
    alice.node.restore(copy)
    world.run(30)
    with pytest.raises(KeysBroken):
        alice.call(commands.whoami)
    assert not bob.links(alice)
    assert removes(alice)["agent"]["id"] == id_text(alice.id)


def test_a_crowd_of_removed_agents_is_no_crowd(world):
    """A4: made by mistake and removed, again and again."""
    bob = world.agent("bob")
    for _ in range(5):
        alice = world.agent("alice", bob.node)
        alice.sends(bob, "hello")
        removes(alice)
        clears(alice)
    assert [each.name for each in agents.agents(bob.core.db)] == ["bob"]
    assert bob.inbox() == ["hello"] * 5
    bob.node.restart()
    assert len(bob.core.hosted) == 1
    assert len(contacts.contacts(bob.core.db, bob.hosted.local.id)) == 5
