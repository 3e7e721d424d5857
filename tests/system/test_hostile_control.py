"""Anything that may open the control socket may also be broken or hostile: the node answers, limits it, and
continues."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeout
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p_agents import limits
from tests.system.harness import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.harness import World

MEMORY_MB = 60  # what an attack may leave behind: buffers the allocator keeps, no more
CROWD = 1_500


@pytest.fixture
def alice(world: World) -> Agent:
    """With files enough for as many clients as the node serves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.CONTROL_CLIENTS + limits.FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return world.agent("alice")


def connect(alice: Agent, timeout: float = 20) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(alice.node.home.socket)  # blocking: it waits while the kernel's queue is full
    client.settimeout(timeout)
    return client


def ask(alice: Agent, data: bytes) -> list[dict[str, object]]:
    """What the node answers to these bytes until it hangs up, after its greeting."""
    with connect(alice) as client, client.makefile("rb") as lines:
        assert json.loads(lines.readline())["protocol"] == 1
        with suppress(BrokenPipeError):  # it hung up on the first part
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        answers = []
        with suppress(ConnectionResetError):
            answers = [json.loads(line) for line in lines]
        return answers


def is_served(alice: Agent) -> bool:
    return alice.call("whoami")["agent"]["id"] == alice.id


GARBAGE = [
    b"\n",
    b"hello\n",
    b"\x00" * 1000 + b"\n",
    b"\xff\xfe\n",
    b"[]\n",
    b"null\n",
    b"{}\n",
    b'{"id": -1, "method": "agents"}\n',
    b'{"id": true, "method": "agents"}\n',
    b'{"id": 1e99, "method": "agents"}\n',
    b'{"id": "1", "method": "agents"}\n',
    b"[" * 100_000 + b"\n",
    b'{"id":' * 50_000 + b"\n",
]
ODD = [
    ({"method": "nonesuch"}, "unknown_method"),
    ({"method": ["agents"]}, "unknown_method"),
    ({"method": None}, "unknown_method"),
    ({"method": "__class__"}, "unknown_method"),
    ({"method": "agents", "params": []}, "bad_params"),
    ({"method": "agents", "params": {"x": 1}}, "bad_params"),
    ({"method": "whoami", "params": {"agent": 7}}, "bad_params"),
    ({"method": "whoami", "params": {"agent": "\ud800"}}, "bad_params"),
    ({"method": "inbox", "params": {"limit": 10**400}}, "bad_params"),
    ({"method": "wait", "params": {"timeout": 1e300}}, "bad_params"),
    ({"method": "send", "params": {"to": "x"}}, "bad_params"),
]


def test_lines_that_are_no_requests_are_answered_and_end_the_connection(alice: Agent) -> None:
    for line in GARBAGE:
        answers = ask(alice, line)
        assert [it["error"]["code"] for it in answers] == ["bad_params"], line[:40]
    assert is_served(alice)


def test_requests_that_make_no_sense_get_an_error_each(alice: Agent) -> None:
    lines = [json.dumps({"id": number, **request}).encode() for number, (request, _) in enumerate(ODD)]
    with connect(alice) as client, client.makefile("rb") as answers:
        assert b"protocol" in answers.readline()
        client.sendall(b"\n".join(lines) + b"\n")
        told = [json.loads(answers.readline()) for _ in lines]
        client.sendall(b'{"id": 99, "method": "agents"}\n')
        assert json.loads(answers.readline())["ok"] is True
    assert {it["id"]: it["error"]["code"] for it in told} == {number: code for number, (_, code) in enumerate(ODD)}


def test_a_line_without_end_is_cut(alice: Agent) -> None:
    before = alice.node.rss_mb()
    with connect(alice) as client, pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.sendall(b"x" * (64 * limits.MIB))
    assert is_served(alice)
    assert alice.node.rss_mb() - before < MEMORY_MB


def test_half_lines_hold_nobody_up(alice: Agent) -> None:
    before = alice.node.rss_mb()
    with ExitStack() as crowd:
        for _ in range(limits.CONTROL_CLIENTS - 20):
            client = crowd.enter_context(connect(alice))
            client.sendall(b'{"id": 1, "method": "send", "params": {"text": "' + b"x" * 10_000)
        assert is_served(alice)
    assert alice.node.rss_mb() - before < MEMORY_MB


def test_more_connections_than_the_node_serves(alice: Agent) -> None:
    """Beyond the limit a client is told so; when the others leave, all is as before."""
    with ExitStack() as crowd:
        for _ in range(limits.CONTROL_CLIENTS):
            client = crowd.enter_context(connect(alice))
            assert b"protocol" in client.recv(4096)
        refused = alice.node.cli("agents")
        assert (refused.status, refused.code) == (5, "busy")
        assert refused.json["error"]["retryable"] is True
    assert alice.node.cli("agents").status == 0


def test_thousands_of_connections_one_after_the_other(alice: Agent) -> None:
    before = alice.node.rss_mb()
    for number in range(CROWD):
        with connect(alice) as client:
            client.sendall(b"x" if number % 2 else b'{"id": 1, "method": "wait", "params": {}}\n')
    assert is_served(alice)
    assert alice.node.rss_mb() - before < MEMORY_MB


def test_a_client_that_never_reads_fills_nothing(alice: Agent) -> None:
    """Answers wait in a bounded buffer; other clients notice nothing."""
    bob = alice.node.agent("bob")
    for _ in range(8):
        alice.send(bob, "x" * limits.BODY_BYTES)
    before = alice.node.rss_mb()
    with connect(alice, timeout=2) as greedy:
        line = json.dumps({"id": 1, "method": "inbox", "params": {"agent": "bob", "after": "0"}}).encode() + b"\n"
        with suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            for _ in range(200):
                greedy.sendall(line)
        assert is_served(alice)
        assert alice.node.rss_mb() - before < MEMORY_MB
    assert is_served(alice)


def test_too_many_requests_at_once_on_one_connection(alice: Agent) -> None:
    wanted = limits.CONTROL_CALLS + 50
    with connect(alice) as client, client.makefile("rb") as lines:
        lines.readline()
        for number in range(wanted):
            client.sendall(json.dumps({"id": number, "method": "wait", "params": {"timeout": 30}}).encode() + b"\n")
        refused = [json.loads(lines.readline()) for _ in range(50)]
        assert {it["error"]["code"] for it in refused} == {"busy"}
    assert is_served(alice)


def test_a_command_waits_its_turn_at_a_crowded_door(alice: Agent) -> None:
    """The kernel's queue of a node that is busy is full: the command knocks again."""
    assert alice.node.process is not None
    alice.node.process.send_signal(signal.SIGSTOP)
    with ExitStack() as crowd:
        with suppress(BlockingIOError):
            while True:
                client = crowd.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(alice.node.home.socket)
        with ThreadPoolExecutor(1) as background:
            answer = background.submit(alice.node.cli, "agents")
            with pytest.raises(FuturesTimeout):
                answer.result(1)
            crowd.close()
            alice.node.process.send_signal(signal.SIGCONT)
            assert answer.result(20).status == 0


# --- other users of the machine ---


@pytest.fixture
def in_public(world: World) -> Iterator[Agent]:
    """A node whose socket somebody has opened to everybody by mistake."""
    if os.geteuid() != 0:
        pytest.skip("needs root to act as another user")
    place = Path(tempfile.mkdtemp())
    try:
        node = world.node("alice")
        node.environ["XDG_RUNTIME_DIR"] = str(place)
        node.start()
        alice = node.agent("alice")
        place.chmod(0o755)
        os.chmod(node.home.socket, 0o777)
        yield alice
    finally:
        shutil.rmtree(place)


STRANGER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
try:
    client.sendall(b'{"id": 1, "method": "agents"}\\n')
    print(client.recv(4096))
except ConnectionError as error:
    print(b"")
"""


def test_another_user_is_not_served_even_through_an_open_socket(in_public: Agent) -> None:
    """The kernel says who calls; modes are not the only protection."""
    told = subprocess.run(
        [sys.executable, "-c", STRANGER, in_public.node.home.socket], capture_output=True, timeout=20, check=True
    )
    assert told.stdout.strip() == b"b''"
    os.chmod(os.path.dirname(in_public.node.home.socket), 0o700)  # else our own commands refuse the place too
    assert is_served(in_public)


def test_another_user_finds_no_way_in(alice: Agent) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to act as another user")
    told = subprocess.run(
        [sys.executable, "-c", STRANGER, alice.node.home.socket], capture_output=True, timeout=20, check=False
    )
    assert b"PermissionError" in told.stderr
