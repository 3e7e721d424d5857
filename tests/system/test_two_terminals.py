"""Two people, two terminals, every command: what they type and what they see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from p2p_agents.results.messages import Message
from p2p_agents.results.people import Peer
from tests.system.harness import PATIENCE_S, Agent

if TYPE_CHECKING:
    from tests.system.harness import Answer, World


@pytest.fixture
def pair(world: World) -> tuple[Agent, Agent]:
    return world.agent("alice"), world.agent("bob")


@pytest.fixture
def friends(pair: tuple[Agent, Agent]) -> tuple[Agent, Agent]:
    alice, bob = pair
    alice.meets(bob)
    alice.call("inbox")
    alice.call("ack")
    bob.call("inbox")
    bob.call("ack")
    return pair


def ok(answer: Answer) -> dict[str, object]:
    assert answer.status == 0, answer
    assert answer.out.startswith(b'{"ok": true')
    assert answer.err == ""
    return answer.json


def test_first_contact_typed_by_hand(pair: tuple[Agent, Agent]) -> None:
    """E4, B11: an unknown sender gets exactly one request; accepted, it arrives as the message it is."""
    alice, bob = pair
    alice.until_peer(bob, reachable=True)
    listed = ok(alice.node.cli("peers"))["peers"]
    assert [peer["name"] for peer in listed] == ["bob"]
    assert Peer.__required_keys__ <= listed[0].keys()
    assert (listed[0]["trust"], listed[0]["status"]) == ("unknown", "online")

    with bob.watch("peers.watch") as bobs_view, bob.watch() as bobs_news:
        sent = ok(alice.node.cli("send", "bob", "may I?"))
        assert {"id", "cursor", "state", "duplicate", "key", "to"} <= sent.keys()
        assert sent["state"] == "asked"
        bobs_view.until(lambda it: it.get("trust") == "requested")
        assert bobs_news.until(lambda it: it["type"] == "request")["text"] == "may I?"
    assert ok(bob.node.cli("poll"))["requests"] == 1
    assert ok(alice.node.cli("show", sent["id"]))["recipients"][0]["why"] == "awaits acceptance"
    assert ok(alice.node.cli("peers", "list"))["peers"][0]["accepts"] is False
    pinged = alice.node.cli("ping", "bob")
    assert (pinged.code, pinged.json["error"]["message"]) == ("not_a_contact", "bob has not accepted you yet")
    ok(alice.node.cli("send", "bob", "hello?"))
    asked = ok(bob.node.cli("requests", "list"))["requests"]
    assert [(it["name"], it["text"], it["direction"], it["state"]) for it in asked] == [
        ("alice", "may I?", "in", "pending")
    ]
    assert ok(alice.node.cli("requests", "list"))["requests"][0]["direction"] == "out"
    assert bob.node.cli("wait", "--timeout", "0").status == 4

    assert ok(bob.node.cli("requests", "accept", "alice"))["contact"]["trust"] == "accepted"
    assert bob.texts(2) == ["may I?", "hello?"]
    assert ok(bob.node.cli("requests", "list"))["requests"] == []
    assert [it["name"] for it in ok(bob.node.cli("contacts"))["contacts"]] == ["alice"]


def test_a_talk_with_receipts(friends: tuple[Agent, Agent]) -> None:
    """B8: delivered once it is kept, read once the default reader acknowledged it."""
    alice, bob = friends
    with alice.watch() as stream:
        sent = ok(alice.node.cli("send", "bob", "the build is green", "--wait", "delivered"))
        assert sent["state"] == "delivered"
        stream.until(lambda it: it["type"] == "state" and it["id"] == sent["id"] and it["state"] == "delivered")
        heard = ok(bob.node.cli("wait", "--from", "alice"))
        assert Message.__required_keys__ <= heard["messages"][0].keys()
        assert [it["text"] for it in heard["messages"]] == ["the build is green"]
        assert ok(bob.node.cli("ack", heard["cursor"]))["acked"] == 1
        stream.until(lambda it: it["type"] == "state" and it["id"] == sent["id"] and it["state"] == "read")
    shown = ok(alice.node.cli("show", sent["id"]))
    assert shown["message"]["state"] == "read"
    assert [it["state"] for it in shown["recipients"]] == ["read"]
    assert ok(bob.node.cli("poll"))["messages"] == []


def test_poll_shows_once_and_the_other_side_learns_it(friends: tuple[Agent, Agent]) -> None:
    """H2: what a poll printed is read."""
    alice, bob = friends
    alice.send(bob, "one", wait="delivered")
    assert [it["text"] for it in ok(bob.node.cli("inbox"))["messages"]] == ["one"]
    assert [it["text"] for it in ok(bob.node.cli("poll"))["messages"]] == ["one"]
    assert ok(bob.node.cli("poll"))["messages"] == []
    assert alice.send(bob, "two", wait="delivered")["state"] == "delivered"
    bob.node.cli("poll")
    history = ok(alice.node.cli("history", "bob", "--limit", "1"))
    assert history["more"] is True
    assert history["messages"][0]["text"] == "two"


def test_history_search_and_replies(friends: tuple[Agent, Agent]) -> None:
    alice, bob = friends
    question = alice.send(bob, "what is the deadline?", wait="delivered")
    answer = ok(bob.node.cli("send", "alice", "friday", "--reply-to", question["id"], "--wait", "delivered"))
    talk = ok(alice.node.cli("history", "bob"))["messages"]
    assert [it["text"] for it in talk] == ["may I?", "yes", "what is the deadline?", "friday"]
    assert talk[-1]["reply_to"] == question["id"]
    assert talk[-1]["id"] == answer["id"]
    found = ok(alice.node.cli("search", "deadline"))["messages"]
    assert [it["id"] for it in found] == [question["id"]]
    assert ok(alice.node.cli("search", "nonesuch"))["messages"] == []


def test_watch_prints_each_event_as_a_line(friends: tuple[Agent, Agent]) -> None:
    alice, bob = friends
    watch = bob.node.spawn_cli("watch")
    try:
        assert json.loads(watch.until('"ready"'))["cursor"]
        sent = alice.send(bob, "look", wait="delivered")
        event = json.loads(watch.until('"message"'))
        assert event["type"] == "message"
        assert event["message"]["id"] == sent["id"]
        assert event["message"]["text"] == "look"
    finally:
        watch.close()


def test_ping_and_status_reach_the_other_side(friends: tuple[Agent, Agent]) -> None:
    alice, bob = friends
    pinged = ok(alice.node.cli("ping", "bob"))
    assert 0 < pinged["rtt_ms"] < PATIENCE_S * 1000
    assert pinged["path"] == "direct"
    assert ok(bob.node.cli("status", "set", "busy"))["status"] == "busy"
    alice.until_peer(bob, status="busy")


def test_somebody_who_waits_is_attending(friends: tuple[Agent, Agent]) -> None:
    """Contacts are told of a waiting reader, and of its end."""
    alice, bob = friends
    with bob.watch():
        alice.until_peer(bob, attending=True)
    alice.until_peer(bob, attending=False)


def test_a_petname_is_as_good_as_a_name(friends: tuple[Agent, Agent]) -> None:
    alice, bob = friends
    assert ok(alice.node.cli("contacts", "name", "bob", "reviewer"))["contact"]["petname"] == "reviewer"
    assert ok(alice.node.cli("send", "reviewer", "hello"))["to"] == {
        "id": bob.id,
        "name": "bob",
        "petname": "reviewer",
        "pinned": True,
        "like": None,
    }
    assert ok(alice.node.cli("send", bob.id[:12], "hello"))["to"]["id"] == bob.id


def test_one_key_sends_once(friends: tuple[Agent, Agent]) -> None:
    """B10: a match answers the present state, a mismatch is a conflict."""
    alice, bob = friends
    first = ok(alice.node.cli("send", "bob", "once", "--id", "key-1"))
    again = ok(alice.node.cli("send", "bob", "once", "--id", "key-1", "--wait", "delivered"))
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again["id"] == first["id"]
    other = alice.node.cli("send", "bob", "twice", "--id", "key-1")
    assert (other.status, other.code) == (5, "id_conflict")
    assert bob.everything().count("once") == 1


def test_what_did_not_happen_in_time_exits_4(friends: tuple[Agent, Agent]) -> None:
    """H3: a send whose wait ran out stays accepted and says so."""
    alice, bob = friends
    waited = bob.node.cli("wait", "--timeout", "0.05")
    assert (waited.status, waited.code) == (4, "timeout")
    unread = alice.node.cli("send", "bob", "unread", "--wait", "read", "--timeout", "0.05")
    assert (unread.status, unread.code) == (4, "send_unconfirmed")
    error = unread.json["error"]
    assert error["accepted"] is True
    assert error["id"]
    assert error["key"]
    assert bob.texts(1, after=waited.json["error"]["cursor"])


def test_acting_for_one_of_several(world: World) -> None:
    """A4: agents of one node do not see each other's messages; a message between them needs no network."""
    alice = world.agent("alice")
    carol = alice.node.agent("carol", "--kind", "codex")
    assert ok(alice.node.cli("whoami"))["agent"]["name"] == "alice"
    assert ok(alice.node.cli("whoami", P2P_AGENT="carol"))["agent"]["id"] == carol.id
    assert ok(alice.node.cli("--as", "carol", "whoami", P2P_AGENT="alice"))["agent"]["kind"] == "codex"
    sent = ok(alice.node.cli("send", "carol", "psst"))
    assert sent["state"] == "delivered"
    assert [it["text"] for it in ok(carol.cli("inbox"))["messages"]] == ["psst"]
    assert ok(alice.node.cli("inbox"))["messages"] == []
    assert ok(alice.node.cli("use", "carol"))["agent"]["default"] is True
    assert ok(alice.node.cli("whoami"))["agent"]["name"] == "carol"
    assert [it["name"] for it in ok(alice.node.cli("agents"))["agents"]] == ["alice", "carol"]
    assert alice.node.cli("--as", "nobody", "whoami").code == "no_agent"


def test_a_rejected_sender_is_told_at_once(pair: tuple[Agent, Agent]) -> None:
    """H3: a message that will never arrive is refused, not late."""
    alice, bob = pair
    alice.until_peer(bob, reachable=True)
    with bob.watch() as news:
        waiting = alice.node.spawn_cli("send", "bob", "may I?", "--wait", "delivered", "--timeout", "20")
        news.until(lambda it: it["type"] == "request")
    ok(bob.node.cli("requests", "reject", "alice"))
    error = json.loads(waiting.until('"send_failed"'))["error"]
    assert waiting.end() == 5
    assert error["message"] == "the message to bob failed: not accepted"
    assert ok(alice.node.cli("show", error["id"]))["message"]["state"] == "failed"


def test_a_blocked_peer_is_silent_and_may_not_be_written_to(friends: tuple[Agent, Agent]) -> None:
    alice, bob = friends
    assert ok(bob.node.cli("requests", "block", "alice"))["contact"]["trust"] == "blocked"
    assert ok(alice.node.cli("send", "bob", "are you there?"))["state"] == "queued"
    refused = bob.node.cli("send", "alice", "no")
    assert (refused.status, refused.code) == (5, "peer_blocked")
    assert "are you there?" not in bob.everything()
