"""A disk that fails in the middle of a commit: nobody is told more than is known, and nothing is sent twice, or refused
and sent."""

from __future__ import annotations

import json
import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import errors
from p2p_agents.control.wire import decode_line, encode_line
from tests.disks import FailingSync
from tests.system.harness import PATIENCE_S, Agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.harness import World

SENDS = 20
MARKER = "what the disk fails at"


@pytest.fixture
def disk(tmp_path: Path) -> FailingSync:
    return FailingSync(tmp_path)


@pytest.fixture
def pair(world: World, disk: FailingSync) -> tuple[Agent, Agent]:
    """Alice, whose disk may fail, and bob, her contact."""
    node = world.node("alice")
    node.environ |= disk.environ
    node.start()
    alice, bob = node.agent("alice"), world.agent("bob")
    alice.meets(bob)
    return alice, bob


def send_at_once(alice: Agent, bob: Agent) -> dict[str, Any]:
    """Many sends over one connection, none waiting for another; by its key, each one's answer."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(PATIENCE_S)
        control.connect(alice.node.home.socket)
        lines = control.makefile("rb")
        lines.readline()
        texts = [{"agent": "alice", "to": bob.id, "text": f"{n} {MARKER}", "id": f"key-{n}"} for n in range(SENDS)]
        control.sendall(
            b"".join(encode_line({"id": n, "method": "send", "params": text}) for n, text in enumerate(texts))
        )
        answers = [decode_line(lines.readline()) for _ in texts]
    return {f"key-{answer['id']}": answer for answer in answers}


def uncertain(answers: dict[str, Any]) -> set[str]:
    """Whose outcome nobody knows: each says so, and names its key."""
    keys = {key for key, answer in answers.items() if not answer["ok"]}
    for key in keys:
        error = answers[key]["error"]
        assert (error["code"], error["retryable"], error["details"]) == ("store_uncertain", True, {"key": key})
        assert f"--id {key}" in error["message"]
    return keys


def repeated(alice: Agent, bob: Agent, keys: set[str]) -> None:
    """As the answer said; then everything has arrived, and once."""
    for key in keys:
        alice.send(bob, f"{key.removeprefix('key-')} {MARKER}", id=key)
    alice.send(bob, "the last", wait="delivered", timeout=PATIENCE_S)
    *arrived, last = bob.everything()[1:]
    assert sorted(int(text.split(" ")[0]) for text in arrived) == list(range(SENDS))
    assert last == "the last"


def test_a_refused_send_that_arrives(pair: tuple[Agent, Agent], disk: FailingSync) -> None:
    """A6, B10: there is none; its outcome is reported as unknown, and the node continues with what it finds."""
    alice, bob = pair
    disk.once(MARKER)
    keys = uncertain(send_at_once(alice, bob))
    assert keys
    repeated(alice, bob, keys)


def test_a_send_of_unknown_outcome_after_a_kill(pair: tuple[Agent, Agent], disk: FailingSync) -> None:
    """A6, B10: what lay at the end of the write-ahead log may come back; a repeat with its key is no second."""
    alice, bob = pair
    disk.once(MARKER)
    keys = uncertain(send_at_once(alice, bob))
    assert keys
    alice.node.kill()
    alice.node.start()
    repeated(alice, bob, keys)


def test_a_disk_that_goes_on_failing_takes_nothing(pair: tuple[Agent, Agent], disk: FailingSync) -> None:
    """What is requested while the store cannot be reopened was never begun."""
    alice, bob = pair
    with disk.always():
        with pytest.raises((errors.StoreUncertain, errors.StoreFull)):  # the node may have found out before
            alice.send(bob, "first", id="first")
        for number in range(3):
            with pytest.raises(errors.StoreFull):
                alice.send(bob, f"refused {number}", id=f"refused-{number}")
    alice.send(bob, "first", id="first")
    alice.send(bob, "the last", wait="delivered", timeout=PATIENCE_S)
    assert bob.everything()[1:] == ["first", "the last"]


@pytest.fixture
def crowd() -> Iterator[list[socket.socket]]:
    """Clients that come and stay."""
    clients: list[socket.socket] = []
    yield clients
    for client in clients:
        client.close()


DESCRIPTORS = 64
FEW = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
sys.argv = ["p2p_agents.node", "run", "--foreground"]
runpy.run_module("p2p_agents.node", run_name="__main__", alter_sys=True)
"""


def test_a_node_without_descriptors_left_sends_what_it_accepts(world: World, crowd: list[socket.socket]) -> None:
    """A6: a commit needs no file that is not open, however large the message."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > DESCRIPTORS
    node, bob = world.node("alice"), world.agent("bob")
    node.start(["-c", FEW])
    alice = node.agent("alice")
    alice.meets(bob)
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(PATIENCE_S)
        control.connect(node.home.socket)
        lines = control.makefile("rb")
        lines.readline()
        for _ in range(DESCRIPTORS):  # more than there is room for
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            client.connect(node.home.socket)
            crowd.append(client)
        for n in range(10):
            params = {"agent": "alice", "to": bob.id, "text": f"{n} " + "x" * 100_000, "id": f"{n}"}
            control.sendall(encode_line({"id": n, "method": "send", "params": params}))
            answer = json.loads(lines.readline())
            assert answer["ok"], answer
    for client in crowd:
        client.close()
    assert [text.split(" ")[0] for text in bob.texts(11)[1:]] == [str(n) for n in range(10)]
