"""Two homes behind NATs and a bridge in the open: which path is found, and what happens to messages when it fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.net.nat import Kind, homes
from tests.system.harness import PATIENCE_S, World
from tests.system.islands import BridgeProcess, pair, use
from tests.system.talk import arrived, exchange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.net.nat import Homes
    from tests.system.harness import Agent

__all__ = ["homes"]

pytestmark = pytest.mark.netns

NOTICED_S = 30.0  # a path that died in silence is given up within this


@pytest.fixture
def lab(homes: type[Homes]) -> Iterator[Homes]:
    with homes(2) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def bridge(lab: Homes, world: World, tmp_path: Path) -> BridgeProcess:
    """In the open."""
    return BridgeProcess(world, lab.hosts[0], tmp_path / "bridge", lab.address(0)).start()


@pytest.fixture
def agents(lab: Homes, world: World) -> tuple[Agent, Agent]:
    """Alice and bob, each in a home of their own; they use no bridge yet."""
    return (
        world.agent("alice", netns=lab.homes[0], hints="hints-a"),
        world.agent("bob", netns=lab.homes[1], hints="hints-b"),
    )


def meet(agents: tuple[Agent, Agent], bridge: BridgeProcess) -> None:
    """Over the bridge, as people do."""
    for agent in agents:
        use(agent, bridge)
    pair(*agents)


def talk(alice: Agent, bob: Agent) -> None:
    """By command, both ways, waiting for each other's commit."""
    for author, reader in ((alice, bob), (bob, alice)):
        sent = author.cli("send", reader.name, f"from {author.name}", "--wait", "delivered")
        assert (sent.status, sent.json["state"]) == (0, "delivered"), sent
        assert reader.everything()[-1] == f"from {author.name}"


def path(agent: Agent, peer: Agent) -> tuple[str, str]:
    """Over which path a ping went, and why not over a better one, once that is known."""
    until = time.monotonic() + PATIENCE_S
    while True:
        pinged = agent.cli("ping", peer.name)
        assert pinged.status == 0, pinged
        went, why = pinged.json["path"], pinged.json.get("why", "")
        if not any(early in why for early in ("being tried", "not been tried", "not said yet")):
            return went, why
        assert time.monotonic() < until, why


def test_a_direct_path_is_found_through_two_nats(
    lab: Homes, bridge: BridgeProcess, agents: tuple[Agent, Agent]
) -> None:
    """Paired over the bridge, then on their own: both boxes keep the port, so both sides dial where the bridge saw
    the other."""
    alice, bob = agents
    meet(agents, bridge)
    talk(alice, bob)
    alice.until_peer(bob, path="direct")
    bob.until_peer(alice, path="direct")
    assert path(alice, bob)[0] == path(bob, alice)[0] == "direct"
    bridge.stop()
    talk(alice, bob)
    (listed,) = alice.call("peers")["peers"]
    assert listed["addresses"] == [f"{lab.address(2)}:{bob.node.port}"]


@pytest.mark.parametrize("strict", [(0, 1), (1,)])
def test_nats_that_change_the_port(
    lab: Homes, bridge: BridgeProcess, agents: tuple[Agent, Agent], strict: tuple[int, ...]
) -> None:
    """Nobody can foresee the port, so it stays with the bridge, and both commands say why."""
    alice, bob = agents
    for home in strict:
        lab.become(home, Kind.SYMMETRIC)
    meet(agents, bridge)
    talk(alice, bob)
    for one, other in ((alice, bob), (bob, alice)):
        went, why = path(one, other)
        assert (went, "NAT" in why) == ("bridge", True), why
        (listed,) = one.call("peers")["peers"]
        assert (listed["path"], listed["reachable"], "NAT" in listed["why"]) == ("bridge", True, True), listed
        assert listed["bridge"] == f"{lab.address(0)}:{bridge.port}"


@pytest.mark.parametrize("blocked", [(0, 1), (1,)])
def test_networks_that_let_no_udp_pass(
    lab: Homes, bridge: BridgeProcess, agents: tuple[Agent, Agent], blocked: tuple[int, ...]
) -> None:
    """A WebSocket over TLS carries it, and both commands say so."""
    alice, bob = agents
    for home in blocked:
        lab.become(home, Kind.NO_UDP)
    for home, agent in enumerate(agents):
        way = use(agent, bridge)["way"]
        assert way == ("websocket" if home in blocked else "quic")
    pair(alice, bob)
    talk(alice, bob)
    for home, (one, other) in enumerate(((alice, bob), (bob, alice))):
        went, why = path(one, other)
        assert went == "bridge"
        assert ("UDP does not pass" in why) == (home in blocked), why


@pytest.mark.timeout(150)
def test_the_direct_path_dies_and_comes_back_in_mid_conversation(
    lab: Homes, bridge: BridgeProcess, agents: tuple[Agent, Agent]
) -> None:
    """B1: direct, then the bridge, then direct again; everything arrives once, in order, in both directions."""
    alice, bob = agents
    meet(agents, bridge)
    alice.until_peer(bob, path="direct")
    bob.until_peer(alice, path="direct")
    said = exchange(alice, bob, 20)
    lab.cut(0, 1)
    exchange(alice, bob, 20, said)
    alice.until_peer(bob, NOTICED_S, path="bridge")
    bob.until_peer(alice, NOTICED_S, path="bridge")
    exchange(alice, bob, 20, said)
    arrived(alice, bob, said)
    assert (path(alice, bob)[0], path(bob, alice)[0]) == ("bridge", "bridge")
    exchange(alice, bob, 20, said)
    lab.mend(0)
    exchange(alice, bob, 20, said)
    alice.until_peer(bob, 2 * NOTICED_S, path="direct")
    bob.until_peer(alice, 2 * NOTICED_S, path="direct")
    exchange(alice, bob, 20, said)
    arrived(alice, bob, said)


@pytest.mark.timeout(120)
def test_a_home_that_loses_its_network_and_gets_it_back(
    lab: Homes, bridge: BridgeProcess, agents: tuple[Agent, Agent]
) -> None:
    """Bridge and direct path go at once; what each said meanwhile arrives, once."""
    alice, bob = agents
    meet(agents, bridge)
    alice.until_peer(bob, path="direct")
    lab.cut_off(1)
    said = exchange(alice, bob, 10)
    alice.until_peer(bob, NOTICED_S, path="bridge")
    lab.mend(1)
    exchange(alice, bob, 10, said)
    arrived(alice, bob, said, PATIENCE_S * 3)
