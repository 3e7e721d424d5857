"""Hidden agents of several nodes are introduced to each other, and accepted by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.system.harness import Agent, World


def meet(carol: Agent, other: Agent) -> None:
    """They wrote to each other, and each let the other in."""
    assert carol.node.cli("--as", "carol", "allow", "add", other.id).status == 0
    other.until_peer(carol)
    assert other.node.cli("--as", other.name, "send", "carol", "hi", "--wait", "delivered").status == 0
    assert carol.node.cli("--as", "carol", "send", other.name, "hi", "--wait", "delivered").status == 0


def test_strangers_are_introduced_and_talk(world: World) -> None:
    """B11, E4: no record names either; carol's introduction says where they live, and one of them lives beside her."""
    carol = world.agent("carol")
    alice = world.agent("alice", "--hidden", "--policy", "closed")
    dave = carol.node.agent("dave", "--hidden")
    meet(carol, alice)
    with alice.watch() as events:
        made = carol.node.cli("--as", "carol", "introduce", "dave", "alice")
        request = events.until(lambda event: event["type"] == "request")
    assert (made.status, len(made.json["introductions"])) == (0, 2)
    shown = carol.node.cli("show", made.json["introductions"][0]["id"], "--as", "carol").json["message"]
    assert (shown["type"], shown["text"]) == ("contact.card", None)

    assert (request["name"], request["introducer"]["name"]) == ("dave", "carol")
    assert alice.node.cli("requests", "accept", request["id"]).json["contact"]["trust"] == "accepted"
    assert carol.node.cli("--as", "dave", "requests", "accept", "alice").status == 0
    sent = alice.node.cli("send", "dave", "carol says hello", "--wait", "delivered", "--timeout", "20")
    assert sent.status == 0, sent
    assert dave.texts(1) == ["carol says hello"]
    assert carol.node.cli("--as", "dave", "requests", "list").json["requests"] == []
