"""`agents remove` as people type it, and a node that is killed at every step of it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p_agents import exits
from p2p_agents.crypto.fingerprint import parse_id
from p2p_agents.errors import WaitTimeout
from tests.system.harness import PATIENCE_S

if TYPE_CHECKING:
    from tests.system.harness import Agent, Node, World

STEPS_MIN, STEPS_MAX = 5, 30  # commits, before and after each, and files that are deleted
ROUNDS = 20  # of waiting for what the node does by itself within seconds

KILLED = """
import os, runpy, signal, sys
from p2p_agents.core.api import removal
from p2p_agents.store.database import Database

commit, remove, left = Database.commit, removal.remove, []

def step():
    if left:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

def committing(self):
    step()
    commit(self)
    step()

def removing(core, params):
    left.append({number})
    return remove(core, params)

def hook(event, args):
    if event == "os.remove" and ".key" in str(args[0]):
        step()

Database.commit, removal.remove = committing, removing
sys.addaudithook(hook)
sys.argv = ["p2p_agents.node", "run", "--foreground"]
runpy.run_module("p2p_agents.node", run_name="__main__", alter_sys=True)
"""


def files_of(node: Node) -> bytes:
    return b"".join(path.read_bytes() for path in Path(node.home.path).glob("store.db*"))


def keys_of(node: Node) -> list[str]:
    return sorted(path.name for path in Path(node.home.keys).glob("*.key*") if path.name != "node.key")


def names_on(node: Node) -> list[str]:
    return [agent["name"] for agent in node.call("agents")["agents"]]


def until_forgotten(agent: Agent, word: bytes) -> None:
    """The node clears away by itself what a killed one left."""
    end = agent.call("inbox", limit=1000)["cursor"]
    for _ in range(ROUNDS):
        if word not in files_of(agent.node):
            return
        with pytest.raises(WaitTimeout):
            agent.call("wait", after=end, timeout=1)
    pytest.fail(f"{word!r} is still in the files")


def test_an_agent_is_removed_by_a_command(world: World) -> None:
    """A5, D1: only after a yes; watchers are told, other agents continue, and the name is free."""
    alice, carol = world.agent("alice"), world.agent("carol", "--policy", "open")
    bob = alice.node.agent("bob")
    alice.until_peer(carol, reachable=True)
    alice.send(carol, "swordfish", wait="delivered", timeout=PATIENCE_S)
    for words in (("agents", "remove", "alice"), ("agents", "remove", "")):
        assert alice.node.cli(*words).status in (exits.HUMAN, exits.USAGE)
    told = alice.node.cli("agents", "remove", "alice", "--dry-run").json
    assert (told["owed"], told["unread"], told["other_devices"], names_on(bob.node)) == (0, 0, 0, ["alice", "bob"])
    watch = alice.node.spawn_cli("--as", "alice", "watch")
    watch.until("ready")
    with carol.watch("peers.watch") as peers:
        removed = alice.node.cli("agents", "remove", "alice", "--yes")
        assert (removed.json["default_agent"], removed.json["emptied"]) == ("bob", True)
        peers.until(lambda event: event.get("id") == alice.id and not event["reachable"])
    watch.until("no_agent")
    assert watch.wait(PATIENCE_S) == exits.NOT_FOUND
    assert len(keys_of(bob.node)) == 1
    assert b"swordfish" not in files_of(bob.node)
    assert alice.cli("whoami").code == "no_agent"
    assert alice.node.cli("init", "alice").json["agent"]["id"] != alice.id
    assert names_on(bob.node) == ["bob", "alice"]


@pytest.mark.timeout(200)
def test_a_kill_at_every_step_leaves_it_whole_or_gone(world: World) -> None:
    """A5, A6, D1: before and after each commit, and before each file is deleted. What is gone stays gone."""
    bob = world.agent("bob")
    for number in range(STEPS_MAX):
        alice, word = bob.node.agent(f"alice{number}"), f"swordfish{number}."
        alice.send(bob, word)
        bob.call("purge", before="9999-01-01")  # so that alice alone has it
        bob.node.kill()
        process = bob.node.start(("-c", KILLED.format(number=number)))
        answered = bob.node.cli("agents", "remove", alice.name, "--yes", P2P_AGENTS_NO_START="1")
        assert process.wait(PATIENCE_S) == -signal.SIGKILL  # soon after, where it could answer
        bob.node.start()
        whole = alice.name in names_on(bob.node)
        assert (f"{parse_id(alice.id).hex()}.key" in keys_of(bob.node)) is whole
        assert whole is (number == 0)
        if not whole:
            until_forgotten(bob, word.encode())
            assert alice.cli("whoami").code == "no_agent"
        if answered.status == exits.OK:
            assert number >= STEPS_MIN
            assert names_on(bob.node) == ["bob", "alice0"]
            return
    pytest.fail(f"the removal did not end within {STEPS_MAX} steps")
