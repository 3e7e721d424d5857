"""Peers that take nothing for a while: they get everything once they listen, and nobody has to restart."""

from __future__ import annotations

import pytest

from p2p_agents.core.delivery import inbound, sealing
from p2p_agents.core.turn import dispatch
from p2p_agents.wire import frame as frames
from tests.sim.world import settled


@pytest.fixture
def owing(world):
    """Friends with a session, and then a peer that alice owes more than a window holds."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "first")
    world.settle()
    return alice, bob


def owe_much(world, alice, bob):
    for number in range(400):
        alice.sends(bob, f"{number}".ljust(8_000, "x"))
        world.run(0.01)
    world.run(300)


def behaves_again(world, alice, bob):
    """Within minutes, without anybody restarting anything."""
    world.run(240)
    assert alice.owes(bob) == 0
    assert len(bob.heard(alice)) == 401
    assert settled(alice.states(bob))


def test_what_is_owed_to_a_peer_that_never_acknowledged_arrives_once_it_does(world, owing, monkeypatch):
    """B1, B3: the window is full, so nothing new would ever tell the two that their views differ."""
    alice, bob = owing
    with monkeypatch.context() as patch:
        seal_next = sealing._seal_next
        patch.setattr(sealing, "_seal_next", lambda core, *rest: core is not bob.core and seal_next(core, *rest))
        owe_much(world, alice, bob)
    behaves_again(world, alice, bob)


@pytest.mark.parametrize("counts_credit", [True, False])
def test_what_is_owed_to_a_peer_that_dropped_it_arrives_once_it_listens(world, owing, monkeypatch, counts_credit):
    """B1, B3, C1: frames that were thrown away used the credit up, whether or not it was granted anew."""
    alice, bob = owing
    with monkeypatch.context() as patch:
        on_data = inbound.on_data

        def drops(core, link, frame):
            if core is not bob.core:
                on_data(core, link, frame)
            elif counts_credit:
                link.meter.take(len(frame.payload))

        patch.setitem(dispatch._LINK_HANDLERS, frames.Data, drops)
        owe_much(world, alice, bob)
        assert alice.owes(bob) == 400
    behaves_again(world, alice, bob)


def test_a_peer_that_lost_what_it_received_is_told_again(world, owing, monkeypatch):
    """B1, B4: its sessions went on and its verdicts did not, so that no acknowledgement can match."""
    alice, bob = owing
    settle = inbound._settle_payload
    with monkeypatch.context() as patch:
        patch.setattr(inbound, "_settle_payload", lambda core, *rest: core is bob.core or settle(core, *rest))
        owe_much(world, alice, bob)
        assert alice.owes(bob) == 400
    behaves_again(world, alice, bob)


def test_where_nothing_is_owed_nobody_is_asked(world, owing):
    """B3: frames that only acknowledge are acknowledged by nobody, and that is no silence to worry about."""
    alice, bob = owing
    world.run(60)
    held, *_ = alice.core.pair_sessions(alice.core.pair_key(alice.links(bob)[0]))
    sent = held.session.sent
    world.run(600)
    assert held.session.sent == sent
