from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.tables import PairTable
from tests.core.stage import hosts

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core

ALICE, BOB, CAROL = b"alice", b"bob", b"carol"


def table() -> PairTable[tuple[int, bytes, str]]:
    return PairTable(lambda thing: thing[:2])


def test_what_a_pair_has_is_found_by_its_agents() -> None:
    """Two devices of bob, one of carol, and another agent of ours."""
    found = table()
    found[ALICE, b"laptop"] = (1, BOB, "first")
    found[ALICE, b"phone"] = (1, BOB, "second")
    found[ALICE, b"desk"] = (1, CAROL, "other")
    found[b"anna", b"laptop"] = (2, BOB, "hers")
    assert [thing[2] for thing in found.between(1, BOB)] == ["first", "second"]
    assert [thing[2] for thing in found.between(2, BOB)] == ["hers"]
    assert list(found.between(2, CAROL)) == []


def test_what_is_replaced_or_removed_is_not_found_any_more() -> None:
    found = table()
    found[ALICE, b"laptop"] = (1, BOB, "first")
    found[ALICE, b"laptop"] = (1, CAROL, "now hers")
    assert list(found.between(1, BOB)) == []
    assert found.remove((ALICE, b"laptop")) == (1, CAROL, "now hers")
    assert found.remove((ALICE, b"laptop")) is None
    assert list(found.between(1, CAROL)) == []
    found[ALICE, b"laptop"] = (1, BOB, "first")
    found.clear()
    assert list(found.between(1, BOB)) == []


def test_one_may_go_while_all_are_looked_at() -> None:
    found = table()
    for device in (b"one", b"two", b"three"):
        found[ALICE, device] = (1, BOB, device.decode())
    seen = []
    for thing in found.between(1, BOB):
        seen.append(thing[2])
        found.remove((ALICE, b"two"))
    assert seen == ["one", "three"]


def test_agents_are_found_by_number_id_and_device(core: Core) -> None:
    hosts(core, "alice")
    hosts(core, "bob")
    hosted, (alice, bob) = core.hosted, core.hosted.values()
    assert hosted.of_agent(bob.local.agent) is hosted[bob.local.id] is hosted.of_device(bob.local.device)
    assert hosted.remove(alice.local.id) is alice
    assert hosted.of_agent(alice.local.agent) is hosted.of_device(alice.local.device) is None
    assert hosted.remove(alice.local.id) is None


def test_those_that_stay_are_found_as_before(core: Core) -> None:
    hosts(core, "alice")
    hosts(core, "bob")
    alice, bob = core.hosted.values()
    left = core.hosted.without(alice.local.id)
    assert (left.of_agent(alice.local.agent), left.of_device(bob.local.device)) == (None, bob)
    found = table()
    found[ALICE, b"laptop"] = (1, BOB, "stays")
    found[CAROL, b"laptop"] = (2, BOB, "goes")
    only = found.only(lambda pair: pair[0] == ALICE)
    assert (list(only.between(1, BOB)), list(only.between(2, BOB))) == ([(1, BOB, "stays")], [])
