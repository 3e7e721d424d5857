"""A node that dies is shown as gone, and as back when it returns: by multicast, by hints, by address alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.system.harness import Agent
from tests.system.relay import Relay

if TYPE_CHECKING:
    from tests.net.namespaces import Lab
    from tests.system.harness import World

GONE_S = 15.0  # a killed peer is shown as unreachable within this
BACK_S = 2.0  # and as reachable again this long after its new process listens
SLACK_S = 2.0  # for a machine that runs other tests


def dies_and_returns(alice: Agent, bob: Agent) -> None:
    """Measured by alice's stream alone: kill to unreachable, listening to reachable."""
    with alice.watch("peers.watch") as stream:
        stream.until(lambda it: it.get("id") == bob.id and it["reachable"])
        bob.node.kill()
        began = time.monotonic()
        stream.until(lambda it: it.get("id") == bob.id and not it["reachable"], GONE_S + SLACK_S)
        gone = time.monotonic() - began
        alice.send(bob, "you were gone")
        bob.node.start()
        began = time.monotonic()
        stream.until(lambda it: it.get("id") == bob.id and it["reachable"], BACK_S + SLACK_S)
        back = time.monotonic() - began
    assert bob.texts(2)[-1] == "you were gone"
    assert gone < GONE_S + SLACK_S
    assert back < BACK_S + SLACK_S


@pytest.mark.timeout(60)
def test_a_killed_node_of_this_host(world: World) -> None:
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.meets(bob)
    dies_and_returns(alice, bob)


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_without_multicast_hints_do(apart: tuple[World, Lab]) -> None:
    """A host with nothing but loopback: hint files alone."""
    world, lab = apart
    alice = world.agent("alice", netns=lab.hosts[0])
    bob = world.agent("bob", netns=lab.hosts[0])
    alice.meets(bob)
    dies_and_returns(alice, bob)


@pytest.mark.netns
@pytest.mark.timeout(60)
def test_without_any_announcement_the_last_address_does(apart: tuple[World, Lab]) -> None:
    world, lab = apart
    alice = world.agent("alice", netns=lab.hosts[0], hints="hints-a")
    bob = world.agent("bob", netns=lab.hosts[1], hints="hints-b")
    with Relay((lab.hosts[0], lab.hosts[1]), (alice.node.port, bob.node.port)) as relay:
        alice.call("peers.add", address=relay.ways[0])
        alice.meets(bob)
        dies_and_returns(alice, bob)


@pytest.mark.timeout(60)
def test_a_node_that_stops_says_goodbye(world: World) -> None:
    """Its peers know at once, not after a heartbeat was missed."""
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.meets(bob)
    with alice.watch("peers.watch") as stream:
        stream.until(lambda it: it.get("id") == bob.id and it["reachable"])
        assert bob.node.stop() == 0
        stream.until(lambda it: it.get("id") == bob.id and not it["reachable"], SLACK_S)
    shown = alice.call("peers")["peers"]
    assert [(it["name"], it["status"], it["reachable"]) for it in shown] == [("bob", "offline", False)]
    assert shown[0]["last_seen"]


@pytest.mark.timeout(60)
def test_hidden_agents_are_never_announced_and_yet_reachable_for_contacts(world: World) -> None:
    """No advert, hint or roster names a hidden agent; a peer that it wrote to reaches it, after a restart too."""
    alice, host = world.agent("alice"), world.agent("bob")
    spy = host.node.agent("shade", "--hidden")
    alice.until_peer(host, reachable=True)
    assert "shade" not in [it["name"] for it in alice.call("peers")["peers"]]
    assert alice.node.cli("send", "shade", "there?").code == "peer_unknown"
    assert alice.node.cli("send", spy.id, "there?").code == "peer_unknown"
    hints = b"".join(file.read_bytes() for file in (world.base / "hints").iterdir())
    assert b"bob" in hints
    assert b"shade" not in hints

    spy.meets(alice)
    alice.send(spy, "now we talk", wait="delivered")
    host.node.kill()
    host.node.start()
    alice.until_peer(spy, reachable=True)
    alice.send(spy, "still", wait="delivered")
    assert spy.everything()[-2:] == ["now we talk", "still"]
    stranger = world.agent("carol")
    stranger.until_peer(host, reachable=True)
    assert "shade" not in [it["name"] for it in stranger.call("peers")["peers"]]
