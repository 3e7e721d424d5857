"""Deleting messages: what is deleted, what stays, and that nothing comes back (PROTOCOL A5)."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.core.api import commands, reading
from p2p_agents.errors import BadParams, MessageUnknown
from p2p_agents.node import purging
from p2p_agents.node.purging import Purging
from p2p_agents.node.writer import Writer
from p2p_agents.store import entries, purges
from p2p_agents.wire.entry import encode_body
from tests.core.stage import asks, does

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core

CHOSEN = {"ids": None, "with": None, "before": None, "dry": False}


def purge(core: Core, **chosen: Any) -> dict[str, Any]:
    """The method, over a real writer."""

    async def run() -> dict[str, Any]:
        writer = Writer(core, asyncio.get_running_loop(), lambda effects: None, lambda: pytest.fail("the writer died"))
        writer.start()
        try:
            return await Purging(writer).purge({"agent": None} | CHOSEN | chosen)
        finally:
            await writer.stop()

    return asyncio.run(run())


def says(core: Core, text: str, to: str = "bob") -> str:
    return str(asks(core, commands.send, to=to, text=text)["id"])


def texts(core: Core, agent: str) -> list[str | None]:
    other = {"alice": "bob", "bob": "alice"}[agent]
    return [message["text"] for message in asks(core, reading.history, agent=agent, to=other)["messages"]]


def finds(core: Core, agent: str, word: str) -> int:
    while not does(core, reading.index):
        pass
    return len(asks(core, reading.search, agent=agent, text=word)["messages"])


def test_a_message_goes_by_its_id_for_the_agent_that_purges_it(pair: Core) -> None:
    """A4, A5: another agent of the node keeps its own copy until it purges too."""
    secret = says(pair, "the parrot is called swordfish")
    says(pair, "a parrot stays")
    assert (finds(pair, "alice", "swordfish"), finds(pair, "bob", "swordfish")) == (1, 1)
    assert purge(pair, ids=secret) == {"purged": 1, "kept": 0, "emptied": True}
    assert texts(pair, "alice") == [None, "a parrot stays"]
    assert texts(pair, "bob") == ["the parrot is called swordfish", "a parrot stays"]
    assert (finds(pair, "alice", "swordfish"), finds(pair, "bob", "swordfish"), finds(pair, "alice", "parrot")) == (
        *(0, 1),
        1,
    )
    assert purge(pair, ids=secret)["purged"] == 0
    assert purge(pair, agent="bob", ids=secret)["purged"] == 1
    assert texts(pair, "bob") == [None, "a parrot stays"]


def test_a_purge_leaves_no_byte_in_the_files(pair: Core, tmp_path: Any) -> None:
    """A5: neither in the store, nor in the word index, nor in the write-ahead log."""
    says(pair, "the word is swordfish")
    finds(pair, "alice", "swordfish")
    for agent in ("alice", "bob"):
        assert purge(pair, agent=agent, before="9999-01-01")["emptied"]
    for name in os.listdir(tmp_path):
        if name.startswith("store.db"):
            assert b"swordfish" not in (tmp_path / name).read_bytes()


def test_a_conversation_goes_up_to_a_date(pair: Core) -> None:
    """A5: by their authors' dates; page by page."""
    for number in range(5):
        says(pair, f"word {number}")
    assert purge(pair, **{"with": "bob", "before": "2001-01-01"})["purged"] == 0
    assert purge(pair, **{"with": "bob", "before": "9999-12-31T23:59:59Z"})["purged"] == 5
    assert texts(pair, "alice") == [None] * 5


def test_pages_follow_each_other(pair: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "PURGE_PAGE", 2)
    for number in range(5):
        says(pair, f"word {number}")
    assert purge(pair, **{"with": "bob", "dry": True}) == {"purged": 5, "kept": 0, "emptied": True}
    assert None not in texts(pair, "alice")
    assert purge(pair, **{"with": "bob"})["purged"] == 5


def test_what_is_still_to_be_delivered_is_kept(pair: Core) -> None:
    """B1: if it were purged, its recipient would get an entry without a body."""
    sent = says(pair, "not there yet")
    pair.db.run("UPDATE outbox SET owed = 1, state = 'queued'")
    assert purge(pair, ids=sent) == {"purged": 0, "kept": 1, "emptied": True}
    assert texts(pair, "alice") == ["not there yet"]


def test_what_was_purged_does_not_come_back(pair: Core) -> None:
    """A5: a peer that supplies the body again changes nothing."""
    says(pair, "gone for good")
    for agent in ("alice", "bob"):
        purge(pair, agent=agent, before="9999-01-01")
    (found,) = pair.db.all("SELECT id FROM entries")
    does(pair, lambda core: entries.supply_body(core.db, found[0], encode_body(bytes(16), b"gone for good")))
    assert texts(pair, "alice") == [None]
    assert purges.candidates(pair.db, 1, pair.hooks.shown(), 0, 10) == []


@pytest.mark.parametrize(
    "chosen",
    [{}, {"before": "soon"}, {"ids": "abcdefgh", "with": "bob"}, {"ids": "abcdefgh", "before": "2026-01-01"}],
)
def test_nothing_chosen_is_a_mistake_and_never_everything(pair: Core, chosen: dict[str, Any]) -> None:
    with pytest.raises(BadParams):
        purge(pair, **chosen)


def test_an_unknown_id_is_told(pair: Core) -> None:
    with pytest.raises(MessageUnknown):
        purge(pair, ids="abcdefgh")
