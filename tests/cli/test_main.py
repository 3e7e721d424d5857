"""The cost of a hot command: counted in modules, which is the same on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import errors
from tests.cli.world import make_world
from tests.control.fake import Served, make_home, message
from tests.native.made import make_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEAVY = {
    *(
        "asyncio",
        "typer",
        "rich",
        "pydantic",
        "aioquic",
        "zeroconf",
        "cryptography",
        "nacl",
        "cbor2",
        "http",
        "email",
    ),
    *(
        "inspect",
        "dataclasses",
        "typing",
        "logging",
        "subprocess",
        "pathlib",
        "datetime",
        "ssl",
        "argparse",
        "re",
        "enum",
        "json",
        "socket",
        "re",
        "enum",
        "socket",
        "json",
    ),
}
LIGHT = {"p2p_agents.control", *(f"p2p_agents.control.{name}" for name in ("client", "light", "peer", "wire"))}
PROGRAM = """
import sys
from p2p_agents.cli.main import main
status = main()
sys.stderr.write(" ".join(sorted(sys.modules)))
sys.exit(status)
"""


@pytest.mark.parametrize(
    "line",
    [
        "send bob hello",
        "inbox",
        "ack",
        "poll",
        "poll --claim",
        "wait --from bob",
        "peers",
        "history bob",
        "show m3",
        "inbox --compact --fields text",
        "send no",
    ],
)
def test_a_hot_command_imports_nothing_heavy(tmp_path: Path, line: str) -> None:
    home = make_home(tmp_path)
    environ = {
        "P2P_AGENTS_HOME": home.path,
        "P2P_AGENTS_NO_START": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    argv = [sys.executable, "-S", "-c", PROGRAM, *line.split()]
    if line == "send no":  # an error, told by the node
        argv = [sys.executable, "-S", "-c", PROGRAM, "send", "nobody", "hello"]
    with Served(make_world(), home):
        done = subprocess.run(argv, env=environ, capture_output=True, check=False, timeout=30)
    assert done.returncode == (3 if line == "send no" else 0), done.stderr
    loaded = set(done.stderr.decode().split())
    assert not HEAVY & loaded
    assert {name for name in loaded if name.startswith(("p2p_agents.control", "p2p_agents.results"))} <= LIGHT
    assert "p2p_agents.control.client" in loaded


@pytest.fixture(scope="module", params=["python", "native"])
def program(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> list[str]:
    """Both clients: what holds for the one holds for the other."""
    if request.param == "native":
        return [str(make_client(tmp_path_factory.mktemp("bin")))]
    return [sys.executable, "-m", "p2p_agents"]


@pytest.mark.parametrize("command", ["watch", "peers --watch"])
def test_a_closed_pipe_is_quiet(tmp_path: Path, command: str, program: list[str]) -> None:
    home = make_home(tmp_path)
    environ = dict(os.environ, P2P_AGENTS_HOME=home.path, P2P_AGENTS_NO_START="1")
    reader, writer = os.pipe()
    os.close(reader)
    with Served(make_world(), home):
        done = subprocess.run(
            [*program, *command.split()],
            env=environ,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
            timeout=30,
        )
    os.close(writer)
    assert (done.returncode, done.stderr) == (130, b"")


def test_control_c_is_quiet(tmp_path: Path, program: list[str]) -> None:
    import signal

    home = make_home(tmp_path)
    environ = dict(os.environ, P2P_AGENTS_HOME=home.path, P2P_AGENTS_NO_START="1")
    world = make_world()
    with Served(world, home):
        world.answers["wait"] = _never
        child = subprocess.Popen(
            [*program, "wait"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while not world.calls:
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=20)
    assert (child.returncode, stdout, stderr) == (130, b"", b"")


def test_control_c_while_a_send_waits_names_what_is_kept(tmp_path: Path, program: list[str]) -> None:
    """H3: the message is accepted before it is waited for, whatever ends the wait."""
    import json
    import signal

    home = make_home(tmp_path)
    environ = dict(os.environ, P2P_AGENTS_HOME=home.path, P2P_AGENTS_NO_START="1")
    world = make_world()
    kept = world.answers["send"]
    with Served(world, home):
        world.answers["send"] = lambda params: _never(params) if params["wait"] else kept(params)
        child = subprocess.Popen(
            [*program, "send", "bob", "hello", "--id", "k1", "--wait", "read"],
            env=environ,
            stdout=subprocess.PIPE,
        )
        while len(world.calls) < 2:
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        stdout, _ = child.communicate(timeout=20)
    error = json.loads(stdout)["error"]
    assert (child.returncode, error["code"], error["retryable"]) == (130, "send_unconfirmed", False)
    assert (error["message"], error["id"], error["key"]) == ("the message is kept", "m9", "k1")
    assert [params["id"] for _, params in world.calls] == ["k1", "k1"]


async def _never(params: dict[str, object]) -> dict[str, object]:
    import asyncio

    await asyncio.Event().wait()
    return {}


def test_poll_acknowledges_only_what_stdout_took(tmp_path: Path, program: list[str]) -> None:
    """H2: poll acknowledges on the same connection after stdout was flushed."""
    home = make_home(tmp_path)
    environ = dict(os.environ, P2P_AGENTS_HOME=home.path, P2P_AGENTS_NO_START="1")
    argv = [*program, "poll"]
    world = make_world()
    with Served(world, home):
        reader, writer = os.pipe()
        os.close(reader)
        subprocess.run(argv, env=environ, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=30)
        os.close(writer)
        assert [method for method, _ in world.calls] == ["inbox"]
        subprocess.run(argv, env=environ, stdout=subprocess.DEVNULL, check=True, timeout=30)
    assert [method for method, _ in world.calls] == ["inbox", "inbox", "ack"]
    assert world.calls[-1][1]["cursor"] == "c2"


LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
HOSTILE = f"a{LINE_ENDS}\x1b[2J\x9b31m\x7f\u202e\ufeff\ud7ff\U0001f600é"


@pytest.mark.parametrize("line", ["inbox", "poll", "wait", "history bob", "show m1", "watch", "send bob -"])
def test_what_a_peer_wrote_ends_no_line_and_moves_no_cursor(tmp_path: Path, line: str, program: list[str]) -> None:
    """On a pipe, where programs read line by line, the short way and the long one, streams and errors alike."""
    import json

    home = make_home(tmp_path)
    environ = dict(os.environ, P2P_AGENTS_HOME=home.path, P2P_AGENTS_NO_START="1", PYTHONUTF8="1")
    world = make_world()
    page: dict[str, Any] = {"messages": [message(1, HOSTILE)], "cursor": "c1", "more": False}
    shown = {"message": message(1, HOSTILE), "recipients": []}
    world.answers |= {"history": page, "inbox": page | {"requests": 0}}
    world.answers["wait"] = page | {"requests": 0, "shared": False}
    world.answers |= {"show": shown, "ack": {"acked": 1, "cursor": "c1"}, "watch": _follow}
    world.answers["send"] = errors.PeerUnknown(HOSTILE, hint=HOSTILE)
    with Served(world, home):
        done = subprocess.run(
            [*program, *line.split()],
            env=environ,
            input=b"hello",
            capture_output=True,
            check=False,
            timeout=30,
        )
    lines = done.stdout.removesuffix(b"\n").decode().split("\n")
    assert all(each.isascii() and each.isprintable() for each in lines), done.stdout
    told = json.dumps([json.loads(each) for each in lines], ensure_ascii=False)
    assert json.dumps(HOSTILE, ensure_ascii=False)[1:-1] in told


async def _follow(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "ready", "cursor": "0", "requests": 0}
    yield {"type": "message", "message": message(1, HOSTILE)}
