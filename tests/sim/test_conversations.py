"""A conversation of three, of a kind that only these tests know: apart from its own rules, all works as between two."""

from __future__ import annotations

import pytest

from p2p_agents.conversation.conversation import Conversation
from p2p_agents.core.agents import remains
from p2p_agents.core.api import reading
from p2p_agents.core.delivery import failures, holdings, outbound
from p2p_agents.core.delivery.outbound import Words
from p2p_agents.core.identity import talks
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.store import conversations, entries, log, outbox
from p2p_agents.store.contacts import Trust
from tests.sim.owners import adds_device, installed
from tests.sim.test_time import days_pass


class Trio:
    """Three who know each other, and are in one conversation."""

    def __init__(self, *agents):
        self.agents = agents
        self.talk = Conversation(b"three" * 6 + b"!!", "test", frozenset(agent.id for agent in agents))
        for agent in agents:
            self.told(agent)

    def told(self, agent):
        agent.node.run(lambda core: conversations.keep(core.db, self.talk))

    def says(self, agent, text):
        words = Words(text.encode())
        return id_text(agent.node.run(lambda core: outbound.say(core, agent.hosted, self.talk, words)).hash)

    def lines(self, agent):
        return log.history(agent.core.db, agent.hosted.local.id, agent.core.hooks.shown(), self.talk.id, limit=100)[0]

    def heard(self, agent):
        """In the order of the log, without its own."""
        lines = sorted(self.lines(agent), key=lambda line: line.cursor)
        return [line.record.content.decode() for line in lines if line.incoming]

    def states(self, agent, message):
        """By name, and folded."""
        shown = agent.call(reading.show, id=message)
        return {each["name"]: each["state"] for each in shown["recipients"]}, shown["message"]["state"]


@pytest.fixture
def trio(world):
    return Trio(*world.friends("alice", "bob", "carol"))


def test_what_one_says_both_others_hear_once(world, trio):
    """B1, B9: and who wrote it stands there, whoever brought it."""
    alice = trio.agents[0]
    for number in range(3):
        for agent in trio.agents:
            trio.says(agent, f"{agent.name} {number}")
        world.settle()
    for agent in trio.agents:
        others = [other.name for other in trio.agents if other is not agent]
        assert sorted(trio.heard(agent)) == sorted(f"{name} {number}" for name in others for number in range(3))
        for name in others:
            assert [text for text in trio.heard(agent) if text.startswith(name)] == [f"{name} {n}" for n in range(3)]
    page = alice.page()["messages"]
    assert all(message["text"].startswith(message["from"]["name"]) for message in page)
    assert {message["conversation"] for message in page} == {id_text(trio.talk.id)}


def test_delivered_is_never_one_of_many(world, trio):
    """B9: the best over the devices of each, and the least over all of them."""
    alice, bob, carol = trio.agents
    world.part(alice, carol)
    world.part(bob, carol)
    sent = trio.says(alice, "to both")
    world.run(20)
    assert trio.states(alice, sent) == ({"bob": "delivered", "carol": "queued"}, "queued")
    bob.reads()
    world.run(5)
    assert trio.states(alice, sent) == ({"bob": "read", "carol": "queued"}, "queued")
    world.join(alice, carol)
    world.run(40)
    assert trio.states(alice, sent) == ({"bob": "read", "carol": "delivered"}, "delivered")
    carol.reads()
    world.run(5)
    assert trio.states(alice, sent) == ({"bob": "read", "carol": "read"}, "read")


def test_who_was_away_hears_it_from_a_third_who_holds_it(world, trio):
    """B1: by SYNC, whoever wrote it; and its author hears of that when they meet."""
    alice, bob, carol = trio.agents
    world.part(carol, alice)
    world.part(carol, bob)
    world.run(20)
    sent = [trio.says(alice, f"word {number}") for number in range(3)]
    world.run(10)
    world.join(carol, bob)
    world.run(40)
    assert trio.heard(carol) == ["word 0", "word 1", "word 2"]
    assert {line.record.author for line in trio.lines(carol)} == {alice.id}
    assert trio.states(alice, sent[0])[1] == "queued"
    world.join(carol, alice)
    world.run(40)
    assert [trio.states(alice, each)[1] for each in sent] == ["delivered"] * 3
    assert trio.heard(carol) == ["word 0", "word 1", "word 2"]


def test_nothing_is_lost_or_doubled_over_restarts(world, trio):
    """A6, B1"""
    said = {agent.name: [] for agent in trio.agents}
    for number in range(6):
        for agent in trio.agents:
            text = f"{agent.name} {number}"
            trio.says(agent, text)
            said[agent.name].append(text)
        trio.agents[number % 3].node.restart()
        world.run(0.3)
    world.settle()
    world.run(60)
    for agent in trio.agents:
        for other in trio.agents:
            if other is not agent:
                assert [text for text in trio.heard(agent) if text.startswith(other.name)] == said[other.name]
        assert not agent.core.db.one("SELECT 1 FROM outbox WHERE owed = 1")


def test_a_store_that_went_back_is_given_back_what_it_had(world, trio):
    """A3, B1: its own words too, which count as delivered to all who hold them."""
    alice, bob, carol = trio.agents
    copy = alice.node.snapshot()
    mine = trio.says(alice, "mine")
    trio.says(bob, "his")
    world.settle()
    world.part(alice, carol)
    alice.node.restore(copy)
    world.run(60)
    assert sorted(line.record.content for line in trio.lines(alice)) == [b"his", b"mine"]
    assert trio.states(alice, mine) == ({"bob": "delivered", "carol": "queued"}, "queued")
    world.join(alice, carol)
    world.run(60)
    assert trio.states(alice, mine)[1] == "delivered"
    assert trio.heard(carol).count("mine") == 1


def test_two_of_one_node_both_have_it(world):
    """A4: entries are kept once per node, and each agent of it has its own log."""
    alice, bob = world.friends("alice", "bob")
    carol = world.agent("carol", bob.node)
    carol.befriends(alice)
    alice.befriends(carol)
    world.settle()
    trio = Trio(alice, bob, carol)
    mine = trio.says(alice, "to a node of two")
    his = trio.says(bob, "beside me, and away")
    world.settle()
    assert trio.heard(bob) == ["to a node of two"]
    assert sorted(trio.heard(carol)) == ["beside me, and away", "to a node of two"]
    assert trio.heard(alice) == ["beside me, and away"]
    assert trio.states(alice, mine) == ({"bob": "delivered", "carol": "delivered"}, "delivered")
    assert trio.states(bob, his) == ({"alice": "delivered", "carol": "delivered"}, "delivered")


def test_what_waits_for_one_alone_is_not_voided(world, trio):
    """B6: others hold it, so that a void would say of it what is not so."""
    alice, bob, carol = trio.agents
    world.part(alice, carol)
    world.part(bob, carol)
    world.run(20)
    sent = trio.says(alice, "patience")
    world.run(10)
    days_pass(world, 16, alice.node, bob.node, carol.node)
    world.run(120)
    assert trio.states(alice, sent)[0] == {"bob": "delivered", "carol": "failed"}
    assert alice.core.db.one("SELECT count(*) FROM voids") == (0,)
    world.join(alice, carol)
    world.run(60)
    assert trio.heard(carol) == ["patience"]
    assert trio.states(alice, sent)[1] == "delivered"


def test_what_nobody_can_hold_is_voided_for_all(world, trio):
    """B6"""
    alice, bob, carol = trio.agents
    for other in (bob, carol):
        world.part(alice, other)
    world.run(20)
    sent = trio.says(alice, "too late")
    days_pass(world, 16, alice.node, bob.node, carol.node)
    world.run(120)
    assert trio.states(alice, sent) == ({"bob": "failed", "carol": "failed"}, "failed")
    assert alice.core.db.one("SELECT count(*) FROM voids") == (1,)
    for other in (bob, carol):
        world.join(alice, other)
    world.run(60)
    trio.says(alice, "after it")
    world.settle()
    assert trio.heard(bob) == trio.heard(carol) == ["after it"]


def test_the_other_device_of_a_member_has_it_too(world):
    """B9"""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    trio = Trio(alice, bob, carol)
    twin = installed(world, "alice", alice, adds_device(alice, "laptop"), root=False)
    for friend in (bob, carol):
        twin.befriends(friend)
    trio.told(twin)
    world.run(20)
    world.settle()
    hers = trio.says(twin, "from the laptop")
    trio.says(bob, "to all")
    world.settle()
    assert trio.heard(alice) == trio.heard(twin) == ["to all"]
    assert [line.record.content for line in trio.lines(alice) if not line.incoming] == [b"from the laptop"]
    assert sorted(trio.heard(carol)) == ["from the laptop", "to all"]
    assert trio.states(twin, hers)[1] == trio.states(alice, hers)[1] == "delivered"


def test_who_is_not_in_it_can_write_nothing_there(world, trio):
    """A4, B4: nor be given anything of it."""
    alice, bob, carol = trio.agents
    dave = world.agent("dave")
    for agent in (alice, bob):
        agent.befriends(dave)
        dave.befriends(agent)
    world.settle()
    trio.told(dave)
    dave.node.run(
        lambda core: conversations.keep(core.db, Conversation(trio.talk.id, "test", trio.talk.members | {dave.id}))
    )
    trio.says(dave, "let me in")
    trio.says(alice, "among us")
    world.settle()
    assert trio.heard(bob) == trio.heard(carol) == ["among us"]
    assert trio.heard(alice) == []
    assert trio.heard(dave) == []
    failed = outbox.deliveries(dave.core.db, dave.hosted.local.id, trio.lines(dave)[0].entry)
    assert {d.why for d in failed if d.peer in (alice.id, bob.id)} == {"refused: wrong_conversation"}


def test_one_that_ended_is_over_for_all_of_a_node(world, trio):
    """A5: what comes later is refused, frames under way settle, and other conversations go on."""
    alice, bob, carol = trio.agents
    trio.says(alice, "soon over")
    world.settle()
    trio.says(bob, "under way")
    trio.says(alice, "crossing")
    alice.node.run(lambda core: remains.end(core, trio.talk.id, "expired"))
    assert alice.inbox() == []
    world.settle()
    alice.node.restart()
    world.run(20)
    later = trio.says(bob, "too late")
    alice.sends(bob, "between us")
    world.settle()
    assert trio.lines(alice) == []
    assert alice.core.db.one("SELECT count(*) FROM entries WHERE conversation = ?", (trio.talk.id,)) == (0,)
    assert trio.states(bob, later)[0] == {"alice": "failed", "carol": "delivered"}
    assert bob.heard(alice) == ["between us"]
    assert trio.heard(carol)[0] == "soon over"
    assert trio.heard(carol)[-1] == "too late"


def test_a_direct_conversation_is_of_those_its_id_says(world, trio):
    """A4: whatever a damaged store or a forged copy says of it."""
    alice, bob, carol = trio.agents
    alice.sends(bob, "for bob")
    world.settle()
    forged = Conversation(alice.conversation(bob), "direct", frozenset((alice.id, bob.id, carol.id)))
    for node in (alice.node, carol.node):
        node.run(lambda core: conversations.keep(core.db, forged))
    world.join(alice, carol)
    carol.node.run(lambda core: outbound.say(core, carol.hosted, forged, Words(b"let me in")))
    world.settle()
    assert [m["text"] for m in alice.history(bob)] == ["for bob"]
    assert forged not in talks.shared(alice.core, alice.hosted, carol.id)


def test_what_is_voided_for_one_is_voided_for_all(world, trio):
    """B6: else one member would hold what another one was told is void."""
    alice, bob, carol = trio.agents
    for other in (bob, carol):
        world.part(alice, other)
    world.run(20)
    sent = trio.says(alice, "given up")
    (entry,) = {line.entry for line in trio.lines(alice)}
    row = outbox.find(alice.core.db, entry, bob.id, bob.device)
    alice.node.run(lambda core: failures.void(core, alice.hosted.local.id, row.id, entry, "expired"))
    assert trio.states(alice, sent)[0] == {"bob": "failed", "carol": "failed"}
    for other in (bob, carol):
        world.join(alice, other)
    world.run(60)
    trio.says(alice, "after it")
    world.settle()
    assert trio.heard(bob) == trio.heard(carol) == ["after it"]


def test_who_links_late_lacks_nothing_that_came_to_its_neighbour(world):
    """A4: a view says what the node holds, so it holds nothing that is not in the log of each member there."""
    alice, bob = world.friends("alice", "bob")
    carol = world.agent("carol", bob.node)
    trio = Trio(alice, bob, carol)
    sent = trio.says(alice, "before we met")
    world.settle()
    assert trio.heard(bob) == ["before we met"]
    carol.befriends(alice)
    alice.befriends(carol)
    world.settle()
    world.run(60)
    assert trio.heard(carol) == ["before we met"]
    assert trio.states(alice, sent)[1] == "delivered"


def test_a_member_is_told_what_was_read_of_its_own_words(world, trio):
    """B8: and of nobody else's."""
    alice, bob, carol = trio.agents
    trio.says(alice, "hers")
    trio.says(carol, "another's")
    world.settle()
    bob.reads()
    (link,) = bob.links(alice)
    held = holdings.say(bob.core, link, trio.talk)
    assert {mark.device for mark in held.reads} == {alice.device}
    assert held.tips.keys() == {alice.device, carol.device}


def test_a_member_cannot_bring_in_what_a_stranger_wrote(world, trio):
    """A4, B4: the author is a member too, or it is none of the conversation."""
    alice, _, carol = trio.agents
    dave = world.agent("dave")
    for agent in (alice, carol):
        agent.befriends(dave)
        dave.befriends(agent)
    trio.told(dave)
    world.settle()
    trio.says(dave, "by the back door")
    (line,) = trio.lines(dave)

    def smuggled(core):
        entry = entries.append(core.db, line.record)
        log.add(core.db, carol.hosted.local.id, entry, trio.talk.id, incoming=True, trust=Trust.ACCEPTED)
        return outbox.owe(core.db, carol.hosted.local.id, entry, alice.id, alice.device, core.now_ms())

    row = carol.node.run(smuggled)
    trio.says(carol, "and mine")
    world.settle()
    assert trio.heard(alice) == ["and mine"]
    assert outbox.delivery(carol.core.db, row).why == "refused: wrong_author"
