"""Which nodes are dialed, and when."""

from __future__ import annotations

import pytest

from p2p_agents.limits import (
    BACKOFF_MAX_S,
    BACKOFF_MIN_S,
    DIAL_TIMEOUT_S,
    DIALS,
    DIALS_OF_RECORDS,
    DISCOVERED_AGENTS,
    HEARD_ADDRESSES,
    PROVEN_ADDRESSES,
    ROSTER_AGENTS,
)
from p2p_agents.link.routing import CANDIDATES, SECOND_DIALER_S, Router, Target, Tried

SMALL, OWN, LARGE = b"a" * 32, b"m" * 32, b"z" * 32


@pytest.fixture
def router():
    return Router(OWN, lambda: 1.0)


def dialled(router, now):
    return [(dial.target.node, dial.addresses) for dial in router.due(now)]


def test_of_two_that_find_each_other_one_dials_at_once(router):
    """C3: the one with the smaller key; the other only when nothing came."""
    router.found(LARGE, 1, ["a:1"], 0.0)
    router.found(SMALL, 1, ["b:1"], 0.0)
    assert dialled(router, 0.0) == [(LARGE, ("a:1",))]
    assert dialled(router, SECOND_DIALER_S - 0.01) == []
    assert dialled(router, SECOND_DIALER_S) == [(SMALL, ("b:1",))]


def test_a_node_does_not_dial_itself(router):
    router.found(OWN, 1, ["a:1"], 0.0)
    router.want(Target(OWN), ["a:1"], 0.0)
    assert dialled(router, 9.0) == []


def test_failures_back_off_to_a_bound(router):
    """C3: with jitter; a bound keeps a peer that returns from waiting long."""
    router.found(LARGE, 1, ["a:1"], 0.0)
    now, gaps = 0.0, []
    assert dialled(router, now)
    for _ in range(20):
        router.dialed(Target(LARGE))
        wait = 0.0
        while not dialled(router, now + wait):
            wait += BACKOFF_MIN_S
        gaps.append(wait)
        now += wait
    assert gaps == sorted(gaps)
    assert gaps[-1] == BACKOFF_MAX_S


def test_while_connected_nothing_is_dialled_and_a_lost_connection_is_at_once(router):
    router.found(LARGE, 1, ["a:1"], 0.0)
    router.due(0.0)
    router.dialed(Target(LARGE))
    router.connected(Target(LARGE), 7, 1)
    assert dialled(router, 60.0) == []
    router.closed(7, 60.0)
    assert dialled(router, 60.3) == [(LARGE, ("a:1",))]


def test_a_rumour_of_a_newer_incarnation_is_dialled_and_not_believed(router):
    """C3: only a connection that TLS proved turns older ones into ghosts."""
    router.connected(Target(LARGE), 7, 1)
    router.found(LARGE, 2, ["a:1"], 0.0)
    assert dialled(router, 0.0) == [(LARGE, ("a:1",))]
    assert router.connections(LARGE) == {7}
    assert router.connected(Target(LARGE), 8, 2) == [7]
    assert router.connections(LARGE) == {8}


def test_a_claim_is_left_the_dialling_while_nothing_is_missed(router):
    """C2, C3: a connection that dialed us and claims to be the node suffices only if everything that should be linked
    there is."""
    router.want(Target(LARGE), ["a:1"], 0.0)
    router.claimed(LARGE, 7)
    assert router.due(60.0, lambda node: False) == []
    assert [dial.target.node for dial in router.due(60.0, lambda node: True)] == [LARGE]
    router.claimed(SMALL, 7)
    router.dialed(Target(LARGE))
    assert [dial.target.node for dial in router.due(120.0, lambda node: False)] == [LARGE]


def test_a_dial_nobody_reports_on_ends_by_itself(router):
    """A6: what a failed batch never carried out must not keep a target busy for ever."""
    router.found(LARGE, 1, ["a:1"], 0.0)
    assert dialled(router, 0.0)
    assert dialled(router, DIAL_TIMEOUT_S) == []
    assert dialled(router, 2 * DIAL_TIMEOUT_S)


def test_invented_records_are_bounded(router):
    """Targets, addresses of one, and dials under way."""
    for number in range(DISCOVERED_AGENTS + 50):
        router.found(LARGE[:28] + number.to_bytes(4, "big"), 1, [f"a:{n + 1}" for n in range(50)], 0.0)
    dials = router.due(0.0)
    assert sum(len(dial.addresses) for dial in dials) < DIALS + CANDIDATES
    assert all(len(dial.addresses) <= CANDIDATES for dial in dials)


def test_what_is_announced_pushes_out_nothing_proven(router):
    """C3: anybody may announce a node's addresses; those where a link came to life are dialed in every attempt."""
    router.want(Target(LARGE), ["typed:1"], 0.0, peer=b"bob", proven=["good:1"])
    router.connected(Target(LARGE), 7, 1)
    router.reached(LARGE, b"bob", "better:1")
    router.closed(7, 1.0)
    for number in range(HEARD_ADDRESSES):
        router.found(LARGE, 1, [f"dead:{number}"], 1.0)
    now = 2.0
    for _ in range(9):
        (dial,) = router.due(now)
        assert dial.addresses[:2] == ("better:1", "good:1")
        assert len(dial.addresses) == 2 + CANDIDATES
        router.dialed(Target(LARGE))
        now += 2 * BACKOFF_MAX_S
    assert router.addresses(LARGE)[:2] == ("better:1", "good:1")


def test_what_was_heard_is_tried_in_turns(router):
    """Dead addresses delay the one that leads there, and do not hide it."""
    router.found(LARGE, 1, ["good:1"], 0.0)
    router.found(LARGE, 1, [f"dead:{number}" for number in range(HEARD_ADDRESSES - 1)], 0.0)
    tried: set[str] = set()
    for attempt in range(-(-HEARD_ADDRESSES // CANDIDATES)):
        (dial,) = router.due(attempt * 2 * BACKOFF_MAX_S)
        router.dialed(Target(LARGE))
        tried.update(dial.addresses)
    assert "good:1" in tried


def test_proven_addresses_are_bounded_and_the_last_ones_stay(router):
    router.want(Target(LARGE), (), 0.0)
    for number in range(PROVEN_ADDRESSES + 5):
        router.reached(LARGE, b"bob", f"a:{number}")
    router.reached(SMALL, b"bob", "a:1")
    (dial,) = router.due(0.0)
    assert dial.addresses[0] == f"a:{PROVEN_ADDRESSES + 4}"
    assert len(dial.addresses) == PROVEN_ADDRESSES


def test_who_claims_anothers_node_pushes_out_nowhere_that_one_was_reached(router):
    """A node that dials us is known only by its own word; it may have many addresses."""
    router.want(Target(LARGE), (), 0.0)
    router.reached(LARGE, b"bob", "old:1")
    router.reached(LARGE, b"bob", "good:1")
    for number in range(3 * PROVEN_ADDRESSES):
        router.reached(LARGE, b"mallory", f"far:{number}")
    (dial,) = router.due(0.0)
    assert {"good:1", "old:1"} <= set(dial.addresses)
    assert len(dial.addresses) == PROVEN_ADDRESSES
    for number in range(2 * ROSTER_AGENTS):
        router.reached(LARGE, number.to_bytes(4, "big"), "other:1")
    router.dialed(Target(LARGE))
    assert "good:1" in router.addresses(LARGE)


def test_who_is_wanted_is_dialled_before_rumours(router):
    """Invented nodes take a part of the dials in progress, and no more."""
    for number in range(40):
        router.found(LARGE[:28] + number.to_bytes(4, "big"), 1, [f"a:{n + 1}" for n in range(12)], 0.0)
    router.want(Target(LARGE), [f"b:{n + 1}" for n in range(12)], 0.0)
    dials = router.due(0.0)
    assert dials[0].target == Target(LARGE)
    assert sum(len(dial.addresses) for dial in dials) <= DIALS_OF_RECORDS
    for number in range(2):
        router.want(Target(b"", f"c:{number}"), [f"c:{number}"], 0.0)
    assert [dial.target.place for dial in router.due(0.0)] == ["c:0", "c:1"]


def test_a_goodbye_ends_the_dialling_unless_somebody_wants_it(router):
    router.found(LARGE, 1, ["a:1"], 0.0)
    router.lost(LARGE)
    assert dialled(router, 60.0) == []
    router.want(Target(LARGE), ["a:1"], 60.0)
    router.lost(LARGE)
    assert dialled(router, 60.0)


def test_what_nobody_wants_any_more_is_not_dialled(router):
    place = Target(b"", "a:1")
    router.leave(place)
    router.want(place, ["a:1"], 0.0)
    router.leave(place)
    assert dialled(router, 99.0) == []


def test_a_resume_forgives_all_backoff(router):
    """B12"""
    router.want(Target(b"", "a:1"), ["a:1"], 0.0)
    for now in range(0, 200, 40):
        router.due(float(now))
        router.dialed(Target(b"", "a:1"))
    assert dialled(router, 161.0) == []
    router.resumed(161.0)
    assert len(router.due(161.0)) == 1


def test_who_dials_us_at_this_moment_is_dialled_at_once_and_where_it_says(router):
    """Both sides of two NATs must try together; a dial in progress to an old address does not delay that."""
    router.want(Target(LARGE), [f"old:{number}" for number in range(CANDIDATES)], 0.0)
    assert dialled(router, 2.0)
    assert dialled(router, 2.1) == []
    router.urge(Target(LARGE), ["new:1"], 2.1)
    (dial,) = router.due(2.1)
    assert dial.addresses[0] == "new:1"
    assert len(dial.addresses) == CANDIDATES
    router.urge(Target(LARGE), ["new:1"], 2.2)
    assert dialled(router, 2.2) == []
    router.urge(Target(OWN), ["own:1"], 3.0)
    assert dialled(router, 3.0) == []


def test_what_became_of_dialling_is_known(router):
    """What people are told must be true: tried, in progress, failed completely."""
    assert router.tried(LARGE, 0.0) == Tried()
    router.want(Target(LARGE), ["a:1"], 0.0)
    assert router.tried(LARGE, 0.0) == Tried()
    router.due(0.0)
    assert router.tried(LARGE, 0.1) == Tried(under_way=True)
    router.dialed(Target(LARGE))
    assert router.tried(LARGE, 0.2) == Tried(failed=True)
    router.due(60.0)
    assert router.tried(LARGE, 60.1) == Tried(under_way=True, failed=True)
    assert router.tried(LARGE, 60.0 + 2 * DIAL_TIMEOUT_S) == Tried(failed=True)
    router.urge(Target(LARGE), ["b:1"], 70.0)
    assert router.tried(LARGE, 70.0) == Tried()
    router.due(70.0)
    router.connected(Target(LARGE), 7, 1)
    for _ in range(2):
        router.dialed(Target(LARGE))
    assert router.tried(LARGE, 70.1) == Tried()


def test_who_has_waited_longest_is_dialled_first(router):
    """If more dials are due than may be in progress, nobody waits for ever."""
    for number in range(DIALS + 10):
        router.want(Target(b"", f"a:{number}"), [f"a:{number}"], 0.0)
    first = {dial.target for dial in router.due(0.0)}
    for target in first:
        router.dialed(target)
    second = [dial.target for dial in router.due(2 * BACKOFF_MAX_S)]
    assert len(first) == len(second) == DIALS
    assert not set(second[:10]) & first
