"""What happens by time alone: expiry, jumping clocks, sleep, keys that wear out."""

from __future__ import annotations

import pytest

from p2p_agents.core.turn.schedule import DAY_MS, SETTLE_S
from p2p_agents.crypto.kem import KemKey
from p2p_agents.limits import CLOCK_KEPT_MS, CLOCK_TRUST_S, EXPIRY_DAYS
from p2p_agents.store import agents, entries

HOUR_MS = 3_600_000


def days_pass(world, days, *nodes):
    """Every machine's clocks agree: a boot clock that counts it all, seen as sleep by the monotonic one."""
    world.time.now += days * 86_400
    for node in nodes:
        node.clock.slept_s += days * 86_400


def test_what_was_never_reached_expires_after_fourteen_days(world):
    """B6: a signed void, so that the chain has no hole when the peer comes back."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "first")
    world.settle()
    bob.node.crash()
    world.run(15)
    lost = alice.sends(bob, "nobody takes it")
    days_pass(world, EXPIRY_DAYS + 1, alice.node)
    world.run(200)
    assert (alice.state(lost), alice.why(lost)) == ("failed", "expired")
    after = alice.sends(bob, "after")
    bob.node.start()
    world.settle()
    assert bob.heard(alice) == ["first", "after"]
    assert (alice.state(lost), alice.state(after)) == ("failed", "delivered")
    assert alice.owes(bob) == 0
    chain = [run.last for run in entries.runs(bob.core.db, bob.conversation(alice), alice.device)]
    assert max(chain) == 3


def test_what_was_sealed_is_unconfirmed_and_may_turn_out_delivered(world):
    """B6: `delivered` overtakes `failed: unconfirmed`."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "so that there is a session")
    world.settle()
    world.net.tamper = lambda end, data: data if end.host is alice.node.lines.endpoint else b""
    sealed = alice.sends(bob, "arrives, and nobody says so")
    world.run(1)
    bob.node.crash()
    world.net.tamper = lambda _, data: data
    world.run(15)
    days_pass(world, EXPIRY_DAYS + 1, alice.node)
    world.run(200)
    assert (alice.state(sealed), alice.why(sealed)) == ("failed", "unconfirmed")
    bob.node.start()
    world.settle()
    assert alice.state(sealed) == "delivered"
    assert bob.heard(alice)[1:] == ["arrives, and nobody says so"]


def test_expiry_waits_until_peers_can_have_been_reached(world):
    """B12: a laptop that slept for three weeks first tries to deliver."""
    alice, bob = world.friends("alice", "bob")
    world.part(alice, bob)
    world.run(15)
    message = alice.sends(bob, "written before the holidays")
    days_pass(world, EXPIRY_DAYS + 7, alice.node, bob.node)
    world.run(SETTLE_S / 2)
    assert alice.state(message) == "asked"
    world.join(alice, bob)
    world.run(10)
    world.settle()
    assert alice.state(message) == "delivered"


def leaves_behind(world, alice, bob):
    """A message that waits for somebody who is away."""
    bob.node.crash()
    world.run(15)
    return alice.sends(bob, "minutes old")


@pytest.mark.parametrize("jump_days", [20, 3_652, -20])
def test_a_clock_that_jumps_expires_nothing(world, jump_days):
    """B6, B12: however long it stays wrong; only time that was seen to pass makes a message old."""
    alice, bob = world.friends("alice", "bob")
    message = leaves_behind(world, alice, bob)
    alice.node.clock.wall_offset_ms += jump_days * DAY_MS
    world.run(3 * CLOCK_TRUST_S)
    assert alice.state(message) == "asked"
    alice.node.clock.wall_offset_ms -= jump_days * DAY_MS
    world.run(3 * CLOCK_TRUST_S)
    assert alice.state(message) == "asked"
    days_pass(world, EXPIRY_DAYS + 1, alice.node)
    world.run(200)
    assert alice.state(message) == "failed"


def test_a_clock_that_jumps_between_two_starts_expires_nothing(world):
    """B6, B12: the node was stopped, the clock moved by 20 days, and nobody is there to ask."""
    alice, bob = world.friends("alice", "bob")
    message = leaves_behind(world, alice, bob)
    for jump_days in (20, 20, -60):
        alice.node.crash()
        alice.node.clock.wall_offset_ms += jump_days * DAY_MS
        alice.node.start()
        world.run(3 * CLOCK_TRUST_S)
        assert alice.state(message) == "asked"


def test_a_first_boot_in_1970_expires_nothing_once_the_clock_is_right(world):
    """B6, B12: a machine without a clock battery, started again and again before and after its time was set."""
    alice, bob = world.agent("alice"), world.node()
    alice.node.clock.wall_offset_ms = -alice.node.clock.wall_ms()
    bob = world.agent("bob", bob)
    alice.befriends(bob)
    bob.befriends(alice)
    alice.node.restart()
    world.settle()
    assert alice.links(bob), "clocks that disagree part nobody"
    message = leaves_behind(world, alice, bob)
    alice.node.crash()
    alice.node.clock.reboots(3_600)
    alice.node.clock.wall_offset_ms = 0
    alice.node.start()
    world.run(3 * CLOCK_TRUST_S)
    assert alice.state(message) == "asked"
    bob.node.start()
    world.settle()
    assert (alice.state(message), bob.heard(alice)) == ("delivered", ["minutes old"])


def test_days_count_over_restarts_and_sleep_but_not_while_the_machine_is_off(world):
    """B6, B12: fourteen days in which it could have been delivered."""
    alice, bob = world.friends("alice", "bob")
    message = leaves_behind(world, alice, bob)
    for _ in range(3):
        days_pass(world, EXPIRY_DAYS / 4, alice.node)
        alice.node.restart()
        alice.node.clock.reboots(30 * 86_400)
        alice.node.restart()
        world.run(CLOCK_KEPT_MS / 1000 + 100)
    assert alice.state(message) == "asked"
    days_pass(world, EXPIRY_DAYS / 4, alice.node)
    world.run(200)
    assert alice.state(message) == "failed"


def test_requests_that_wait_here_are_not_forgotten_for_a_jump(world):
    """B11, B12: the human who was asked still sees who asked."""
    alice, bob = world.agent("alice"), world.agent("bob")
    world.settle()
    alice.sends(bob, "may I")
    world.settle()
    bob.node.clock.wall_offset_ms += 30 * DAY_MS
    world.run(3 * CLOCK_TRUST_S)
    assert bob.requests() == ["may I"]
    days_pass(world, EXPIRY_DAYS + 1, alice.node, bob.node)
    world.run(200)
    assert bob.requests() == []


@pytest.mark.parametrize("order", ["together", "one after the other", "while one is off"])
def test_ten_years_on_links_come_up_and_so_they_do_after_the_clocks_are_right_again(world, order):
    """B12, D1: HELLO answers a challenge of now, so no expiry date stands between two that are there."""
    alice, bob = world.friends("alice", "bob")
    said = []
    for years in (10, -10):
        for one in (alice, bob):
            if order == "while one is off":
                one.node.crash()
            one.node.clock.wall_offset_ms += years * 365 * DAY_MS
            if order == "while one is off":
                one.node.start()
            if order == "one after the other" or one is bob:
                world.net.cut()
                world.run(100)
                said.append(f"{years} {one.name}")
                alice.sends(bob, said[-1])
                bob.sends(alice, said[-1])
                world.settle()
                assert bob.heard(alice) == alice.heard(bob) == said


def test_what_a_bridge_brings_to_a_clock_that_is_behind_is_taken_once_it_is_right(world):
    """B7, B12: cursors are times; nothing is acknowledged that was not taken, so it is delivered again."""
    alice, bob = world.friends("alice", "bob")
    bridge = world.bridge(alice.node, bob.node)
    world.settle()
    bridge.cursor = alice.core.now_ms() * 1_000
    world.part(alice, bob)
    world.run(15)
    bob.node.clock.wall_offset_ms -= 20 * DAY_MS
    alice.sends(bob, "from the future")
    world.run(130)
    assert bob.heard(alice) == []
    bob.node.clock.wall_offset_ms += 20 * DAY_MS
    world.run(130)
    assert bob.heard(alice) == ["from the future"]
    assert alice.states(bob) == ["delivered"]


def test_a_peer_confirms_a_jump(world):
    """B12"""
    alice, bob = world.friends("alice", "bob")
    world.run(60)
    for one in (alice, bob):
        one.node.clock.wall_offset_ms += HOUR_MS
    world.run(60)
    assert not alice.core.trusted.look()
    world.net.cut()
    world.settle()
    assert alice.core.trusted.look()


def test_messages_flow_between_clocks_that_disagree(world):
    """B12, D2: an hour, a month, forward and back."""
    alice, bob = world.friends("alice", "bob")
    said = []
    for jump in (HOUR_MS, -2 * HOUR_MS, 30 * DAY_MS, -30 * DAY_MS):
        bob.node.clock.wall_offset_ms += jump
        for cut in (False, True):
            said.append(f"{jump} {cut}")
            alice.sends(bob, said[-1])
            bob.sends(alice, said[-1])
            if cut:
                world.net.cut()
            world.settle()
    assert bob.heard(alice) == alice.heard(bob) == said


def test_sleep_probes_every_link(world):
    """B12: after a resume both ends find out at once whether the other is still there."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "-")
    world.settle()
    carried = world.net.carried
    days_pass(world, 0.5, alice.node)
    world.run(2)
    assert world.net.carried > carried
    assert alice.links(bob)


def test_prekeys_are_renewed_weekly_and_destroyed_in_time(world):
    """D1: and links go on."""
    alice, bob = world.friends("alice", "bob")
    for week in range(7):
        days_pass(world, 8, alice.node, bob.node)
        world.run(130)
        world.net.cut()
        world.run(5)
        alice.sends(bob, f"{week}")
        world.settle()
    assert bob.heard(alice) == [f"{week}" for week in range(7)]
    kept = agents.prekeys(alice.core.db, alice.device)
    assert [key.public for key in alice.hosted.prekeys] == [KemKey.from_seed(prekey.seed).public for prekey in kept]
    assert 2 <= len(kept) <= 6


def test_a_jumping_clock_destroys_no_prekeys(world):
    """B12, D1"""
    alice, bob = world.friends("alice", "bob")
    before = [prekey.seed for prekey in agents.prekeys(alice.core.db, alice.device)]
    alice.node.clock.wall_offset_ms += 60 * DAY_MS
    world.run(CLOCK_TRUST_S - 100)
    assert set(before) <= {prekey.seed for prekey in agents.prekeys(alice.core.db, alice.device)}
    assert bob.links(alice)
