"""What a bridge can learn: its store, everything it is sent inside TLS, and every packet of its host."""

from __future__ import annotations

import base64
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.net.nat import Kind, homes
from tests.system.capture import Capture
from tests.system.harness import PATIENCE_S, World
from tests.system.islands import BridgeProcess, pair, use

if TYPE_CHECKING:
    from pathlib import Path

    from tests.net.nat import Homes
    from tests.system.harness import Agent

__all__ = ["homes"]

HIDDEN = (("agents", "agent"), ("agents", "device"), ("sessions", "sid"), ("own_queues", "key"), ("prekeys", "seed"))

RECORDING = """
import sys
from bridge.visit import Visit
from bridge.main import main
told = open({path!r}, "ab", buffering=0)
received = Visit.received
def record(self, data):
    told.write(data)
    received(self, data)
Visit.received = record
sys.exit(main())
"""


def secrets_of(agent: Agent) -> dict[str, bytes]:
    """What nobody on the way should see of an agent, as text and as bytes."""
    found = {f"{agent.name}'s name": agent.name.encode(), f"{agent.name}'s id": agent.id.encode()}
    store = sqlite3.connect(f"file:{agent.node.home.store}?mode=ro", uri=True)
    for table, column in HIDDEN:
        for number, (value,) in enumerate(store.execute(f"SELECT {column} FROM {table}")):
            found[f"{agent.name}'s {table}.{column} {number}"] = value
    store.close()
    return found


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_neither_the_bridge_nor_its_host_sees_who_talks_or_what(homes: type[Homes], tmp_path: Path) -> None:
    """G1: no id, name, device key, session id, outer key or word is in any of it."""
    world = World(tmp_path)
    with homes(2) as lab, Capture(lab.hosts[0]) as capture:
        for home in (0, 1):
            lab.become(home, Kind.SYMMETRIC)  # so that everything goes over the bridge
        bridge = BridgeProcess(world, lab.hosts[0], tmp_path / "bridge", lab.address(0))
        bridge.start(program=("-c", RECORDING.format(path=str(tmp_path / "told"))))
        alice = world.agent("alice", netns=lab.homes[0], hints="hints-a")
        bob = world.agent("bob", netns=lab.homes[1], hints="hints-b")
        account = use(alice, bridge)["account"]
        use(bob, bridge)
        pair(alice, bob)
        for author, reader in ((alice, bob), (bob, alice)):
            author.send(reader, "the launch code is swordfish", wait="delivered", timeout=PATIENCE_S)
        bob.node.stop()
        with alice.watch() as stream:
            sent = alice.send(bob, "swordfish waits " * 50)
            stream.until(lambda it: it.get("id") == sent["id"] and it.get("state") == "relayed")
        alice.node.stop()
        bridge.stop()
    stored = b"".join(path.read_bytes() for path in bridge.data.rglob("*") if path.is_file())
    seen = {"the store": stored, "inside TLS": (tmp_path / "told").read_bytes(), "packets": capture.bytes}
    assert base64.b32decode(account.upper() + "====") in seen["inside TLS"], "the recording holds what was said"
    assert all(len(content) > 8_192 for content in seen.values()), {name: len(it) for name, it in seen.items()}
    hidden = {"a word": b"swordfish", "a message's id": sent["id"].encode()} | secrets_of(alice) | secrets_of(bob)
    assert len(hidden) >= 14, sorted(hidden)
    found = [(what, where) for what, value in hidden.items() for where, content in seen.items() if value in content]
    assert found == []
    world.close()
