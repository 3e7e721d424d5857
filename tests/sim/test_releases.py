"""Nodes of different releases: additions by a later one are understood, a different version is reported as such, and
nobody in between can remove anything."""

from __future__ import annotations

import dataclasses

import pytest

from p2p_agents.core.kernel.effects import Post
from p2p_agents.core.links.releases import APART
from p2p_agents.core.relay import ways
from p2p_agents.crypto.signing import unverified_payload
from p2p_agents.limits import CONTROL_FRAMES_BURST, QUEUE_FRAMES_BURST
from p2p_agents.store import contacts
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.claims import decode_hello, encode_hello
from p2p_agents.wire.extensions import NOTHING, Extensions
from p2p_agents.wire.frame import Hello, Node
from p2p_agents.wire.framing import Framer, frame_bytes
from tests.sim.wire import rewriting
from tests.sim.world import Agent, World, settled

UNKNOWN = [encode(fields) for fields in ([99], [99, 0], [100, 2, "text"], [2**53 - 1, {"a": [None]}, bytes(4_000)])]


class Later(Extensions):
    """What a later release announces, and says that nobody here has heard of."""

    __slots__ = ()

    def pack(self) -> dict[str, object]:
        return {"features": ["rooms", "threads"], "later": [1, {"deep": None}], "suites": [1, 2], "x-y": b"bytes"}


def of_a_later_release(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every map of its structures holds more, and frames of unknown types go ahead of all others, in queues too."""
    hosted = agent.hosted
    hosted.speaker = dataclasses.replace(hosted.speaker, extensions=Later())
    greeting = ways.greeting

    def says_more(core, link):
        if core is not agent.core:
            return greeting(core, link)
        for unknown in UNKNOWN:
            core.effect(Post(link.way.using, unknown, core.incarnation, core.pair_key(link), b"", 0))
        return dataclasses.replace(greeting(core, link), extensions=Later())

    monkeypatch.setattr(ways, "greeting", says_more)
    extend = rewriting(lambda frame: dataclasses.replace(frame, extensions=Later()) if type(frame) is Node else frame)

    def tamper(end, data):
        if end.host is not agent.node.lines.endpoint:
            return data
        return b"".join(frame_bytes(each) for each in UNKNOWN) + extend(end, data)

    agent.node.world.net.tamper = tamper


def talk(world: World, alice: Agent, bob: Agent) -> None:
    alice.sends(bob, "to you")
    bob.sends(alice, "and to you")
    world.settle()
    assert bob.heard(alice)[-1] == "to you"
    assert alice.heard(bob)[-1] == "and to you"
    assert settled(alice.states(bob) + bob.states(alice))


def test_a_later_release_that_says_more_is_understood(world, monkeypatch):
    """A2: unknown keys, unknown features, another suite beside ours, frames of unknown types: from the first byte on,
    after a restart, and over a bridge; what it announces is known, and it knows what is announced here."""
    alice, bob = world.agent("alice"), world.agent("bob")
    of_a_later_release(bob, monkeypatch)
    alice.befriends(bob)
    bob.befriends(alice)
    talk(world, alice, bob)
    assert {link.features for link in alice.links(bob)} == {("rooms", "threads")}
    assert {link.features for link in bob.links(alice)} == {()}
    alice.node.crash()
    alice.node.restart()
    world.settle()
    talk(world, alice, bob)
    world.bridge(alice.node, bob.node)
    world.settle()
    world.part(alice, bob)
    world.run(20)
    assert not alice.links(bob)
    talk(world, alice, bob)
    (way,) = alice.core.ways.values()
    assert way.features == ("rooms", "threads")


def signed_otherwise(**changes):
    """A tamper function of somebody in the middle who has no key: other claims under the old signature."""

    def change(frame):
        if type(frame) is not Hello:
            return frame
        claims = dataclasses.replace(decode_hello(unverified_payload(frame.signed)), **changes)
        protected, unprotected, _, signature = decode(frame.signed)
        forged = [protected, unprotected, encode_hello(claims), signature]
        return dataclasses.replace(frame, signed=encode(forged))

    return rewriting(change)


@pytest.mark.parametrize(
    "changes",
    [{"extensions": NOTHING}, {"extensions": Extensions((), (1,))}, {"name": "carol"}, {"kind": "human"}],
    ids=["all", "a suite", "the name", "the kind"],
)
def test_nobody_in_the_middle_makes_a_peer_say_less(world, monkeypatch, changes):
    """C2: downgrade: what a device announces, and what its agent goes by, is under HELLO's signature."""
    alice, bob = world.agent("alice"), world.agent("bob")
    of_a_later_release(bob, monkeypatch)
    world.net.tamper = signed_otherwise(**changes)
    alice.befriends(bob)
    bob.befriends(alice)
    alice.sends(bob, "to you")
    world.run(60)
    assert not alice.links(bob)
    assert not bob.links(alice)
    world.net.tamper = lambda _, data: data
    world.run(60)
    talk(world, alice, bob)


def older(agent: Agent):
    """A tamper function by which an agent's node speaks the version before this one: its NODE ended with the places."""

    def tamper(end, data):
        if end.host is not agent.node.lines.endpoint:
            return data
        frames = [decode(payload) for payload in Framer().feed(data)]
        return b"".join(frame_bytes(encode([0, 0, 1, *f[3:9]] if f[0] == 0 else f)) for f in frames)

    return tamper


@pytest.mark.parametrize("met", [True, False], ids=["that was met", "that was not"])
def test_a_peer_of_another_version_is_refused_and_both_sides_are_told(world, met):
    """H1: there is no negotiation; why nothing goes stands with the message, and with the doctor, until it does."""
    alice, bob = world.friends("alice", "bob") if met else (world.agent("alice"), world.agent("bob"))
    world.net.tamper = older(bob)
    if met:
        world.net.cut()
    else:
        alice.befriends(bob)
        bob.befriends(alice)
    waits, too = alice.sends(bob, "to you"), bob.sends(alice, "and to you")
    world.run(60)
    assert (alice.why(waits), bob.why(too)) == (APART, APART)
    for one in (alice, bob):
        assert [event.kind for event in contacts.events(one.core.db, 10)] == ["unknown_version"]
    world.net.tamper = lambda _, data: data
    world.run(60)
    assert settled(alice.states(bob) + bob.states(alice))
    assert not alice.core.apart | bob.core.apart


def test_nobody_is_told_by_a_stranger_that_a_contact_is_of_another_version(world):
    """A node that dialled proves nothing of who lives there."""
    alice, bob = world.friends("alice", "bob")
    mallory = world.node()
    end = mallory.lines.endpoint.dial(alice.node.address, pin=None)
    end.send(frame_bytes(encode([0, 0, 1, bob.node.certificate.public, 1, "0.1", bytes(32), [], []])))
    world.run(10)
    assert not alice.core.apart
    assert contacts.events(alice.core.db, 10) == []
    talk(world, alice, bob)


def test_frames_of_unknown_types_cost_what_others_cost(world):
    """A2, C1: they are skipped, not free: on a connection they draw on its allowance, in a queue on that of the way."""
    alice, bob = world.friends("alice", "bob")
    end = world.node().lines.endpoint.dial(alice.node.address, pin=None)
    world.run(1)
    for _ in range(CONTROL_FRAMES_BURST + 40):
        end.send(frame_bytes(UNKNOWN[0]))
    world.run(1)
    assert end.ended
    world.bridge(alice.node, bob.node)
    world.settle()
    world.part(alice, bob)
    world.run(60)
    (way,), (theirs,) = alice.core.ways.values(), bob.core.ways.values()
    key = bob.core.pair_key(theirs)
    flood = [Post(theirs.way.using, each, bob.core.incarnation, key, b"", 0) for each in UNKNOWN * QUEUE_FRAMES_BURST]
    bob.node.run(lambda core: [core.effect(post) for post in flood])
    world.run(1)
    assert not way.way.bucket.take(alice.core.now())
    world.run(120)
    talk(world, alice, bob)
