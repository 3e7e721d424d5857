"""One agent on two machines, as its owner does it at two terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.harness import PATIENCE_S

if TYPE_CHECKING:
    from tests.system.harness import Node, World


def texts(node: Node, command: str = "wait") -> list[str]:
    return [message["text"] for message in node.cli(command, "--timeout", str(PATIENCE_S)).json["messages"]]


def test_another_machine_is_linked_and_both_are_the_agent(world: World) -> None:
    """E1, B9: contacts and history come by themselves; both get what a contact sends and send as one; a revoked one is
    out."""
    alice, bob = world.agent("alice"), world.agent("bob")
    assert bob.node.cli("pair", alice.node.cli("pair", "--no-wait").json["code"]).status == 0
    assert alice.node.cli("send", "bob", "before", "--wait", "delivered").status == 0

    desk = world.node("desk")
    desk.start()
    shown = alice.node.cli("pair", "--link-device", "--no-wait").json
    assert (shown["purpose"], shown["link"]) == ("link", None)
    linked = desk.cli("pair", "--link-device", "-", "--timeout", str(PATIENCE_S), stdin=shown["code"].encode())
    assert (linked.status, linked.json["agent"]["id"]) == (0, alice.id), linked
    assert alice.call("pair.wait", code=shown["id"], timeout=PATIENCE_S)["device"]["name"] == "device-2"

    assert bob.node.cli("send", "alice", "to you both", "--wait", "delivered").status == 0
    assert texts(desk) == texts(alice.node) == ["to you both"]
    assert desk.cli("send", "bob", "from my desk", "--wait", "delivered").status == 0
    assert [m["text"] for m in desk.cli("history", "bob").json["messages"]] == ["before", "to you both", "from my desk"]
    assert texts(bob.node)[-1] == "from my desk"

    assert desk.cli("devices", "revoke", "device").code == "root_elsewhere"
    assert desk.cli("pair", "--link-device", "--no-wait").code == "root_elsewhere"
    assert alice.node.cli("devices", "revoke", "device-2").status == 0
    assert alice.node.cli("send", "bob", "she is out", "--wait", "delivered").status == 0  # by a link that says so
    late = desk.cli("send", "bob", "still me", "--wait", "delivered", "--timeout", "3")
    known = {(4, "send_unconfirmed"), (6, "device_revoked")}  # before and after it met the one that revoked it
    assert (late.status, late.code) in known, late
    assert bob.node.cli("send", "alice", "just you", "--wait", "delivered").status == 0
    assert texts(alice.node)[-1] == "just you"
    assert "still me" not in [m["text"] for m in bob.node.cli("history", "alice").json["messages"]]
