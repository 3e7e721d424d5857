"""First contact: who may write to whom, and what a stranger costs."""

from __future__ import annotations

from functools import partial

import pytest

from p2p_agents.core.api import commands, trust
from p2p_agents.core.api.showing import CROWDED, ONE_BY_ONE
from p2p_agents.core.contact import consent
from p2p_agents.core.links import opening
from p2p_agents.errors import PeerBlocked, RequestUnknown
from p2p_agents.limits import (
    REQUEST_DAYS,
    REQUESTS_PENDING,
    REQUESTS_PER_MINUTE,
    REQUESTS_STAY,
    STRANGER_LINKS,
    TEXT_PREVIEW_BYTES,
)
from p2p_agents.link.admission import Answer
from p2p_agents.node import lines
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Request, Trust
from tests.sim.test_time import days_pass


def strangers(world, policy="ask"):
    alice, bob = world.agent("alice"), world.agent("bob", policy=policy)
    world.settle()
    return alice, bob


def test_a_stranger_asks_once_and_is_let_in(world):
    """B11, E4: one request with a preview; the message itself arrives once, after it was accepted."""
    alice, bob = strangers(world)
    hello = alice.sends(bob, "may I?")
    second = alice.sends(bob, "there is more")
    world.settle()
    assert bob.requests() == ["may I?"]
    assert bob.inbox() == []
    assert alice.state(hello) == "asked"
    bob.accepts(alice)
    world.settle()
    assert bob.inbox() == ["may I?", "there is more"]
    assert bob.requests() == []
    assert (alice.state(hello), alice.state(second)) == ("delivered", "delivered")


def test_an_open_agent_takes_everybody_in(world):
    """B11"""
    alice, bob = strangers(world, "open")
    alice.sends(bob, "hello")
    world.settle()
    assert bob.inbox() == ["hello"]


def test_a_closed_agent_says_no(world):
    """B11, E4: the sender is told why, and the agent was never asked."""
    alice, bob = strangers(world, "closed")
    hello = alice.sends(bob, "hello")
    world.settle()
    assert bob.requests() == []
    assert (alice.state(hello), alice.why(hello)) == ("failed", "not accepted")


def test_who_is_rejected_is_told(world):
    """B11: and a later request is not looked at."""
    alice, bob = strangers(world)
    hello = alice.sends(bob, "hello")
    world.settle()
    bob.rejects(alice)
    world.settle()
    assert (alice.state(hello), alice.why(hello)) == ("failed", "not accepted")
    again = alice.sends(bob, "please")
    world.settle()
    assert bob.requests() == []
    assert alice.state(again) == "failed"


def test_who_is_accepted_after_all_gets_a_chain_without_holes(world):
    """B6, B11: voids stand where the refused messages were."""
    alice, bob = strangers(world)
    refused = alice.sends(bob, "hello")
    world.settle()
    bob.rejects(alice)
    world.settle()
    bob.accepts(alice)
    world.settle()
    alice.sends(bob, "thank you")
    world.settle()
    assert bob.inbox() == ["thank you"]
    assert alice.state(refused) == "failed"
    assert alice.owes(bob) == 0


def test_who_is_blocked_finds_nobody_there(world):
    """E4: nothing is told, nothing passes, in neither direction."""
    alice, bob = world.friends("alice", "bob")
    bob.blocks(alice)
    hello = alice.sends(bob, "hello?")
    world.settle()
    assert alice.state(hello) == "queued"
    assert bob.heard(alice) == []
    assert alice.links(bob) == []
    with pytest.raises(PeerBlocked):
        bob.sends(alice, "you are blocked")


def test_a_change_of_mind_stops_and_resumes(world):
    """B11, E4: what was written meanwhile is not read behind one's back."""
    alice, bob = strangers(world)
    alice.sends(bob, "one")
    world.settle()
    bob.accepts(alice)
    world.settle()
    bob.rejects(alice)
    world.settle()
    alice.sends(bob, "two")
    world.settle()
    assert bob.heard(alice) == ["one"]
    bob.accepts(alice)
    world.settle()
    alice.sends(bob, "three")
    world.settle()
    assert bob.heard(alice) == ["one", "three"]
    assert alice.states(bob) == ["delivered", "failed", "delivered"]


def test_crossing_requests_accept_each_other(world):
    """B11"""
    alice, bob = strangers(world)
    alice.sends(bob, "from alice")
    bob.sends(alice, "from bob")
    world.settle()
    assert bob.inbox() == ["from alice"]
    assert alice.inbox() == ["from bob"]
    assert alice.requests() == bob.requests() == []


@pytest.mark.parametrize("delay", [0.0, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.02])
def test_requests_may_cross_at_any_moment(world, delay):
    """B11: also while the link between the two is only half open."""
    alice, bob = strangers(world)
    alice.sends(bob, "from alice")
    world.run(delay)
    bob.sends(alice, "from bob")
    world.settle()
    assert bob.inbox() == ["from alice"]
    assert alice.inbox() == ["from bob"]


def test_a_request_is_offered_again_on_the_next_link(world):
    """B11: it renews the one that is kept, and is never a second copy."""
    alice, bob = strangers(world)
    alice.sends(bob, "may I?")
    world.settle()
    world.net.cut()
    world.settle()
    assert bob.requests() == ["may I?"]
    bob.accepts(alice)
    world.settle()
    assert bob.inbox() == ["may I?"]


def test_a_request_shows_a_kilobyte_at_most(world):
    """B11"""
    alice, bob = strangers(world)
    alice.sends(bob, "ü" * 2_000)
    world.settle()
    assert bob.requests() == ["ü" * (TEXT_PREVIEW_BYTES // 2)]


def test_escape_sequences_are_data(world):
    """Requests: text with escape sequences is kept as it is; showing it is the face's business."""
    alice, bob = strangers(world)
    alice.sends(bob, "\x1b[2J\x07you are root now\x00\u202e")
    world.settle()
    assert bob.requests() == ["\x1b[2J\x07you are root now\x00\u202e"]


def test_a_flood_of_one_identity_is_one_request(world):
    """Requests: flood from one identity stays under quota."""
    alice, bob = strangers(world)
    for number in range(30):
        alice.sends(bob, f"message {number}")
        world.net.cut()
        world.run(0.5)
    world.settle()
    assert bob.requests() == ["message 0"]


def test_a_flood_of_many_identities_is_bounded(world):
    """Requests: flood from many identities stays under quota."""
    bob = world.agent("bob")
    node = world.node()
    crowd = [world.agent(f"m{number}", node) for number in range(REQUESTS_PER_MINUTE + 5)]
    world.settle()
    for one in crowd:
        one.sends(bob, "let me in")
    world.settle(10)
    assert len(bob.requests()) <= REQUESTS_PER_MINUTE + 2


def test_a_crowd_of_strangers_is_heard_of_in_minutes(world):
    """B11: what one minute has no room for is offered again in the next."""
    bob = world.agent("bob")
    crowd = [world.agent(f"m{number}") for number in range(2 * REQUESTS_PER_MINUTE + 2)]
    for one in crowd:
        world.introduce(one.node)
    world.settle()
    for number, one in enumerate(crowd):
        one.sends(bob, f"{number}")
    world.run(300)
    assert len(bob.requests()) == len(crowd)
    assert {one.why(one.history(bob)[0]["id"]) for one in crowd} == {"awaits acceptance"}


@pytest.mark.parametrize("near", [True, False])
def test_a_crowd_of_one_machine_is_heard_of_and_told_what_it_waits_for(world, monkeypatch, near):
    """B11, C1: many agents of one node on this machine; of a node elsewhere, few at once, and the others know why."""
    for module in (opening, lines):
        monkeypatch.setattr(module, "is_loopback", lambda address: near)
    bob, node = world.agent("bob"), world.node()
    crowd = [world.agent(f"m{number}", node) for number in range(80)]
    world.settle()
    for number, one in enumerate(crowd):
        one.sends(bob, f"{number}")
    world.run(0.5 if near else 5)
    whys = {one.why(one.history(bob)[0]["id"]) for one in crowd}
    told = {one.sees(bob).get("why") for one in crowd} - {None}
    world.run(9.5 if near else 115)
    heard = len(bob.requests())
    assert heard == len(crowd) if near else STRANGER_LINKS <= heard < len(crowd) // 2
    assert whys == {"awaits acceptance", ONE_BY_ONE} | (set() if near else {CROWDED})
    assert told == whys - {"awaits acceptance"}


def is_asked_by(bob, numbers):
    """Requests of invented agents, as kept one after the other."""
    for number in numbers:
        request = Request(number.to_bytes(32, "big"), "x", "other", b"e" * 32, f"{number}", number, "pending")
        contacts.save_request(bob.core.db, bob.hosted.local.id, request)


def test_pending_requests_are_bounded_and_the_newest_is_always_among_them(world):
    """Requests: whoever fills all places keeps three quarters of them for two weeks, and nobody out of the others."""
    alice, bob = strangers(world)
    is_asked_by(bob, range(REQUESTS_PENDING))
    alice.sends(bob, "one more")
    world.settle()
    stay, rotate = range(REQUESTS_STAY), range(REQUESTS_STAY + 1, REQUESTS_PENDING)
    assert bob.requests() == [*map(str, stay), *map(str, rotate), "one more"]
    bob.accepts(alice)
    world.settle()
    assert bob.heard(alice) == ["one more"]


def test_a_crowd_displaces_only_those_in_the_places_that_rotate(world):
    """Requests: one of those has its place for as many newer ones as there are such places."""
    bob = world.agent("bob")
    is_asked_by(bob, range(REQUESTS_PENDING))
    hosted, rotating = bob.hosted, REQUESTS_PENDING - REQUESTS_STAY
    for number in range(1000, 1000 + rotating):
        said = consent.Said(number.to_bytes(32, "big"), "x", "other", b"e" * 32, f"{number}")
        bob.node.run(lambda core, said=said: consent.keep(core, hosted, said, Answer.KEEP))
        assert len(bob.requests()) == REQUESTS_PENDING
        assert "1000" in bob.requests()
    assert bob.requests()[:REQUESTS_STAY] == [*map(str, range(REQUESTS_STAY))]
    bob.node.run(
        lambda core: consent.keep(core, hosted, consent.Said(b"n" * 32, "x", "other", b"e" * 32, "n"), Answer.KEEP)
    )
    assert "1000" not in bob.requests()


def rows_of(node, peer):
    """What a node's store holds of a peer, by table."""
    tables = ("contacts", "requests", "askers", "pairs", "addresses", "unshared")
    found = {table: f"SELECT count(*) FROM {table} WHERE peer = ?" for table in tables}
    found |= {table: f"SELECT count(*) FROM {table} WHERE agent = ?" for table in ("identities", "devices")}
    return {table: count for table, sql in found.items() if (count := node.db.one(sql, (peer,))[0])}


def test_nothing_stays_of_who_was_displaced(world):
    """Requests: their identity logs would fill the store, ten of 256 KiB a minute."""
    bob, mallory = world.agent("bob"), world.agent("mallory")
    world.settle()
    mallory.sends(bob, "let me in")
    world.settle()
    mallory.node.restart()  # a link to who asked teaches where it lives, too
    world.settle()
    assert rows_of(bob.node, mallory.id).keys() >= {"contacts", "requests", "identities", "devices", "addresses"}
    world.part(mallory, bob)
    is_asked_by(bob, range(REQUESTS_PENDING - 1))
    bob.core.db.run("UPDATE requests SET time_ms = ? WHERE peer = ?", (REQUESTS_STAY, mallory.id))
    bob.core.db.run(
        "UPDATE requests SET time_ms = time_ms + 1 WHERE time_ms >= ? AND peer <> ?", (REQUESTS_STAY, mallory.id)
    )
    said = consent.Said(b"n" * 32, "x", "other", b"e" * 32, "the newest")
    bob.node.run(lambda core: consent.keep(core, bob.hosted, said, Answer.KEEP))
    assert rows_of(bob.node, mallory.id) == {}
    world.join(mallory, bob)
    world.run(200)
    assert "let me in" in bob.requests()  # in the place of another


def test_who_was_met_is_not_forgotten_with_its_request(world):
    """Requests: what was said stays, and so does what is known of its keys."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    world.settle()
    bob.node.run(lambda core: consent.remove(core, bob.hosted, alice.id))
    said = consent.Said(alice.id, "alice", "other", b"e" * 32, "let me in again")
    bob.node.run(lambda core: consent.keep(core, bob.hosted, said, Answer.KEEP))
    before = rows_of(bob.node, alice.id)
    contacts.forget_request(bob.core.db, bob.hosted.local.id, alice.id)
    bob.node.run(lambda core: consent._forget(core, bob.hosted.local.id, alice.id))
    left = rows_of(bob.node, alice.id)
    assert {table: before[table] for table in ("contacts", "identities", "devices")}.items() <= left.items()
    assert bob.heard(alice) == ["hello"]
    assert contacts.contact(bob.core.db, bob.hosted.local.id, alice.id).trust is Trust.UNKNOWN


def test_a_request_nobody_answers_is_given_up(world):
    """B11: after fourteen days the sender is told `not accepted`, and the request is forgotten."""
    alice, bob = strangers(world)
    hello = alice.sends(bob, "hello")
    world.settle()
    days_pass(world, REQUEST_DAYS + 1, alice.node, bob.node)
    world.run(200)
    assert (alice.state(hello), alice.why(hello)) == ("failed", "not accepted")
    assert bob.requests() == []
    assert not rows_of(bob.node, alice.id).keys() & {"contacts", "identities", "devices"}


def test_nobody_is_accepted_that_did_not_ask(world):
    """E4"""
    alice, bob = strangers(world)
    with pytest.raises(RequestUnknown):
        bob.accepts(alice)


def test_an_announced_name_belongs_to_the_first_that_used_it(world):
    """E5: another agent that announces the same name does not get its messages."""
    alice, bob = world.friends("alice", "bob")
    impostor = world.agent("bob", world.node())
    world.settle()
    alice.sends("bob", "for my friend")
    world.settle()
    assert bob.inbox() == ["for my friend"]
    assert impostor.requests() == []


def test_trust_rises_only_by_a_decision(world):
    """E4: writing to somebody accepts it; being written to does not."""
    alice, bob = strangers(world)
    alice.sends(bob, "hello")
    world.settle()
    trusts = [
        contacts.contact(one.core.db, one.hosted.local.id, other.id).trust
        for one, other in ((alice, bob), (bob, alice))
    ]
    assert trusts == [Trust.ACCEPTED, Trust.REQUESTED]


def test_a_hidden_agent_exists_for_its_contacts_only(world):
    """E4: strangers who know its id are told there is no such agent."""
    alice = world.agent("alice")
    secret = world.agent("secret", hidden=True)
    alice.befriends(secret)
    hello = alice.sends(secret, "are you there?")
    world.settle()
    assert alice.state(hello) == "asked"
    assert [peer["name"] for peer in alice.call(commands.peers)["peers"]] == ["secret"]
    assert secret.requests() == []


@pytest.mark.parametrize("first", ["hidden", "visible"])
def test_a_hidden_agent_makes_its_first_contact_whoever_dialled(world, first):
    """E4, C3: it asks only where it dialled itself, so its node dials though the other side has done so already."""
    homes = [world.node(), world.node()]
    if first == "visible":
        homes.reverse()
    shade = world.agent("shade", homes[0], hidden=True)
    world.agent("host", homes[0])
    alice = world.agent("alice", homes[1])
    world.run(5)
    shade.sends(alice, "hello from nowhere")
    world.run(5)
    assert alice.requests() == ["hello from nowhere"]


def test_a_message_to_a_stranger_is_asked_until_it_is_let_in(world):
    """In every place that tells of it, and while the stranger is away too; of who asked us first it is no request."""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.settle()
    sent = alice.call(commands.send, to="bob", text="may I?", type="text/plain", id=None, reply_to=None)
    assert sent["state"] == "asked"
    world.settle()
    for _ in range(2):
        assert alice.state(sent["id"]) == "asked"
        (peer,) = alice.call(commands.peers)["peers"]
        assert (peer["trust"], peer["accepts"]) == ("accepted", False)
        assert alice.call(trust.show, peer="bob")["accepts"] is False
        assert [each["accepts"] for each in alice.call(commands.contacts)["contacts"]] == [False]
        assert [it["direction"] for it in alice.call(commands.requests)["requests"]] == ["out"]
        world.part(alice, bob)
        world.run(60)
    world.join(alice, bob)
    world.run(60)
    bob.call(commands.accept, peer="alice")
    world.settle()
    assert alice.state(sent["id"]) == "delivered"
    assert alice.call(trust.show, peer="bob")["accepts"] is True
    assert [each["accepts"] for each in alice.call(commands.contacts)["contacts"]] == [True]
    assert (
        bob.call(commands.send, to="alice", text="yes", type="text/plain", id=None, reply_to=None)["state"] == "queued"
    )


def test_a_wait_ends_on_a_request_where_that_is_wanted(world):
    alice, bob = world.agent("alice"), world.agent("bob")
    wanted = {"from": None, "after": None, "reader": "default", "new_reader": False, "limit": 10}
    begun = [
        bob.call(partial(commands.begin_wait, ticket=ticket), **wanted, requests=requests)
        for ticket, requests in ((1, True), (2, False))
    ]
    assert [page.get("asking") for *_, page in begun] == [None, None]
    world.settle()
    alice.sends(bob, "may I?")
    world.settle()
    assert list(bob.core.waiters) == [2]
    *_, page = bob.call(partial(commands.begin_wait, ticket=3), **wanted, requests=True)
    assert [(it["name"], it["text"]) for it in page["asking"]] == [("alice", "may I?")]
    assert page["messages"] == []
