"""Attacks on links, sessions and the log, each by name."""

from __future__ import annotations

import dataclasses

import pytest

from p2p_agents.conversation.record import write_void
from p2p_agents.core.api import commands, invitation
from p2p_agents.core.contact import directory
from p2p_agents.core.delivery import inbound
from p2p_agents.core.delivery import resets as resetting
from p2p_agents.core.kernel.effects import Hangup
from p2p_agents.core.kernel.state import Heal, Phase
from p2p_agents.core.turn import dispatch
from p2p_agents.crypto.signing import SigningKey, unverified_payload
from p2p_agents.limits import HELLO_TIMEOUT_S, LAMPORT_LEAP, LINK_CREDIT_BYTES, STRANGER_LINKS
from p2p_agents.quic.address import format_address
from p2p_agents.store import entries
from p2p_agents.wire import frame as frames
from p2p_agents.wire.advert import Advert
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.claims import OPEN_LABEL, encode_open
from p2p_agents.wire.entry import ENTRY_LABEL
from p2p_agents.wire.frame import Data, Hello, Init, Open, Reset, Sync, encode_frame
from p2p_agents.wire.framing import frame_bytes
from p2p_agents.wire.payload import Item, Payload, ReadMark, Verdict, encode_payload
from tests.sim.hostile import Forger, Idler, Relay, inject
from tests.sim.wire import frames_in, rewriting
from tests.sim.world import settled


@pytest.fixture
def verdicts(monkeypatch):
    """Verdicts that were given on items, in order."""
    given = []
    take = inbound._take_item

    def spy(*arguments):
        given.append(take(*arguments))
        return given[-1]

    monkeypatch.setattr(inbound, "_take_item", spy)
    return given


def talkers(world):
    """Friends with a session, alice having begun it."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "first")
    world.settle()
    return alice, bob


def still_talks(world, alice, bob, *before):
    alice.sends(bob, "still here")
    world.run(3)
    world.settle()
    assert bob.heard(alice) == [*before, "still here"]


def recorded(world, kind):
    """All frames of a kind from now on, with the host that sent them."""
    seen = []
    world.net.tamper = lambda end, data: (
        seen.extend((end.host, f) for f in frames_in(data) if isinstance(f, kind)) or data
    )
    return seen


# --- connections that carry nothing ---


def test_a_stranger_that_only_says_which_node_it_is_is_hung_up(world):
    """C3: NODE alone held a connection for ever, and 512 of them kept contacts out."""
    alice = world.agent("alice")
    idler = Idler(world.net, 99)
    end = idler.dial(alice.node.address)
    world.run(HELLO_TIMEOUT_S - 1)
    assert idler.ends == {}
    assert len(alice.core.peerings) == 1
    world.run(3)
    assert idler.ends == {end: "no_link"}
    assert not alice.core.peerings


def test_nodes_nearby_stay_connected_without_links_for_their_codes_are_heard_of_so(world):
    alice, bob = world.agent("alice"), world.agent("bob")
    world.settle()
    before = set(alice.core.peerings), set(bob.core.peerings)
    world.run(60)
    assert (set(alice.core.peerings), set(bob.core.peerings)) == before
    assert len(before[0]) == len(before[1]) == 1


def test_strangers_at_a_typed_address_are_known_although_their_node_hangs_up_every_ten_seconds(world):
    alice, bob = world.agent("alice"), world.agent("bob")
    world.settle()
    for one, other in ((alice, bob), (bob, alice)):
        one.node.run(lambda core, far=other: directory.lost(core, "mdns", far.id, far.core.incarnation))
    alice.node.run(lambda core: commands.add_places(core, [format_address(bob.node.address)]))
    world.run(HELLO_TIMEOUT_S + 3)
    connections = set()
    for _ in range(200):
        world.run(0.1)
        assert directory.resolve(alice.core, alice.hosted, "bob").agent == bob.id
        connections |= set(alice.core.peerings)
    assert len(connections) >= 2


def test_a_stranger_is_let_stay_while_a_code_is_shown(world):
    """Whoever dials the address in a picture announces nothing here."""
    alice = world.agent("alice")
    alice.call(invitation.start, petname=None, addresses=(), device=False, history="30")
    idler = Idler(world.net, 99)
    idler.dial(alice.node.address)
    world.run(HELLO_TIMEOUT_S + 3)
    assert idler.ends == {}


def test_a_crowd_takes_no_contacts_place_and_strangers_make_room(world):
    """C3: the endpoint is told which connections carry a contact's link, and when they no longer do."""
    alice, bob = world.friends("alice", "bob")
    idler = Idler(world.net, 99)
    idler.dial(alice.node.address)
    idler.dial(bob.node.address)
    world.run(5)
    hosts = [agent.node.lines.endpoint for agent in (alice, bob)]
    peerings = [peering for agent in (alice, bob) for peering in agent.core.peerings.values()]
    (accepted,) = [peering for peering in peerings if not peering.dialed and peering.node != idler.key]
    assert [end.id for host in hosts for end in host.vouched] == [accepted.id]
    for agent, other in ((alice, bob), (bob, alice)):
        agent.blocks(other)
    world.run(61)
    assert not any(host.vouched for host in hosts)


# --- hello ---


def test_a_hello_relayed_by_a_node_in_the_middle_proves_nothing(world):
    """C2: transport: the proof of OPEN and both HELLOs name the key of the one in the middle."""
    alice, bob = world.agent("alice"), world.agent("bob")
    relay = Relay(world.net, 99, bob.node.address)
    world.part(alice, bob)
    alice.befriends(bob)
    bob.befriends(alice)
    advert = Advert(bob.id, "bob", "other", "online", relay.key, 1, 4433)
    alice.node.run(lambda core: directory.found(core, "mdns", advert, [format_address(relay.address)]))
    hello = alice.sends(bob, "for bob")
    world.run(30)
    assert any(isinstance(frame, Open) for frame in relay.passed)
    assert not any(isinstance(frame, Hello) for frame in relay.passed)
    assert alice.links(bob) == bob.links(alice) == []
    assert alice.state(hello) == "asked"
    assert bob.heard(alice) == []


@pytest.mark.parametrize("which", ["acceptor", "opener"])
def test_a_hello_of_an_earlier_link_is_a_stale_challenge(world, which):
    """C2: transport: replayed on another connection, in either role."""
    hellos = recorded(world, Hello)
    alice, bob = talkers(world)
    old = dict(hellos)
    count = len(hellos)
    assert len(old) == 2
    world.net.cut()

    def replay(frame):
        if isinstance(frame, Hello):
            acceptors = [f for f in old.values() if bool(f.start or f.entries)]
            return dataclasses.replace((acceptors or list(old.values()))[which == "opener"], link=frame.link)
        return frame

    world.net.tamper = rewriting(replay)
    world.run(20)
    assert count
    assert alice.links(bob) == bob.links(alice) == []
    world.net.tamper = lambda _, data: data
    world.run(35)
    still_talks(world, alice, bob, "first")


def test_nothing_is_accepted_before_hello(world):
    """C2: no DATA, INIT, SYNC or REQUEST on a link that is not proven; no client proof, no link."""
    alice, bob = talkers(world)
    mallory = world.node()
    end = mallory.lines.endpoint.dial(bob.node.address, pin=None)
    world.run(0.1)
    end.send(frame_bytes(encode_frame(frames.Node(mallory.certificate.public, 1, "x", bytes(32), ()))))
    end.send(frame_bytes(encode_frame(Open(2, alice.id, alice.device, bob.id, bytes(32), 0, b"no proof"))))
    world.run(0.1)
    for kind in (Sync, Init, Data, Reset, frames.Request):
        end.send(frame_bytes(encode_frame(kind(2, b"x" * 500))))
    world.run(0.5)
    assert all(link.phase is not Phase.ANSWERED for link in bob.links(alice))
    still_talks(world, alice, bob, "first")


def test_a_spoofed_advert_closes_nothing(world):
    """C3: a record that claims a newer incarnation of bob's node."""
    alice, bob = talkers(world)
    before = [(link.connection, link.number) for link in alice.links(bob)]
    advert = Advert(bob.id, "bob", "other", "online", bob.core.node, bob.core.incarnation + 10**9, 4433)
    alice.node.run(lambda core: directory.found(core, "mdns", advert, ["192.0.2.77:4433"]))
    world.settle()
    assert [(link.connection, link.number) for link in alice.links(bob)] == before
    still_talks(world, alice, bob, "first")


def test_a_spoofed_node_claim_closes_nothing(world):
    """C2, C3: a client's node key proves nothing."""
    alice, bob = talkers(world)
    before = [(link.connection, link.number) for link in bob.links(alice)]
    mallory = world.node()
    end = mallory.lines.endpoint.dial(bob.node.address, pin=None)
    world.run(0.1)
    roster = (frames.RosterAgent(alice.id, "alice", "other", "online"),)
    end.send(
        frame_bytes(encode_frame(frames.Node(alice.core.node, alice.core.incarnation + 10**9, "x", bytes(32), roster)))
    )
    world.run(15)
    assert [(link.connection, link.number) for link in bob.links(alice)] == before
    still_talks(world, alice, bob, "first")


def test_a_restarted_peer_replaces_its_ghost_at_once(world):
    """C3: long before the idle timeout."""
    alice, bob = talkers(world)
    bob.node.restart()
    world.run(1.5)
    alice.sends(bob, "second")
    world.run(0.5)
    assert bob.heard(alice) == ["first", "second"]
    assert {link.incarnation for link in alice.links(bob)} == {bob.core.incarnation}


def test_a_silent_connection_is_closed(world):
    """C3: one that says nothing about itself for ten seconds."""
    bob = world.agent("bob")
    mallory = world.node()
    end = mallory.lines.endpoint.dial(bob.node.address, pin=None)
    mallory.lines.connected = lambda connection: None
    mallory.lines.received = lambda connection, data: None
    world.run(13)
    assert end.ended


def test_strangers_get_few_links(world):
    """C1: a link costs memory."""
    bob = world.agent("bob")
    mallory = world.node()
    end = mallory.lines.endpoint.dial(bob.node.address, pin=None)
    world.run(0.1)
    end.send(frame_bytes(encode_frame(frames.Node(mallory.certificate.public, 1, "x", bytes(32), ()))))
    challenge = next(iter(bob.core.peerings.values())).own_challenge
    for number in range(2 * STRANGER_LINKS):
        key, agent, link = SigningKey.from_seed(bytes([number]) * 32), bytes([number]) * 32, 2 + 2 * number
        said = encode_open(bob.node.certificate.public, agent, key.public, bob.id, bytes(32), challenge, link)
        opening = Open(link, agent, key.public, bob.id, bytes(32), 0, key.sign(said, OPEN_LABEL))
        end.send(frame_bytes(encode_frame(opening)))
    world.run(0.5)
    assert max(len(peering.links) for peering in bob.core.peerings.values()) == STRANGER_LINKS


# --- sync, init, reset ---


def test_a_sync_played_twice_is_refused(world):
    """B1: SYNC replayed on its own link."""
    syncs = recorded(world, Sync)
    alice, bob = talkers(world)
    mine = [frame for host, frame in syncs if host is alice.node.lines.endpoint]
    sessions_before = [held.session.sid for held in bob.core.pair_sessions((bob.device, alice.device))]
    links = len(bob.links(alice))
    inject(bob, alice, mine[-1])
    assert len(bob.links(alice)) == links - 1
    assert [held.session.sid for held in bob.core.pair_sessions((bob.device, alice.device))] == sessions_before
    still_talks(world, alice, bob, "first")


def test_a_sync_of_another_link_or_for_another_agent_is_refused(world):
    """B1: SYNC re-aimed, and SYNC of an earlier link."""
    syncs = recorded(world, Sync)
    alice, bob, carol = world.friends("alice", "bob", "carol")
    alice.sends(bob, "first")
    world.settle()
    old = [frame for host, frame in syncs if host is alice.node.lines.endpoint]
    world.net.cut()
    world.settle()
    for victim in (bob, carol):
        for frame in old:
            if victim.links(alice):
                before = victim.core.db.all("SELECT * FROM pairs")
                inject(victim, alice, frame)
                assert victim.core.db.all("SELECT * FROM pairs") == before
    world.run(40)
    still_talks(world, alice, bob, "first")


def test_an_init_played_twice_begins_nothing(world):
    """D3: a gen not above the highest accepted."""
    inits = recorded(world, Init)
    alice, bob = talkers(world)
    (init,) = [frame for _, frame in inits][:1]
    sids = [held.session.sid for held in bob.core.pair_sessions((bob.device, alice.device))]
    inject(bob, alice, init)
    assert [held.session.sid for held in bob.core.pair_sessions((bob.device, alice.device))] == sids
    world.run(35)
    still_talks(world, alice, bob, "first")


def test_a_lost_session_is_asked_for_with_a_fresh_key(world):
    """D3: RESET: the single-use key of HELLO is spent, so a signed fresh one goes out."""
    resets = recorded(world, Reset)
    alice, bob = talkers(world)
    key = (alice.device, bob.device)
    alice.node.run(lambda core: [core.drop_session(key, held) for held in list(core.pair_sessions(key))])
    for link in alice.links(bob):
        link.peer_offer = None
    alice.sends(bob, "after the loss")
    world.settle()
    assert resets
    assert bob.heard(alice) == ["first", "after the loss"]
    world.net.tamper = lambda _, data: data
    inject(bob, alice, resets[0][1])
    world.run(35)
    still_talks(world, alice, bob, "first", "after the loss")


def test_an_init_that_does_not_inherit_is_refused_while_both_hold_the_secret(world):
    """D3: unmixed: a reset must not undo what a turn has healed."""
    alice, bob = talkers(world)
    (held,) = bob.core.pair_sessions((bob.device, alice.device))
    turns = held.session.heals
    for link in bob.links(alice):
        link.heal = Heal(held.session.sid, turns, turns[-1][0], required=True)
    sids = [held.session.sid]
    link = alice.links(bob)[0]
    bob.links(alice)[0].offer = fresh = bob.core.entropy.kem_key()
    link.peer_offer = fresh.public
    link.heal = Heal(held.session.sid)
    alice.node.run(lambda core: resetting.begin(core, link, core.pair_key(link)))
    world.run(0.1)
    assert [held.session.sid for held in bob.core.pair_sessions((bob.device, alice.device))] == sids
    world.run(40)
    still_talks(world, alice, bob, "first")


# --- frames ---


def test_a_frame_played_again_is_absorbed(world):
    """B3, B5: whatever was recorded, as often as one likes."""
    data = recorded(world, Data)
    alice, bob = talkers(world)
    for text in ("second", "third"):
        alice.sends(bob, text)
        world.settle()
    for host, frame in list(data) * 3:
        victim, peer = (bob, alice) if host is alice.node.lines.endpoint else (alice, bob)
        inject(victim, peer, frame)
    world.settle()
    assert bob.heard(alice) == ["first", "second", "third"]
    still_talks(world, alice, bob, "first", "second", "third")


def test_a_frame_that_does_not_open_changes_nothing(world):
    """B5: a flipped byte, another session's id, another direction."""
    data = recorded(world, Data)
    alice, bob = talkers(world)
    frame = next(frame for host, frame in data if host is alice.node.lines.endpoint)
    before = bob.core.db.all("SELECT state FROM sessions")
    for place in range(0, len(frame.payload), 41):
        flipped = frame.payload[:place] + bytes([frame.payload[place] ^ 1]) + frame.payload[place + 1 :]
        if bob.links(alice):
            inject(bob, alice, Data(0, flipped))
    assert bob.core.db.all("SELECT state FROM sessions") == before
    world.run(40)
    still_talks(world, alice, bob, "first")


def test_more_than_was_granted_is_a_flood(world):
    """C1: the connection ends; what was under way comes again on the next."""
    alice, bob = talkers(world)
    link = bob.links(alice)[0]
    sealed = encode([1, b"s" * 32, 0, 0, b"", bytes(24), b"x" * 100_000])  # of a session that nobody holds
    stream = frame_bytes(encode_frame(Data(link.number, sealed))) * (LINK_CREDIT_BYTES // len(sealed) + 1)
    bob.node.run(lambda core: dispatch.received(core, link.connection, stream))
    assert Hangup(link.connection, "flood") in bob.node.effects
    still_talks(world, alice, bob, "first")


@pytest.mark.parametrize(
    "plaintext",
    [b"", b"garbage", encode([]), encode([None, [], [], [], []]), encode([None, [[7, b"x"]], [], []]), b"\xa0" * 1000],
)
def test_a_sealed_payload_that_is_malformed_is_no_poison(world, plaintext):
    """B4: the ratchet advances, and the next frame is read."""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    forger.says(plaintext)
    record = forger.writes("after the garbage")
    forger.sends(record.item)
    assert bob.heard(alice) == ["first", "after the garbage"]


def test_an_entry_of_a_later_version_is_no_poison(world, verdicts):
    """B4: refused by a verdict like any other; what follows is read."""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    later = alice.hosted.speaker.key.sign(encode([2, "something else"]), "p2pa/1 entry")
    good = forger.writes("known")
    forger.sends(Item(later, None), Item(b"", None), Item(later, None, void=True), good.item)
    assert verdicts[-4:] == [Verdict.MALFORMED, Verdict.MALFORMED, Verdict.MALFORMED, Verdict.STORED]
    assert bob.heard(alice) == ["first", "known"]


# --- entries ---


def test_equivocation_is_refused_and_reported(world, verdicts):
    """A3: two entries at one place of one epoch."""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    for story in [forger.writes("one story"), forger.writes("another story")]:
        forger.sends(story.item)
    assert verdicts[-2:] == [Verdict.STORED, Verdict.EQUIVOCATION]
    assert bob.heard(alice) == ["first", "one story"]
    assert bob.node.events("equivocation")


def test_an_entry_of_another_conversation_is_refused(world, verdicts):
    """A1: envelope: an entry replayed into another conversation."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    alice.sends(carol, "for carol only")
    alice.sends(bob, "first")
    world.settle()
    Forger(alice, bob).sends(carol.held_from(alice)[0].item)
    assert verdicts[-1] is Verdict.WRONG_CONVERSATION
    assert bob.heard(alice) == ["first"]


def test_nobody_speaks_for_another(world, verdicts):
    """A1: an entry of carol, honestly signed, brought by alice."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    carol.sends(bob, "by carol")
    alice.sends(bob, "first")
    world.settle()
    Forger(alice, bob).sends(bob.held_from(carol)[0].item)
    assert verdicts[-1] is Verdict.WRONG_AUTHOR


def test_a_body_that_was_not_signed_is_refused(world, verdicts):
    """A1"""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    one, other = forger.writes("one"), forger.writes("other")
    forger.sends(Item(one.signed, other.body))
    assert verdicts[-1] is Verdict.BAD_SIGNATURE


def test_a_lamport_leap_is_refused(world, verdicts):
    """A2: no peer can push the clock of a conversation to its end."""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    forger.sends(forger.writes("far ahead", lamport=forger.place().lamport + LAMPORT_LEAP).item)
    assert verdicts[-1] is Verdict.LAMPORT
    assert bob.heard(alice) == ["first"]
    forger.sends(forger.writes("just in time", lamport=LAMPORT_LEAP).item)
    assert bob.heard(alice) == ["first", "just in time"]


def at_no_place(forger):
    """An entry 0, which an honest author cannot even write."""
    claims = decode(unverified_payload(forger.writes("at no place").signed))
    claims[5] = 0
    return Item(forger.author.hosted.speaker.key.sign(encode(claims), ENTRY_LABEL), None)


def test_a_chain_has_no_holes_and_no_loops(world, verdicts):
    """A3: a predecessor that is not held is a gap; one that does not fit is malformed."""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    forger.sends(
        forger.writes("no predecessor", prev=b"p" * 32).item,
        forger.writes("first again", seq=1, prev=b"p" * 32, epoch=b"e" * 8).item,
        forger.writes("skips one", seq=forger.place().seq + 1).item,
        forger.writes("before its predecessor", lamport=0).item,
        at_no_place(forger),
    )
    assert verdicts[-5:] == [Verdict.GAP] + [Verdict.MALFORMED] * 4
    assert bob.heard(alice) == ["first"]


def test_an_unknown_kind_is_stored_and_not_shown(world, verdicts):
    """A2: identity: unknown kinds are for later versions to read."""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    poll = forger.writes("a poll", "poll")
    forger.sends(poll.item)
    assert verdicts[-1] is Verdict.STORED
    assert bob.inbox() == ["first"]
    assert entries.find(bob.core.db, poll.hash) is not None


def test_a_void_does_not_stand_for_what_is_not_its_authors(world, verdicts):
    """A4, B6: a void that names another's entry neither hides nor reveals it."""
    alice, bob, carol = world.friends("alice", "bob", "carol")
    dave = world.agent("dave", bob.node)
    dave.befriends(alice)
    alice.befriends(dave)
    carol.sends(bob, "between carol and bob")
    alice.sends(dave, "first")
    world.settle()
    secret = bob.held_from(carol)[0]
    forger = Forger(alice, dave)
    honest = forger.writes("x")
    void = write_void(alice.hosted.speaker.key, dataclasses.replace(honest, hash=secret.hash), "gone")
    forger.sends(Item(void, None, void=True))
    assert verdicts[-1] is Verdict.MALFORMED
    assert [m["text"] for m in dave.history(alice)] == ["first"]
    assert bob.heard(carol) == ["between carol and bob"]


def test_two_voids_for_one_entry_are_no_poison(world, verdicts):
    """B4"""
    alice, bob = talkers(world)
    forger = Forger(alice, bob)
    one = forger.writes("x")
    void = write_void(alice.hosted.speaker.key, one, "gone")
    after = forger.writes("y", seq=one.seq + 1, prev=one.hash, lamport=one.lamport + 1)
    again = write_void(alice.hosted.speaker.key, dataclasses.replace(after, hash=one.hash), "gone again")
    forger.sends(Item(void, None, void=True), Item(again, None, void=True), after.item)
    assert verdicts[-3:] == [Verdict.STORED, Verdict.MALFORMED, Verdict.STORED]
    assert bob.heard(alice) == ["first", "y"]


def test_a_refused_entry_takes_its_successors_with_it(world, verdicts):
    """B4: they are failed with its reason, not sent for ever."""
    alice, bob = talkers(world)
    alice.core.db.run("UPDATE conversations SET lamport = ?", (LAMPORT_LEAP * 3,))
    texts = [alice.sends(bob, f"{number}") for number in range(3)]
    world.settle()
    assert [alice.state(text) for text in texts] == ["failed"] * 3
    assert {alice.why(text) for text in texts} == {"refused: lamport"}
    assert len(verdicts) < 12


def test_a_read_mark_of_the_future_marks_nothing_unsent(world):
    """B8: a peer may claim to have read what it was never given; only what was delivered is affected."""
    alice, bob = talkers(world)
    mark = ReadMark(alice.conversation(bob), alice.device, alice.core.db.epoch, 2**50)
    forger = Forger(bob, alice)
    world.part(alice, bob)
    waiting = alice.sends(bob, "not yet sent")
    forger.says(encode_payload(Payload(reads=(mark,))))
    assert alice.state(waiting) == "queued"
    assert alice.states(bob)[0] == "read"


def test_many_echoes_at_once_are_answered(world):
    """B4: sixteen in a frame, whoever asks how many."""
    alice, bob = talkers(world)
    for one, other in ((alice, bob), (bob, alice)):
        link = one.links(other)[0]
        link.asks += [bytes([number]) * 16 for number in range(100)]
        one.node.run(lambda core, link=link: core.mark_ready(core.pair_key(link)))
    world.settle()
    still_talks(world, alice, bob, "first")


def test_outbox_states_never_go_back_without_a_loss(world):
    """B9: two connections, views that overtake each other: delivered stays delivered, read stays read."""
    alice, bob = talkers(world)
    bob.reads()
    world.settle()
    seen = set()
    for _ in range(10):
        world.net.cut()
        for _ in range(40):
            world.run(0.001)
            seen.add(alice.states(bob)[0])
    assert seen == {"read"}
    assert alice.core.db.one("SELECT count(*) FROM outbox WHERE owed = 1 AND sid IS NULL") == (0,)


def test_frames_of_unknown_types_are_skipped_wherever_they_come(world):
    """A2: before NODE, before HELLO, for links that never were, for none at all: a later version may say anything."""
    alice, bob = world.agent("alice"), world.agent("bob")
    unknown = [encode(fields) for fields in ([99], [99, 0], [100, 2, "text"], [2**53 - 1, "no link", {"a": [None]}])]
    world.net.tamper = lambda _, data: b"".join(frame_bytes(each) for each in unknown) + data
    alice.befriends(bob)
    bob.befriends(alice)
    alice.sends(bob, "heard")
    bob.sends(alice, "heard too")
    world.settle()
    assert (bob.heard(alice), alice.heard(bob)) == (["heard"], ["heard too"])
    assert settled(alice.states(bob) + bob.states(alice))
