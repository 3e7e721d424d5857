"""Who is let in by TCP: strangers are few, and the network with the most of them makes room."""

from __future__ import annotations

import pytest

from bridge import bounds
from bridge.gate import Gate
from p2p_agents.quic.admission import Bounds

ROOMY = Bounds(connections=10_000, per_network=512, handshakes_per_s=1_000_000)


@pytest.fixture
def gate() -> Gate:
    return Gate(ROOMY, 0.0)


def test_strangers_of_one_network_are_bounded(gate: Gate):
    entered = [gate.enter(n, f"2001:db8::{n:x}", 0.0) for n in range(200)]
    assert sum(entered) == bounds.UPGRADES_OF_NETWORK
    assert gate.enter(1_000, "2001:db8:0:1::1", 0.0)
    gate.passed(0)
    assert gate.enter(1_001, "2001:db8::1", 0.0)
    gate.left(1)
    assert gate.enter(1_002, "2001:db8::1", 0.0)


def test_the_network_that_has_the_most_makes_room(gate: Gate, monkeypatch: pytest.MonkeyPatch):
    """A flood of slow headers keeps out itself."""
    monkeypatch.setattr(bounds, "UPGRADES", 10)
    gate.enter(0, "192.0.2.1", 0.0)
    for number in range(1, 10):
        gate.enter(number, "192.0.2.2", 0.0)
        assert gate.excess() is None
    gate.enter(10, "192.0.2.3", 0.0)
    assert [gate.excess(), gate.excess()] == [1, None]
    assert gate.strangers == 10


def test_one_network_does_not_spend_everybodys_handshakes(gate: Gate):
    entered = 0
    for number in range(2_000):
        if gate.enter(number, "192.0.2.1", 0.0):
            entered += 1
            gate.left(number)
    assert entered == 4 * bounds.HANDSHAKES_OF_NETWORK
    assert gate.enter(5_000, "192.0.2.2", 0.0)
    assert gate.enter(5_001, "192.0.2.1", 1.0)


def test_who_takes_too_long_is_cut_off_once(gate: Gate):
    gate.enter(1, "192.0.2.1", 0.0)
    gate.enter(2, "192.0.2.1", 1.0)
    gate.enter(3, "192.0.2.1", 1.0)
    gate.passed(3)
    assert gate.late(bounds.KNOCK_S) == [1]
    assert gate.late(bounds.KNOCK_S) == []
    assert gate.late(bounds.KNOCK_S + 1.0) == [2]
    for number in (1, 2, 3):
        gate.left(number)
    assert gate.strangers == 0


def test_connections_are_bounded_until_they_end():
    gate = Gate(Bounds(connections=2, per_network=512, handshakes_per_s=100), 0.0)
    assert [gate.enter(n, "192.0.2.1", 0.0) for n in range(3)] == [True, True, False]
    gate.passed(0)
    assert not gate.enter(3, "192.0.2.2", 0.0)
    gate.left(0)
    assert gate.enter(4, "192.0.2.2", 0.0)


def test_a_stranger_makes_room_for_a_newcomer_and_who_is_known_does_not():
    gate = Gate(Bounds(connections=2, per_network=512, handshakes_per_s=100, patience_s=10.0), 0.0)
    for number in (1, 2):
        assert gate.enter(number, "192.0.2.1", 0.0)
        gate.passed(number)
    gate.vouch(1)
    assert not gate.enter(3, "192.0.2.2", 9.0)
    assert gate.enter(3, "192.0.2.2", 10.0)
    assert [gate.excess(), gate.excess()] == [2, None]
    gate.left(2)
    gate.passed(3)
    gate.vouch(3)
    assert not gate.enter(4, "192.0.2.3", 99.0)
    gate.left(1)
    assert gate.enter(4, "192.0.2.3", 99.0)


def test_nobodys_address_bounds_those_behind_a_proxy_or_on_this_machine(gate: Gate):
    for host in ("", "127.0.0.1", "::1"):
        assert all(gate.enter(hash((host, n)), host, 0.0) for n in range(150))


def test_whom_a_proxy_brings_counts_where_he_comes_from(monkeypatch: pytest.MonkeyPatch):
    """A proxy's connections belong to nobody until their headers have come."""
    monkeypatch.setattr(bounds, "UPGRADES_OF_NETWORK", 2)
    gate = Gate(ROOMY, 0.0)
    for number in range(4):
        assert gate.enter(number, "", 0.0)
    assert [gate.moved(n, f"2001:db8::{n}", 0.0) for n in range(3)] == [True, True, False]
    assert gate.moved(3, "192.0.2.1", 0.0)
    assert gate.strangers == 4
    assert not gate.enter(5, "2001:db8::5", 0.0)  # they are of that network now
    gate.passed(0)
    assert gate.enter(6, "2001:db8::5", 0.0)
    for number in (0, 1, 2, 3, 6):
        gate.left(number)
    assert gate.strangers == 0


def test_whom_a_proxy_brings_finds_the_places_of_its_network_taken():
    gate = Gate(Bounds(connections=10, per_network=1, handshakes_per_s=100, patience_s=10.0), 0.0)
    for number, at in ((1, 0.0), (2, 5.0), (3, 10.0)):
        assert gate.enter(number, "", at)
    assert gate.moved(1, "192.0.2.1", 0.0)
    assert not gate.moved(2, "192.0.2.1", 5.0)
    assert gate.moved(3, "192.0.2.1", 10.0)  # for the one who came first, whom nobody knows
    assert [gate.excess(), gate.excess()] == [1, None]
    assert not gate.moved(1, "192.0.2.2", 10.0)  # its place is gone, and it is being cut off
