"""Why a peer is not reached directly: each reason follows from what was tried."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from p2p_agents.core.api import commands
from p2p_agents.core.kernel.state import Bridge, BridgedLink, Phase
from p2p_agents.core.links.dialing import dial_due
from p2p_agents.core.relay import ways
from p2p_agents.link.routing import Target
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Trust
from tests.core.stage import asks, does

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core

NODE, PLACE = b"n" * 32, "192.0.2.7:4433"
ADDRESS = "bridge://bridge.example:4433#key"


@pytest.fixture
def link(pair: Core) -> BridgedLink:
    """Carol, a contact that may be reached over bridges, of which none is known."""
    peer = os.urandom(32)

    def item(core: Core) -> BridgedLink:
        local = core.acting("alice").local
        contacts.save_contact(core.db, local.id, peer, name="carol", kind="other", trust=Trust.ACCEPTED, now_ms=1)
        way = BridgedLink(0, 0, local.id, peer, Phase.UP, b"", peer_device=peer)
        core.ways[local.device, peer] = way
        return way

    made: BridgedLink = does(pair, item)
    return made


def told(core: Core, link: BridgedLink) -> None:
    """Where carol can be reached."""
    does(core, lambda core: contacts.remember_address(core.db, link.peer, PLACE, NODE, 1, told=True))


def dials(core: Core) -> None:
    core.router.urge(Target(NODE), [PLACE], core.now())
    does(core, dial_due)


def why(core: Core) -> str:
    (carol,) = [it for it in asks(core, commands.peers)["peers"] if it["name"] == "carol"]
    return str(carol["why"])


def test_where_no_bridge_is_known_none_is_spoken_of(pair: Core, link: BridgedLink) -> None:
    assert why(pair) == "the peer has not said yet where it can be reached"
    told(pair, link)
    dials(pair)
    pair.router.dialed(Target(NODE))
    assert why(pair) == "no address of the peer answers: a NAT or firewall may stand between"


@pytest.mark.parametrize("way", ["quic", "websocket"])
def test_a_bridge_that_is_down_shows_nothing_of_udp(pair: Core, link: BridgedLink, way: str) -> None:
    pair.bridges[ADDRESS] = Bridge(up=False, why="bridge_unreachable", way=way)
    told(pair, link)
    dials(pair)
    pair.router.dialed(Target(NODE))
    assert "WebSocket" not in why(pair)


def test_bridges_that_only_a_websocket_reaches_are_named(pair: Core, link: BridgedLink) -> None:
    told(pair, link)
    dials(pair)
    pair.router.dialed(Target(NODE))
    pair.bridges[ADDRESS] = Bridge(up=True, way="websocket")
    end = "; UDP does not pass to bridge bridge.example:4433 either, which is reached by a WebSocket"
    assert why(pair) == "no address of the peer answers: a NAT or firewall may stand between" + end
    pair.bridges["bridge://other.example:4433#key"] = Bridge(up=True, way="quic")
    assert "WebSocket" not in why(pair)


def test_addresses_are_tried_when_they_are_dialled(pair: Core, link: BridgedLink) -> None:
    told(pair, link)
    assert why(pair) == "the peer's addresses have not been tried yet"
    dials(pair)
    assert why(pair) == "the peer's addresses are being tried"
    pair.router.dialed(Target(NODE))
    assert why(pair).startswith("no address of the peer answers")


def test_a_peer_that_told_nothing_to_try(pair: Core, link: BridgedLink) -> None:
    link.way.places = 0
    assert why(pair) == "the peer gave no address to try"


def test_a_node_that_is_reached_without_the_peer(pair: Core, link: BridgedLink) -> None:
    told(pair, link)
    pair.router.connected(Target(NODE), 7, 1)
    assert ways.why_not_direct(pair, link) == "its node is connected, but no link with the peer is up"
