"""Two hosts: found by multicast DNS, dialed by address, cut off, joined by a path that loses, duplicates, reorders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.harness import PATIENCE_S, Agent
from tests.system.relay import CLEAR, CUT, Faults, Relay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.net.namespaces import Lab
    from tests.system.harness import World

pytestmark = pytest.mark.netns

MESSAGES = 60
UNREACHABLE_S = 15.0  # a peer that vanished is shown as unreachable within this
SLACK_S = 3.0  # for a machine that runs other tests


@pytest.fixture
def hosts(apart: tuple[World, Lab]) -> tuple[Agent, Agent]:
    """Alice and bob on two hosts without any network between them."""
    world, lab = apart
    return (
        world.agent("alice", netns=lab.hosts[0], hints="hints-a"),
        world.agent("bob", netns=lab.hosts[1], hints="hints-b"),
    )


@pytest.fixture
def relay(hosts: tuple[Agent, Agent], apart: tuple[World, Lab]) -> Iterator[Relay]:
    """The only way between them; alice and bob have met over it."""
    alice, bob = hosts
    _, lab = apart
    with Relay((lab.hosts[0], lab.hosts[1]), (alice.node.port, bob.node.port)) as path:
        added = alice.node.cli("peers", "add", path.ways[0])
        assert [it["name"] for it in added.json["agents"]] == ["bob"], added
        alice.meets(bob)
        yield path


def exchange(alice: Agent, bob: Agent, count: int = MESSAGES) -> dict[str, list[str]]:
    """Texts sent by each, in order."""
    said: dict[str, list[str]] = {"alice": [], "bob": []}
    for number in range(count):
        for author, reader in ((alice, bob), (bob, alice)):
            text = f"{author.name} {number}"
            author.send(reader, text)
            said[author.name].append(text)
    return said


def arrived(alice: Agent, bob: Agent, said: dict[str, list[str]]) -> None:
    """Everything delivered, each message once and in its author's order."""
    for author, reader in ((alice, bob), (bob, alice)):
        author.send(reader, "that was all", wait="delivered", timeout=PATIENCE_S * 2)
        assert reader.everything()[1:] == [*said[author.name], "that was all"]
        states = {it["state"] for it in author.call("history", to=reader.id, limit=1000)["messages"]}
        assert states == {"delivered"}


def test_multicast_finds_agents_of_another_host(joined: tuple[World, Lab]) -> None:
    world, lab = joined
    alice = world.agent("alice", netns=lab.hosts[0], hints="hints-a")
    bob = world.agent("bob", netns=lab.hosts[1], hints="hints-b")
    alice.meets(bob)
    alice.send(bob, "over the wire", wait="delivered")


def test_an_address_is_enough_where_nothing_is_announced(hosts: tuple[Agent, Agent], relay: Relay) -> None:
    alice, bob = hosts
    said = exchange(alice, bob, 3)
    arrived(alice, bob, said)


def test_nobody_at_the_address_is_said_plainly(hosts: tuple[Agent, Agent]) -> None:
    alice, _ = hosts
    nobody = alice.node.cli("peers", "add", "127.0.0.1:9")
    assert (nobody.status, nobody.code) == (1, "peer_unreachable")
    assert nobody.json["error"]["retryable"] is True
    for word in ("127.0.0.1", "127.0.0.1:99999", "[::1", ":5"):
        assert (alice.node.cli("peers", "add", word).status, word) == (2, word)


def test_loss_doubling_and_reordering_change_nothing(hosts: tuple[Agent, Agent], relay: Relay) -> None:
    """B1, B3: 30 % loss, 30 % doubled, each datagram up to 20 ms late."""
    alice, bob = hosts
    relay.faults = Faults(loss=0.3, double=0.3, delay_s=0.002, jitter_s=0.02)
    said = exchange(alice, bob)
    arrived(alice, bob, said)
    assert relay.dropped > 20
    assert relay.doubled > 20
    assert relay.overtaken > 20


@pytest.mark.timeout(90)
def test_a_partition_delays_and_loses_nothing(hosts: tuple[Agent, Agent], relay: Relay) -> None:
    """What is sent while the path is cut arrives when it is whole again."""
    alice, bob = hosts
    relay.faults = CUT
    said = exchange(alice, bob, 5)
    with pytest.raises(Exception, match="queued") as unconfirmed:
        alice.send(bob, "cut off", wait="delivered", timeout=3)
    assert unconfirmed.value.code == "send_unconfirmed"  # type: ignore[attr-defined]  # pytest knows Exception only
    relay.faults = CLEAR
    said["alice"].append("cut off")
    arrived(alice, bob, said)


@pytest.mark.timeout(90)
def test_a_long_partition_is_noticed_and_overcome(hosts: tuple[Agent, Agent], relay: Relay) -> None:
    """Both connections die; the last working address is dialed again."""
    alice, bob = hosts
    relay.faults = CUT
    alice.send(bob, "while you were away")
    assert alice.until_peer(bob, UNREACHABLE_S + SLACK_S, reachable=False) < UNREACHABLE_S + SLACK_S
    relay.faults = CLEAR
    alice.until_peer(bob, reachable=True)
    arrived(alice, bob, {"alice": ["while you were away"], "bob": []})


@pytest.mark.timeout(90)
def test_a_cable_pulled_and_put_back(joined: tuple[World, Lab]) -> None:
    """The interface goes down and loses its addresses; with them back the two talk again."""
    world, lab = joined
    alice = world.agent("alice", netns=lab.hosts[0], hints="hints-a")
    bob = world.agent("bob", netns=lab.hosts[1], hints="hints-b")
    alice.meets(bob)
    lab.detach(1)
    alice.send(bob, "is it plugged in?")
    alice.until_peer(bob, UNREACHABLE_S + SLACK_S, reachable=False)
    lab.attach(1)
    alice.until_peer(bob, 30, reachable=True)
    arrived(alice, bob, {"alice": ["is it plugged in?"], "bob": []})
