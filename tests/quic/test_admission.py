"""Who may open a connection, and who makes room."""

from __future__ import annotations

import pytest

from p2p_agents.quic.admission import Admission, Bounds, Place, Refusal


def bounds(connections: int = 1_000, per_network: int = 1_000, patience_s: float | None = 2.0) -> Bounds:
    return Bounds(connections, per_network, handshakes_per_s=1_000, patience_s=patience_s)


def places(admission: Admission, host: str, tries: int, now: float = 0.0) -> list[Place]:
    """For newcomers with a proven address."""
    found = [admission.admit(host, now, proven=True) for _ in range(tries)]
    return [place for place in found if isinstance(place, Place)]


def room(admission: Admission, host: str, now: float) -> Place | None:
    """The place that made room for a newcomer with a proven address, which must be let in."""
    [place] = places(admission, host, 1, now)
    return place.displaced


def admitted(admission: Admission, host: str, tries: int, now: float = 0.0) -> int:
    return len(places(admission, host, tries, now))


def test_one_address_cannot_take_every_connection():
    admission = Admission(bounds(connections=10, per_network=3), now=0.0)
    first, *_ = places(admission, "192.0.2.1", 5)
    assert admitted(admission, "192.0.2.1", 5) == 0
    assert admitted(admission, "192.0.2.2", 2) == 2
    admission.release(first)
    assert admitted(admission, "192.0.2.1", 5) == 1


def test_the_addresses_of_one_ipv6_network_count_as_one():
    """PROTOCOL C3: somebody with one address of a /64 has all of them."""
    admission = Admission(bounds(per_network=3), now=0.0)
    assert sum(admitted(admission, f"2001:db8::{n:x}", 1) for n in range(1, 50)) == 3
    assert admitted(admission, "2001:db8:0:1::1", 1) == 1


def test_one_machine_may_host_many_nodes():
    admission = Admission(bounds(connections=10, per_network=3), now=0.0)
    assert admitted(admission, "127.0.0.1", 20) == 10
    assert admitted(admission, "::1", 1) == 0


def test_handshakes_are_paced():
    admission = Admission(Bounds(connections=1_000, per_network=1_000, handshakes_per_s=5), now=0.0)
    assert admitted(admission, "192.0.2.1", 20) == 5
    assert admitted(admission, "192.0.2.1", 20, now=0.5) == 2
    assert admitted(admission, "192.0.2.1", 20, now=100.0) == 5


def test_addresses_that_were_not_proven_have_half_the_pace_and_leave_the_rest_to_others():
    """First packets in invented names must not keep real dialers out."""
    admission = Admission(Bounds(connections=1_000, per_network=1_000, handshakes_per_s=10), now=0.0)
    found = [admission.admit(f"192.0.2.{number}", 0.0, proven=False) for number in range(40)]
    assert [isinstance(place, Place) for place in found] == [True] * 5 + [False] * 35
    assert set(found[5:]) == {Refusal.UNPROVEN}
    assert admitted(admission, "198.51.100.1", 20) == 10


def test_an_address_that_was_not_proven_displaces_nobody():
    """It might be a contact's network that a flood of them empties."""
    admission = Admission(bounds(per_network=1), now=0.0)
    [old] = places(admission, "192.0.2.1", 1)
    assert admission.admit("192.0.2.1", 1.0, proven=False) is Refusal.FULL
    assert admission.admit("192.0.2.1", 5.0, proven=False) is Refusal.UNPROVEN
    assert room(admission, "192.0.2.1", now=5.0) is old


def test_where_all_places_are_taken_the_oldest_of_the_largest_crowd_makes_room():
    admission = Admission(bounds(connections=4), now=0.0)
    [early] = places(admission, "192.0.2.9", 1)
    crowd = places(admission, "192.0.2.1", 3, now=1.0)
    assert not places(admission, "192.0.2.2", 1, now=2.9)
    assert room(admission, "192.0.2.2", now=3.0) is crowd[0]
    assert room(admission, "192.0.2.3", now=3.0) is crowd[1]
    assert room(admission, "192.0.2.4", now=3.0) is early


def test_a_crowded_network_makes_room_within_itself():
    """A contact behind the same address as a crowd still gets in."""
    admission = Admission(bounds(per_network=3), now=0.0)
    crowd = places(admission, "192.0.2.1", 3)
    [alone] = places(admission, "192.0.2.2", 1)
    assert not places(admission, "192.0.2.1", 1, now=1.9)
    assert room(admission, "192.0.2.1", now=2.0) is crowd[0]
    assert alone is not crowd[0]


def test_who_is_vouched_for_makes_room_for_nobody_and_crowds_no_network():
    admission = Admission(bounds(connections=4, per_network=2), now=0.0)
    for _ in range(2):
        for place in places(admission, "192.0.2.1", 2):
            admission.vouch(place, True)
    assert not places(admission, "192.0.2.1", 1, now=100.0)
    admission.vouch(place, False)
    assert room(admission, "192.0.2.7", now=100.0) is place


def test_a_displaced_place_is_free_and_vouching_for_it_changes_nothing():
    admission = Admission(bounds(connections=1), now=0.0)
    [old] = places(admission, "192.0.2.1", 1)
    [new] = places(admission, "192.0.2.2", 1, now=5.0)
    assert new.displaced is old
    admission.vouch(old, True)
    admission.release(old)
    assert not places(admission, "192.0.2.3", 1, now=6.0)
    assert room(admission, "192.0.2.3", now=7.0) is new


def test_without_an_end_to_patience_newcomers_are_refused():
    admission = Admission(bounds(connections=3, per_network=2, patience_s=None), now=0.0)
    assert admitted(admission, "192.0.2.1", 2) == 2
    assert not places(admission, "192.0.2.1", 1, now=1_000.0)
    assert admitted(admission, "192.0.2.2", 2, now=1_000.0) == 1


def test_refusals_and_departures_are_forgotten():
    admission = Admission(bounds(connections=1, per_network=1), now=0.0)
    [place] = places(admission, "192.0.2.0", 1)
    for number in range(1, 50):
        assert not places(admission, f"192.0.2.{number}", 1, now=0.0)
    admission.vouch(place, True)
    admission.vouch(place, False)
    admission.release(place)
    admission.release(place)
    assert not admission._crowds
    assert admitted(admission, "192.0.2.1", 2) == 1


@pytest.mark.parametrize("bound", ["connections", "per_network", "handshakes_per_s"])
def test_a_bound_is_at_least_one(bound):
    with pytest.raises(ValueError, match="at least 1"):
        Bounds(**{bound: 0})
