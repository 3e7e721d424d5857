"""The examples in the help work."""

from __future__ import annotations

import io
import os
import shlex
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import exits
from p2p_agents.cli import demo, leftovers, own_bridge, scan, typed
from p2p_agents.cli.commands import backup
from p2p_agents.cli.main import main
from p2p_agents.control.client import Client
from p2p_agents.quic.address import split_address
from p2p_agents.results import messages
from tests.cli.pages import examples_in, read_helps
from tests.cli.world import ALICE, BOB, PARTY, SHOWN, UNREAD, make_world
from tests.control.fake import Served, make_home
from tests.shapes import make

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = [example for text in read_helps().values() for example in examples_in(text)]
PLACEHOLDERS = {"MESSAGE_ID": "m3", "CURSOR": "c1"}  # a reader sees that these are to be replaced
HOSTED = {"address": "bridge://bridge.example:4433#" + "a" * 52, "pid": 7, "tunnel": None, "tunnel_pid": None}
REMOVES = (["agents", "remove"], ["contacts", "remove"])  # that ask first
PROGRAMS = ("p2p-agents", "p2pa")


def add_peer(params: dict[str, Any]) -> dict[str, Any]:
    split_address(params["address"])
    return {"address": params["address"], "agents": [BOB]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node where everything asked for exists."""
    world = make_world()
    sent = make(messages.Sent, id="m9", cursor="c9", state="read", key="k", to=PARTY)
    page = make(messages.Awaited, messages=UNREAD, cursor="c2")
    world.answers |= {"init": {"agent": ALICE, "created": True}, "use": {"agent": ALICE}, "whoami": {"agent": ALICE}}
    world.answers |= {"send": sent, "wait": page, "peers.add": add_peer}
    with Served(world, made := make_home(tmp_path_factory.mktemp("home"))):
        yield made.path


def commands_in(example: str) -> list[tuple[dict[str, str], list[str]]]:
    """Each command of ours in a line of shell: the variables before it and its words."""
    words = shlex.split(example, posix=True)
    breaks = [-1, *(at for at, word in enumerate(words) if word in ("|", "&&")), len(words)]
    pieces = [words[left + 1 : right] for left, right in pairwise(breaks)]
    found = []
    for piece in pieces:
        at = next((at for at, word in enumerate(piece) if word in PROGRAMS), None)
        if at is not None:
            variables = dict(word.split("=", 1) for word in piece[:at])
            found.append((variables, [PLACEHOLDERS.get(word, word) for word in piece[at + 1 :]]))
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_typed(
    example: str, home: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "execve", lambda *_: None)  # the node would take this process's place
    monkeypatch.setattr(demo, "run", lambda json: 0)  # it has a test of its own
    monkeypatch.setattr(scan, "read", lambda path: SHOWN["uri"])  # what a file may hold has tests of its own
    monkeypatch.setattr(Client, "wait_end", lambda _: None)  # the one node of all examples stays
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe")))
    for name in ("last", "running", "stop"):  # a bridge that runs already; starting one has tests of its own
        monkeypatch.setattr(own_bridge.OwnBridge, name, lambda _: HOSTED)
    monkeypatch.setattr(own_bridge.OwnBridge, "start", lambda *_, **__: HOSTED)
    monkeypatch.setattr(own_bridge, "tunnel_tool", lambda: "cloudflared")
    for name in ("remove_home", "remove_traces"):  # of the one who runs the tests
        monkeypatch.setattr(leftovers, name, lambda _: [])
    for name in ("ask_code", "read_code"):
        monkeypatch.setattr(typed, name, lambda: SHOWN["code"])
    monkeypatch.setattr(backup, "_passphrase", lambda path, twice: "correct horse")
    commands = commands_in(example)
    assert commands
    for variables, words in commands:
        for name, value in {"P2P_AGENTS_HOME": home, "P2P_AGENTS_NO_START": "1", **variables}.items():
            monkeypatch.setenv(name, value)
        destroys = "--purge" in words or words[-3:-1] in REMOVES or words[:2] == ["backup", "import"]
        unsaid = destroys and "--yes" not in words
        asks = {"verify", "reset"} & set(words) or unsaid
        wanted = exits.HUMAN if asks else exits.OK  # no terminal is here
        assert main(words) == wanted, capfd.readouterr().out
