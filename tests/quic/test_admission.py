"""Who may open a connection."""

from __future__ import annotations

import pytest

from p2p_agents.quic.admission import Admission, Bounds


def admitted(admission: Admission, host: str, tries: int, now: float = 0.0) -> int:
    return sum(admission.admit(host, now) for _ in range(tries))


def test_one_address_cannot_take_every_connection():
    admission = Admission(Bounds(connections=10, per_address=3, handshakes_per_s=100), now=0.0)
    assert admitted(admission, "192.0.2.1", 5) == 3
    assert admitted(admission, "192.0.2.2", 2) == 2
    admission.release("192.0.2.1")
    assert admitted(admission, "192.0.2.1", 5) == 1


def test_one_machine_may_host_many_nodes():
    admission = Admission(Bounds(connections=10, per_address=3, handshakes_per_s=100), now=0.0)
    assert admitted(admission, "127.0.0.1", 20) == 10
    assert admitted(admission, "::1", 1) == 0


def test_handshakes_are_paced():
    admission = Admission(Bounds(connections=1_000, per_address=1_000, handshakes_per_s=5), now=0.0)
    assert admitted(admission, "192.0.2.1", 20) == 5
    assert admitted(admission, "192.0.2.1", 20, now=0.5) == 2
    assert admitted(admission, "192.0.2.1", 20, now=100.0) == 5


def test_refusals_and_departures_are_forgotten():
    admission = Admission(Bounds(connections=1, per_address=1, handshakes_per_s=100), now=0.0)
    assert admission.admit("192.0.2.0", 0.0)
    for number in range(1, 50):
        assert not admission.admit(f"192.0.2.{number}", 0.0)
    admission.release("192.0.2.0")
    assert not admission._hosts


@pytest.mark.parametrize("bound", ["connections", "per_address", "handshakes_per_s"])
def test_a_bound_is_at_least_one(bound):
    with pytest.raises(ValueError, match="at least 1"):
        Bounds(**{bound: 0})
