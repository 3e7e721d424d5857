"""Faults of a bridge, with real processes: a full disk, a restored old copy, kills, strangers, an abuser."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from p2p_agents.control.client import Client
from p2p_agents.link.bridge_news import WORDS
from p2p_agents.wire.relay_answers import Refusal
from tests.system.harness import PATIENCE_S, World
from tests.system.islands import ADDRESS, MIDDLE, BridgeProcess, Islands, pair, use
from tests.system.talk import arrived, exchange
from tests.system.test_disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.harness import Agent, Json

__all__ = ["small_disk"]

pytestmark = [pytest.mark.netns, pytest.mark.timeout(180)]


@pytest.fixture
def islands(lab: object) -> Iterator[Islands]:
    with Islands() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def bridge(world: World, islands: Islands, tmp_path: Path) -> BridgeProcess:
    return BridgeProcess(world, islands.hosts[MIDDLE], tmp_path / "bridge")


@pytest.fixture
def agents(world: World, islands: Islands) -> tuple[Agent, Agent]:
    """Alice and bob, on two islands; they know no bridge yet."""
    return (
        world.agent("alice", netns=islands.hosts[0], hints="hints-a"),
        world.agent("bob", netns=islands.hosts[1], hints="hints-b"),
    )


def meet(agents: tuple[Agent, Agent], bridge: BridgeProcess) -> tuple[Agent, Agent]:
    for agent in agents:
        use(agent, bridge)
    pair(*agents)
    return agents


def outgoing(agent: Agent, message: Json) -> Json:
    """The state of a message of ours at its only recipient."""
    (recipient,) = agent.call("show", id=message["id"])["recipients"]
    assert isinstance(recipient, dict)
    return recipient


def bridge_of(agent: Agent) -> Json:
    (shown,) = agent.node.cli("bridge", "status").json["bridges"]
    assert isinstance(shown, dict)
    return shown


# --- the bridge's disk and process ---


def test_a_bridge_whose_disk_is_full_says_so_and_goes_on(
    agents: tuple[Agent, Agent], bridge: BridgeProcess, small_disk: Path
) -> None:
    """The message stays queued, both commands say so, and it goes when there is room."""
    bridge.data = small_disk / "bridge"
    bridge.start("--disk-reserve", "1M")
    alice, bob = meet(agents, bridge)
    ballast = fill(small_disk)
    sent = alice.send(bob, "is there room?")
    with alice.watch("peers.watch") as stream:
        stream.until(lambda it: "it is full" in str(it.get("why")))
    assert outgoing(alice, sent)["state"] == "queued"
    assert f"bridge {ADDRESS}:{bridge.port}: it is full" in outgoing(alice, sent)["why"]
    shown = bridge_of(alice)
    assert (shown["state"], shown["refusal"], shown["refusal_why"]) == ("up", "bridge_full", "it is full")
    ballast.unlink()
    alice.send(bob, "and now?", wait="delivered", timeout=90)
    assert bob.everything() == ["is there room?", "and now?"]


def test_a_full_queue_takes_the_rest_as_soon_as_its_reader_is_back(
    agents: tuple[Agent, Agent], bridge: BridgeProcess
) -> None:
    """That the queue is full is said of what waits; `ping` and `peers` say it too."""
    bridge.start("--queue-blobs", "4")
    alice, bob = meet(agents, bridge)
    said: dict[str, list[str]] = {"alice": [], "bob": []}
    arrived(alice, bob, said)
    bob.node.kill()
    while "the queue there is full" not in str(alice.call("peers")["peers"][0]["why"]):
        said["alice"].append(f"alice {len(said['alice'])}")
        last = alice.send(bob, said["alice"][-1])
        assert len(said["alice"]) < 100
    assert outgoing(alice, last)["why"] == f"bridge {ADDRESS}:{bridge.port}: {WORDS[Refusal.QUOTA]}"
    pinged = alice.cli("ping", "bob")
    assert (pinged.code, "the queue there is full" in pinged.json["error"]["message"]) == ("peer_unreachable", True)
    bob.node.start()
    arrived(alice, bob, said)


def test_an_old_copy_of_the_bridges_store_put_back_loses_nothing(
    agents: tuple[Agent, Agent], bridge: BridgeProcess, tmp_path: Path
) -> None:
    """B7: what only the bridge's newer store held, its sender still has."""
    bridge.start()
    alice, bob = meet(agents, bridge)
    said = exchange(alice, bob, 5)
    arrived(alice, bob, said)
    bridge.stop()
    shutil.copytree(bridge.data, tmp_path / "copy")
    bridge.start()
    bob.node.kill()
    with alice.watch() as stream:
        for _ in range(10):
            said["alice"].append(f"alice {len(said['alice'])}")
            last = alice.send(bob, said["alice"][-1])
        stream.until(lambda it: it.get("id") == last["id"] and it.get("state") == "relayed")
    bridge.kill()
    shutil.rmtree(bridge.data)
    shutil.copytree(tmp_path / "copy", bridge.data)
    bridge.start()
    bob.node.start()
    arrived(alice, bob, said, 90)


def test_both_talk_while_the_bridge_is_killed_over_and_over(agents: tuple[Agent, Agent], bridge: BridgeProcess) -> None:
    """kill -9 in mid-flow, in both directions: nothing lost, nothing twice, in order."""
    bridge.start()
    alice, bob = meet(agents, bridge)
    said: dict[str, list[str]] = {"alice": [], "bob": []}
    for _ in range(3):
        exchange(alice, bob, 30, said)
        bridge.kill()
        exchange(alice, bob, 5, said)
        bridge.start()
    arrived(alice, bob, said, 90)


def test_a_node_killed_in_mid_flow_takes_nothing_twice(agents: tuple[Agent, Agent], bridge: BridgeProcess) -> None:
    """The reader's own kill -9: what it had not committed, the bridge still holds."""
    bridge.start()
    alice, bob = meet(agents, bridge)
    said: dict[str, list[str]] = {"alice": [], "bob": []}
    for _ in range(3):
        exchange(alice, bob, 20, said)
        bob.node.kill()
        bob.node.start()
    arrived(alice, bob, said, 90)


# --- who cannot be used ---


@pytest.mark.parametrize("host", [ADDRESS, "10.78.9.9", "nowhere.invalid"])
def test_a_bridge_that_does_not_answer(agents: tuple[Agent, Agent], bridge: BridgeProcess, host: str) -> None:
    """Nobody at the port, no way to the host, no such name: one code, and it is kept and tried again."""
    alice, _ = agents
    key = base64.b32encode(bytes(32)).decode().rstrip("=").lower()
    added = alice.node.cli("bridge", "add", f"bridge://{host}:9#{key}", "--timeout", "12")
    assert (added.status, added.code) == (1, "bridge_unreachable"), added
    assert added.json["error"]["retryable"] is True
    assert host in added.json["error"]["message"]
    (listed,) = alice.node.cli("bridge", "list").json["bridges"]
    assert (listed["state"], listed["configured"]) == ("down", True)
    assert alice.node.cli("bridge", "remove", host).status == 0


def test_what_is_sent_while_its_bridge_is_an_impostor_stays_queued(
    agents: tuple[Agent, Agent], bridge: BridgeProcess, tmp_path: Path
) -> None:
    """Attack: somebody else answers at the bridge's place. It gets nothing, the message waits, and says why."""
    bridge.start()
    alice, bob = meet(agents, bridge)
    bridge.stop()
    held = tmp_path / "held"
    bridge.data.rename(held)
    bridge.start()  # another key
    assert alice.node.process is not None
    alice.node.process.until("bridge_impostor")
    sent = alice.send(bob, "not for you")
    assert outgoing(alice, sent)["state"] == "queued"
    assert "a server with another key answers" in outgoing(alice, sent)["why"]
    assert bridge.command("stats")["queues"] == 0
    bridge.stop()
    shutil.rmtree(bridge.data)
    held.rename(bridge.data)
    bridge.start()
    assert bob.texts(1) == ["not for you"]


def test_a_token_that_is_not_taken_is_told_apart_from_none(
    agents: tuple[Agent, Agent], bridge: BridgeProcess, world: World
) -> None:
    """Revoked, and none at all: one code, with a hint for each. What was admitted before stays."""
    bridge.start("--admission", "token")
    made = bridge.command("token", "create")
    for agent in agents:
        use(agent, bridge, "--token-file", "-", stdin=made["token"].encode())
    pair(*agents)
    alice, bob = agents
    bridge.command("token", "revoke", made["id"])
    for agent in agents:
        agent.node.stop()
        agent.node.start()
    alice.send(bob, "still here", wait="delivered", timeout=PATIENCE_S)
    other = world.node("stranger", netns=alice.node.netns, hints="hints-c")
    without = other.cli("bridge", "add", bridge.address)
    revoked = other.cli("bridge", "add", bridge.address, "--token-file", "-", stdin=made["token"].encode())
    assert (without.code, revoked.code) == ("bridge_refused", "bridge_refused")
    assert "without a token" in without.json["error"]["message"]
    assert "does not take that token" in revoked.json["error"]["message"]
    assert "revoked" in revoked.json["error"]["hint"]


# --- who abuses it ---


def test_an_abuser_of_the_bridge_does_not_keep_others_from_talking(
    agents: tuple[Agent, Agent], bridge: BridgeProcess, islands: Islands
) -> None:
    """Attack: wrong tokens, ten thousand queues, a reader that takes nothing, shouting, huge frames, half-open
    connections, all from the bridge's own host, which it is most patient with."""
    bridge.host = "0.0.0.0"
    bridge.start("--public-host", ADDRESS)
    alice, bob = meet(agents, bridge)
    command = ["ip", "netns", "exec", islands.hosts[MIDDLE], sys.executable, "-m", "tests.system.abuser"]
    with subprocess.Popen(
        [*command, bridge.address], env=alice.node.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as abuser:
        assert abuser.stdout is not None
        assert abuser.stdout.readline() == b"abusing\n"
        said = exchange(alice, bob, 40)
        arrived(alice, bob, said)
        told, _ = abuser.communicate(b"\n", timeout=PATIENCE_S * 2)
    counts = json.loads(told)
    assert counts["huge: ended"] > 0, counts
    assert counts["guess: bad_token"] > 0, counts
    assert not [it for it in counts if it.startswith("guess: done")], counts
    assert counts["unread: done"] > 0, counts
    arrived(alice, bob, said)


def test_five_hundred_sends_in_a_row_are_refused_nowhere(agents: tuple[Agent, Agent], bridge: BridgeProcess) -> None:
    """Ten minutes' work of a busy agent, in a second: no pace of the bridge is in its way."""
    bridge.start()
    alice, bob = meet(agents, bridge)
    said: dict[str, list[str]] = {"alice": [], "bob": []}
    arrived(alice, bob, said)
    refused = bridge_of(alice)["refused"]  # once, maybe: bob's queue was a moment from being made
    with Client(alice.node.home, start=False) as client:
        for number in range(500):
            said["alice"].append(f"alice {number}")
            client.call("send", {"agent": "alice", "to": bob.id, "text": said["alice"][-1]})
    arrived(alice, bob, said)
    assert bridge_of(alice)["refused"] == refused, bridge_of(alice)
    assert bridge_of(bob)["refusal"] in (None, "queue_gone"), bridge_of(bob)
