"""Several processes on one reader: only one of them has each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.core.api import claiming, commands, reading
from p2p_agents.core.kernel.effects import Answered
from p2p_agents.core.turn.batch import run_batch
from p2p_agents.errors import CursorUnknown, StoreFull
from tests.core.stage import DEFAULTS, asks, does

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core

FIRST, SECOND = 1, 2  # tickets of two processes


@pytest.fixture
def talk(pair: Core) -> Core:
    """Four messages from alice to bob."""
    for number in range(4):
        asks(pair, commands.send, to="bob", text=str(number))
    return pair


def claims(core: Core, ticket: int, limit: int = 50, **params: Any) -> list[str]:
    asked = DEFAULTS | {"agent": "bob", "limit": limit, **params}
    page = does(core, lambda it: claiming.take(it, asked, ticket))
    return [message["text"] for message in page["messages"]]


def unread(core: Core, **params: Any) -> list[str]:
    return [message["text"] for message in asks(core, reading.unread, agent="bob", **params)["messages"]]


def cursors(core: Core, *texts: str) -> str:
    listed = asks(core, reading.unread, agent="bob", after="0")["messages"]
    return ",".join(message["cursor"] for message in listed if message["text"] in texts)


def test_each_message_goes_to_one_process(talk: Core) -> None:
    assert claims(talk, FIRST, limit=2) == ["0", "1"]
    assert claims(talk, SECOND, limit=2) == ["2", "3"]
    assert claims(talk, 3) == unread(talk) == []


def test_who_acknowledges_its_own_leaves_the_others(talk: Core) -> None:
    """The later half is done first: this does not mark the earlier half as read."""
    claims(talk, FIRST, limit=2)
    claims(talk, SECOND, limit=2)
    assert asks(talk, reading.acknowledge, agent="bob", cursors=cursors(talk, "2", "3"))["acked"] == 2
    does(talk, lambda core: claiming.give_back(core, SECOND))
    does(talk, lambda core: claiming.give_back(core, FIRST))
    assert unread(talk) == ["0", "1"]
    assert asks(talk, reading.acknowledge, agent="bob", cursors=cursors(talk, "0", "1", "2"))["acked"] == 2
    assert unread(talk) == []


def test_what_a_process_leaves_behind_is_unread_again_and_wakes_who_waits(talk: Core) -> None:
    claims(talk, FIRST)
    waiting = DEFAULTS | {"agent": "bob", "timeout": 1.0}
    page = does(talk, lambda core: commands.begin_wait(core, waiting, SECOND))[2]
    assert page["messages"] == []
    _, effects = run_batch(talk, [lambda core: claiming.give_back(core, FIRST)])
    [answered] = [effect for effect in effects if isinstance(effect, Answered)]
    assert [message["text"] for message in (answered.page or {})["messages"]] == ["0", "1", "2", "3"]


def test_a_claim_tells_the_author_only_what_was_acknowledged(talk: Core) -> None:
    """B8."""
    claims(talk, FIRST)
    assert {it["state"] for it in asks(talk, reading.history, to="bob")["messages"]} == {"delivered"}
    asks(talk, reading.acknowledge, agent="bob", cursors=cursors(talk, "0", "1"))
    states = [it["state"] for it in asks(talk, reading.history, to="bob")["messages"]]
    assert states == ["read", "read", "delivered", "delivered"]


def test_readers_claim_apart(talk: Core) -> None:
    claims(talk, FIRST)
    assert claims(talk, SECOND, reader="night", new_reader=True) == ["0", "1", "2", "3"]


def test_a_claim_whose_commit_failed_holds_nothing(talk: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise StoreFull

    asked = DEFAULTS | {"agent": "bob", "limit": 50}
    with monkeypatch.context() as patch:
        patch.setattr(talk.db, "commit", fail)
        run_batch(talk, [lambda core: claiming.take(core, asked, FIRST)])
    assert talk.claims == {}


def test_cursors_that_were_never_given_acknowledge_nothing(talk: Core) -> None:
    """H2, A4."""
    with pytest.raises(CursorUnknown):
        asks(talk, reading.acknowledge, agent="bob", cursors="1,2,x")
    mine = asks(talk, reading.history, to="bob")["messages"]
    with pytest.raises(CursorUnknown):
        asks(talk, reading.acknowledge, agent="bob", cursors=",".join([mine[0]["cursor"], "zzz-1"]))
    assert len(unread(talk)) == 4
