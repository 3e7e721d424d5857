"""What a contact may make a node store and do: limited for each, and for all of them together."""

from __future__ import annotations

import pytest

from p2p_agents.conversation.record import MESSAGE
from p2p_agents.core.delivery import inbound, quotas, sync
from p2p_agents.core.kernel import sessions as ended
from p2p_agents.core.kernel.state import Pace
from p2p_agents.core.links import crowds, opening
from p2p_agents.crypto.ratchet import seal
from p2p_agents.limits import (
    EPOCHS_PER_DAY,
    GAP_BYTES,
    GAP_POOL_BYTES,
    LINKS_OF_A_PAIR,
    PLACES_OF_A_CONTACT,
    SYNCS_BURST,
)
from p2p_agents.link.admission import Bucket
from p2p_agents.wire.frame import Data
from p2p_agents.wire.payload import Payload, ReadMark, Verdict, encode_payload
from tests.sim.hostile import Forger, inject


def talkers(world):
    alice, mallory = world.friends("alice", "mallory")
    mallory.sends(alice, "first")
    world.settle()
    return alice, mallory


def early(forger, size=100_000, count=40):
    """Frames of a session that leave a gap before them: sealed, and far too many."""
    session, frames = forger.session, []
    for _ in range(count):
        session, frame = seal(session, bytes(size), forger.author.core.now_ms(), forger.author.core.entropy)
        frames.append(frame)
    return frames[1:]


def test_early_frames_of_a_dead_session_are_freed_with_it(world):
    """B5: their buffers were kept for as long as the link: 56 to 103 MB in 80 s."""
    alice, mallory = talkers(world)
    key = (alice.device, mallory.device)
    for _ in range(4):
        for frame in early(Forger(mallory, alice)):
            inject(alice, mallory, Data(0, frame))
        assert 0 < sum(gaps.size for gaps in alice.core.gaps.values()) <= 2 * GAP_BYTES
        (link, *_) = mallory.links(alice)
        for held in list(mallory.core.pair_sessions((mallory.device, alice.device))):
            mallory.node.run(lambda core, h=held: ended.retire(core, (mallory.device, alice.device), h))
        mallory.sends(alice, "anew")
        world.run(3)
        world.settle()
        held = {each.session.sid for each in alice.core.pair_sessions(key)}
        assert alice.core.gaps.keys() <= held
    assert link
    assert len(alice.heard(mallory)) == 5


def test_early_frames_of_all_sessions_together_are_bounded(world, monkeypatch):
    """B5: beyond it they are dropped, and come again."""
    alice, mallory = talkers(world)
    monkeypatch.setattr(inbound, "GAP_POOL_BYTES", 250_000)
    assert GAP_POOL_BYTES > 250_000
    for frame in early(Forger(mallory, alice)):
        inject(alice, mallory, Data(0, frame))
    assert 100_000 < sum(gaps.size for gaps in alice.core.gaps.values()) <= 250_000


def floods_epochs(forger, count, verdicts, first=0):
    """An entry in an epoch of its own each, as a device whose store is opened for each message would write."""
    last = forger.writes("epoch 0", MESSAGE, epoch=first.to_bytes(8, "big"))
    for number in range(first + 1, first + count + 1):
        forger.sends(last.item)
        if verdicts and verdicts[-1] is Verdict.GAP:
            return
        place = {"seq": forger.place().seq, "prev": last.hash, "epoch": number.to_bytes(8, "big")}
        last = forger.writes(f"epoch {number}", MESSAGE, **place)


@pytest.fixture
def verdicts(monkeypatch):
    given, take = [], inbound._take_item
    monkeypatch.setattr(inbound, "_take_item", lambda *said: given.append(take(*said)) or given[-1])
    return given


def test_new_epochs_of_a_contact_are_bounded_a_day_and_taken_later(world, verdicts):
    """A3: each made every comparison of views dearer, for ever."""
    alice, mallory = talkers(world)
    assert Pace().epochs.burst == EPOCHS_PER_DAY
    alice.core.pace((alice.device, mallory.device)).epochs = Bucket(20, 1 / 60)
    del verdicts[:]
    floods_epochs(Forger(mallory, alice), 50, verdicts)
    assert verdicts == [Verdict.STORED] * 20 + [Verdict.GAP]
    world.run(120)
    del verdicts[:]
    floods_epochs(Forger(mallory, alice), 1, verdicts, first=100)
    assert verdicts == [Verdict.STORED]


def test_a_comparison_of_views_costs_no_query_for_each_epoch(world, verdicts):
    """B1: a SYNC cost 100 ms once a contact had begun enough epochs, and so did a read mark."""
    alice, mallory = talkers(world)
    alice.sends(mallory, "to be read")
    world.settle()

    def statements(number):
        before = alice.core.db.statements
        mallory.node.run(lambda core: sync.send_sync(core, mallory.links(alice)[0], reply=True))
        world.run(1)
        mallory.reads()
        alice.sends(mallory, f"to be read {number}")
        world.run(1)
        return alice.core.db.statements - before

    few = min(statements(number) for number in range(3))
    floods_epochs(Forger(mallory, alice), 200, verdicts)
    world.run(60)
    world.settle()
    many = min(statements(number) for number in range(3, 6))
    assert many < few + 50


def test_views_that_a_contact_pours_in_are_not_all_compared(world, monkeypatch):
    """B1: each is unsealed, verified and compared with all that is held."""
    alice, mallory = talkers(world)
    compared, learn = [], sync._learn
    monkeypatch.setattr(sync, "_learn", lambda *said: compared.append(said) or learn(*said))
    link = mallory.links(alice)[0]
    for _ in range(8):
        mallory.node.run(lambda core: [sync.send_sync(core, link, reply=False) for _ in range(20)])
        world.run(0.1)
    heard = [said for said in compared if said[0] is alice.core]
    assert 0 < len(heard) <= SYNCS_BURST + 4
    assert alice.links(mallory)
    mallory.sends(alice, "after")
    world.settle()
    assert alice.heard(mallory) == ["first", "after"]


def test_read_marks_cost_what_they_add(world):
    """B8: 64 in each frame, each compared with all that was delivered and not read."""
    alice, mallory = talkers(world)
    sent = [alice.sends(mallory, f"word {number}") for number in range(5)]
    world.settle()
    forger = Forger(mallory, alice)
    conversation = forger.place().conversation

    def statements(*seqs):
        before = alice.core.db.statements
        marks = tuple(ReadMark(conversation, alice.device, alice.core.db.epoch, seq) for seq in seqs)
        forger.says(encode_payload(Payload(reads=marks)))
        return alice.core.db.statements - before

    statements(2)
    assert [alice.state(message) for message in sent] == ["read", "read", "delivered", "delivered", "delivered"]
    once = statements(2)
    assert statements(*[2] * 64) == once
    assert statements(4) <= once + 6
    strange = (ReadMark(conversation, bytes([number]) * 32, bytes(8), 1) for number in range(64))
    forger.says(encode_payload(Payload(reads=tuple(strange))))
    nowhere = (ReadMark(bytes([number]) * 32, alice.device, bytes(8), 1) for number in range(64))
    forger.says(encode_payload(Payload(reads=tuple(nowhere))))
    assert list(alice.links(mallory)[0].marks) == [(alice.conversation(mallory), alice.device)]
    assert [alice.state(message) for message in sent] == ["read"] * 4 + ["delivered"]


# --- what it makes a node store ---


def bounded(monkeypatch, alice, peer, day=4_000, unread=10**9):
    """A share small enough for a test; the numbers are otherwise those of limits."""
    monkeypatch.setattr(quotas, "CONTACT_BYTES_PER_DAY", day)
    monkeypatch.setattr(quotas, "CONTACT_UNREAD_BYTES", unread)
    monkeypatch.setattr(quotas, "ROOM", 0.25)  # of so little, more than one message
    alice.core.share(alice.hosted.local.id, peer.id).bytes = Bucket(day, 10)


def test_a_contact_that_fills_the_store_is_stopped_both_are_told_and_nothing_is_lost(world, monkeypatch):
    """B1, B4: 2 MB a second grew the store without end."""
    alice, mallory = talkers(world)
    bounded(monkeypatch, alice, mallory)
    said = [f"{number:02} {'x' * 300}" for number in range(20)]
    sent = [mallory.sends(alice, text) for text in said]
    world.run(5)
    world.settle()
    held = alice.heard(mallory)[1:]
    assert 2 <= len(held) < 10
    assert mallory.state(sent[-1]) == "queued"
    assert mallory.why(sent[-1]) == "the peer has no room for more yet"
    assert [event.peer for event in alice.node.events("contact_full")] == [mallory.id]
    answer = alice.sends(mallory, "you say too much")
    world.run(2)
    assert alice.state(answer) == "delivered"
    world.run(4_000)
    assert alice.heard(mallory)[1:] == said
    assert [mallory.state(message) for message in sent] == ["delivered"] * 20
    assert mallory.why(sent[-1]) is None


def test_what_waits_for_room_is_not_poured_out_again_and_again(world, monkeypatch):
    """B1: a peer that has no room is offered something once in a while."""
    alice, mallory = talkers(world)
    bounded(monkeypatch, alice, mallory)
    alice.core.share(alice.hosted.local.id, mallory.id).bytes = Bucket(2_000, 0.0)
    for number in range(20):
        mallory.sends(alice, f"{number:02} {'x' * 300}")
    world.run(30)
    (held,) = mallory.core.pair_sessions((mallory.device, alice.device))
    before = held.session.sent
    for _ in range(12):
        alice.sends(mallory, "no room yet")
        world.run(300)
    assert held.session.sent - before < 60
    assert alice.links(mallory)[0].opened < 60
    assert mallory.owes(alice) > 10


def test_what_nobody_reads_is_bounded_and_room_is_made_by_reading(world, monkeypatch):
    """B1, B8: over a restart of either side."""
    alice, mallory = talkers(world)
    bounded(monkeypatch, alice, mallory, day=10**6, unread=4_000)
    said = [f"{number:02} {'x' * 300}" for number in range(20)]
    for text in said:
        mallory.sends(alice, text)
    world.run(120)
    assert len(alice.heard(mallory)) < 12
    alice.node.restart()
    mallory.node.restart()
    world.run(200)
    assert len(alice.heard(mallory)) < 14
    read = []
    for _ in range(20):
        read += alice.reads()
        world.run(150)
    assert read[1:] == said
    assert mallory.owes(alice) == 0


def test_who_has_no_room_says_so_over_a_bridge_too(world, monkeypatch):
    """B1, B7: what the bridge kept and the recipient cannot take yet waits with its sender again."""
    alice, mallory = talkers(world)
    world.bridge(alice.node, mallory.node)
    world.run(60)
    world.part(alice, mallory)
    world.run(30)
    bounded(monkeypatch, alice, mallory)
    said = [f"{number:02} {'x' * 300}" for number in range(20)]
    sent = [mallory.sends(alice, text) for text in said]
    world.run(200)
    assert 2 <= len(alice.heard(mallory)[1:]) < 12
    assert (mallory.state(sent[-1]), mallory.why(sent[-1])) == ("queued", "the peer has no room for more yet")
    world.run(8_000)
    assert alice.heard(mallory)[1:] == said


def links_anew(victim, mallory, times):
    """Connections of mallory's, each with a link of the same two agents, which an honest node would not dial."""
    for _ in range(times):
        before = set(mallory.core.peerings)
        mallory.node.lines.endpoint.dial(victim.node.address, pin=None)
        victim.node.world.run(0.2)
        for number in set(mallory.core.peerings) - before:
            peering = mallory.core.peerings[number]
            mallory.node.run(lambda core, p=peering: opening.open_link(core, p, mallory.hosted, victim.id))
        victim.node.world.run(0.2)


@pytest.fixture
def twins(monkeypatch):
    """Nodes that keep every connection they dialled."""
    monkeypatch.setattr(opening, "_twin", lambda core, peering: None)


def test_links_of_two_agents_are_few_however_often_a_contact_begins_one(world, twins):
    """C3, E1: each cost memory and credit, and 4,096 fitted a connection."""
    alice, mallory = talkers(world)
    links_anew(alice, mallory, 3 * LINKS_OF_A_PAIR)
    assert len(alice.links(mallory)) == LINKS_OF_A_PAIR
    mallory.sends(alice, "on the newest")
    world.settle()
    assert alice.heard(mallory) == ["first", "on the newest"]


def test_a_contact_keeps_few_places_of_connections_from_others(world, twins, monkeypatch):
    """C3: each of its connections kept its place for ever: 512 of them shut everybody else out."""
    monkeypatch.setattr(crowds, "LINKS_OF_A_PAIR", 100)  # as many devices would have
    alice, mallory = talkers(world)
    links_anew(alice, mallory, 2 * PLACES_OF_A_CONTACT)
    assert len(alice.links(mallory)) > PLACES_OF_A_CONTACT
    assert len(alice.node.lines.endpoint.vouched) == PLACES_OF_A_CONTACT
    world.run(120)
    assert len(alice.node.lines.endpoint.vouched) <= PLACES_OF_A_CONTACT
    mallory.sends(alice, "after")
    world.settle()
    assert alice.heard(mallory) == ["first", "after"]
