"""Two people pair their agents at two terminals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p_agents.cli import picture
from tests.system.harness import Process

if TYPE_CHECKING:
    from tests.net.namespaces import Lab
    from tests.system.harness import Agent, Node, World


def other_words(code: str) -> str:
    """A valid code of the same place."""
    first, _, place = code.split("-")
    return f"{first}-{'COPPER' if 'COPPER' not in code else 'FIDDLE'}-{place}"


@pytest.mark.parametrize("what", ["code", "uri"])
def test_two_nodes_pair_and_talk(world: World, what: str) -> None:
    """E4, F1: shown on one, typed on the other; a slip of the tongue first."""
    alice, bob = world.agent("alice"), world.agent("bob")
    shown = alice.node.cli("pair", "--no-wait", "--name", "robert").json
    assert alice.node.cli("pair", "status").json["state"] == "waiting"
    wrong = bob.node.cli("pair", "-", stdin=other_words(shown["code"]).encode())
    assert (wrong.code, wrong.status, wrong.json["error"]["left"]) == ("code_wrong", 5, 2)

    met = bob.node.cli("pair", "-", "--timeout", "20", stdin=shown[what].encode())
    assert met.status == 0, met
    assert (met.json["trust"], met.json["contact"]["id"]) == ("paired", alice.id)
    brought = alice.call("pair.wait", code=shown["id"], timeout=20)
    assert (brought["contact"]["id"], brought["contact"]["petname"]) == (bob.id, "robert")
    assert alice.node.cli("pair", "cancel", shown["id"]).json["state"] == "paired"

    assert bob.node.cli("send", "alice", "no request", "--wait", "delivered").status == 0
    assert alice.texts(1) == ["no request"]
    again = bob.node.cli("pair", shown[what])
    assert (again.code, again.status) == ("code_used", 5)


def test_who_shows_a_code_hears_of_wrong_tries_while_waiting(world: World, tmp_path: Path) -> None:
    """F1: on stderr, as they are made; stdout holds two results and nothing else."""
    alice, bob = world.agent("alice"), world.agent("bob")
    pipe = tmp_path / "stdout"
    os.mkfifo(pipe)
    command = alice.node.command("-m", "p2p_agents", "pair")
    waiting = Process(["sh", "-c", f'exec "$@" > {pipe}', "sh", *command], alice.node.environ)
    with pipe.open() as stdout, contextlib.closing(waiting):
        code = json.loads(stdout.readline())["code"]
        for left in ("2 tries left", "1 try left"):
            assert bob.node.cli("pair", other_words(code)).code == "code_wrong"
            assert "wrong words" in waiting.until(left)
        assert waiting.poll() is None
        assert bob.node.cli("pair", code).status == 0
        assert bob.id[:10] in waiting.until("paired with")
        assert waiting.end() == 0
        (met,) = map(json.loads, stdout)
    assert (met["state"], met["contact"]["id"]) == ("paired", bob.id)
    assert [it["left"] for it in met["wrong"]] == [2, 1]


@pytest.fixture
def apart_on_a_link(joined: tuple[World, Lab]) -> tuple[Agent, Agent]:
    """Alice and bob on two hosts of one link."""
    world, lab = joined
    return (
        world.agent("alice", netns=lab.hosts[0], hints="hints-a"),
        world.agent("bob", netns=lab.hosts[1], hints="hints-b"),
    )


@pytest.mark.netns
@pytest.mark.parametrize("what", ["--png", "screen", "code"])
def test_two_hosts_pair(apart_on_a_link: tuple[Agent, Agent], tmp_path: Path, what: str) -> None:
    """F1: over a real link, by the other side's picture in a file, by its terminal's text, by its words."""
    alice, bob = apart_on_a_link
    file = tmp_path / "code"
    shown = alice.node.cli("pair", "--no-wait", *(["--png", str(file)] if what == "--png" else [])).json
    if what == "screen":
        file.write_text(picture.draw(shown["uri"], colour=True) + "\n" + shown["code"])
    words = [shown["code"]] if what == "code" else ["--image", str(file), "--timeout", "20"]
    met = bob.node.cli("pair", *words)
    assert met.status == 0, met
    assert (met.json["trust"], met.json["contact"]["id"]) == ("paired", alice.id)
    assert alice.call("pair.wait", code=shown["id"], timeout=20)["contact"]["id"] == bob.id
    assert alice.node.cli("send", "bob", "no request", "--wait", "delivered").status == 0
    assert bob.texts(1) == ["no request"]


def given(node: Node, secret: str, *words: str) -> tuple[str, int]:
    """The arguments of a command that is given a secret on standard input, as every user of the machine may read them,
    and how it ended."""
    with subprocess.Popen(node.command("-m", "p2p_agents", *words), env=node.environ, stdin=subprocess.PIPE) as child:
        path = Path(f"/proc/{child.pid}/cmdline")  # empty for a moment while one program becomes the next
        seen = next(filter(None, iter(path.read_bytes, None))).replace(b"\0", b" ").decode()
        child.communicate(f"{secret}\n".encode())
    return seen, child.returncode


def test_a_code_in_argv_is_never_needed(world: World) -> None:
    """A watcher of /proc won the race for the code five times of five: there is nothing to see any more."""
    alice, bob = world.agent("alice"), world.agent("bob")
    desk = world.node("desk")
    desk.start()
    shown = alice.node.cli("pair", "--no-wait").json["code"]
    seen, status = given(bob.node, shown.lower(), "pair", "-")
    assert (status, shown.lower() in seen.lower()) == (0, False)
    assert "pair -" in seen

    device = alice.node.cli("pair", "--link-device", "--no-wait").json["code"]
    refused = desk.cli("pair", "--link-device", device)
    assert (refused.code, refused.status) == ("usage", 2)
    assert "every user of this machine" in refused.json["error"]["message"]
    assert desk.call("agents")["agents"] == []
    seen, status = given(desk, device, "pair", "--link-device", "-")
    assert (status, device in seen) == (0, False)
    assert desk.call("agents")["agents"][0]["id"] == alice.id


def test_a_waiting_code_is_cancelled_from_elsewhere(world: World) -> None:
    """A caller that stops waiting in time leaves the code as it is."""
    alice = world.agent("alice")
    waited = alice.node.cli("pair", "--timeout", "0.1")
    shown, ended = map(json.loads, waited.out.splitlines())
    assert (waited.status, ended["error"]["code"]) == (4, "timeout")
    assert alice.node.cli("pair", "status").json["state"] == "waiting"
    alice.call("pair.cancel", code=shown["id"])
    ended = alice.node.cli("pair", "status").json
    assert ended["state"] == "cancelled"
    assert alice.node.cli("pair", "xyzzy-fiddle-7q2mx").code == "bad_code"
    assert alice.node.cli("trust", "verify", "nobody").code == "peer_unknown"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_ctrl_c_takes_the_code_back_and_says_so(world: World, number: int) -> None:
    """So do a terminal that closes, and anything that ends the command."""
    alice = world.agent("alice")
    waiting = Process(alice.node.command("-m", "p2p_agents", "pair"), alice.node.environ)
    with contextlib.closing(waiting):
        while alice.node.cli("pair", "status").status:
            continue
        waiting.send_signal(number)
        assert "taken back" in waiting.until("The code")
        assert waiting.end() == 130
    assert alice.node.cli("pair", "status").json["state"] == "cancelled"


def test_a_terminal_that_is_gone_takes_the_code_back_too(world: World) -> None:
    """The signal comes when nothing more can be said."""
    alice = world.agent("alice")
    reads, writes = os.pipe()
    command = alice.node.command("-m", "p2p_agents", "pair", "--text")
    waiting = subprocess.Popen(command, env=alice.node.environ, stdout=writes, stderr=writes)
    os.close(writes)
    while alice.node.cli("pair", "status").status:
        assert waiting.poll() is None
    with open(reads, "rb") as shown:
        while b"until" not in shown.readline():
            continue
    waiting.send_signal(signal.SIGHUP)
    assert waiting.wait(20) == 130
    assert alice.node.cli("pair", "status").json["state"] == "cancelled"


def test_a_command_that_nobody_hangs_up_waits_on(world: World) -> None:
    """As `nohup` starts it."""
    alice = world.agent("alice")
    waiting = subprocess.Popen(
        ["nohup", *alice.node.command("-m", "p2p_agents", "pair")],
        env=alice.node.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert waiting.stdout is not None
    shown = json.loads(waiting.stdout.readline())
    waiting.send_signal(signal.SIGHUP)
    assert alice.node.cli("pair", "status").json["state"] == "waiting"
    alice.call("pair.cancel", code=shown["id"])
    rest, _ = waiting.communicate(timeout=20)
    assert (json.loads(rest)["error"]["code"], waiting.returncode) == ("pair_cancelled", 5)
