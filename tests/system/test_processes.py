"""Several processes act for one agent at once: they neither disturb nor starve each other."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.system.harness import PATIENCE_S, Agent

if TYPE_CHECKING:
    from tests.system.harness import World

READERS = 10
SENDERS = 8
EACH = 10


@pytest.fixture
def friends(world: World) -> tuple[Agent, Agent]:
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.meets(bob)
    for agent in (alice, bob):
        agent.call("inbox")
        agent.call("ack")
    return alice, bob


def test_sends_never_disturb_a_wait_of_the_same_agent(friends: tuple[Agent, Agent]) -> None:
    """A7: what bob sends wakes nobody that waits for what bob receives."""
    alice, bob = friends
    with alice.watch("peers.watch") as stream:
        waiting = bob.node.spawn_cli("wait", "--timeout", "30")
        stream.until(lambda it: it.get("id") == bob.id and it["attending"])
    for number in range(20):
        bob.send(alice, f"note {number}", wait="delivered")
    assert waiting.poll() is None
    sent = alice.send(bob, "and now you")
    assert [it["id"] for it in json.loads(waiting.until('"ok"'))["messages"]] == [sent["id"]]
    assert waiting.end() == 0


def test_ten_waits_with_readers_of_their_own_all_get_the_message(friends: tuple[Agent, Agent]) -> None:
    """H2: each reader has its own place; acknowledging with one leaves the others."""
    alice, bob = friends
    bob.call("ack")
    readers = [f"reader-{number}" for number in range(READERS)]
    for reader in readers:
        bob.call("inbox", reader=reader, new_reader=True)
        bob.call("ack", reader=reader)
    with ThreadPoolExecutor(READERS) as crowd:
        waits = [crowd.submit(bob.node.cli, "wait", "--reader", reader, "--timeout", "30") for reader in readers]
        alice.until_peer(bob, attending=True)
        sent = alice.send(bob, "to all of you")
        answers = [wait.result(PATIENCE_S * 2) for wait in waits]
    assert [[it["id"] for it in answer.json["messages"]] for answer in answers] == [[sent["id"]]] * READERS
    assert bob.call("ack", reader=readers[0])["acked"] == 1
    assert bob.call("inbox", reader=readers[0])["messages"] == []
    assert len(bob.call("inbox", reader=readers[1])["messages"]) == 1
    assert alice.call("show", id=sent["id"])["message"]["state"] == "delivered"


def test_ten_waits_of_one_reader_all_wake(friends: tuple[Agent, Agent]) -> None:
    """Two programs that wait as the same reader see the same message; none of them is left waiting."""
    alice, bob = friends
    with ThreadPoolExecutor(READERS) as crowd:
        waits = [crowd.submit(bob.call, "wait", timeout=30) for _ in range(READERS)]
        alice.until_peer(bob, attending=True)
        alice.send(bob, "one for all")
        heard = [wait.result(PATIENCE_S)["messages"][0]["text"] for wait in waits]
    assert heard == ["one for all"] * READERS


def test_a_crowd_that_claims_shares_the_work(friends: tuple[Agent, Agent]) -> None:
    """`poll --claim`: every message reaches exactly one of ten processes, and each of them ends well."""
    alice, bob = friends
    bob.call("ack")
    sent = [alice.send(bob, f"job {number}", wait="delivered")["id"] for number in range(READERS)]
    with ThreadPoolExecutor(READERS) as crowd:
        polls = [crowd.submit(bob.cli, "poll", "--claim", "--limit", "2") for _ in range(READERS)]
        answers = [poll.result(PATIENCE_S * 2) for poll in polls]
    assert {answer.status for answer in answers} == {0}
    assert sorted(it["id"] for answer in answers for it in answer.json["messages"]) == sorted(sent)
    assert bob.call("inbox")["messages"] == []


def test_what_a_killed_process_claimed_goes_to_another(friends: tuple[Agent, Agent]) -> None:
    """Its output was never taken: the pipe is full, and then it dies."""
    alice, bob = friends
    bob.call("ack")
    sent = alice.send(bob, "x" * 100_000, wait="delivered")["id"]
    ours, theirs = os.pipe()
    command = bob.node.command("-m", "p2p_agents", "--as", "bob", "poll", "--claim")
    with subprocess.Popen(command, env=bob.node.environ, stdout=theirs) as poll:
        os.close(theirs)
        assert os.read(ours, 1) == b"{"  # it holds the message, and writes on
        assert bob.cli("poll", "--claim").json["messages"] == []
        poll.kill()
    os.close(ours)
    assert [it["id"] for it in bob.call("wait", timeout=PATIENCE_S)["messages"]] == [sent]
    assert [it["id"] for it in bob.cli("poll", "--claim").json["messages"]] == [sent]
    assert bob.cli("poll", "--claim").json["messages"] == []


def test_parallel_senders_keep_their_own_order(friends: tuple[Agent, Agent]) -> None:
    """A3: one chain, whatever process appends to it."""
    alice, bob = friends

    def talk(number: int) -> None:
        for count in range(EACH):
            alice.send(bob, f"{number}/{count}")

    with ThreadPoolExecutor(SENDERS) as crowd:
        list(crowd.map(talk, range(SENDERS)))
    alice.send(bob, "end", wait="delivered", timeout=PATIENCE_S)
    heard = [text for text in bob.everything() if "/" in text]
    assert len(heard) == len(set(heard)) == SENDERS * EACH
    for number in range(SENDERS):
        mine = [text for text in heard if text.startswith(f"{number}/")]
        assert mine == [f"{number}/{count}" for count in range(EACH)]


def test_one_key_from_many_processes_sends_once(friends: tuple[Agent, Agent]) -> None:
    """B10."""
    alice, bob = friends
    with ThreadPoolExecutor(READERS) as crowd:
        sent = list(crowd.map(lambda _: alice.send(bob, "only once", id="the-key"), range(READERS)))
    assert len({it["id"] for it in sent}) == 1
    assert sorted(it["duplicate"] for it in sent) == [False] + [True] * (READERS - 1)
    alice.send(bob, "end", wait="delivered")
    assert bob.everything().count("only once") == 1
