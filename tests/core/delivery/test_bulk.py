"""Who may have a transfer, and what a feature is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2p_agents.core.delivery import bulk
from p2p_agents.core.delivery.bulk import Begun, Body, Failed, Kept, Transfers, Verified
from p2p_agents.core.kernel.effects import DropBulk, GiveBulk, TakeBulk
from p2p_agents.core.kernel.state import BridgedLink
from p2p_agents.errors import Busy, NotReachable, TooLarge, Usage
from p2p_agents.limits import BULK_BYTES, BULK_PIECE_BYTES, BULK_TRANSFERS
from p2p_agents.wire.bulk import BulkEnd
from p2p_agents.wire.frame import Standing
from tests.sim.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from p2p_agents.core.delivery.bulk import News
    from p2p_agents.core.kernel.core import Core
    from tests.sim.world import Agent

ID = b"t" * 32
ONE = Body(1, (b"h" * 32,))


class Feature:
    """Wants bodies, and notes what it is told."""

    def __init__(self) -> None:
        self.news: list[News] = []

    def told(self, core: Core, news: News) -> None:
        self.news.append(news)


@pytest.fixture
def friends(tmp_path: Path) -> list[Agent]:
    return World(tmp_path).friends("alice", "bob")


@pytest.fixture
def feature() -> Feature:
    return Feature()


def takes(agent: Agent, peer: Agent, feature: Feature, transfer: bytes = ID, body: Body = ONE) -> None:
    """As an item that fails where taking does."""

    def item(core: Core) -> None:
        bulk.take(core, agent.links(peer)[0], transfer, body, "/place", feature.told)

    agent.node.run(item)


def asked(agent: Agent) -> list[object]:
    return [effect for effect in agent.node.effects if isinstance(effect, TakeBulk | GiveBulk | DropBulk)]


def test_a_transfer_is_asked_of_the_connection_of_its_link(friends: list[Agent], feature: Feature) -> None:
    alice, bob = friends
    takes(alice, bob, feature)
    connection = alice.links(bob)[0].connection
    assert asked(alice) == [TakeBulk(connection, ID, "/place", 1, ONE.pieces)]
    bob.node.run(lambda core: bulk.give(core, bob.links(alice)[0], ID, "/source", 0, 1, feature.told))
    assert asked(bob) == [GiveBulk(bob.links(alice)[0].connection, ID, "/source", 0, 1)]


def test_a_feature_hears_of_its_transfer_until_the_last_word(friends: list[Agent], feature: Feature) -> None:
    alice, bob = friends
    takes(alice, bob, feature)
    for news in (Begun(0), Verified(), Kept(), Failed(BulkEnd.GONE)):
        alice.node.run(lambda core, news=news: bulk.news(core, ID, news))
    assert feature.news == [Begun(0), Verified(), Kept()]
    assert alice.node.core.of(Transfers).open == {}


@pytest.mark.parametrize("whose", ["standing", "peer_standing"])
def test_only_agents_that_accept_each_other_have_a_lane(friends: list[Agent], feature: Feature, whose: str) -> None:
    """K4: a stranger is neither given anything nor asked."""
    alice, bob = friends
    setattr(alice.links(bob)[0], whose, Standing.ASK)
    with pytest.raises(NotReachable):
        takes(alice, bob, feature)
    assert asked(alice) == []


def test_there_is_no_lane_over_a_bridge(tmp_path: Path, feature: Feature) -> None:
    world = World(tmp_path)
    alice, bob = world.friends("alice", "bob")
    world.bridge(alice.node, bob.node)
    world.settle()
    alice.sends(bob, "hello")
    world.settle()
    world.part(alice, bob)
    world.settle()
    way = next(alice.core.paths_to(alice.hosted.local.id, bob.id))
    assert isinstance(way, BridgedLink)
    with pytest.raises(NotReachable):
        alice.node.run(lambda core: bulk.take(core, way, ID, ONE, "/place", feature.told))


def test_a_transfer_ends_with_its_link(friends: list[Agent], feature: Feature) -> None:
    alice, bob = friends
    takes(alice, bob, feature)
    alice.node.run(lambda core: core.close_link(alice.links(bob)[0], "reset"))
    alice.node.run(bulk.second)
    assert feature.news == [Failed(BulkEnd.GONE)]
    assert DropBulk(ID) in asked(alice)


def test_a_contact_that_is_blocked_gets_no_more_of_what_is_under_way(friends: list[Agent], feature: Feature) -> None:
    alice, bob = friends
    takes(alice, bob, feature)
    alice.blocks(bob)
    alice.node.run(bulk.second)
    assert feature.news == [Failed(BulkEnd.GONE)]


def test_what_is_dropped_is_not_told_of(friends: list[Agent], feature: Feature) -> None:
    alice, bob = friends
    takes(alice, bob, feature)
    alice.node.run(lambda core: bulk.drop(core, ID))
    alice.node.run(lambda core: bulk.news(core, ID, Kept()))
    assert (asked(alice)[-1], feature.news) == (DropBulk(ID), [])


def test_transfers_of_a_node_are_bounded(friends: list[Agent], feature: Feature) -> None:
    alice, bob = friends
    for number in range(BULK_TRANSFERS):
        takes(alice, bob, feature, bytes([number]) * 32)
    with pytest.raises(Busy):
        takes(alice, bob, feature)
    assert len(asked(alice)) == BULK_TRANSFERS


def test_an_id_names_one_transfer_at_a_time(friends: list[Agent], feature: Feature) -> None:
    alice, bob = friends
    takes(alice, bob, feature)
    with pytest.raises(Busy):
        takes(alice, bob, feature)


@pytest.mark.parametrize(
    ("size", "pieces", "error"),
    [
        (0, 0, TooLarge),
        (1, 0, Usage),
        (BULK_PIECE_BYTES, 2, Usage),
        (BULK_BYTES + 1, BULK_BYTES // BULK_PIECE_BYTES + 1, TooLarge),
    ],
)
def test_a_body_is_bounded_and_has_a_hash_for_each_piece(
    friends: list[Agent], feature: Feature, size: int, pieces: int, error: type[Exception]
) -> None:
    alice, bob = friends
    with pytest.raises(error):
        takes(alice, bob, feature, body=Body(size, (b"h" * 32,) * pieces))


def test_an_item_that_is_undone_began_nothing(friends: list[Agent], feature: Feature) -> None:
    """A6: memory goes back with the store."""
    alice, bob = friends

    def item(core: Core) -> None:
        bulk.take(core, alice.links(bob)[0], ID, ONE, "/place", feature.told)
        raise Usage("after all not")

    with pytest.raises(Usage):
        alice.node.run(item)
    assert (alice.node.core.of(Transfers).open, asked(alice)) == ({}, [])
