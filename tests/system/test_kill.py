"""kill -9 at every commit of a running exchange: what was accepted arrives once, in order, and ends delivered."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from p2p_agents.errors import NodeUnreachable, SendUnconfirmed
from tests.system.harness import PATIENCE_S, Agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.harness import Json, Process, World

COMMITS_MIN = 4  # a start, a message each way and a reading take more
COMMITS_MAX = 40  # and fewer

KILLED = """
import os, runpy, signal, sys
from p2p_agents.store.database import Database

commit, left = Database.commit, [{number}]

def fatal(self):
    wrote = self._connection.total_changes != getattr(fatal, "before", 0)
    fatal.before = self._connection.total_changes
    left[0] -= wrote
    if left[0] or not wrote:
        return commit(self)
    if {after}:
        commit(self)
    os.kill(os.getpid(), signal.SIGKILL)

Database.commit = fatal
sys.argv = ["p2p_agents.node", "run", "--foreground"]
runpy.run_module("p2p_agents.node", run_name="__main__", alter_sys=True)
"""


def killed_at(number: int, *, after: bool) -> list[str]:
    """A node that dies before or after its commit of that number; commits that write nothing do not count."""
    return ["-c", KILLED.format(number=number, after=after)]


class Talk:
    """Numbered messages each way, each with a key of its own, so that a send whose answer was lost is asked again."""

    def __init__(self, first: Agent, second: Agent) -> None:
        self.ways = ((first, second), (second, first))
        self.said: dict[str, list[str]] = {first.name: [], second.name: []}
        self.accepted: set[str] = set()

    def say(self, author: Agent, reader: Agent) -> str:
        said = self.said[author.name]
        text = f"{author.name}>{reader.name} {len(said)}"
        said.append(text)
        author.send(reader, text, id=text)
        self.accepted.add(text)
        return text

    def settle(self, alive: Callable[[], bool]) -> None:
        """Every message ends as delivered, and the other side has each once, in order. Raises SendUnconfirmed."""
        for author, reader in self.ways:
            said = self.said[author.name]
            for text in said[-4:]:
                sent = _delivered(author, reader, text, alive)
                assert sent["duplicate"] or text not in self.accepted
            heard = [text for text in reader.everything() if text.startswith(f"{author.name}>{reader.name} ")]
            assert heard == said


def _delivered(author: Agent, reader: Agent, text: str, alive: Callable[[], bool]) -> Json:
    """Wait while the victim is alive: a dead one can do nothing more."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return author.send(reader, text, id=text, wait="delivered", timeout=1)
        except SendUnconfirmed:
            if not alive() or time.monotonic() > deadline:
                raise


@pytest.mark.timeout(150)
@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after it"])
@pytest.mark.parametrize("strangers", [False, True], ids=["contacts", "first contact"])
def test_a_kill_at_every_commit_loses_nothing(world: World, after: bool, strangers: bool) -> None:
    """A6, B1, B2, B11: one dies at its first, second, … commit of a start and an exchange, until it outlives it."""
    first, victim = world.agent("alice", "--policy", "open"), world.agent("bob", "--policy", "open")
    survivor, talk = first, Talk(first, victim)
    first.until_peer(victim, reachable=True)
    for number in range(1, COMMITS_MAX):
        victim.node.kill()
        if strangers:
            survivor = first.node.agent(f"guest{number}", "--policy", "open")
            talk = Talk(survivor, victim)
        process = victim.node.spawn(killed_at(number, after=after))
        if process.listens() and _outlives(talk, survivor, victim, process):
            assert number > COMMITS_MIN
            return
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
        victim.node.start()
        if strangers:
            survivor.until_peer(victim, reachable=True)
            victim.until_peer(survivor, reachable=True)
        talk.settle(lambda: True)
    pytest.fail(f"the exchange did not end within {COMMITS_MAX} commits")


def _outlives(talk: Talk, survivor: Agent, victim: Agent, process: Process) -> bool:
    """Talk each way, read, and settle. False when the victim died of it."""
    try:
        victim.until_peer(survivor, reachable=True)
        heard = victim.call("inbox", after="0", limit=1000)["cursor"]
        talk.say(survivor, victim)
        talk.say(victim, survivor)
        victim.texts(1, after=heard)
        victim.call("inbox")
        victim.call("ack")
        talk.settle(lambda: process.poll() is None)
    except (NodeUnreachable, SendUnconfirmed):
        process.wait(PATIENCE_S)  # TimeoutExpired when it lives: then something else is wrong
        return False
    return True
