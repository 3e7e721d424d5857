"""Flaws found by attacking an earlier draft, each with a test."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import commands
from p2p_agents.core.contact import directory
from p2p_agents.core.delivery import holdings, inbound, sync
from p2p_agents.core.delivery.failures import void
from p2p_agents.core.kernel.effects import Answered, Connect
from p2p_agents.core.kernel.state import Waiter
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import Malformed
from p2p_agents.store import contacts, outbox, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire import frame as frames
from p2p_agents.wire.advert import Advert
from p2p_agents.wire.claims import OPEN_LABEL, encode_open
from p2p_agents.wire.frame import encode_frame
from p2p_agents.wire.framing import frame_bytes
from p2p_agents.wire.payload import Verdict
from tests.sim.test_time import days_pass


def friends(world):
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "first")
    world.settle()
    return alice, bob


def test_a_void_that_a_rolled_back_peer_lost_is_given_again(world):
    """B6, B1: the chain would have a hole for ever, and everything after it would wait."""
    alice, bob = friends(world)
    world.part(alice, bob)
    world.run(20)
    lost = alice.sends(bob, "expires")
    (row,) = outbox.queued_for(alice.core.db, alice.hosted.local.id, alice.conversation(bob), bob.id, 10)
    alice.node.run(lambda core: void(core, row.agent, row.id, row.entry, "expired"))
    copy = bob.node.snapshot()
    world.join(alice, bob)
    alice.sends(bob, "second")
    world.settle()
    assert bob.heard(alice) == ["first", "second"]
    bob.node.restore(copy)
    world.settle()
    alice.sends(bob, "third")
    world.run(10)
    assert bob.heard(alice) == ["first", "second", "third"]
    assert alice.state(lost) == "failed"


def test_a_rolled_back_clock_and_store_do_not_stop_a_peer(world):
    """B1, A3: what was said before the rollback must not make what is said after it look old."""
    alice, bob = friends(world)
    copy = bob.node.snapshot()
    bob.sends(alice, "lost")
    world.settle()
    bob.node.clock.wall_offset_ms -= 3_600_000
    bob.node.restore(copy)
    alice.sends(bob, "after")
    world.run(5)
    assert bob.heard(alice) == ["first", "after"]
    assert alice.heard(bob) == ["lost"]


def test_a_generation_far_ahead_is_refused(world):
    """D3: it would use up the counter of our own inits."""
    alice, bob = friends(world)
    key = (alice.device, bob.device)
    with pytest.raises(Malformed):
        sync._gen_floor(alice.core, key, 2**53 - 1)
    assert sessions.pair(alice.core.db, *key).gen_sent < 2**53 - 1


def test_claims_of_loss_renew_cursors_once_an_opening(world):
    """A4: a peer that says so again and again must not break every reader each time."""
    alice, bob = friends(world)
    link = alice.links(bob)[0]
    before = alice.core.db.generation
    alice.node.run(lambda core: holdings._noticed_loss(core, link))
    once = alice.core.db.generation
    alice.node.run(lambda core: holdings._noticed_loss(core, link))
    assert before != once == alice.core.db.generation


def test_gap_verdicts_cost_no_stream_of_frames(world, monkeypatch):
    """B5: a peer that answers GAP to everything is asked for its view once a second, and sent nothing in between."""
    alice, bob = friends(world)
    monkeypatch.setattr(inbound, "_take_item", lambda *_: Verdict.GAP)
    alice.sends(bob, "x" * 20_000)
    world.run(10)
    (held,) = alice.core.pair_sessions((alice.device, bob.device))
    assert 10 < held.session.sent < 100


def test_a_link_that_proved_nothing_is_obeyed_in_nothing(world):
    """C2, E4: a stranger that names a contact and never says HELLO can speak neither STANDING nor REQUEST for it."""
    alice, bob = friends(world)
    mallory = world.node()
    key = SigningKey.from_seed(b"m" * 32)
    end = mallory.lines.endpoint.dial(alice.node.address, pin=None)
    world.run(0.1)
    peering = next(p for p in alice.core.peerings.values() if not p.links)
    end.send(frame_bytes(encode_frame(frames.Node(mallory.certificate.public, 1, "x", bytes(32), ()))))
    said = encode_open(alice.node.certificate.public, bob.id, key.public, alice.id, bytes(32), peering.own_challenge, 2)
    asking = frames.Open(2, bob.id, key.public, alice.id, bytes(32), 0, key.sign(said, OPEN_LABEL))
    end.send(frame_bytes(encode_frame(asking)))
    world.run(0.1)
    end.send(frame_bytes(encode_frame(frames.Stand(2, frames.Standing.ACCEPTS))))
    world.run(0.1)
    assert not any(link.up for link in peering.links.values())
    assert contacts.contact(alice.core.db, alice.hosted.local.id, bob.id).trust is Trust.ACCEPTED
    bob.sends(alice, "still here")
    world.settle()
    assert alice.heard(bob) == ["still here"]


def test_one_reader_that_cannot_be_answered_keeps_nothing_from_others(world):
    """A7: each waiting reader is an item of its own."""
    alice, bob = friends(world)
    params = {"agent": "alice", "from": None, "reader": "default", "limit": 10}
    bad = alice.core.db.generation + "-999"
    alice.node.run(lambda core: core.waiters.update({1: Waiter(alice.hosted.local.id, None, params | {"after": bad})}))
    alice.node.run(lambda core: commands.begin_wait(core, params | {"after": None}, 2))
    bob.sends(alice, "hello")
    world.settle()
    said = {effect.ticket: effect for effect in alice.node.effects if isinstance(effect, Answered)}
    assert said[1].error.code == "cursor_unknown"
    assert [message["text"] for message in said[2].page["messages"]] == ["hello"]


def test_what_was_held_back_and_never_asked_for_expires(world, monkeypatch):
    """B5, B6: a peer that answers GAP and goes away does not keep a message queued for ever."""
    alice, bob = friends(world)
    with monkeypatch.context() as patch:
        patch.setattr(inbound, "_take_item", lambda *_: Verdict.GAP)
        patch.setattr(holdings, "_owe_missing", lambda *_: None)
        message = alice.sends(bob, "held")
        world.run(2)
        world.part(alice, bob)
    days_pass(world, 15, alice.node)
    world.run(200)
    assert alice.state(message) == "failed"


def dead(turn):
    """Addresses where nobody is."""
    return [f"203.0.113.{turn % 250}:{number}" for number in range(1_000, 1_012)]


def announces(agent, of, turn):
    """A record of `of`, which anybody on the LAN can make: its id, its node, and dead addresses."""
    local, core = of.hosted.local, of.core
    forged = Advert(local.agent, local.name, local.kind, local.status, core.node, core.incarnation + turn, 4433)
    agent.node.run(lambda core: directory.found(core, "mdns", forged, dead(turn)))


def test_records_of_a_contact_with_dead_addresses_keep_nobody_from_it(world):
    """C3: where a link came to life is dialled beside whatever is announced."""
    alice, bob = friends(world)
    world.part(alice, bob)
    world.run(20)
    for turn in range(1, 40):
        for one, other in ((alice, bob), (bob, alice)):
            announces(one, other, turn)
    world.join(alice, bob)
    world.run(70)
    alice.sends(bob, "found")
    world.run(5)
    assert bob.heard(alice) == ["first", "found"]


def test_the_same_holds_after_a_restart(world):
    """C3: what is dialled beside announced addresses is in the store."""
    alice, bob = friends(world)
    world.part(alice, bob)
    for node in (alice.node, bob.node):
        node.restart()
    for turn in range(1, 40):
        for one, other in ((alice, bob), (bob, alice)):
            announces(one, other, turn)
    world.join(alice, bob)
    world.run(70)
    assert alice.links(bob)


def test_records_of_invented_agents_hold_up_no_dial_to_a_contact(world):
    """C3: a node is dialled because somebody wants it before one of which there is only a record."""
    alice, bob = friends(world)
    world.part(alice, bob)
    world.run(20)

    def invent(core):
        for number in range(1_500):
            forged = Advert(number.to_bytes(32, "big"), "x", "other", "online", number.to_bytes(32, "big"), 1, 4433)
            directory.found(core, "mdns", forged, dead(number))

    alice.node.run(invent)
    before = len(alice.node.effects)
    world.run(40)
    dials = [effect.dial for effect in alice.node.effects[before:] if isinstance(effect, Connect)]
    assert bob.core.node in {dial.target.node for dial in dials}
    assert bob.id in alice.core.sightings
    world.join(alice, bob)
    world.run(40)
    assert alice.links(bob)


def test_what_a_contact_tells_pushes_out_nowhere_it_was_reached(world):
    """Addresses come sealed over a bridge, and are its word all the same."""
    alice, bob = friends(world)
    reached = contacts.reached_at(alice.core.db, bob.id)
    assert reached
    for number in range(40):
        alice.node.run(
            lambda core, n=number: contacts.remember_address(core.db, bob.id, dead(n)[0], b"n" * 32, 2**40, told=True)
        )
    alice.node.run(lambda core: contacts.remember_address(core.db, bob.id, reached[0][0], b"n" * 32, 2**40, told=True))
    assert contacts.reached_at(alice.core.db, bob.id) == reached
    assert contacts.addresses(alice.core.db, bob.id)[0] == reached[0]
