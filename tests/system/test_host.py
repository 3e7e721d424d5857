"""`host`: a bridge of your own, started by one command and found by a link; and tunnels, which are simulated here."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.system.harness import Node, World

CLOUDFLARED = f"""#!{sys.executable}
import sys, time
print("INF | Your quick tunnel has been created! https://quick-fox.trycloudflare.com |", file=sys.stderr)
sys.stderr.flush()
open(__file__ + ".argv", "w").write(" ".join(sys.argv[1:]))
time.sleep(600)
"""
BROKEN = f"""#!{sys.executable}
import sys
sys.exit("no such host: the tunnel's service cannot be reached")
"""


def program(directory: Path, name: str, text: str) -> str:
    """The PATH on which this program comes first."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"{directory}:{os.environ['PATH']}"


def ends(pid: int) -> bool:
    """Whether a process is gone, or goes within ten seconds."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 10.0)[0])
    finally:
        os.close(watched)


def test_one_command_and_a_link_pair_two_nodes(world: World) -> None:
    alice, bob = world.agent("alice"), world.agent("bob")
    shown = alice.node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait")
    assert shown.status == 0, shown
    assert (shown.json["started"], shown.json["admission"], shown.json["token"]) == (True, "token", None)
    assert shown.json["link"].startswith("https://127.0.0.1:")
    state = alice.node.cli("host", "status").json
    assert (state["running"], state["address"]) == (True, shown.json["bridge"])
    other = "https://127.0.0.1:9/p/00000#" + shown.json["link"].partition("#")[2]
    in_vain = bob.node.cli("pair", "-", "--timeout", "1", stdin=other.encode())
    assert (in_vain.code, bob.node.cli("bridge", "list").json["bridges"]) == ("nobody_found", [])
    met = bob.node.cli("pair", "-", stdin=shown.json["link"].encode())
    assert met.json["contact"]["id"] == alice.id
    assert place_of(bob.node) == shown.json["bridge"]
    assert bob.node.cli("bridge", "list").json["bridges"][0]["state"] == "up"
    assert "bridge remove 127.0.0.1:" in met.err
    again = alice.node.cli("host", "--no-wait").json
    assert (again["started"], again["bridge"]) == (False, shown.json["bridge"])
    assert alice.node.cli("host", "stop").json["stopped"] == shown.json["bridge"]
    assert ends(state["pid"])
    assert alice.node.cli("host", "status").json["running"] is False
    assert alice.node.cli("bridge", "list").json["bridges"] == []
    assert alice.node.cli("host", "stop").code == "bridge_unknown"


def test_an_address_at_a_bridge_for_those_invited_says_whom_it_cannot_answer(world: World) -> None:
    node = world.agent("alice").node
    assert node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait").status == 0
    shown = node.cli("requests", "address").json
    assert (shown["open"], "only those invited" in shown["why"]) == (True, True)
    assert b"gets no answer" in node.cli("requests", "address", "--text").out
    assert node.cli("host", "--open", "--no-wait").status == 0
    assert node.cli("requests", "address").json["why"] is None
    assert node.cli("host", "stop").status == 0


def test_a_link_lets_one_in_and_nobody_else(world: World) -> None:
    """The content of a link is worthless to somebody who sees it later."""
    alice, bob, carol = (world.agent(name) for name in ("alice", "bob", "carol"))
    shown = alice.node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait").json
    assert "Only those you invite" in alice.node.cli("host", "--no-wait").err
    link = alice.node.cli("pair", "--link", "--no-wait").json["link"]
    page, _, behind = link.partition("#")
    *words, token = behind.split("-")
    assert len(token) == 32
    assert carol.node.cli("bridge", "add", shown["bridge"]).code == "bridge_refused"
    elsewhere = "-".join([f"{page.rpartition('/')[0]}/00000#{words[0]}", *words[1:], "a" * 32])
    barred = carol.node.cli("pair", "-", "--timeout", "1", stdin=elsewhere.encode())
    assert (barred.code, "does not take that token" in barred.err) == ("nobody_found", True), barred
    assert bob.node.cli("pair", "-", stdin=link.encode()).json["contact"]["id"] == alice.id
    late = carol.node.cli("bridge", "add", shown["bridge"], "--token-file", "-", stdin=token.encode())
    assert late.code == "bridge_refused"
    assert bob.node.cli("bridge", "add", shown["bridge"]).json["bridge"]["token"] is True
    assert alice.node.cli("host", "stop").status == 0


def test_a_link_lets_in_whom_a_bridge_that_was_open_admits_no_more(world: World) -> None:
    """Its earlier use continues, and a link that fails takes nothing away."""
    alice, bob = world.agent("alice"), world.agent("bob")
    shown = alice.node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--open", "--no-wait").json
    assert bob.node.cli("bridge", "add", shown["bridge"]).status == 0
    closed = alice.node.cli("host", "--invited", "--no-wait").json
    assert (closed["started"], closed["bridge"]) == (True, shown["bridge"])
    assert bob.node.cli("bridge", "add", shown["bridge"]).code == "bridge_refused"
    page, _, behind = closed["link"].partition("#")
    elsewhere = f"{page.rpartition('/')[0]}/00000#{behind.rpartition('-')[0]}-{'a' * 32}"
    assert bob.node.cli("pair", "-", "--timeout", "1", stdin=elsewhere.encode()).code == "nobody_found"
    assert bob.node.cli("bridge", "list").json["bridges"][0]["token"] is False
    assert place_of(bob.node) == shown["bridge"]
    assert bob.node.cli("pair", "-", stdin=closed["link"].encode()).json["contact"]["id"] == alice.id
    assert bob.node.cli("bridge", "list").json["bridges"][0]["state"] == "up"
    assert alice.node.cli("host", "stop").status == 0


def test_a_known_bridge_keeps_its_token_until_it_takes_another(world: World) -> None:
    alice, bob = world.agent("alice"), world.agent("bob")
    shown = alice.node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--invited", "--no-wait").json
    add = ("bridge", "add", shown["bridge"])
    assert bob.node.cli(*add, "--token-file", "-", stdin=shown["token"].encode()).status == 0
    again = bob.node.cli(*add)
    assert (again.status, again.json["bridge"]["token"], again.json["bridge"]["state"]) == (0, True, "up")
    assert bob.node.cli(*add, "--token-file", "-", stdin=b"mistyped").code == "bridge_refused"
    assert bob.node.cli(*add).json["bridge"]["state"] == "up"
    assert alice.node.cli("host", "stop").status == 0


def test_an_open_bridge_says_that_it_is(world: World) -> None:
    node = world.agent("alice").node
    shown = node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--open", "--no-wait")
    assert (shown.json["admission"], shown.json["token"]) == ("open", None)
    assert "Anybody who reaches that bridge may use it" in shown.err
    assert node.cli("host", "status").json["admission"] == "open"
    assert node.cli("host", "--no-wait").json["admission"] == "open"
    closed = node.cli("host", "--invited", "--no-wait").json
    assert (closed["started"], closed["admission"], closed["bridge"]) == (True, "token", shown.json["bridge"])
    assert node.cli("host", "--open", "--invited", "--no-wait").code == "usage"
    assert node.cli("host", "stop").status == 0


def test_a_bridge_for_those_invited_admits_nobody_else(world: World) -> None:
    alice, bob = world.agent("alice"), world.agent("bob")
    shown = alice.node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--invited", "--no-wait")
    assert shown.status == 0, shown
    bridge, token = shown.json["bridge"], shown.json["token"]
    assert f"echo {token} | p2p-agents bridge add {bridge} --token-file -" in shown.err
    state = alice.node.cli("host", "status")
    assert state.json["admission"] == "token"
    assert "token" not in state.json
    assert bob.node.cli("bridge", "add", bridge).code == "bridge_refused"
    assert bob.node.cli("bridge", "add", bridge, "--token-file", "-", stdin=token.encode()).status == 0
    assert bob.node.cli("pair", shown.json["link"]).json["contact"]["id"] == alice.id
    again = alice.node.cli("host", "--no-wait")
    assert (again.json["admission"], again.json["token"]) == ("token", None)
    assert alice.node.cli("bridge", "list").json["bridges"][0]["state"] == "up"
    assert alice.node.cli("host", "stop").status == 0


def test_a_bridge_that_was_killed_is_started_again_and_is_the_same(world: World) -> None:
    node = world.agent("alice").node
    first = node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait").json["bridge"]
    os.kill(node.cli("host", "status").json["pid"], signal.SIGKILL)
    assert node.cli("host", "status").json["running"] is False
    assert node.cli("bridge", "remove", first).status == 0
    second = node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait").json["bridge"]
    assert first.partition("#")[2] == second.partition("#")[2]
    assert node.cli("host", "stop").status == 0


def test_a_link_needs_a_bridge(world: World) -> None:
    answer = world.agent("alice").node.cli("pair", "--link", "--no-wait")
    assert (answer.status, answer.code) == (3, "bridge_unknown")
    assert "p2p-agents host" in answer.json["error"]["hint"]


def test_a_tunnel_program_that_is_installed_is_used(world: World) -> None:
    node = world.agent("alice").node
    path = program(world.base / "bin", "cloudflared", CLOUDFLARED)
    shown = node.cli("host", "--port", "0", "--tunnel", "--no-wait", PATH=path)
    state = node.cli("host", "status").json
    assert shown.json["bridge"].startswith("bridge://quick-fox.trycloudflare.com:443#")
    assert shown.json["link"].startswith("https://quick-fox.trycloudflare.com:443/p/")
    assert state["tunnel"] == "cloudflared"
    assert "--url https://127.0.0.1:" in (world.base / "bin" / "cloudflared.argv").read_text()
    assert node.cli("host", "stop", PATH=path).status == 0
    assert ends(state["tunnel_pid"])
    assert ends(state["pid"])


@pytest.mark.parametrize(("tools", "code"), [({}, "tunnel_missing"), ({"cloudflared": BROKEN}, "bridge_failed")])
def test_a_tunnel_that_cannot_be_opened_leaves_nothing(world: World, tools: dict[str, str], code: str) -> None:
    """Nothing is downloaded, and no bridge is left behind that nobody reaches."""
    node = world.agent("alice").node
    path = os.environ["PATH"]
    for name, text in tools.items():
        path = program(world.base / "bin", name, text)
    answer = node.cli("host", "--port", "0", "--tunnel", "--no-wait", PATH=path)
    assert answer.code == code
    assert not tools or "cannot be reached" in answer.json["error"]["message"]
    assert node.cli("host", "status").json["running"] is False
    assert node.cli("bridge", "list").json["bridges"] == []


def place_of(node: Node) -> str:
    (used,) = node.cli("bridge", "list").json["bridges"]
    return str(used["address"])


def test_a_bridge_that_ended_is_started_again_and_never_only_said_to_be_there(world: World) -> None:
    """As after a restart of the machine: the same place and key, so that contacts find it again."""
    node = world.agent("alice").node
    first = node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait").json["bridge"]
    pid = node.cli("host", "status").json["pid"]
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    dead = node.cli("host", "status").json
    assert (dead["running"], dead["address"]) == (False, first)
    again = node.cli("host", "--no-wait")
    assert (again.status, again.json["started"], again.json["bridge"]) == (0, True, first)
    assert "had ended" in again.err
    assert node.cli("host", "status").json["running"] is True
    assert node.cli("bridge", "status").json["bridges"][0]["state"] == "up"
    assert node.cli("host", "stop").json["stopped"] == first


def test_a_bridge_that_ended_is_stopped_for_good(world: World) -> None:
    node = world.agent("alice").node
    first = node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait").json["bridge"]
    pid = node.cli("host", "status").json["pid"]
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    assert node.cli("host", "stop").json["stopped"] == first
    assert node.cli("bridge", "list").json["bridges"] == []


def test_another_public_host_gives_links_to_it_alone(world: World) -> None:
    node = world.agent("alice").node
    first = node.cli("host", "--port", "0", "--public-host", "127.0.0.1", "--no-wait").json
    same = node.cli("host", "--public-host", "127.0.0.1", "--no-wait").json
    assert (same["started"], same["bridge"]) == (False, first["bridge"])
    moved = node.cli("host", "--public-host", "localhost", "--no-wait")
    assert moved.json["bridge"] == first["bridge"].replace("127.0.0.1", "localhost")
    assert moved.json["link"].startswith("https://localhost:")
    assert "no longer work" in moved.err
    assert place_of(node) == moved.json["bridge"]
    assert node.cli("host", "stop").status == 0


def test_a_bridge_of_others_that_does_not_answer_is_not_called_a_success(world: World) -> None:
    node = world.agent("alice").node
    nobody = "bridge://127.0.0.1:9#" + "a" * 52
    assert node.cli("bridge", "add", nobody).code == "bridge_unreachable"
    refused = node.cli("host", "--no-wait")
    assert (refused.code, refused.status) == ("bridge_unreachable", 1)
    assert "bridge remove 127.0.0.1:9" in refused.json["error"]["hint"]


def test_a_tunnel_that_ended_is_opened_again(world: World) -> None:
    node = world.agent("alice").node
    path = program(world.base / "bin", "cloudflared", CLOUDFLARED)
    node.cli("host", "--port", "0", "--tunnel", "--no-wait", PATH=path)
    first = node.cli("host", "status").json
    os.kill(first["tunnel_pid"], signal.SIGKILL)
    assert ends(first["tunnel_pid"])
    assert node.cli("host", "status").json["running"] is False
    assert node.cli("host", "--no-wait", PATH=path).json["started"] is True
    second = node.cli("host", "status").json
    assert (second["running"], second["tunnel"]) == (True, "cloudflared")
    assert ends(first["pid"])
    assert node.cli("host", "stop", PATH=path).status == 0
    assert ends(second["tunnel_pid"])
