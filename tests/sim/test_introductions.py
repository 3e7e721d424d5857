"""Introductions: a contact tells of somebody, and how far that is believed."""

from __future__ import annotations

import dataclasses

import pytest

from p2p_agents.conversation.record import CARD
from p2p_agents.core.api import allowlist, commands, introduction
from p2p_agents.core.api import trust as trusting
from p2p_agents.core.contact import consent
from p2p_agents.core.turn.schedule import DAY_MS
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import BadParams, NotAContact, PeerAmbiguous, PeerBlocked, RequestUnknown
from p2p_agents.limits import INTRODUCTIONS_PENDING, INTRODUCTIONS_PER_DAY, REQUEST_DAYS
from p2p_agents.store import agents, contacts, introductions
from p2p_agents.store.contacts import Trust
from p2p_agents.store.introductions import Introduction
from p2p_agents.wire.card import Card, Place, encode_card
from p2p_agents.wire.cbor import encode
from tests.sim.hostile import Forger
from tests.sim.test_time import days_pass

BIDI = "\u202etxt.bob"


def circle(world, *names, hidden=()):
    """Carol and others who are her contacts, have talked to her, and do not know each other."""
    carol = world.agent("carol")
    others = [world.agent(name, hidden=name in hidden) for name in names]
    for one in others:
        one.befriends(carol)
        carol.befriends(one)
    world.settle()
    for one in others:
        one.sends(carol, f"{one.name} here")
        carol.sends(one, "carol here")
    world.settle()
    for one in others:
        one.reads()
    return carol, *others


def introduces(carol, one, other):
    return carol.call(introduction.introduce, peer=one.name, other=other.name)["introductions"]


def waiting(agent):
    """(name, introducer as it is called here) of what is listed as introductions."""
    found = agent.call(commands.requests)["requests"]
    listed = [(item["name"], item["introducer"]) for item in found if item["introducer"]]
    return [(name, by["petname"] or by["name"]) for name, by in listed]


def accepts(agent, word):
    return agent.call(commands.accept, peer=word)["contact"]


def trust(agent, peer):
    found = contacts.contact(agent.core.db, agent.hosted.local.id, peer.id)
    return None if found is None else found.trust


def trusts(agent, peer, level):
    agent.node.run(
        lambda core: contacts.save_contact(
            core.db, agent.hosted.local.id, peer.id, name=peer.name, kind="other", trust=level, now_ms=1
        )
    )


def takes(agent, policy):
    return agent.call(introduction.policy, introductions=policy)["introductions"]


def card(about, **changes):
    """What an honest introducer would say."""
    identity = about.hosted.speaker.identity
    place = Place(about.core.node, (about.node.address,))
    return dataclasses.replace(Card(about.id, about.name, "other", identity.entries, (place,)), **changes)


def says(introducer, to, *cards):
    """The introducer sends these, whatever an honest node would."""
    forger = Forger(introducer, to)
    for each in cards:
        forger.sends(forger.writes(each if isinstance(each, bytes) else encode_card(each), CARD).item)


# --- between honest nodes ---


@pytest.mark.parametrize("hidden", [(), ("alice", "bob")])
def test_two_who_accepted_each_other_need_no_request(world, hidden):
    """B11, E4: also when no record and no roster names them: the card says where they live, HELLO that it is so."""
    carol, alice, bob = circle(world, "alice", "bob", hidden=hidden)
    sent = introduces(carol, alice, bob)
    assert [(each["to"]["name"], each["about"]["name"]) for each in sent] == [("alice", "bob"), ("bob", "alice")]
    world.settle()
    assert [carol.state(each["id"]) for each in sent] == ["delivered", "delivered"]
    assert waiting(alice) == [("bob", "carol")]
    assert waiting(bob) == [("alice", "carol")]
    assert accepts(alice, "bob")["trust"] == "accepted"
    assert accepts(bob, id_text(alice.id)[:8])["trust"] == "accepted"
    world.run(5)
    assert alice.links(bob)
    alice.sends(bob, "carol says hello")
    world.settle()
    assert bob.inbox() == ["carol says hello"]
    assert alice.requests() == bob.requests() == []


def test_a_card_is_no_message(world):
    """A2: nobody reads it as one, neither its sender nor its recipient."""
    carol, alice, bob = circle(world, "alice", "bob")
    (sent, _) = introduces(carol, alice, bob)
    world.settle()
    assert alice.inbox() == []
    for one, other in ((alice, carol), (carol, alice)):
        assert sorted(message["text"] for message in one.history(other)) == ["alice here", "carol here"]
    assert alice.page()["requests"] == 1
    assert carol.state(sent["id"]) == "delivered"


def test_the_introducer_is_called_as_the_reader_calls_it(world):
    """E5: by petname; the introduced one by the name it is said to have."""
    carol, alice, _ = circle(world, "alice", "bob")
    alice.call(commands.name_contact, peer="carol", petname="boss")
    carol.call(commands.name_contact, peer="bob", petname="that-bore")
    carol.call(introduction.introduce, peer="alice", other="that-bore")
    world.settle()
    assert waiting(alice) == [("bob", "boss")]


def test_only_one_side_accepted(world):
    """B11: the other one is asked, as by any stranger, and its answer counts."""
    carol, alice, bob = circle(world, "alice", "bob")
    introduces(carol, alice, bob)
    world.settle()
    accepts(alice, "bob")
    alice.sends(bob, "may I?")
    world.settle()
    assert bob.inbox() == []
    listed = bob.call(commands.requests)["requests"]
    assert [(item["text"], bool(item["introducer"])) for item in listed] == [("may I?", False), ("", True)]
    accepts(bob, "alice")
    world.settle()
    assert bob.inbox() == ["may I?"]
    assert bob.call(commands.requests)["requests"] == []


def test_a_node_that_restarts_still_knows_where_to_look(world):
    """E4"""
    carol, alice, bob = circle(world, "alice", "bob", hidden=("alice", "bob"))
    introduces(carol, alice, bob)
    world.settle()
    world.part(alice, bob)
    accepts(alice, "bob")
    accepts(bob, "alice")
    alice.sends(bob, "hello")
    world.run(5)
    alice.node.restart()
    bob.node.restart()
    world.run(5)
    world.join(alice, bob)
    world.run(40)
    assert bob.heard(alice) == ["hello"]
    assert introductions.leads(alice.core.db, bob.id) == []  # a HELLO proved the place


def test_agents_of_the_introducers_node_are_introduced_too(world):
    """A6: by one transaction, no socket."""
    carol, alice = circle(world, "alice")
    dave = world.agent("dave", carol.node)
    carol.call(introduction.introduce, peer="dave", other="alice", addresses=[carol.node.address])
    world.settle()
    assert waiting(dave) == [("alice", "carol")]
    assert waiting(alice) == [("dave", "carol")]
    accepts(alice, "dave")
    accepts(dave, "alice")
    alice.sends(dave, "hello")
    world.run(5)
    assert dave.inbox() == ["hello"]


# --- policies ---


@pytest.mark.parametrize(
    ("policy", "level", "listed", "after"),
    [
        ("ask", Trust.VERIFIED, 1, None),
        ("accept", Trust.ACCEPTED, 1, None),
        ("accept", Trust.PAIRED, 0, Trust.ACCEPTED),
        ("accept", Trust.VERIFIED, 0, Trust.ACCEPTED),
        ("ignore", Trust.VERIFIED, 0, None),
    ],
)
def test_what_becomes_of_an_introduction(world, policy, level, listed, after):
    """E4: never more than accepted, and at once only from those who are more than that."""
    carol, alice, bob = circle(world, "alice", "bob")
    assert takes(alice, policy) == policy
    trusts(alice, carol, level)
    introduces(carol, alice, bob)
    world.settle()
    assert len(waiting(alice)) == listed
    assert trust(alice, bob) is after


def test_the_policy_is_kept(world):
    """E4: over a restart; asking for it changes nothing."""
    (alice,) = world.friends("alice")
    assert takes(alice, None) == "ask"
    takes(alice, "accept")
    alice.node.restart()
    assert takes(alice, None) == "accept"
    assert alice.call(commands.whoami)["agent"]["introductions"] == "accept"


def test_who_is_allowed_is_accepted_whoever_introduces_it(world):
    """E4: also by a hidden agent, which knows the other's keys from then on."""
    carol, alice, bob = circle(world, "alice", "bob", hidden=("alice",))
    alice.call(allowlist.add, peer=id_text(bob.id))
    introduces(carol, alice, bob)
    world.settle()
    assert waiting(alice) == []
    assert trust(alice, bob) is Trust.ACCEPTED
    accepts(bob, "alice")
    bob.sends(alice, "hello")
    world.run(5)
    assert alice.inbox() == ["hello"]


def test_who_was_turned_away_is_not_let_in_by_somebody_else(world):
    """E4: a human's no is asked about again, at most."""
    carol, alice, bob = circle(world, "alice", "bob")
    takes(alice, "accept")
    trusts(alice, carol, Trust.PAIRED)
    bob.sends(alice, "hello")
    world.settle()
    alice.rejects(bob)
    introduces(carol, alice, bob)
    world.settle()
    assert waiting(alice) == [("bob", "carol")]


# --- deciding ---


def test_a_rejected_introduction_is_not_made_again(world):
    """E4: not by the same introducer; another may, and the introduced one may ask itself."""
    carol, alice, bob, dave = circle(world, "alice", "bob", "dave")
    alice.befriends(dave)
    dave.befriends(alice)
    dave.befriends(bob)
    bob.befriends(dave)
    world.settle()
    dave.sends(alice, "hi")
    dave.sends(bob, "hi")
    introduces(carol, alice, bob)
    world.settle()
    assert alice.call(commands.reject, peer="bob")["contact"]["trust"] == "unknown"
    assert trust(alice, bob) is None
    introduces(carol, alice, bob)
    world.settle()
    assert waiting(alice) == []
    introduces(dave, alice, bob)
    world.settle()
    assert waiting(alice) == [("bob", "dave")]
    bob.sends(alice, "may I?")
    world.settle()
    assert alice.requests() == ["may I?", ""]


def test_two_introducers_of_one_agent(world):
    """E4: one decision is for both."""
    carol, alice, bob, dave = circle(world, "alice", "bob", "dave")
    for one in (alice, bob):
        one.befriends(dave)
        dave.befriends(one)
    world.settle()
    dave.sends(alice, "hi")
    dave.sends(bob, "hi")
    world.settle()
    introduces(carol, alice, bob)
    introduces(dave, alice, bob)
    world.settle()
    assert sorted(waiting(alice)) == [("bob", "carol"), ("bob", "dave")]
    accepts(alice, "bob")
    assert waiting(alice) == []


def test_who_is_introduced_can_be_blocked_unseen(world):
    """E4"""
    carol, alice, bob = circle(world, "alice", "bob", hidden=("bob",))
    introduces(carol, alice, bob)
    world.settle()
    assert alice.call(commands.block, peer="bob")["contact"]["trust"] == "blocked"
    assert waiting(alice) == []
    with pytest.raises(RequestUnknown):
        alice.node.run(lambda core: consent.accept(core, alice.hosted, b"\x07" * 32))


def test_accepting_lowers_nobody(world):
    """E4: an accept of a paired contact that asked long ago leaves it paired."""
    carol, alice = circle(world, "alice")
    trusts(alice, carol, Trust.PAIRED)
    alice.accepts(carol)
    assert trust(alice, carol) is Trust.PAIRED


def test_an_introduction_nobody_answers_is_forgotten(world):
    """B11"""
    carol, alice, bob = circle(world, "alice", "bob")
    introduces(carol, alice, bob)
    world.settle()
    days_pass(world, REQUEST_DAYS + 1, *world.nodes)
    world.run(200)
    assert waiting(alice) == []


def test_a_watcher_is_told(world):
    """A7"""
    carol, alice, bob = circle(world, "alice", "bob")
    introduces(carol, alice, bob)
    world.settle()
    local = alice.hosted.local.id
    (event,) = alice.node.run(lambda core: commands.news(core, local, set(), {bob.id}))
    assert (event["type"], event["name"], event["introducer"]["name"]) == ("request", "bob", "carol")


# --- what is no introduction ---


def test_who_cannot_be_introduced(world):
    """E4: only contacts that are accepted here and have let us in."""
    carol, alice, bob = circle(world, "alice", "bob")
    eve = world.agent("eve")
    dave = world.agent("dave", carol.node)
    world.settle()
    with pytest.raises(BadParams):
        introduces(carol, alice, alice)
    with pytest.raises(NotAContact):
        introduces(carol, alice, eve)
    carol.sends(eve, "will you?")
    with pytest.raises(NotAContact):
        introduces(carol, eve, alice)
    carol.call(trusting.block, peer="bob")
    with pytest.raises(PeerBlocked):
        introduces(carol, alice, bob)
    world.agent("finn", carol.node)
    with pytest.raises(BadParams):
        carol.call(introduction.introduce, peer="dave", other="finn")
    assert carol.owes(alice) == 0
    assert waiting(alice) == waiting(dave) == []


# --- attacks ---


def test_introductions_that_say_nothing_new(world):
    """E4: of oneself, of the introducer, of a neighbour on one's node, of a contact."""
    carol, alice, bob = circle(world, "alice", "bob")
    dave = world.agent("dave", alice.node)
    alice.befriends(bob)
    trusts(alice, bob, Trust.VERIFIED)
    alice.call(commands.name_contact, peer="bob", petname="robert")
    says(carol, alice, card(alice), card(carol), card(dave), card(bob, name="mallory"))
    assert waiting(alice) == []
    found = contacts.contact(alice.core.db, alice.hosted.local.id, bob.id)
    assert (found.trust, found.petname, found.name) == (Trust.VERIFIED, "robert", "bob")


@pytest.mark.parametrize("policy", ["ask", "accept"])
def test_an_introduction_of_a_blocked_one(world, policy):
    """E4: is not even shown, whoever makes it."""
    carol, alice, bob = circle(world, "alice", "bob")
    takes(alice, policy)
    trusts(alice, carol, Trust.VERIFIED)
    alice.call(trusting.block, peer="bob")
    introduces(carol, alice, bob)
    world.settle()
    assert waiting(alice) == []
    assert trust(alice, bob) is Trust.BLOCKED


def test_who_was_blocked_after_it_was_introduced(world):
    """E4: stays blocked."""
    carol, alice, bob = circle(world, "alice", "bob")
    introduces(carol, alice, bob)
    world.settle()
    trusts(alice, bob, Trust.BLOCKED)
    with pytest.raises(PeerBlocked):
        accepts(alice, "bob")


def test_an_identity_log_of_another_id(world):
    """E1, E4: is kept as an entry and as nothing else; a human is told, and messages go on."""
    carol, alice, bob = circle(world, "alice", "bob")
    eve = world.agent("eve")
    says(carol, alice, card(bob, entries=card(eve).entries))
    assert waiting(alice) == []
    assert agents.load_identity(alice.core.db, bob.id) is None
    (event,) = alice.call(trusting.show, peer="carol")["events"]
    assert event["kind"] == "bad_card"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        encode([2, b"a" * 32, "x", "other", [], []]),
        encode([1, b"a" * 32, "x" * 33, "other", [], []]),
        encode([1, b"a" * 31, "x", "other", [], []]),
        encode([1, b"a" * 32, "x", "other", [b"not an entry"], []]),
        encode([1, b"a" * 32, "x", "other", [], [[b"n" * 32, [[b"\xe0\0\0\xfb", 5353]]]]]),
        encode([1, b"a" * 32, "x", "other", [], [[b"n" * 32, [[b"\x0a\0\0\x01", 0]]]]]),
        encode([1, b"a" * 32, "x", "other", [], [[b"n" * 32, [[b"\x0a\0\0\x01", 1]] * 5]]]),
        encode([1, b"a" * 32, "x", "other", [], [[b"n" * 32, [[b"\x0a\0\0\x01", 1]]]] * 5]),
    ],
    ids=["nothing", "no CBOR", "version", "name", "id", "log", "group", "port", "addresses", "nodes"],
)
def test_a_card_that_is_none(world, body):
    """B4: no poison: what comes after it arrives."""
    carol, alice = circle(world, "alice")
    forger = Forger(carol, alice)
    forger.sends(forger.writes(body, CARD).item)
    forger.sends(forger.writes("still here").item)
    assert waiting(alice) == []
    assert alice.inbox() == ["still here"]


def test_a_name_that_turns_the_line_round(world):
    """E5: is no name, from whomever it comes; without one, who is introduced is meant by its id."""
    carol, alice, bob = circle(world, "alice", "bob", hidden=("bob",))
    says(carol, alice, encode([1, bob.id, BIDI, "other", list(card(bob).entries), []]), card(bob, name=""))
    assert waiting(alice) == [("", "carol")]
    assert accepts(alice, id_text(bob.id))["name"] == ""


def test_a_name_takes_over_no_other(world):
    """E5: neither a petname nor a contact's name leads to who was introduced by it."""
    carol, alice, bob, eve = circle(world, "alice", "bob", "eve")
    alice.befriends(bob)
    alice.call(commands.name_contact, peer="bob", petname="robert")
    takes(alice, "accept")
    trusts(alice, carol, Trust.PAIRED)
    says(carol, alice, card(eve, name="robert"))
    assert trust(alice, eve) is Trust.ACCEPTED
    for word in ("robert", "bob"):
        assert alice.answer(word, "for my friend")["to"]["id"] == id_text(bob.id)


def test_two_of_one_name_are_told_apart(world):
    """E5: a request and an introduction of the same name: the id says which."""
    carol, alice, bob, eve = circle(world, "alice", "bob", "eve")
    bob.sends(alice, "it is me")
    world.settle()
    says(carol, alice, card(eve, name="bob"))
    with pytest.raises(PeerAmbiguous):
        accepts(alice, "bob")
    assert accepts(alice, id_text(bob.id)[:10])["id"] == id_text(bob.id)


def test_a_contact_that_introduces_ten_thousand(world):
    """E4: a few are kept a day, a human is told, and messages go on."""
    carol, alice = circle(world, "alice")
    forger = Forger(carol, alice)
    place = forger.place()
    for start in range(0, 10_000, 50):
        items = []
        for number in range(start, start + 50):
            said = encode_card(Card(number.to_bytes(32, "big"), f"x{number}", "other", (), ()))
            record = forger.writes(said, CARD, seq=place.seq, prev=place.prev, lamport=place.lamport)
            place = dataclasses.replace(place, seq=record.seq + 1, prev=record.hash, lamport=record.lamport + 1)
            items.append(record.item)
        forger.sends(*items)
    assert len(waiting(alice)) == INTRODUCTIONS_PER_DAY
    assert [event["kind"] for event in alice.call(trusting.show, peer="carol")["events"]] == ["many_introductions"]
    forger.sends(forger.writes("still here").item)
    assert alice.inbox() == ["still here"]
    alice.node.clock.wall_offset_ms += DAY_MS + 1
    forger.sends(forger.writes(encode_card(Card(b"z" * 32, "tomorrow", "other", (), ())), CARD).item)
    assert len(waiting(alice)) == INTRODUCTIONS_PER_DAY + 1


def test_many_introducers_together_are_bounded(world):
    """E4"""
    carol, alice, bob = circle(world, "alice", "bob")
    for number in range(INTRODUCTIONS_PENDING):
        made = Introduction(number.to_bytes(32, "big"), number.to_bytes(32, "big"), "x", "other", b"", 1)
        introductions.save(alice.core.db, alice.hosted.local.id, made)
    introduces(carol, alice, bob)
    world.settle()
    assert ("bob", "carol") not in waiting(alice)


def test_a_place_that_is_another_ones(world):
    """C2, E4: who is introduced at somebody else's node is not found there, and nothing is said to who is."""
    carol, alice, bob = circle(world, "alice", "bob", hidden=("bob",))
    eve = world.agent("eve")
    world.settle()
    lie = Place(eve.core.node, (eve.node.address,))
    says(carol, alice, card(bob, places=(lie,)))
    accepts(alice, "bob")
    hello = alice.sends(bob, "secret")
    world.run(5)
    assert alice.state(hello) == "asked"
    assert eve.call(commands.requests)["requests"] == []
    assert alice.links(bob) == []


def test_the_introducers_own_words_about_trust_are_not_asked_for(world):
    """E4: a card has no place for them."""
    carol, alice, bob = circle(world, "alice", "bob")
    fields = [1, bob.id, "bob", "other", list(card(bob).entries), []]
    says(carol, alice, encode([*fields, "verified"]), encode(fields))
    assert waiting(alice) == [("bob", "carol")]
    (event,) = alice.call(trusting.show, peer="carol")["events"]
    assert event["kind"] == "bad_card"
