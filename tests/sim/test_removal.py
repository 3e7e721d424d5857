"""A removed contact is a stranger again; the conversation with it stays."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import commands, trust
from p2p_agents.errors import ContactFrozen, NotAContact, PeerBlocked
from p2p_agents.link.routing import Target
from p2p_agents.quic.address import format_address
from p2p_agents.store import allowed, contacts
from tests.sim.owners import knows
from tests.sim.test_bridge import apart
from tests.sim.test_linking import links


def removes(agent, peer, *, dry=False):
    return agent.call(trust.remove, peer=peer.name, dry=dry)


def listed(agent):
    return [contact["name"] for contact in agent.call(commands.contacts)["contacts"]]


def texts(agent, peer):
    return [message["text"] for message in agent.history(peer)]


def talkers(world):
    """Two that said something to each other."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello bob")
    bob.sends(alice, "hello alice")
    world.settle()
    return alice, bob


def test_a_removed_contact_is_a_stranger_that_asks_again(world):
    """B11, E4: its next message is a request, also after a restart; what was said before stays, and goes on."""
    alice, bob = talkers(world)
    removed = removes(alice, bob)
    assert (removed["contact"]["trust"], removed["failed"], listed(alice)) == ("unknown", 0, [])
    bob.sends(alice, "still there?")
    world.run(60)
    assert alice.requests() == ["still there?"]
    alice.node.restart()
    world.run(60)
    assert alice.requests() == ["still there?"]
    assert texts(alice, bob) == ["hello bob", "hello alice"]
    alice.accepts(bob)
    world.settle()
    assert texts(alice, bob) == ["hello bob", "hello alice", "still there?"]
    alice.sends(bob, "welcome back")
    world.settle()
    assert bob.heard(alice) == ["hello bob", "welcome back"]


def test_nothing_of_it_is_remembered_but_its_keys_and_what_was_said(world):
    """E4, E5: its name is free, no address, link or session is left, and an older identity log is still refused."""
    alice, bob = talkers(world)
    local = alice.hosted.local
    alice.call(commands.name_contact, peer="bob", petname="bobby")
    allowed.add(alice.core.db, local.id, bob.id, 1)
    world.part(alice, bob)
    removes(alice, bob)
    found = contacts.contact(alice.core.db, local.id, bob.id)
    assert (found.trust.name, found.petname, found.allowed) == ("UNKNOWN", None, False)
    assert contacts.pinned(alice.core.db, local.id, "bob") is None
    assert contacts.addresses(alice.core.db, bob.id) == []
    assert list(alice.core.paths_to(local.id, bob.id)) == []
    for table in ("sessions", "pairs", "own_queues", "routes"):
        assert alice.core.db.one(f"SELECT count(*) FROM {table} WHERE device = ?", (local.device,)) == (0,)
    assert knows(alice, bob) is not None
    alice.node.restart()
    world.run(5)
    assert alice.core.router.due(world.time.now + 1e6) == []
    assert texts(alice, bob) == ["hello bob", "hello alice"]


def test_what_it_was_owed_fails_and_says_why(world):
    """B6: nothing stays queued for ever; should it be accepted again, its chain has no hole."""
    alice, bob = talkers(world)
    world.part(alice, bob)
    world.run(20)
    late = alice.sends(bob, "are you coming?")
    assert removes(alice, bob, dry=True)["failed"] == 1
    assert (alice.state(late), listed(alice)) == ("queued", ["bob"])
    assert removes(alice, bob)["failed"] == 1
    assert (alice.state(late), alice.why(late)) == ("failed", "the contact was removed")
    alice.node.restart()
    world.join(alice, bob)
    world.settle()
    assert alice.owes(bob) == 1
    alice.sends(bob, "I am here again")
    world.settle()
    assert bob.heard(alice) == ["hello bob", "I am here again"]
    assert alice.state(late) == "failed"
    assert alice.owes(bob) == 0


def test_what_may_have_arrived_does_not_claim_that_it_did_not(world):
    """B6: sealed and sent, and no answer came: failed as unconfirmed, and delivered once the peer says so."""
    alice, bob = talkers(world)
    sent = alice.sends(bob, "take this")
    alice.node.flush()
    assert alice.core.db.one("SELECT count(*) FROM outbox WHERE sid IS NOT NULL AND state = 'queued'") == (1,)
    removes(alice, bob)
    assert (alice.state(sent), alice.why(sent)) == ("failed", "unconfirmed")
    alice.befriends(bob)
    world.run(60)
    assert bob.heard(alice) == ["hello bob", "take this"]
    assert alice.state(sent) == "delivered"


def test_another_agent_of_the_node_keeps_its_contact(world):
    """E4: removing is one agent's decision."""
    alice, bob = talkers(world)
    carol = world.agent("carol", alice.node)
    carol.befriends(bob)
    bob.befriends(carol)
    world.settle()
    carol.sends(bob, "hello from carol")
    world.settle()
    removes(alice, bob)
    assert (listed(alice), listed(carol)) == ([], ["bob"])
    assert contacts.addresses(alice.core.db, bob.id)
    carol.sends(bob, "and again")
    world.settle()
    assert bob.heard(carol) == ["hello from carol", "and again"]
    assert carol.links(bob)


def test_removing_unblocks_thaws_and_answers_nobody(world):
    """E2, E4: who is blocked or frozen stays so, who only asked is answered otherwise, and who lives here stays."""
    alice, bob = talkers(world)
    dave = world.agent("dave", alice.node)
    carol = world.agent("carol")
    world.settle()
    carol.sends(alice, "may I?")
    world.settle()
    for peer in (carol, dave):
        with pytest.raises(NotAContact):
            removes(alice, peer)
    assert alice.requests() == ["may I?"]
    contacts.freeze(alice.core.db, bob.id, "its log forked", final=True)
    with pytest.raises(ContactFrozen):
        removes(alice, bob)
    contacts.forget_pins(alice.core.db, bob.id)
    alice.blocks(bob)
    with pytest.raises(PeerBlocked):
        removes(alice, bob)
    assert set(listed(alice)) == {"bob", "carol"}
    assert contacts.contact(alice.core.db, alice.hosted.local.id, bob.id).trust.name == "BLOCKED"


def test_a_hidden_agent_is_hidden_from_whom_it_removed(world):
    """E4: no link shows it any more that the agent is there."""
    alice, bob = world.agent("alice", hidden=True), world.agent("bob")
    world.settle()
    for one, other in ((alice, bob), (bob, alice)):
        one.befriends(other)
    world.agent("dave", alice.node)
    alice.core.router.want(Target(bob.core.node), [format_address(bob.node.address)], world.time.now)
    world.run(60)
    assert alice.links(bob)
    removes(alice, bob)
    bob.sends(alice, "are you still there?")
    world.run(120)
    assert bob.core.peerings
    assert alice.requests() == []
    assert not bob.links(alice)


def test_all_devices_of_an_agent_remove_a_contact_together(world):
    """B9, E4: and each gives up what it owed."""
    alice, bob = talkers(world)
    twin = links(world, alice, name="desk")
    world.run(60)
    assert listed(twin) == ["bob"]
    world.part(twin, bob)
    world.part(alice, bob)
    world.run(20)
    late = twin.sends(bob, "from the other machine")
    removes(alice, bob)
    world.run(60)
    assert (listed(twin), twin.state(late), twin.why(late)) == ([], "failed", "the contact was removed")


def test_who_was_reached_over_a_bridge_alone_is_heard_no_more(world):
    """B7, E4: its queue goes, at the bridge too, so that nothing is `relayed` to nobody; it asks once the two meet."""
    alice, bob, bridge = apart(world)
    sent = alice.sends(bob, "over the bridge")
    world.settle()
    assert alice.state(sent) == "delivered"
    removes(alice, bob)
    assert bridge.address not in alice.node.reads.values()
    late = bob.sends(alice, "nobody reads this")
    world.run(120)
    assert (alice.requests(), alice.inbox(), bob.state(late)) == ([], [], "queued")
    world.join(alice, bob)
    world.run(120)
    assert alice.requests() == ["nobody reads this"]
    alice.accepts(bob)
    world.run(60)
    assert alice.heard(bob) == ["nobody reads this"]
    assert bob.state(late) == "delivered"
