"""`p2p-agents demo`: two nodes in throw-away homes; alice and bob find each other, make contact and talk."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from p2p_agents import errors, limits, output
from p2p_agents.cli import face
from p2p_agents.control.client import Client
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.cli.face import Face

FIND_S = 3.0  # to discover bob by announcement; after that the demo dials his address
STEP_S = 15.0  # any other step
POLL_S = 0.05


def run(json: bool | None) -> int:
    """Tell the story on stderr as it happens, and its summary on stdout; the status is 0 if every step worked."""
    return face.run(_play, None, json, start=False)


def _play(view: Face) -> None:
    began = time.monotonic()
    with ExitStack() as stage:
        alice, bob = Actor("alice", stage), Actor("bob", stage)
        found = _find(alice, bob)
        _make_contact(alice, bob)
        _talk(alice, bob)
        states = _receipts(alice, bob)
    _say("nothing is left behind")
    summary = {"found_by": found, "states": states, "seconds": round(time.monotonic() - began, 1)}
    view.show(summary, lambda it: f"done in {it['seconds']} s")


def _find(alice: Actor, bob: Actor) -> str:
    """How alice found bob: by his announcement or, if the network carries none, by his address."""
    try:
        alice.until(lambda: alice.sees(bob), "bob's announcement", FIND_S)
        found = "announcement"
    except errors.WaitTimeout:
        port = bob.call("node.info")["port"]
        _say(f"no announcement gets through here; alice dials bob's port {port}")
        alice.call("peers.add", address=f"127.0.0.1:{port}")
        alice.until(lambda: alice.sees(bob), "bob")
        found = "address"
    _say(f"alice sees bob, {bob.id[:10]}, found by {found}")
    return found


def _make_contact(alice: Actor, bob: Actor) -> None:
    sent = alice.say("Hello bob, may I write to you?", bob)
    _say(f"           it is a request: {sent['state']}, until bob accepts")
    asking = bob.until(lambda: bob.request_of(alice), "alice's request")
    _say(f"bob        is asked by {output.escape(asking['name'])}, and accepts")
    bob.call("requests.accept", peer=alice.id)
    bob.hear()


def _talk(alice: Actor, bob: Actor) -> None:
    bob.say("Gladly. What is new?", alice)
    alice.hear()
    alice.say("The build is green.", bob)
    bob.hear()


def _receipts(alice: Actor, bob: Actor) -> list[str]:
    """The states of alice's messages once bob has read them."""
    _say("receipts   alice waits until her messages are read")
    alice.until(lambda: all(state == "read" for state in alice.states()), "the receipts")
    states = alice.states()
    _say(f"receipts   {', '.join(states)}")
    return states


class Actor:
    """One agent on a node of its own, which ends and is removed when the stage closes."""

    def __init__(self, name: str, stage: ExitStack) -> None:
        self.name = name
        directory = tempfile.mkdtemp(prefix=f"p2pa-{name}-")
        stage.callback(shutil.rmtree, directory, ignore_errors=True)
        self._client = Client(Home({"P2P_AGENTS_HOME": directory}), start=True)
        stage.callback(self._leave)
        self.call("init", name=name)
        self.id = str(self.call("whoami")["agent"]["id"])
        self._sent: list[str] = []
        _say(f"{name:<10} starts a node in {directory}")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._client.call(method, params)

    def say(self, text: str, to: Actor) -> dict[str, Any]:
        sent = self._client.send({"to": to.id, "text": text})
        self._sent.append(sent["id"])
        _say(f"{self.name:<10} → {to.name}: {text}")
        return sent

    def hear(self) -> None:
        """Wait for messages and read them."""
        heard = self.call("wait", timeout=STEP_S)
        for item in heard["messages"]:
            _say(f"{self.name:<10} ← {output.escape(item['from']['name'])}: {output.escape(item['text'])}")
        self.call("ack", cursor=heard["cursor"])

    def sees(self, other: Actor) -> bool:
        return any(peer["id"] == other.id and peer["reachable"] for peer in self.call("peers")["peers"])

    def request_of(self, other: Actor) -> dict[str, Any] | None:
        asked = self.call("requests.list")["requests"]
        return next((request for request in asked if request["id"] == other.id), None)

    def states(self) -> list[str]:
        return [str(self.call("show", id=id)["message"]["state"]) for id in self._sent]

    def until(self, look: Callable[[], Any], what: str, within: float = STEP_S) -> Any:
        """The first value seen. Raises WaitTimeout."""
        deadline = time.monotonic() + within
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise errors.WaitTimeout(f"{self.name} did not see {what} within {within:g} s")
            time.sleep(POLL_S)
        return seen

    def _leave(self) -> None:
        """Stop the node and see it go: it must not write into a directory that is being removed."""
        with suppress(errors.P2PError):
            pid = self.call("node.info")["pid"]
            self.call("node.stop")
            _await_end(pid)
        self._client.close()


def _await_end(pid: int) -> None:
    """Reap the node, which is a child of this process; kill it if it does not end by itself."""
    deadline = time.monotonic() + limits.NODE_STOP_S
    with suppress(ChildProcessError):  # started by another process after all
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_S)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
