"""The allowlist: who needs no request, and that naming such an id gives nobody anything."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import allowlist, commands
from p2p_agents.core.api import trust as trusting
from p2p_agents.core.links import opening
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.signing import SigningKey, unverified_payload
from p2p_agents.errors import AllowlistFull, NotListed, PeerUnknown
from p2p_agents.limits import ALLOWED_AGENTS
from p2p_agents.store import agents, allowed
from p2p_agents.wire.claims import OPEN_LABEL, decode_hello, encode_open
from p2p_agents.wire.frame import Hello, Node, Open, Refuse, Standing, encode_frame
from p2p_agents.wire.framing import frame_bytes
from tests.sim.wire import frames_in


def allows(agent, peer):
    return agent.call(allowlist.add, peer=id_text(peer.id))["listed"]


def listed(agent):
    return agent.call(allowlist.list_)["allowlist"]


def trust(agent, peer):
    return agent.call(trusting.show, peer=peer.name)["trust"]


@pytest.mark.parametrize("policy", ["ask", "closed"])
def test_who_is_allowed_needs_no_request(world, policy):
    """E4, B11: its first message is there at once, though neither side ever heard of the other."""
    bob = world.agent("bob", policy=policy)
    world.settle()
    alice = world.agent("alice")
    allows(bob, alice)
    world.settle()
    hello = alice.sends(bob, "hello")
    world.settle()
    assert bob.inbox() == ["hello"]
    assert bob.requests() == []
    assert alice.state(hello) == "delivered"
    assert trust(bob, alice) == "accepted"


@pytest.mark.parametrize("policy", ["ask", "closed"])
def test_others_are_treated_as_ever(world, policy):
    """E4"""
    bob, alice, eve = (world.agent(name, policy=policy) for name in ("bob", "alice", "eve"))
    allows(bob, alice)
    world.settle()
    hello = eve.sends(bob, "hello")
    world.settle()
    assert bob.inbox() == []
    assert eve.state(hello) == ("asked" if policy == "ask" else "failed")


def test_a_pending_request_is_let_in_by_the_list(world):
    """E4, B11: the link stands already, and the peer is told."""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.settle()
    alice.sends(bob, "may I?")
    world.settle()
    assert bob.requests() == ["may I?"]
    assert allows(bob, alice)["trust"] == "accepted"
    world.settle()
    assert bob.requests() == []
    assert bob.inbox() == ["may I?"]


def test_blocked_counts_for_more(world):
    """E4: whichever was said first."""
    alice, bob = world.friends("alice", "bob")
    bob.blocks(alice)
    assert allows(bob, alice)["trust"] == "blocked"
    world.settle()
    hello = alice.sends(bob, "hello?")
    world.run(40)
    assert alice.state(hello) == "asked"
    assert bob.heard(alice) == []
    shown = bob.call(trusting.show, peer="alice")
    assert (shown["trust"], shown["allowed"]) == ("blocked", True)
    bob.call(trusting.unblock, peer="alice")
    world.run(40)
    assert bob.heard(alice) == ["hello?"]


def test_who_is_rejected_is_off_the_list(world):
    """E4: the later word counts."""
    alice, bob = world.agent("alice"), world.agent("bob")
    allows(bob, alice)
    world.settle()
    alice.sends(bob, "hello")
    world.settle()
    bob.rejects(alice)
    world.settle()
    again = alice.sends(bob, "again")
    world.settle()
    assert listed(bob) == []
    assert (bob.heard(alice), alice.state(again)) == (["hello"], "failed")


def test_who_was_rejected_may_be_allowed_later(world):
    """E4"""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.settle()
    alice.sends(bob, "hello")
    world.settle()
    bob.rejects(alice)
    world.settle()
    allows(bob, alice)
    world.settle()
    alice.sends(bob, "again")
    world.settle()
    assert bob.heard(alice) == ["again"]


def test_who_is_taken_off_and_was_never_met_is_a_stranger(world):
    """E4"""
    alice, bob = world.agent("alice"), world.agent("bob")
    allows(bob, alice)
    world.settle()
    assert bob.call(allowlist.remove, peer="alice")["listed"]["name"] == "alice"
    alice.sends(bob, "may I?")
    world.settle()
    assert bob.requests() == ["may I?"]
    with pytest.raises(NotListed):
        bob.call(allowlist.remove, peer="alice")


def test_who_was_accepted_stays_so_off_the_list(world):
    """E4"""
    alice, bob = world.agent("alice"), world.agent("bob")
    allows(bob, alice)
    world.settle()
    alice.sends(bob, "hello")
    world.settle()
    bob.call(allowlist.remove, peer="alice")
    alice.sends(bob, "again")
    world.settle()
    assert bob.inbox() == ["hello", "again"]


def test_the_list_says_who_stands_there(world):
    """E4: names where they are known, whole ids always; contacts say so too."""
    alice, bob = world.friends("alice", "bob")
    far = b"\x07" * 32
    bob.call(allowlist.add, peer="alice")
    bob.call(allowlist.add, peer=id_text(far).upper())
    shown = [(entry["id"], entry["name"], entry["trust"]) for entry in listed(bob)]
    assert sorted(shown) == sorted([(id_text(alice.id), "alice", "accepted"), (id_text(far), None, "unknown")])
    assert [contact["allowed"] for contact in bob.call(commands.contacts)["contacts"]] == [True]
    assert [contact["allowed"] for contact in alice.call(commands.contacts)["contacts"]] == [False]


def test_what_cannot_be_listed(world):
    """E4: oneself, somebody nobody knows, more than fit."""
    (bob,) = world.friends("bob")
    for word in (id_text(bob.id), "bob", "nobody", id_text(b"\x07" * 32)[:51]):
        with pytest.raises(PeerUnknown):
            bob.call(allowlist.add, peer=word)
    for number in range(ALLOWED_AGENTS):
        allowed.add(bob.core.db, bob.hosted.local.id, number.to_bytes(32, "big"), 1)
    bob.call(allowlist.add, peer=id_text(bytes(32)))  # who stands there already still may
    with pytest.raises(AllowlistFull):
        bob.call(allowlist.add, peer=id_text(b"\x07" * 32))


# --- hidden agents ---


def reaches(world, alice, secret):
    """The hidden agent's node knows alice's keys, and alice where it lives, but alice is no contact there."""
    identity = alice.hosted.speaker.identity
    secret.node.run(lambda core: agents.save_identity(core.db, identity))
    alice.befriends(secret)
    peering = next(p for p in alice.core.peerings.values() if p.node == secret.core.node)
    alice.node.run(lambda core: opening.open_met(core, peering, alice.hosted, secret.id))
    world.settle()


def test_a_hidden_agent_is_reached_by_whom_it_allows(world):
    """E4"""
    alice, secret = world.agent("alice"), world.agent("secret", hidden=True)
    world.settle()
    allows(secret, alice)
    reaches(world, alice, secret)
    alice.sends(secret, "psst")
    world.settle()
    assert secret.inbox() == ["psst"]


def test_a_hidden_agent_is_not_there_for_others(world):
    """E4: knowing its id, and where it lives, is not enough."""
    alice, secret = world.agent("alice"), world.agent("secret", hidden=True)
    world.settle()
    reaches(world, alice, secret)
    assert alice.links(secret) == []


# --- attacks ---


def asks_as(world, named, victim):
    """What the victim answers to somebody who names an agent in OPEN and has another key."""
    mallory, key = world.node(), SigningKey.from_seed(b"m" * 32)
    heard = []
    take = mallory.lines.received
    mallory.lines.received = lambda end, data: heard.extend(frames_in(data)) or take(end, data)
    end = mallory.lines.endpoint.dial(victim.node.address, pin=None)
    world.run(0.1)
    peering = list(victim.core.peerings.values())[-1]
    end.send(frame_bytes(encode_frame(Node(mallory.certificate.public, 1, "x", bytes(32), ()))))
    server = victim.node.certificate.public
    said = encode_open(server, named, key.public, victim.id, bytes(32), peering.own_challenge, 2)
    asking = Open(2, named, key.public, victim.id, bytes(32), 0, key.sign(said, OPEN_LABEL))
    end.send(frame_bytes(encode_frame(asking)))
    world.run(0.1)
    (answer,) = [frame for frame in heard if isinstance(frame, Hello | Refuse)]
    return answer


@pytest.mark.parametrize("known", [False, True])
def test_naming_an_allowed_id_opens_nothing(world, known):
    """C2, E4: the answer is a stranger's, whether or not the id's keys are known here."""
    alice, bob = world.agent("alice"), world.agent("bob", policy="closed")
    allows(bob, alice)
    world.settle()
    if known:
        bob.node.run(lambda core: agents.save_identity(core.db, alice.hosted.speaker.identity))
    answer = asks_as(world, alice.id, bob)
    assert isinstance(answer, Hello)
    assert decode_hello(unverified_payload(answer.signed)).standing is Standing.CLOSED
    assert bob.call(commands.contacts)["contacts"] == []


def test_naming_an_allowed_id_finds_no_hidden_agent(world):
    """C2, E4"""
    alice, secret = world.agent("alice"), world.agent("secret", hidden=True)
    allows(secret, alice)
    world.settle()
    secret.node.run(lambda core: agents.save_identity(core.db, alice.hosted.speaker.identity))
    answer = asks_as(world, alice.id, secret)
    assert isinstance(answer, Refuse)
    assert answer.code == "no_such_agent"
