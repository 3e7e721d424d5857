"""Two people pair their agents at two terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.harness import World


@pytest.mark.parametrize("what", ["code", "uri"])
def test_two_nodes_pair_and_talk(world: World, what: str) -> None:
    """E4, F1: shown on one, typed on the other; a slip of the tongue first."""
    alice, bob = world.agent("alice"), world.agent("bob")
    shown = alice.node.cli("pair", "--no-wait", "--name", "robert").json
    assert alice.node.cli("pair", "status").json["state"] == "waiting"
    first, _, place = shown["code"].split("-")
    other = "COPPER" if "COPPER" not in shown["code"] else "FIDDLE"
    wrong = bob.node.cli("pair", f"{first}-{other}-{place}")
    assert (wrong.code, wrong.status, wrong.json["error"]["left"]) == ("code_wrong", 5, 2)

    met = bob.node.cli("pair", shown[what], "--timeout", "20")
    assert met.status == 0, met
    assert (met.json["trust"], met.json["contact"]["id"]) == ("paired", alice.id)
    brought = alice.call("pair.wait", code=shown["id"], timeout=20)
    assert (brought["contact"]["id"], brought["contact"]["petname"]) == (bob.id, "robert")
    assert alice.node.cli("pair", "cancel", shown["id"]).json["state"] == "paired"

    assert bob.node.cli("send", "alice", "no request", "--wait", "delivered").status == 0
    assert alice.texts(1) == ["no request"]
    again = bob.node.cli("pair", shown[what])
    assert (again.code, again.status) == ("code_used", 5)


def test_a_waiting_code_is_cancelled_from_elsewhere(world: World) -> None:
    alice = world.agent("alice")
    shown = alice.node.cli("pair", "--no-wait").json
    alice.call("pair.cancel", code=shown["id"])
    ended = alice.node.cli("pair", "status").json
    assert ended["state"] == "cancelled"
    assert alice.node.cli("pair", "xyzzy-fiddle-7q2mx").code == "bad_code"
    assert alice.node.cli("trust", "verify", "nobody").code == "peer_unknown"
