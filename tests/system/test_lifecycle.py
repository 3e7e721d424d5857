"""A node's life: started on demand, by many at once, stopped, replaced, killed, and kept from starting."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import p2p_agents
from p2p_agents.paths import SOCKET_PATH_BYTES

if TYPE_CHECKING:
    from tests.system.harness import Node, World

STATE = {"store.db", "keys", "node.lock", "node.log"}
VERSIONED = """
import sys, runpy
import p2p_agents
p2p_agents.__version__ = {version!r}
from p2p_agents.control import methods
methods.PROTOCOL = {protocol}
sys.argv = ["p2p_agents.node", "run", "--foreground"]
runpy.run_module("p2p_agents.node", run_name="__main__", alter_sys=True)
"""
NO_UDP = """
import sys, runpy, socket
real = socket.socket
class Refusing(real):
    def bind(self, address):
        if self.type == socket.SOCK_DGRAM:
            raise PermissionError(1, "Operation not permitted")
        return super().bind(address)
socket.socket = Refusing
sys.argv = ["p2p_agents.node", "run", "--foreground"]
runpy.run_module("p2p_agents.node", run_name="__main__", alter_sys=True)
"""


def test_status_stop_and_logs(world: World) -> None:
    node = world.node("alice")
    assert (node.cli("node", "status").status, node.cli("node", "status").code) == (7, "node_unreachable")
    assert node.cli("node", "stop").json == {"ok": True, "stopping": False}
    assert node.cli("node", "logs").json["lines"] == []
    assert not node.path.exists() or not any(node.path.iterdir())
    assert node.cli("init", "alice").status == 0
    status = node.cli("node", "status").json
    assert status["pid"] == node.background()
    assert (status["version"], status["home"], status["agents"]) == (p2p_agents.__version__, str(node.path), 1)
    assert any("listening on" in line for line in node.cli("node", "logs").json["lines"])
    assert node.cli("node", "stop").json == {"ok": True, "stopping": True}
    assert node.cli("node", "status").status == 7


def test_a_clean_stop_leaves_nothing_but_state(world: World) -> None:
    alice = world.agent("alice")
    assert os.path.exists(alice.node.home.socket)
    assert any((world.base / "hints").iterdir())
    assert alice.node.stop() == 0
    assert {path.name for path in alice.node.path.iterdir()} == STATE
    assert list(alice.node.runtime.iterdir()) == []
    assert list((world.base / "hints").iterdir()) == []


def test_after_kill_nine_socket_and_lock_are_taken_over(world: World) -> None:
    """H1: a stale socket and a stale lock stop nobody."""
    alice = world.agent("alice")
    alice.node.kill()
    assert os.path.exists(alice.node.home.socket)
    assert alice.node.cli("whoami").json["agent"]["id"] == alice.id
    assert alice.node.background()


def test_a_socket_that_nobody_serves(world: World) -> None:
    """A socket bound by a program that ended long ago."""
    alice = world.agent("alice")
    assert alice.node.stop() == 0
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(alice.node.home.socket)
    stale.close()
    assert alice.node.cli("whoami").status == 0


def test_fifty_commands_at_once_start_one_node(world: World) -> None:
    node = world.node("alice")
    assert node.cli("init", "alice").status == 0
    assert node.cli("node", "stop").status == 0
    assert node.cli("node", "status").status == 7
    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(lambda _: node.cli("peers"), range(50)))
    assert {answer.status for answer in answers} == {0}, [a for a in answers if a.status]
    log = Path(node.home.log).read_text()
    pids = [line.rsplit(" ", 1)[1] for line in log.splitlines() if "listening on" in line]
    assert len(pids) == 2
    assert int(pids[-1]) == node.background() == node.cli("node", "status").json["pid"]
    assert _processes_of(node) == [node.background()]


def _processes_of(node: Node) -> list[int]:
    return _processes_with(f"P2P_AGENTS_HOME={node.path}")


def _processes_with(variable: str) -> list[int]:
    """Every process that has this in its environment, whoever started it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                if os.fsencode(variable) in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def test_no_start_is_respected(world: World) -> None:
    node = world.node("alice")
    answer = node.cli("inbox", P2P_AGENTS_NO_START="1")
    assert (answer.status, answer.code) == (7, "node_unreachable")
    assert node.background() is None


def test_a_home_too_long_for_a_socket(world: World) -> None:
    """H1: the socket is under a hash of the home in the runtime directory."""
    node = world.node("alice", home=world.base / ("long" * 40))
    assert len(str(node.path)) > SOCKET_PATH_BYTES
    node.environ["XDG_RUNTIME_DIR"] = str(world.base / "run")
    (world.base / "run").mkdir(mode=0o700)
    assert node.cli("init", "alice").status == 0
    assert [path.suffix for path in (world.base / "run").iterdir()] == [".sock"]


def test_a_home_too_long_and_no_runtime_directory(world: World) -> None:
    node = world.node("alice", home=world.base / ("long" * 40))
    node.environ["XDG_RUNTIME_DIR"] = str(world.base / "nowhere")
    assert node.cli("init", "alice").status == 0
    place = Path(node.home.socket)
    assert place.parent == Path(f"/tmp/p2pa-{os.getuid()}")
    assert place.parent.stat().st_mode & 0o077 == 0
    assert node.cli("node", "stop").status == 0
    assert not place.exists()


def test_no_runtime_directory_at_all(world: World) -> None:
    node = world.node("alice")
    del node.environ["XDG_RUNTIME_DIR"]
    assert node.cli("init", "alice").status == 0
    assert any(path.suffix == ".sock" for path in node.path.iterdir())


def test_a_node_that_cannot_bind_udp_exits(world: World) -> None:
    """H1."""
    node = world.node("alice")
    process = node.spawn(["-c", NO_UDP])
    assert process.end() == 7
    reason = json.loads((node.path / "node.error").read_text())
    assert reason["code"] == "no_socket"
    assert not os.path.exists(node.home.socket)


def test_a_newer_command_replaces_an_older_node(world: World) -> None:
    """H1, with the store kept."""
    alice = world.agent("alice")
    assert alice.node.stop() == 0
    old = alice.node.start(["-c", VERSIONED.format(version="0.0.1", protocol=1)])
    assert alice.node.cli("whoami").json["agent"]["id"] == alice.id
    assert old.end() == 0
    assert alice.node.cli("node", "status").json["version"] == p2p_agents.__version__


def test_an_older_command_leaves_a_newer_node_alone(world: World) -> None:
    """H1: never the reverse."""
    alice = world.agent("alice")
    assert alice.node.stop() == 0
    newer = alice.node.start(["-c", VERSIONED.format(version="99.0.0", protocol=1)])
    assert alice.node.cli("whoami").json["agent"]["id"] == alice.id
    assert newer.poll() is None
    assert alice.node.stop() == 0
    foreign = alice.node.start(["-c", VERSIONED.format(version="99.0.0", protocol=2)])
    answer = alice.node.cli("whoami")
    assert (answer.status, answer.code) == (7, "node_too_new")
    assert foreign.poll() is None


def test_a_deliberate_stop_lasts(world: World) -> None:
    """H1: a crash is survived, a stop is obeyed."""
    alice = world.agent("alice")
    watch = alice.node.spawn_cli("watch")
    watch.until('"ready"')
    assert alice.node.cli("node", "stop").json == {"ok": True, "stopping": True}
    assert "the node was stopped" in watch.until('"node_unreachable"')
    assert watch.end() == 7
    assert alice.node.background() is None


def test_a_wait_outlives_its_node(world: World) -> None:
    """H1: waits reconnect with their cursor."""
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.meets(bob)
    bob.call("inbox")
    bob.call("ack")
    with alice.watch("peers.watch") as stream:
        waiting = bob.node.spawn_cli("wait", "--timeout", "20")
        stream.until(lambda it: it.get("id") == bob.id and it["attending"] is True)
    bob.node.kill()
    alice.send(bob, "still there?")
    assert json.loads(waiting.until('"ok"'))["messages"][0]["text"] == "still there?"
    assert waiting.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_node_run_ends_on_a_signal(world: World, number: int) -> None:
    node = world.node("alice")
    process = node.start(["-m", "p2p_agents", "node", "run"])
    process.send_signal(number)
    assert process.end() == 0
    assert not os.path.exists(node.home.socket)


def test_doctor_works_without_and_with_a_node(world: World) -> None:
    node = world.node("alice")
    alone = node.cli("doctor").json
    assert {check["name"] for check in alone["checks"]} >= {"cryptography", "home", "store", "node", "multicast"}
    assert node.background() is None
    assert node.cli("init", "alice").status == 0
    checks = {check["name"]: check for check in node.cli("doctor").json["checks"]}
    assert all(checks[name]["ok"] for name in ("cryptography", "home", "store", "node"))
    assert all(check["hint"] for check in checks.values() if check["ok"] is False)


def test_the_demo_ends_well_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    node = world.node("nobody")
    environ = node.environ | {"TMPDIR": str(place), "P2P_AGENTS_HINTS": str(tmp_path / "hints")}
    done = subprocess.run(
        node.command("-m", "p2p_agents", "demo"), env=environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["states"] == ["read", "read"]
    assert list(place.iterdir()) == []
    assert list((tmp_path / "hints").iterdir()) == []
    assert list(node.runtime.iterdir()) == []
    assert not node.path.exists()
    assert _processes_with(f"TMPDIR={place}") == []


def test_an_uninstall_leaves_nothing(world: World) -> None:
    """A running node, its socket, its hint file, its home: all gone after one command."""
    node = world.node("alice")
    assert node.cli("init", "alice").status == 0
    hints = Path(node.environ["P2P_AGENTS_HINTS"])
    kept = node.cli("uninstall", HOME=str(world.base)).json
    assert (kept["stopped"], kept["kept"]) == (True, str(node.path))
    assert [agent["name"] for agent in node.cli("agents").json["agents"]] == ["alice"]
    gone = node.cli("uninstall", "--purge", "--yes", HOME=str(world.base)).json
    assert (gone["kept"], str(node.path) in gone["removed"]) == (None, True)
    assert _processes_of(node) == []
    assert not node.path.exists()
    assert list(node.runtime.iterdir()) == list(hints.iterdir()) == []
