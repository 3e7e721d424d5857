"""Two networks and a bridge between them: real processes, real sockets, a bridge that dies, is silent and comes
back."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.harness import PATIENCE_S, Agent, World
from tests.system.islands import MIDDLE, BridgeProcess, Islands, pair, use

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.netns, pytest.mark.timeout(180)]


class Scene:
    """Alice and bob on two islands, and a bridge that runs."""

    def __init__(self, world: World, islands: Islands, base: Path) -> None:
        self.world, self.islands = world, islands
        self.bridge = BridgeProcess(world, islands.hosts[MIDDLE], base / "bridge")
        self.alice = world.agent("alice", netns=islands.hosts[0], hints="hints-a")
        self.bob = world.agent("bob", netns=islands.hosts[1], hints="hints-b")

    def met(self) -> tuple[Agent, Agent]:
        """Both use the bridge, and have become contacts over it."""
        self.bridge.start()
        for agent in (self.alice, self.bob):
            use(agent, self.bridge)
        pair(self.alice, self.bob)
        return self.alice, self.bob


@pytest.fixture
def scene(tmp_path: Path, lab: object) -> Iterator[Scene]:
    with ExitStack() as stack:
        islands = stack.enter_context(Islands())
        world = World(tmp_path)
        stack.callback(world.close)
        yield Scene(world, islands, tmp_path)


def the_bridge(agent: Agent) -> dict[str, object]:
    (found,) = agent.node.call("bridge.status")["bridges"]
    return dict(found)


def until_down(agent: Agent) -> None:
    assert agent.node.process is not None
    agent.node.process.until("bridge_unreachable")
    assert the_bridge(agent)["state"] == "down"


def test_two_networks_meet_and_talk(scene: Scene) -> None:
    """B7: pairing, messages both ways, delivered end to end; nobody has a direct way."""
    alice, bob = scene.met()
    alice.send(bob, "over the bridge", wait="delivered", timeout=PATIENCE_S)
    bob.send(alice, "and back", wait="delivered", timeout=PATIENCE_S)
    assert bob.texts(1) == ["over the bridge"]
    assert alice.texts(1) == ["and back"]
    found = the_bridge(alice)
    assert (found["state"], found["way"], found["queues"]) == ("up", "quic", 1)
    assert found["observed"] == f"10.78.1.1:{alice.node.port}"  # one UDP socket for everything


def test_where_udp_is_blocked_a_websocket_serves(scene: Scene) -> None:
    scene.islands.block_udp(0)
    alice, bob = scene.met()
    alice.send(bob, "over TCP", wait="delivered", timeout=PATIENCE_S)
    assert bob.texts(1) == ["over TCP"]
    assert (the_bridge(alice)["way"], the_bridge(bob)["way"]) == ("websocket", "quic")
    assert the_bridge(alice)["observed"] is None


def test_what_is_sent_while_the_bridge_is_away_arrives(scene: Scene) -> None:
    """kill -9 of the bridge, again and again, while both talk: nothing lost, nothing twice, in order."""
    alice, bob = scene.met()
    said: list[str] = []
    for turn in range(3):
        for number in range(20):
            said.append(f"{turn} {number}")
            alice.send(bob, said[-1])
        scene.bridge.kill()
        said.append(f"{turn} in the dark")
        alice.send(bob, said[-1])
        scene.bridge.start()
    alice.send(bob, "that was all", wait="delivered", timeout=60)
    assert bob.everything() == [*said, "that was all"]


def test_an_absent_peer_finds_what_was_left(scene: Scene) -> None:
    """B7: `relayed` is what the bridge keeps; delivered is said first when bob has it."""
    alice, bob = scene.met()
    alice.send(bob, "first", wait="delivered", timeout=PATIENCE_S)
    bob.node.stop()
    with alice.watch() as stream:
        sent = alice.send(bob, "while you were out")
        relayed = stream.until(lambda it: it["type"] == "state" and it["id"] == sent["id"])
        assert relayed["state"] == "relayed"
        alice.node.stop()
    scene.bridge.stop()
    scene.bridge.start()
    bob.node.start()
    assert bob.texts(2) == ["first", "while you were out"]
    alice.node.start()
    alice.until_peer(bob)
    with alice.watch(after="0") as stream:
        shown = alice.call("show", id=sent["id"])["message"]["state"]
        if shown != "delivered":
            stream.until(lambda it: it["type"] == "state" and it["id"] == sent["id"] and it["state"] == "delivered", 60)


def test_a_cut_network_heals(scene: Scene) -> None:
    alice, bob = scene.met()
    scene.islands.cut(0)
    alice.send(bob, "from nowhere")
    until_down(alice)
    scene.islands.mend(0)
    assert bob.texts(1) == ["from nowhere"]
    assert the_bridge(alice)["state"] == "up"


def test_a_bridge_with_another_key_is_not_kept(scene: Scene) -> None:
    """Attack: the address names one key, and the server that answers has another."""
    scene.bridge.start()
    place = scene.bridge.address.partition("#")[0]
    other = BridgeProcess(scene.world, scene.islands.hosts[MIDDLE], scene.world.base / "other").start()
    false = place + "#" + other.address.partition("#")[2]
    refused = scene.alice.node.cli("bridge", "add", false)
    assert (refused.code, refused.status) == ("bridge_impostor", 5)
    assert scene.alice.node.call("bridge.list") == {"bridges": []}


def test_a_bridge_that_asks_for_a_token_gets_it_from_a_file(scene: Scene) -> None:
    scene.bridge.start("--admission", "token")
    token = scene.bridge.command("token", "create")["token"]
    refused = scene.alice.node.cli("bridge", "add", scene.bridge.address)
    assert (refused.code, refused.status) == ("bridge_refused", 5)
    found = use(scene.alice, scene.bridge, "--token-file", "-", stdin=token.encode())
    assert (found["state"], found["token"]) == ("up", True)
    use(scene.bob, scene.bridge, "--token-file", "-", stdin=token.encode())
    pair(scene.alice, scene.bob)
    scene.alice.send(scene.bob, "let in", wait="delivered", timeout=PATIENCE_S)
    shown = [scene.alice.node.cli("bridge", *words) for words in (["list"], ["status"])]
    assert not any(token.encode() in answer.out + answer.err.encode() for answer in shown)
    assert token not in Path(scene.alice.node.home.log).read_text()


def test_a_bridge_that_keeps_a_list_is_told_the_account(scene: Scene) -> None:
    scene.bridge.start("--admission", "list")
    refused = scene.alice.node.cli("bridge", "add", scene.bridge.address)
    assert refused.code == "bridge_refused"
    account = refused.json["error"]["account"]
    assert account in refused.json["error"]["hint"]
    scene.bridge.command("allow", "add", account)
    assert use(scene.alice, scene.bridge)["account"] == account


def test_a_bridge_keeps_nothing_that_can_be_read(scene: Scene) -> None:
    """G1: neither text, nor names, nor ids stand in what it stores."""
    alice, bob = scene.met()
    bob.node.stop()
    alice.send(bob, "the launch code is swordfish " * 20)
    with alice.watch() as stream:
        sent = alice.send(bob, "swordfish again")
        stream.until(lambda it: it["type"] == "state" and it["id"] == sent["id"] and it["state"] == "relayed")
    scene.bridge.stop()
    stored = b"".join(path.read_bytes() for path in scene.bridge.data.rglob("*") if path.is_file())
    assert len(stored) > 8_192
    for secret in (b"swordfish", b"alice", b"bob", alice.id.encode(), bob.id.encode(), sent["id"].encode()):
        assert secret not in stored


def test_doctor_tells_how_the_bridge_does(scene: Scene) -> None:
    scene.bridge.start()
    use(scene.alice, scene.bridge)

    def check() -> dict[str, object]:
        (found,) = [c for c in scene.alice.node.call("doctor")["checks"] if c["name"].startswith("bridge ")]
        return dict(found)

    assert check()["ok"] is True
    scene.bridge.stop()
    until_down(scene.alice)
    assert (check()["ok"], "QUIC" in str(check()["detail"])) == (False, True)
    scene.alice.node.cli("bridge", "remove", "10.78.0.1")
    assert [c for c in scene.alice.node.call("doctor")["checks"] if c["name"].startswith("bridge ")] == []


# --- first contact ---


def test_a_stranger_asks_by_an_address_alone(scene: Scene) -> None:
    """B11, E4: alice was never told of a bridge, and never meets bob; the bridge keeps nothing that can be read."""
    scene.bridge.start()
    use(scene.bob, scene.bridge)
    shown = scene.bob.cli("requests", "address").json
    assert (shown["open"], shown["bridge"]) == (True, scene.bridge.address)
    with scene.bob.watch() as stream:
        sent = scene.alice.cli("send", shown["address"], "a word from swordfish").json
        asked = stream.until(lambda it: it["type"] == "request", 60)
    assert (asked["text"], asked["id"]) == ("a word from swordfish", scene.alice.id)
    assert scene.bob.everything() == []
    assert scene.alice.call("show", id=sent["id"])["message"]["state"] == "relayed"
    stored = b"".join(path.read_bytes() for path in scene.bridge.data.rglob("*") if path.is_file())
    for secret in (b"swordfish", b"alice", b"bob", scene.alice.id.encode(), scene.bob.id.encode()):
        assert secret not in stored
    assert scene.bob.cli("requests", "accept", "alice").status == 0
    assert scene.bob.texts(1) == ["a word from swordfish"]
    scene.bob.send(scene.alice, "come in", wait="delivered", timeout=PATIENCE_S)
    assert scene.alice.texts(1) == ["come in"]


def test_a_request_waits_for_somebody_who_is_away(scene: Scene) -> None:
    """kill -9 of everybody in between; and a second address after the first was withdrawn."""
    scene.bridge.start()
    use(scene.bob, scene.bridge)
    text = scene.bob.call("requests.address")["address"]
    scene.bob.node.kill()
    with scene.alice.watch() as stream:
        sent = scene.alice.call("send", to=text, text="are you there")
        stream.until(lambda it: it["type"] == "state" and it["id"] == sent["id"] and it["state"] == "relayed", 60)
    scene.bridge.kill()
    scene.alice.node.kill()
    scene.bridge.start()
    scene.bob.node.start()
    with scene.bob.watch() as stream:
        if not scene.bob.call("requests.list")["requests"]:
            stream.until(lambda it: it["type"] == "request", 60)
    withdrawn = scene.bob.cli("requests", "address", "--off").json
    assert (withdrawn["address"], withdrawn["open"]) == (None, False)
    assert scene.bob.call("requests.address")["address"] != text
    scene.bob.call("requests.accept", peer="alice")
    scene.alice.node.start()
    assert scene.bob.texts(1) == ["are you there"]


def test_an_address_says_when_nobody_can_use_it(scene: Scene) -> None:
    refused = scene.alice.cli("requests", "address")
    assert (refused.code, refused.status) == ("no_bridge", 5)
    scene.bridge.start()
    use(scene.bob, scene.bridge)
    scene.bridge.stop()
    until_down(scene.bob)
    shown = scene.bob.call("requests.address")
    assert shown["address"].startswith("P2PA:A/")
    assert (shown["open"], bool(shown["why"])) == (False, True)
