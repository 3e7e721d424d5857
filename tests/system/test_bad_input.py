"""Bad input: the stable code, the exit status, a hint, and no traceback."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from p2p_agents.limits import BODY_BYTES
from tests.system.harness import Agent

if TYPE_CHECKING:
    from tests.system.harness import World


@pytest.fixture
def friends(world: World) -> tuple[Agent, Agent]:
    """Two agents of one node: the quickest pair of contacts."""
    alice = world.agent("alice")
    return alice, alice.node.agent("bob")


NAMES = [
    "../../x",
    "a/b",
    ".hidden",
    "9lives",
    "",
    "a" * 33,
    "new\nline",
    "bell\x07",
    "café",
    "ali ce",
    "-x",
    "a\u202eb",
]


def test_names_that_are_none(world: World) -> None:
    node = world.node("alice")
    for name in NAMES:
        answer = node.cli("init", "--", name)
        assert (answer.status, name) == (2, name)
        assert answer.code in ("bad_name", "bad_params", "usage")
        assert "Traceback" not in answer.err
    assert node.call("agents")["agents"] == []
    assert {path.name for path in (node.path / "keys").iterdir()} == {"node.key"}


def test_the_same_name_twice(friends: tuple[Agent, Agent]) -> None:
    alice, _ = friends
    assert alice.node.cli("init", "alice").json["created"] is False
    answer = alice.node.cli("init", "alice", "--kind", "codex")
    assert (answer.status, answer.code) == (5, "agent_exists")


CASES = [
    (["send", "nobody", "hi"], 3, "peer_unknown"),
    (["send", "\x1b[2J", "hi"], 3, "peer_unknown"),
    (["send", "alice", "hi"], 3, "peer_unknown"),
    (["send", "bob", "{", "--type", "application/json"], 2, "bad_body"),
    (["send", "bob", "hi", "--type", "image/png"], 2, "usage"),
    (["send", "bob", "hi", "--reply-to", "nonesuch"], 3, "message_unknown"),
    (["send", "bob", "hi", "--id", "k" * 129], 2, "bad_params"),
    (["send", "bob"], 2, "usage"),
    (["inbox", "--after", "garbage"], 3, "cursor_unknown"),
    (["inbox", "--after", "0000000000-99"], 3, "cursor_unknown"),
    (["inbox", "--limit", "0"], 2, "usage"),
    (["inbox", "--limit", "100000"], 2, "usage"),
    (["wait", "--timeout", "nan"], 2, "usage"),
    (["wait", "--timeout", "-1"], 2, "usage"),
    (["wait", "--from", "nobody"], 3, "peer_unknown"),
    (["ack", "garbage"], 3, "cursor_unknown"),
    (["history", "nobody"], 3, "peer_unknown"),
    (["history", "bob", "--before", "x-1"], 3, "cursor_unknown"),
    (["search", ""], 2, "bad_params"),
    (["show", "garbage!"], 3, "message_unknown"),
    (["ping", "nobody"], 3, "peer_unknown"),
    (["peers", "add", "localhost"], 2, "usage"),
    (["requests", "accept", "nobody"], 3, "peer_unknown"),
    (["requests", "policy", "maybe"], 2, "usage"),
    (["contacts", "name", "bob", "../up"], 2, "bad_name"),
    (["use", "nobody"], 3, "no_agent"),
    (["--as", "nobody", "inbox"], 3, "no_agent"),
    (["watch", "--after", "garbage"], 3, "cursor_unknown"),
    (["status", "set", "reviewing"], 2, "usage"),
    (["frobnicate"], 2, "usage"),
    (["inbox", "--frobnicate"], 2, "usage"),
]


def test_each_mistake_has_its_code_and_status(friends: tuple[Agent, Agent]) -> None:
    alice, _ = friends
    alice.node.cli("send", "bob", "hello")
    wrong = []
    for words, status, code in CASES:
        answer = alice.node.cli(*words)
        error = answer.json["error"] if answer.out else {}
        told = error.get("message") and isinstance(error["retryable"], bool)
        if (answer.status, error.get("code")) != (status, code) or not told or "Traceback" in answer.err:
            wrong.append((words, answer))
    assert wrong == []


def test_an_ambiguous_name_lists_whom_it_may_mean(world: World) -> None:
    alice = world.agent("alice")
    twins = [world.agent("sam", home=world.base / f"sam{number}") for number in range(2)]
    for twin in twins:
        alice.until_peer(twin, reachable=True)
    answer = alice.node.cli("send", "sam", "which one?")
    assert (answer.status, answer.code) == (2, "peer_ambiguous")
    assert {it["id"] for it in answer.json["error"]["candidates"]} == {twin.id for twin in twins}
    assert "prefix" in answer.json["error"]["hint"]
    assert alice.node.cli("send", twins[0].id[:16], "you").json["to"]["id"] == twins[0].id


def test_bodies_that_are_too_large_or_no_text(friends: tuple[Agent, Agent]) -> None:
    alice, bob = friends
    large = alice.node.cli("send", "bob", "-", stdin=b"x" * 2**20)
    assert (large.status, large.code) == (5, "too_large")
    assert large.json["error"]["hint"]
    assert (alice.node.cli("send", "bob", "-", stdin=b"x" * (BODY_BYTES + 1)).code) == "too_large"
    broken = alice.node.cli("send", "bob", "-", stdin=b"caf\xe9")
    assert (broken.status, broken.code) == (2, "bad_body")
    escaped = alice.node.cli("send", "bob", "-", stdin=b"\x01" * BODY_BYTES)
    assert escaped.status == 0, escaped
    assert bob.everything()[-1] == "\x01" * BODY_BYTES
    assert alice.node.cli("send", "bob", "-", "--type", "application/json", stdin=b"[1,").code == "bad_body"
    deep = b"[" * 100_000
    assert alice.node.cli("send", "bob", "-", "--type", "application/json", stdin=deep).code == "bad_body"


def test_arguments_that_are_no_utf8(friends: tuple[Agent, Agent]) -> None:
    alice, _ = friends
    for words in (["send", "bob", os.fsdecode(b"caf\xe9")], ["send", os.fsdecode(b"b\xffb"), "hi"]):
        answer = alice.node.cli(*words)
        assert answer.status == 2, answer
        assert answer.code in ("bad_body", "bad_params")


def test_empty_and_strange_texts_arrive_as_they_are(friends: tuple[Agent, Agent]) -> None:
    alice, bob = friends
    texts = [
        "\x00",
        "\r\n\ttab",
        "\x1b]0;owned\x07",
        "\u202egnp.exe",
        "👩‍💻",
        "--json",
        "'; DROP TABLE entries; --",
    ]
    for text in texts:
        assert alice.node.cli("send", "bob", "-", stdin=text.encode()).status == 0
    for nothing in (b"", b" ", b"\r\n"):
        assert alice.node.cli("send", "bob", "-", stdin=nothing).code == "usage"
    assert bob.everything() == texts
    assert [it["text"] for it in bob.cli("inbox").json["messages"]] == texts


def test_a_search_for_query_syntax_is_a_search_for_words(friends: tuple[Agent, Agent]) -> None:
    alice, _ = friends
    alice.node.cli("send", "bob", "the quick fox")
    for words in ('"', "fox AND", "fox*", "NEAR(", "text:fox", "'", "-", "fox OR dog"):
        answer = alice.node.cli("search", "--", words)
        assert answer.status == 0, (words, answer)
    assert len(alice.node.cli("search", "quick fox").json["messages"]) == 1


def test_a_reader_of_stdout_that_leaves(friends: tuple[Agent, Agent]) -> None:
    """`| head -1`: no traceback."""
    import subprocess

    alice, _ = friends
    done = subprocess.run(
        f"{sys.executable} -m p2p_agents agents | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        env=alice.node.environ,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode in (0, 130)
    assert done.stderr == b""


def test_a_reader_of_a_stream_that_leaves_ends_it_at_once(friends: tuple[Agent, Agent]) -> None:
    """`watch | head -1`: it does not wait for the next event to notice."""
    import subprocess

    alice, _ = friends
    done = subprocess.run(
        f"{sys.executable} -m p2p_agents watch | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        env=alice.node.environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, b"")
    assert b'"type": "ready"' in done.stdout
