"""A second installation of an agent: linked by a code, given contacts and history, and what can go wrong."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from p2p_agents.core.agents import ownership
from p2p_agents.core.api import commands, invitation, reading
from p2p_agents.core.api import trust as trusting
from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import AlreadyHere, BadParams, CodePurpose, DeviceRevoked, P2PError, PeerUnknown, RootElsewhere
from p2p_agents.node import doctor
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Trust
from tests.sim.owners import identity_of, installed, secrets_of
from tests.sim.test_devices import texts
from tests.sim.test_pairing import joins, shows, status
from tests.sim.test_time import days_pass
from tests.sim.world import Agent, Crashed, World


def tries(node, code, name=None):
    return node.run(lambda core: invitation.begin_link(core, {"code": code, "name": name}))


def ends(node, attempt):
    result = node.run(lambda core: invitation.end_join(core, attempt))
    if isinstance(result, P2PError):
        raise result
    return result


def links(world, agent, node=None, name=None, **how):
    """The agent on another node, over a code."""
    node = node or world.node()
    world.run(3)
    attempt = tries(node, shows(agent, link=True, **how)["code"], name)
    world.run(3)
    shown = ends(node, attempt)
    assert shown["agent"]["id"] == id_text(agent.id)
    return at(world, node, agent, shown["agent"]["name"])


def at(world, node, agent, name):
    twin = object.__new__(Agent)
    twin.node, twin.name, twin.id = node, name, agent.id
    twin.device = twin.hosted.local.device
    world.agents.append(twin)
    return twin


def trust(agent, peer):
    found = contacts.contact(agent.core.db, agent.hosted.local.id, peer.id)
    return found and found.trust


def devices(agent, peer):
    """Those of the peer that there is a link to."""
    return {link.peer_device for link in agent.links(peer)}


def test_a_linked_device_has_contacts_and_conversations_and_both_go_on(world):
    """E1, B9: the root key stays where it is; everything else comes by itself."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    alice.sends(bob, "before")
    world.settle()
    bob.sends(alice, "heard")
    world.settle()
    alice.blocks(carol)
    twin = links(world, alice, name="desk")
    world.settle()
    assert texts(twin, bob) == ["before", "heard"]
    assert (trust(twin, bob), trust(twin, carol)) == (Trust.ACCEPTED, Trust.BLOCKED)
    assert [(d["here"], d["root"]) for d in twin.call(ownership.devices)["devices"]] == [(False, None), (True, False)]
    assert status(alice)["device"]["name"] == "device-2"
    bob.sends(alice, "to you both")
    twin.sends(bob, "from my desk")
    world.settle()
    world.run(5)
    assert twin.inbox()[-1] == "to you both"
    assert sorted(texts(alice, bob)) == sorted(texts(twin, bob)) == ["before", "from my desk", "heard", "to you both"]
    assert devices(bob, alice) == {alice.device, twin.device}
    assert carol.links(alice) == []


@pytest.mark.parametrize(("history", "had"), [("all", 3), ("30", 2), ("1", 1), ("none", 0)])
def test_history_goes_as_far_back_as_was_said_and_no_contact_gives_the_rest(world, history, had):
    alice, bob = world.friends("alice", "bob")
    said = ["long ago", "last week", "today"]
    for text, days in zip(said, (60, 7, 0), strict=True):
        alice.sends(bob, text)
        world.settle()
        days_pass(world, days, alice.node, bob.node)
        world.run(70)
    twin = links(world, alice, history=history)
    world.run(60)
    assert texts(twin, bob) == said[3 - had :]
    bob.sends(alice, "and now")
    world.settle()
    alice.sends(bob, "indeed")
    world.settle()
    assert texts(twin, bob) == [*said[3 - had :], "and now", "indeed"]
    copy = twin.node.snapshot()
    twin.sends(bob, "lost and found")
    world.settle()
    twin.node.restore(copy)
    world.run(60)
    assert texts(twin, bob) == [*said[3 - had :], "and now", "indeed", "lost and found"]
    assert texts(bob, alice) == [*said, "and now", "indeed", "lost and found"]


def test_purposes_never_mix(world):
    """F1: a code for a contact links nothing, and the other way round."""
    alice, bob = world.agent("alice"), world.agent("bob")
    fresh = world.node()
    world.settle()
    attempt = tries(fresh, shows(alice)["code"])
    world.run(3)
    with pytest.raises(CodePurpose):
        ends(fresh, attempt)
    with pytest.raises(CodePurpose):
        joins(world, bob, shows(alice, link=True)["code"])
    assert fresh.core.hosted == {}
    links(world, alice, fresh)


def test_where_the_agent_lives_already_it_is_not_linked_again(world):
    alice = world.agent("alice")
    world.settle()
    twin = links(world, alice)
    code = shows(alice, link=True)["code"]
    attempt = tries(twin.node, code)
    world.run(3)
    with pytest.raises(AlreadyHere):
        ends(twin.node, attempt)
    with pytest.raises(AlreadyHere):
        tries(alice.node, shows(alice, link=True)["code"])
    assert len(alice.hosted.speaker.identity.devices) == 2


def test_nobody_writes_to_the_agent_they_act_for(world):
    """However many devices it has."""
    alice = world.agent("alice")
    world.settle()
    twin = links(world, alice)
    world.settle()
    for word in (id_text(alice.id), "alice"):
        with pytest.raises(PeerUnknown):
            twin.sends(word, "to myself")
    assert twin.call(commands.contacts)["contacts"] == twin.call(commands.peers)["peers"] == []


def test_a_device_without_the_root_key_takes_none_in(world):
    alice = world.agent("alice")
    world.settle()
    twin = links(world, alice)
    with pytest.raises(RootElsewhere):
        shows(twin, link=True)
    with pytest.raises(RootElsewhere):
        twin.call(ownership.revoke, device="device")
    for ask in (ownership.rotate, ownership.next_root):  # nobody exported anything: it was never here
        with pytest.raises(RootElsewhere):
            twin.node.run(lambda core, ask=ask: ask(core, {"agent": twin.name}))
    assert twin.call(ownership.show)["next_root"] == "elsewhere"
    with pytest.raises(BadParams):
        shows(alice, link=True, history="a while")


def test_a_name_that_is_taken_gets_a_number(world):
    alice = world.agent("alice")
    other = world.agent("alice")
    world.settle()
    assert links(world, alice, other.node).name == "alice-2"


def test_contacts_change_on_all_devices(world):
    """Of two words on one field the later counts; a petname does not undo a block."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    twin = links(world, alice)
    world.settle()
    twin.call(trusting.block, peer="bob")
    world.run(5)
    assert trust(alice, bob) is Trust.BLOCKED
    assert alice.links(bob) == []
    alice.call(trusting.unblock, peer="bob")
    world.run(5)
    assert trust(twin, bob) is Trust.UNKNOWN
    world.part(alice, twin)
    alice.blocks(carol)
    twin.call(commands.name_contact, peer="carol", petname="caro")
    world.run(40)
    world.join(alice, twin)
    world.run(40)
    for each in (alice, twin):
        found = contacts.contact(each.core.db, each.hosted.local.id, carol.id)
        assert (found.trust, found.petname) == (Trust.BLOCKED, "caro")


def test_a_new_contact_of_one_device_is_a_contact_of_the_other(world):
    alice = world.agent("alice")
    world.settle()
    twin = links(world, alice)
    dora = world.agent("dora")
    world.settle()
    joins(world, twin, shows(dora)["code"])
    world.run(10)
    assert trust(alice, dora) is Trust.PAIRED
    dora.sends(twin, "hello")
    world.run(10)
    assert alice.inbox() == twin.inbox() == ["hello"]


def test_a_revoked_device_is_cut_off_everywhere(world):
    """E3"""
    alice, bob = world.friends("alice", "bob")
    twin = links(world, alice)
    world.settle()
    alice.call(ownership.revoke, device="device-2")
    world.run(40)
    assert devices(bob, alice) == {alice.device}
    assert alice.links(alice) == []
    with pytest.raises(DeviceRevoked):
        twin.sends(bob, "I am still here")
    with pytest.raises(DeviceRevoked):
        twin.call(ownership.rotate)
    assert twin.call(commands.whoami)["agent"]["retired"] is True
    assert alice.call(commands.whoami)["agent"]["retired"] is False
    assert twin.call(reading.unread, after=None, limit=10, reader="default")["retired"] is True
    told = twin.node.run(doctor.what_the_store_tells)
    assert [it["ok"] for it in told if "revoked or replaced" in it["detail"]] == [False]
    bob.sends(alice, "to the one that lives")
    world.run(40)
    assert alice.inbox() == ["to the one that lives"]
    assert twin.inbox() == []
    assert bob.inbox() == []


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("who", ["displayer", "joiner"])
def test_a_crash_at_any_commit_of_the_linking_leaves_both_or_neither(tmp_path, who, before):
    """A6, E1: and with another code it is made whole, by the same device key: no device is left that nobody has."""
    for commits in itertools.count(1):
        home = tmp_path / f"{commits}"
        home.mkdir()
        world = World(home)
        alice, bob = world.friends("alice", "bob")
        fresh = world.node()
        world.run(3)
        dies = alice.node if who == "displayer" else fresh
        code = shows(alice, link=True)["code"]
        at_commit = dies.db.commits + commits
        dies.db.die_before, dies.db.die_after = (at_commit, None) if before else (None, at_commit)
        with contextlib.suppress(Crashed):
            tries(fresh, code)
        world.run(4)
        died = dies.starts > 1
        dies.db.die_before = dies.db.die_after = None
        world.run(30)
        if not fresh.core.hosted:
            attempt = tries(fresh, shows(alice, link=True)["code"])
            world.run(3)
            ends(fresh, attempt)
        twin = at(world, fresh, alice, "alice")
        bob.sends(alice, "to both")
        world.run(30)
        assert alice.inbox() == twin.inbox() == ["to both"]
        assert len(alice.hosted.speaker.identity.devices) == 2
        assert twin.hosted.speaker.identity == alice.hosted.speaker.identity
        assert trust(twin, bob) is Trust.ACCEPTED
        for node in world.nodes:
            node.crash()
        if not died:
            return


def test_what_is_read_on_one_device_is_read_on_the_other(world):
    """B8, B9: the peer hears it once, whoever read it, and what comes later is read at once."""
    alice, bob = world.friends("alice", "bob")
    old = bob.sends(alice, "read before there was another")
    world.settle()
    alice.reads()
    twin = links(world, alice)
    world.settle()
    assert (bob.state(old), twin.inbox()) == ("read", [])
    new, more = bob.sends(alice, "one"), bob.sends(alice, "two")
    world.settle()
    assert alice.inbox() == twin.inbox() == ["one", "two"]
    twin.acks(twin.page(limit=1)["cursor"])
    world.run(5)
    assert alice.inbox() == ["two"]
    assert [bob.state(new), bob.state(more)] == ["read", "delivered"]
    world.part(alice, bob)
    world.part(alice, twin)
    world.run(30)
    late = bob.sends(alice, "three")
    world.run(5)
    assert twin.reads() == ["two", "three"]
    world.run(5)
    assert bob.state(late) == "read"
    world.join(alice, bob)
    world.join(alice, twin)
    world.run(40)
    assert alice.inbox() == []
    alice.sends(bob, "all read")
    world.settle()
    assert alice.heard(bob) == twin.heard(bob)


def test_devices_are_linked_and_kept_whole_over_a_bridge_alone(world):
    """G1, B9: no packet ever passes between the two, nor between them and the contact."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "before")
    world.settle()
    fresh = world.node()
    world.bridge(*world.nodes)
    world.settle()
    for one, other in itertools.combinations(world.nodes, 2):
        world.net.part(one.address, other.address)
    world.run(30)
    attempt = tries(fresh, shows(alice, link=True)["code"])
    world.run(8)
    ends(fresh, attempt)
    twin = at(world, fresh, alice, "alice")
    world.run(90)
    assert texts(twin, bob) == ["before"]
    bob.sends(alice, "to both")
    world.run(90)
    assert alice.inbox() == twin.inbox() == ["to both"]
    alice.sends(bob, "and I answer")
    world.run(90)
    assert texts(twin, bob) == ["before", "to both", "and I answer"]


def test_a_thief_of_the_root_key_gets_nothing_from_the_machine_that_has_it(world):
    """E2: the owner's machine knows what it added itself, and says that somebody else did."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "between us")
    world.settle()
    twin = links(world, alice)
    world.run(10)
    first, root = identity_of(alice), SigningKey.from_seed(secrets_of(alice).root)
    entry = identities.add_device(first, root, SigningKey.from_seed(b"m" * 32), "thief")
    thief = installed(world, "alice", alice, b"m" * 32, identities.replay([*first.entries, entry]))
    thief.befriends(bob)
    world.part(thief, bob)
    world.part(thief, twin)
    world.run(60)
    assert texts(thief, bob) == []
    assert identity_of(alice) == first
    assert "bad_identity" in {event.kind for event in contacts.events(alice.core.db, 100)}
