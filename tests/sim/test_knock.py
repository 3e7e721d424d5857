"""First contact between separate networks: an address that was passed on, and a request in a public queue."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from p2p_agents.core.api import addressing, allowlist, commands
from p2p_agents.core.contact.callers import knock_info
from p2p_agents.core.kernel.effects import Post
from p2p_agents.core.turn import relays
from p2p_agents.crypto.kem import seal
from p2p_agents.crypto.outer import open_blob, seal_blob
from p2p_agents.crypto.request_address import read
from p2p_agents.errors import AddressExpired, BadAddress, NoBridge, PeerBlocked, PeerUnknown, UnknownVersion
from p2p_agents.limits import KNOCKS_PER_MINUTE, REQUESTS_PER_MINUTE
from p2p_agents.link.admission import RequestDesk
from p2p_agents.store import contacts, doors, queues
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import decode_frame, encode_frame
from p2p_agents.wire.knock import KNOCK_LABEL, Knock, KnockClaims, decode_knock, encode_knock
from p2p_agents.wire.route import Route
from tests.sim.bridges import Bridge
from tests.sim.test_time import days_pass
from tests.sim.world import Agent, World


def address(agent: Agent) -> str:
    return str(agent.call(addressing.address, off=False)["address"])


def strangers(world: World, *, policy: str = "ask", hidden: bool = False) -> tuple[Agent, Agent, Bridge]:
    """Two agents that never met and never will on a network, with a bridge that only bob was told of."""
    here, there = world.node(), world.node()
    world.net.part(here.address, there.address)
    alice, bob = world.agent("alice", here), world.agent("bob", there, policy, hidden=hidden)
    bridge = world.bridge(bob.node)
    world.settle()
    return alice, bob, bridge


def adds(agent: Agent, text: str) -> dict[str, Any]:
    answer: dict[str, Any] = agent.call(addressing.add, address=text)
    return answer


def knocks(agent: Agent) -> list[Post]:
    return [effect for effect in agent.node.effects if isinstance(effect, Post) and effect.public]


def trust(agent: Agent, peer: Agent) -> Trust | None:
    found = contacts.contact(agent.core.db, agent.hosted.local.id, peer.id)
    return found.trust if found else None


# --- the way it is meant ---


def test_a_stranger_with_an_address_asks_and_is_let_in(world: World) -> None:
    """B11, E4: one request; then a conversation over the bridge, though no packet ever passed between the two."""
    alice, bob, _ = strangers(world)
    found = adds(alice, address(bob))
    assert [(peer["name"], peer["trust"]) for peer in found["agents"]] == [("bob", "unknown")]
    sent = alice.sends("bob", "hello over there")
    assert alice.state(sent) == "asked"
    world.settle()
    assert bob.requests() == ["hello over there"]
    assert bob.inbox() == []
    assert alice.state(sent) == "relayed"
    assert alice.why(sent) == "awaits acceptance"
    bob.call(commands.accept, peer="alice")
    world.settle()
    assert alice.state(sent) == "delivered"
    bob.sends("alice", "come in")
    world.settle()
    assert (bob.inbox(), alice.inbox()) == (["hello over there"], ["come in"])
    assert not alice.links(bob)


def test_an_address_is_as_good_as_a_name(world: World) -> None:
    """Sending to it is all there is to do."""
    alice, bob, _ = strangers(world, policy="open")
    sent = alice.sends(address(bob), "hello")
    alice.sends(address(bob).lower(), "again")
    world.settle()
    assert bob.inbox() == ["hello", "again"]
    assert alice.state(sent) == "delivered"


def test_a_stranger_with_a_bridge_of_its_own_is_answered_there(world: World) -> None:
    alice, bob, bridge = strangers(world)
    own = world.bridge(alice.node)
    world.settle()
    alice.sends(address(bob), "hello")
    world.settle()
    assert own.address not in bob.core.bridges, "nobody connects where a stranger says"
    bob.call(commands.accept, peer="alice")
    world.settle()
    assert bob.inbox() == ["hello"]
    assert {r.bridge for r in queues.routes(bob.core.db, bob.device, alice.device)} == {own.address}
    assert {r.bridge for r in queues.routes(alice.core.db, alice.device, bob.device)} == {bridge.address}


def test_one_may_ask_somebody_who_is_away(world: World) -> None:
    alice, bob, _ = strangers(world)
    text = address(bob)
    world.settle()
    bob.node.crash()
    sent = alice.sends(text, "are you there")
    world.settle()
    assert alice.state(sent) == "relayed"
    alice.node.crash()
    bob.node.restart()
    world.settle()
    assert bob.requests() == ["are you there"]
    bob.call(commands.accept, peer="alice")
    world.settle()
    alice.node.restart()
    world.settle()
    assert bob.inbox() == ["are you there"]


def test_requests_that_cross_accept_each_other(world: World) -> None:
    """B11"""
    alice, bob, _ = strangers(world)
    world.bridges[0].serve(alice.node)
    a, b = address(alice), address(bob)
    world.settle()
    alice.sends(b, "from alice")
    bob.sends(a, "from bob")
    world.settle()
    assert (alice.inbox(), bob.inbox()) == (["from bob"], ["from alice"])


def test_who_stands_on_the_allowlist_needs_no_decision(world: World) -> None:
    alice, bob, _ = strangers(world)
    whole = alice.call(commands.whoami)["agent"]["id"]
    bob.call(allowlist.add, peer=whole)
    alice.sends(address(bob), "hello")
    world.settle()
    assert bob.inbox() == ["hello"]
    assert bob.requests() == []


def test_allowing_who_asked_already_lets_it_in(world: World) -> None:
    alice, bob, _ = strangers(world)
    alice.sends(address(bob), "hello")
    world.settle()
    bob.call(allowlist.add, peer="alice")
    world.settle()
    assert bob.inbox() == ["hello"]


def test_a_hidden_agent_is_found_by_its_address_alone(world: World) -> None:
    alice, bob, _ = strangers(world, hidden=True)
    with pytest.raises(PeerUnknown):
        alice.sends("bob", "hello")
    alice.sends(address(bob), "hello")
    world.settle()
    assert bob.requests() == ["hello"]


def test_near_each_other_no_bridge_hears_of_it(world: World) -> None:
    """The LAN comes first."""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.bridge(bob.node)
    world.settle()
    alice.sends(address(bob), "hello")
    world.settle()
    assert bob.requests() == ["hello"]
    assert knocks(alice) == []


# --- being refused ---


def test_who_is_rejected_is_told_and_asks_no_more(world: World) -> None:
    alice, bob, _ = strangers(world)
    sent = alice.sends(address(bob), "hello")
    world.settle()
    bob.call(commands.reject, peer="alice")
    world.settle()
    assert alice.state(sent) == "failed"
    assert alice.why(sent) == "not accepted"
    asked = len(knocks(alice))
    world.run(5_000)
    assert len(knocks(alice)) == asked
    assert queues.own_for(alice.core.db, alice.device, bob.device) == [], "no bridge is needed for it any more"


def test_no_connection_is_made_to_reject_somebody(world: World) -> None:
    """Whoever names a bridge of its own learns no address by being turned away."""
    alice, bob, _ = strangers(world)
    own = world.bridge(alice.node)
    world.settle()
    alice.sends(address(bob), "hello")
    world.settle()
    bob.call(commands.reject, peer="alice")
    world.settle()
    assert own.address not in bob.core.bridges
    assert bob.node not in own.nodes


def test_who_is_blocked_is_told_nothing_and_reaches_nobody(world: World) -> None:
    alice, bob, _ = strangers(world)
    sent = alice.sends(address(bob), "hello")
    world.settle()
    bob.call(commands.block, peer="alice")
    for _ in range(8):
        days_pass(world, 0.25, alice.node, bob.node)
        world.run(5)
    assert alice.state(sent) == "relayed"
    assert len(knocks(alice)) > 1
    assert bob.requests() == []
    assert trust(bob, alice) is Trust.BLOCKED


def test_a_closed_agent_takes_none(world: World) -> None:
    alice, bob, _ = strangers(world, policy="closed")
    alice.sends(address(bob), "hello")
    world.settle()
    assert bob.requests() == []
    assert trust(bob, alice) is None


def test_fourteen_days_without_an_answer(world: World) -> None:
    """B11: and it was not offered more than some twenty times."""
    alice, bob, _ = strangers(world)
    sent = alice.sends(address(bob), "hello")
    world.settle()
    bob.node.crash()
    for _ in range(15 * 24):
        days_pass(world, 1 / 24, alice.node)
        world.run(5)
    world.run(90)
    assert alice.state(sent) == "failed"
    assert alice.why(sent) == "not accepted"
    assert 10 < len(knocks(alice)) < 20
    assert queues.own_for(alice.core.db, alice.device, bob.device), "bob may have taken it as late as that"
    for _ in range(15):
        days_pass(world, 1, alice.node)
        world.run(5)
    assert queues.own_for(alice.core.db, alice.device, bob.device) == []


def test_contacts_that_lost_each_other_meet_again_by_an_address(world: World) -> None:
    """They knew no bridge while they were together; nobody has to be accepted twice."""
    alice, bob = world.friends("alice", "bob")
    bob.sends(alice, "see you")
    world.settle()
    world.part(alice, bob)
    world.run(20)
    world.bridge(bob.node)
    world.settle()
    alice.call(addressing.add, address=address(bob))
    sent = alice.sends(bob, "where were we")
    world.settle()
    assert bob.requests() == []
    assert bob.inbox() == ["where were we"]
    assert alice.state(sent) == "delivered"


# --- addresses ---


def test_an_address_that_is_withdrawn_leads_nowhere(world: World) -> None:
    alice, bob, bridge = strangers(world)
    text = address(bob)
    world.settle()
    assert bob.call(addressing.address, off=True) == addressing.WITHDRAWN
    world.settle()
    assert bridge.queues == {}
    sent = alice.sends(text, "hello")
    world.settle()
    assert bob.requests() == []
    assert alice.state(sent) == "asked"
    assert "the queue there is gone" in str(alice.why(sent))
    again = address(bob)
    assert read(again, 0).at.queue != read(text, 0).at.queue, "the old one is never valid again"
    alice.call(addressing.add, address=again)
    world.settle()
    assert bob.requests() == ["hello"]


def test_an_address_lasts_as_long_as_its_key(world: World) -> None:
    alice, bob, _ = strangers(world)
    text = address(bob)
    assert address(bob) == text
    days_pass(world, 38, alice.node, bob.node)
    world.run(90)
    with pytest.raises(AddressExpired, match="expired"):
        adds(alice, text)
    adds(alice, address(bob))


def test_without_a_bridge_there_is_no_address(world: World) -> None:
    with pytest.raises(NoBridge):
        address(world.agent("alice"))


def test_ones_own_address_is_no_peers(world: World) -> None:
    _, bob, _ = strangers(world)
    with pytest.raises(PeerUnknown, match="the agent you act for"):
        adds(bob, address(bob))


def test_an_agent_of_the_same_node_needs_no_bridge(world: World) -> None:
    _, bob, _ = strangers(world)
    carol = world.agent("carol", node=bob.node)
    carol.sends(address(bob), "hello next door")
    assert bob.inbox() == ["hello next door"]


def test_an_address_changes_nothing_about_a_contact(world: World) -> None:
    alice, bob, _ = strangers(world)
    adds(alice, address(bob))
    alice.blocks(bob)
    adds(alice, address(bob))
    assert trust(alice, bob) is Trust.BLOCKED
    with pytest.raises(PeerBlocked):
        alice.sends(address(bob), "hello")


@pytest.mark.parametrize("place", [0, 9, 40, 200, -1])
def test_an_altered_address_is_refused(world: World, place: int) -> None:
    alice, bob, _ = strangers(world)
    text = address(bob)
    other = "A" if text[place] != "A" else "B"
    with pytest.raises((BadAddress, PeerUnknown, UnknownVersion)):
        adds(alice, text[:place] + other + (text[place:][1:]))


# --- attacks ---


class Knocker:
    """Whoever holds an address may put anything into the queue."""

    def __init__(self, bridge: Bridge, victim: Agent, text: str) -> None:
        self.bridge, self.victim = bridge, victim
        self.address = read(text, victim.core.now_ms())

    def puts(self, *frames: bytes) -> None:
        at = self.address.at
        blob = seal_blob(at.key, at.queue, 0, frames, bytes(24))
        self.bridge.cursor += 1
        cursor = self.bridge.cursor
        self.victim.node.run(lambda core: relays.came(core, self.bridge.address, at.queue, [(cursor, blob)]))

    def says(self, speaker: Agent, **changes: Any) -> None:
        """What the agent would say, but for the changes; signed by its device."""
        self.puts(encode_frame(Knock(self.seals(speaker, self.claims(speaker, **changes)))))

    def seals(self, agent: Agent, claims: KnockClaims, label: str = KNOCK_LABEL, info: bytes = b"") -> bytes:
        at = self.address
        signed = agent.hosted.speaker.key.sign(encode_knock(claims), label)
        return seal(at.bundle.prekey, signed, info or knock_info(at.at.queue, at.agent, at.device))

    def claims(self, speaker: Agent, **changes: Any) -> KnockClaims:
        me, now_ms = speaker.hosted.speaker, speaker.core.now_ms()
        text, log = f"from {speaker.name}", me.identity.entries
        said = KnockClaims(
            speaker.id,
            speaker.device,
            self.address.agent,
            bytes(32),
            text,
            now_ms,
            log,
            me.bundle,
            me.name,
            me.kind,
            (),
        )
        return replace(said, **changes)


@pytest.fixture
def scene(world: World) -> tuple[Agent, Agent, Knocker]:
    alice, bob, bridge = strangers(world)
    return alice, bob, Knocker(bridge, bob, address(bob))


def test_the_knocker_of_these_tests_is_heard(scene: tuple[Agent, Agent, Knocker]) -> None:
    alice, bob, knocker = scene
    knocker.says(alice)
    assert bob.requests() == ["from alice"]


Forgery = Callable[[World, Agent, Knocker], None]


def _of_another_agent(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(alice, agent=world.agent("carol").id)


def _with_anothers_log(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(alice, entries=world.agent("carol").hosted.speaker.identity.entries)


def _with_a_log_cut_short(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(alice, entries=alice.hosted.speaker.identity.entries[:1])


def _with_an_altered_log(world: World, alice: Agent, knocker: Knocker) -> None:
    first, second = alice.hosted.speaker.identity.entries
    knocker.says(alice, entries=(first, second[:-1] + bytes([second[-1] ^ 1])))


def _with_no_log(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(alice, entries=())


def _with_anothers_bundle(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(alice, bundle=world.agent("carol").hosted.speaker.bundle)


def _signed_by_another(world: World, alice: Agent, knocker: Knocker) -> None:
    carol = world.agent("carol")
    knocker.puts(encode_frame(Knock(knocker.seals(carol, knocker.claims(alice)))))


def _under_another_label(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.puts(encode_frame(Knock(knocker.seals(alice, knocker.claims(alice), label="p2pa/1 request"))))


def _to_another_agent(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(alice, peer=world.agent("carol").id)


def _for_another_queue(world: World, alice: Agent, knocker: Knocker) -> None:
    at = knocker.address
    info = knock_info(bytes(32), at.agent, at.device)
    knocker.puts(encode_frame(Knock(knocker.seals(alice, knocker.claims(alice), info=info))))


def _weeks_old(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(alice, stamp=alice.core.now_ms() - 15 * 86_400_000)


def _of_the_reader_itself(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.says(knocker.victim)


def _nothing_of_the_kind(world: World, alice: Agent, knocker: Knocker) -> None:
    knocker.puts(b"", b"\x80", b"\xff", encode_frame(Knock(b"")), encode_frame(Knock(bytes(2_000))))


FORGERIES: list[Forgery] = [
    _of_another_agent,
    _with_anothers_log,
    _with_a_log_cut_short,
    _with_an_altered_log,
    _with_no_log,
    _with_anothers_bundle,
    _signed_by_another,
    _under_another_label,
    _to_another_agent,
    _for_another_queue,
    _weeks_old,
    _of_the_reader_itself,
    _nothing_of_the_kind,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__.strip("_"))
def test_a_forged_request_leaves_nothing(world: World, scene: tuple[Agent, Agent, Knocker], forge: Forgery) -> None:
    """E1, G1: not a request, not a contact, not an identity; and the next one is heard."""
    alice, bob, knocker = scene
    before = bob.core.db.all("SELECT count(*) FROM identities")
    forge(world, alice, knocker)
    assert bob.requests() == []
    assert contacts.contacts(bob.core.db, bob.hosted.local.id) == []
    assert bob.core.db.all("SELECT count(*) FROM identities") == before
    knocker.says(alice)
    assert bob.requests() == ["from alice"]


@pytest.mark.parametrize("what", ["signed", "signature"])
def test_whatever_a_stranger_signs_raises_nothing(scene: tuple[Agent, Agent, Knocker], what: str) -> None:
    """Fuzz: bytes altered before they are signed, or after, and sealed as they ought to be."""
    alice, bob, knocker = scene
    dice, at = random.Random(7), knocker.address
    said, key = encode_knock(knocker.claims(alice)), alice.hosted.speaker.key
    for _ in range(300):
        whole = bytearray(said if what == "signed" else key.sign(said, KNOCK_LABEL))
        place = dice.randrange(min(len(whole), dice.choice([40, 400, len(whole)])))
        whole[place] ^= 1 << dice.randrange(8)
        signed = key.sign(bytes(whole), KNOCK_LABEL) if what == "signed" else bytes(whole)
        sealed = seal(at.bundle.prekey, signed, knock_info(at.at.queue, at.agent, at.device))
        bob.hosted.desk = RequestDesk()
        knocker.puts(encode_frame(Knock(sealed)))
    kept = contacts.contacts(bob.core.db, bob.hosted.local.id)
    assert {contact.peer for contact in kept} <= {alice.id}, "she may say what she likes, of herself"
    assert what == "signed" or not kept


def test_an_expired_key_of_the_stranger_is_none(world: World, scene: tuple[Agent, Agent, Knocker]) -> None:
    alice, bob, knocker = scene
    old = alice.hosted.speaker.bundle
    days_pass(world, 38, alice.node, bob.node)
    world.run(90)
    knocker.address = read(address(bob), bob.core.now_ms())
    knocker.says(alice, bundle=old)
    assert bob.requests() == []


def test_requests_out_of_another_queue_are_none(world: World) -> None:
    """A contact's own queue is no public one."""
    alice, bob = world.friends("alice", "bob")
    bridge = world.bridge(alice.node, bob.node)
    world.settle()
    knocker = Knocker(bridge, bob, address(bob))
    carol = world.agent("carol")
    world.part(carol, bob)
    frame = encode_frame(Knock(knocker.seals(carol, knocker.claims(carol))))
    route = queues.own_for(bob.core.db, bob.device, alice.device)[0]
    blob = seal_blob(route.key, route.queue, 0, [frame], bytes(24))
    bob.node.run(lambda core: relays.came(core, bridge.address, route.queue, [(10**9, blob)]))
    assert bob.requests() == []


def test_one_that_comes_twice_is_absorbed(scene: tuple[Agent, Agent, Knocker]) -> None:
    """B11: a bridge that doubles, or brings it again after it was dropped, asks for nothing new."""
    alice, bob, knocker = scene
    frame = encode_frame(Knock(knocker.seals(alice, knocker.claims(alice))))
    for _ in range(5):
        knocker.puts(frame)
    assert bob.requests() == ["from alice"]
    bob.call(commands.reject, peer="alice")
    knocker.puts(frame)
    assert bob.requests() == []


@pytest.mark.parametrize("when", ["doubles", "replays"])
def test_a_bridge_that_says_it_again_makes_no_second_conversation(world: World, when: str) -> None:
    """B11: never a second copy."""
    alice, bob, bridge = strangers(world)
    if when == "doubles":
        bridge.keeps = lambda queue, blob: [blob, blob]
    sent = alice.sends(address(bob), "once")
    world.settle()
    bob.call(commands.accept, peer="alice")
    world.settle()
    first = bridge.seen[0]
    at = read(address(bob), bob.core.now_ms()).at
    _, frames = open_blob(at.key, at.queue, first)
    assert isinstance(decode_frame(frames[0]), Knock)
    before = queues.routes(bob.core.db, bob.device, alice.device)
    bob.node.run(lambda core: relays.came(core, bridge.address, at.queue, [(10**9, first)]))
    world.settle()
    assert bob.inbox() == ["once"]
    assert bob.requests() == []
    assert alice.state(sent) == "delivered"
    assert queues.routes(bob.core.db, bob.device, alice.device) == before


def test_a_bridge_sees_nothing_of_the_stranger(world: World) -> None:
    """G1: nor can somebody with the address alone tell whom a request is of."""
    alice, bob, bridge = strangers(world)
    text = address(bob)
    alice.sends(text, "a quite unmistakable text")
    world.settle()
    at = read(text, 0).at
    inner = [open_blob(at.key, at.queue, blob)[1] for blob in bridge.seen]
    held = b"".join(bridge.seen) + b"".join(frame for frames in inner for frame in frames)
    for secret in (b"unmistakable", b"alice", alice.id, alice.device, bob.id, bob.device):
        assert secret not in held


def test_a_flood_of_many_identities_ends_at_the_bounds(world: World) -> None:
    """What is looked at is bounded before any key is used, and what is kept as on a link."""
    alice, bob, bridge = strangers(world)
    knocker = Knocker(bridge, bob, address(bob))
    crowd = [world.agent(f"m{n}", node=alice.node) for n in range(REQUESTS_PER_MINUTE + 5)]
    opened = 0
    unseal = bob.hosted.unseal

    def counted(sealed: bytes, info: bytes) -> bytes:
        nonlocal opened
        opened += 1
        return unseal(sealed, info)

    type(bob.hosted).unseal, kept = (lambda self, sealed, info: counted(sealed, info)), type(bob.hosted).unseal
    try:
        for each in range(20):
            for agent in crowd:
                knocker.says(agent, stamp=agent.core.now_ms() + each)
    finally:
        type(bob.hosted).unseal = kept
    assert opened == KNOCKS_PER_MINUTE
    assert len(bob.requests()) == REQUESTS_PER_MINUTE
    assert len(doors.doors(bob.core.db)) == 0
    world.run(60)
    knocker.says(alice)
    assert "from alice" in bob.requests(), "who asks later is heard"


def test_a_stranger_makes_nobody_dial(world: World, scene: tuple[Agent, Agent, Knocker]) -> None:
    """Whatever a request names, nothing leaves this node before somebody let its sender in."""
    alice, bob, knocker = scene
    knocker.says(alice, routes=(Route("bridge://evil.example:1#" + "a" * 52, bytes(32), bytes(32), bytes(32)),))
    assert bob.requests() == ["from alice"]
    before = len(bob.node.effects)
    world.run(120)
    assert not [e for e in bob.node.effects[before:] if type(e).__name__ in ("ReadQueues", "Post", "Connect")]


def test_a_request_that_was_dropped_is_offered_again(world: World) -> None:
    """B11: here by a bridge that loses the first one."""
    alice, bob, bridge = strangers(world)
    lost: list[bytes] = []
    bridge.keeps = lambda queue, blob: [blob] if lost else lost.append(blob) or []
    alice.sends(address(bob), "hello")
    world.settle()
    assert bob.requests() == []
    world.run(3_700)
    assert bob.requests() == ["hello"]


def test_a_bridge_that_is_away_is_tried_again(world: World) -> None:
    alice, bob, bridge = strangers(world)
    text = address(bob)
    world.settle()
    bridge.stop()
    sent = alice.sends(text, "hello")
    world.run(120)
    assert alice.state(sent) == "asked"
    assert "does not answer" in str(alice.why(sent))
    bridge.start()
    world.run(700)
    assert bob.requests() == ["hello"]


def test_what_was_said_is_a_whole_request(world: World, scene: tuple[Agent, Agent, Knocker]) -> None:
    """Text of a stranger reaches a human as data, whatever it holds."""
    alice, bob, knocker = scene
    knocker.says(alice, name="evil", text="\x1b[2J\u202eline\nline\x00")
    found = bob.call(commands.requests)["requests"][0]
    assert (found["name"], found["text"]) == ("evil", "\x1b[2J\u202eline\nline\x00")
    claims = knocker.claims(alice)
    assert decode_knock(encode_knock(claims)) == claims
