"""Nodes in throw-away homes that see only each other's hints, stopped and removed whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from p2p_agents import limits
from p2p_agents.control.client import Client
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

Made = TypeVar("Made", bound="Node")

STEP_S = 15.0  # any one step of getting ready


class Node:
    """A node process and one agent of it; `environment` is for commands that talk to it."""

    def __init__(self, root: str, name: str) -> None:
        self.launched = time.perf_counter()
        self.name = name
        self.environment = {"P2P_AGENTS_HOME": os.path.join(root, name), "XDG_RUNTIME_DIR": root}
        self.home = Home(self.environment)
        self._client = Client(self.home, start=True)

    def start(self, *, hidden: bool = False) -> None:
        """Bring it up, its agent announced unless it is hidden."""
        self.call("init", name=self.name, policy="open", hidden=hidden)
        self.announced = time.perf_counter()
        self.id = str(self.call("whoami")["agent"]["id"])
        info = self.call("node.info")
        self.pid = int(info["pid"])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._client.call(method, params)

    def find(self, other: Node) -> None:
        """Wait until the other node's agent is listed as reachable."""
        with closing(self.client()) as client:
            for event in client.stream("peers.watch"):
                if event.get("id") == other.id and event["reachable"]:
                    return

    def processor_s(self) -> float:
        """Processor seconds of all its threads so far (proc(5), schedstat: nanoseconds)."""
        spent = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat", encoding="ascii") as file:
                spent += int(file.read().split()[0])
        return spent / 1e9

    def client(self) -> Client:
        """A connection of its own."""
        return Client(self.home, start=False)

    def stop(self) -> None:
        """Ask the process that holds the home to stop; what does not end by itself is killed."""
        with suppress(FileNotFoundError, ValueError):  # it never came as far as its lock
            pid = int(Path(self.home.lock).read_text(encoding="ascii"))
            killer = threading.Timer(limits.NODE_STOP_S, os.kill, (pid, signal.SIGKILL))
            killer.start()
            with suppress(OSError):
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
            killer.cancel()
        self._client.close()


class World:
    """Makes nodes for as long as it lasts."""

    def __init__(self, root: str, stack: ExitStack) -> None:
        self.root = root
        self._stack = stack

    def node(self, name: str, *, hidden: bool = False) -> Node:
        return self.add(Node(self.root, name), hidden=hidden)

    def add(self, node: Made, *, hidden: bool = False) -> Made:
        """One that was made, whatever its process is."""
        self._stack.callback(node.stop)  # before it starts: half a start must not outlive the measurement
        node.start(hidden=hidden)
        return node

    def pair_over(self, bridge: str) -> tuple[Node, Node]:
        """Two nodes whose agents know of no other way to each other: hidden agents tell no address."""
        carol, dave = self.node("carol", hidden=True), self.node("dave", hidden=True)
        for node in (carol, dave):
            node.call("bridge.add", address=bridge)
        code = carol.call("pair.start")["code"]
        dave.call("pair.join", code=code, timeout=STEP_S)
        carol.call("send", to=dave.id, text="hello", wait="delivered", timeout=STEP_S)
        dave.call("send", to=carol.id, text="hello", wait="delivered", timeout=STEP_S)
        return carol, dave

    def pair(self) -> tuple[Node, Node]:
        """Two nodes whose agents alice and bob have exchanged a message each way."""
        alice, bob = self.node("alice"), self.node("bob")
        self.meet(alice, bob)
        return alice, bob

    def meet(self, alice: Node, bob: Node) -> None:
        """A message each way."""
        alice.find(bob)
        bob.find(alice)
        alice.call("send", to=bob.id, text="hello", wait="delivered", timeout=STEP_S)
        bob.call("send", to=alice.id, text="hello", wait="delivered", timeout=STEP_S)


@contextmanager
def world() -> Iterator[World]:
    before = dict(os.environ)
    with ExitStack() as stack:
        root = tempfile.mkdtemp(prefix="p2pa-bench-")
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        stack.callback(_restore, before)
        os.environ.update({"P2P_AGENTS_HINTS": os.path.join(root, "hints"), "XDG_RUNTIME_DIR": root})
        yield World(root, stack)


def _restore(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)
