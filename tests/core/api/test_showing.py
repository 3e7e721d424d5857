"""How clients see things, field by field as the registry promises."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from p2p_agents.core.api import commands, reading, showing
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import NotAContact, PeerUnknown
from p2p_agents.wire.frame import Standing
from tests.core.stage import asks, does, meet, reach

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000_001, "2027-01-15T08:00:00.001Z"),
        (999, "1970-01-01T00:00:00.999Z"),
    ],
)
def test_times_are_rfc_3339_in_utc(ms: int, text: str) -> None:
    assert time_text(ms) == text


def test_the_start_is_a_cursor_that_never_changes(core: Core) -> None:
    assert showing.cursor_text(core, 0) == "0"
    assert showing.cursor_text(core, 7).endswith("-7")


def test_an_agent_has_the_promised_fields(pair: Core) -> None:
    shown = asks(pair, commands.whoami)["agent"]
    assert (shown["name"], shown["default"], shown["status"]) == ("alice", True, "online")


def test_a_message_looks_alike_from_both_ends(pair: Core) -> None:
    sent = asks(pair, commands.send, to="bob", text="hi")
    mine = asks(pair, reading.show, id=sent["id"])
    theirs = asks(pair, reading.unread, agent="bob")["messages"][0]
    assert (mine["message"]["id"], mine["message"]["trust"]) == (theirs["id"], "own")
    assert mine["message"]["to"]["name"] == "bob"
    assert theirs["from"]["name"] == "alice"
    assert theirs["trust"] == "accepted"
    assert [(it["name"], it["state"], it["why"]) for it in mine["recipients"]] == [("bob", "delivered", None)]


def test_reading_turns_delivered_into_read_for_both(pair: Core) -> None:
    """B8."""
    sent = asks(pair, commands.send, to="bob", text="hi")
    asks(pair, reading.unread, agent="bob")
    asks(pair, reading.acknowledge, agent="bob")
    assert asks(pair, reading.show, id=sent["id"])["message"]["state"] == "read"
    assert asks(pair, reading.show, agent="bob", id=sent["id"])["message"]["state"] == "read"


def test_a_local_agent_is_reachable_without_an_address(pair: Core) -> None:
    shown = asks(pair, commands.peers)["peers"]
    assert [(it["name"], it["local"], it["path"], it["addresses"]) for it in shown] == [("bob", True, "local", [])]


@pytest.mark.parametrize(("said", "shown"), [("busy", "busy"), ("idle", "idle"), ("\x1b[2J", "online")])
def test_a_stranger_is_shown_as_its_roster_says(pair: Core, said: str, shown: str) -> None:
    """A stranger's words are data: an unknown status is not shown."""
    agent = os.urandom(32)
    meet(pair, agent, "carol", said)
    carol = next(it for it in asks(pair, commands.peers)["peers"] if it["id"] == id_text(agent))
    assert (carol["status"], carol["reachable"], carol["trust"]) == (shown, True, "unknown")
    assert carol["addresses"] == ["192.0.2.7:4433"]


def test_who_is_gone_is_offline(pair: Core) -> None:
    agent = os.urandom(32)
    meet(pair, agent, "carol", "busy")
    sent = asks(pair, commands.send, to="carol", text="hi")
    pair.peerings.clear()
    assert asks(pair, reading.show, id=sent["id"])["recipients"][0]["why"] == "peer is away"
    carol = next(it for it in asks(pair, commands.peers)["peers"] if it["id"] == id_text(agent))
    assert (carol["status"], carol["reachable"], carol["path"]) == ("offline", False, None)


@pytest.mark.parametrize(
    ("standing", "accepts", "why"),
    [
        (Standing.ASK, False, "awaits acceptance"),
        (Standing.CLOSED, False, "awaits acceptance"),
        (Standing.ACCEPTS, True, None),
        (None, False, "peer does not answer"),
    ],
)
def test_a_sender_sees_what_its_message_waits_for(
    pair: Core, standing: Standing | None, accepts: bool | None, why: str | None
) -> None:
    agent = os.urandom(32)
    meet(pair, agent, "carol")
    sent = asks(pair, commands.send, to="carol", text="hi")
    if standing is not None:
        reach(pair, agent, standing)
    assert [it["why"] for it in asks(pair, reading.show, id=sent["id"])["recipients"]] == [why]
    carol = next(it for it in asks(pair, commands.peers)["peers"] if it["id"] == id_text(agent))
    assert carol["accepts"] is accepts


def test_a_ping_to_who_has_not_accepted_says_so(pair: Core) -> None:
    agent = os.urandom(32)
    meet(pair, agent, "carol")
    asks(pair, commands.send, to="carol", text="hi")
    reach(pair, agent, Standing.ASK)
    with pytest.raises(NotAContact, match="carol has not accepted you yet"):
        does(pair, lambda core: commands.ping(core, {"agent": None, "to": "carol"}, 8))


@pytest.mark.parametrize("word", ["alice", "ALICE", None])
def test_nobody_writes_to_or_pings_itself(pair: Core, word: str | None) -> None:
    word = word or asks(pair, commands.whoami)["agent"]["id"]
    with pytest.raises(PeerUnknown, match="alice is the agent you act for"):
        asks(pair, commands.send, to=word, text="hi")
    with pytest.raises(PeerUnknown, match="alice is the agent you act for"):
        does(pair, lambda core: commands.ping(core, {"agent": None, "to": word}, 8))
