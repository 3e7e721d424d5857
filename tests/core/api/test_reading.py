"""Cursors, readers, pages, words: reading the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.core.api import commands, reading
from p2p_agents.errors import BadParams, CursorUnknown, MessageUnknown, ReaderUnknown
from tests.core.stage import asks, does

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


@pytest.fixture
def talk(pair: Core) -> Core:
    """Ten messages from alice to bob."""
    for number in range(10):
        asks(pair, commands.send, to="bob", text=f"number {number}")
    return pair


def texts(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [message["text"].removeprefix("number ") for message in page["messages"]]


def bobs(core: Core, **params: object) -> dict[str, list[dict[str, str]]]:
    return asks(core, reading.unread, agent="bob", **params)


@pytest.mark.parametrize(
    "garbled", ["", "x", "-", "-1", "1-", "0-0x1", "00-1", "0000000000-1", "-0", "٣", "0 ", "9" * 100, "\x00"]
)
def test_what_this_store_never_gave_is_no_cursor(talk: Core, garbled: str) -> None:
    """A4."""
    with pytest.raises(CursorUnknown):
        does(talk, lambda core: reading.parse_cursor(core, garbled))


def test_a_cursor_beyond_the_end_is_of_another_store(talk: Core) -> None:
    """A4: a store that was rolled back does not know later cursors."""
    last = bobs(talk)["cursor"]
    generation, _, position = str(last).rpartition("-")
    with pytest.raises(CursorUnknown):
        bobs(talk, after=f"{generation}-{int(position) + 1000}")


def test_a_new_generation_makes_old_cursors_unknown(talk: Core) -> None:
    """A4."""
    last = bobs(talk)["cursor"]
    does(talk, lambda core: core.db.renew_generation())
    with pytest.raises(CursorUnknown):
        bobs(talk, after=last)
    assert texts(bobs(talk, after="0")) == [str(n) for n in range(10)]


def test_pages_follow_each_other_without_gap_or_overlap(talk: Core) -> None:
    seen: list[str] = []
    page = bobs(talk, after="0", limit=3)
    while page["messages"]:
        seen += texts(page)
        assert page["more"] is (len(seen) < 10)  # type: ignore[comparison-overlap]  # the page is JSON
        page = bobs(talk, after=page["cursor"], limit=3)
    assert seen == [str(n) for n in range(10)]


def test_ack_covers_what_was_shown_and_nothing_else(talk: Core) -> None:
    """H2: a message that arrived meanwhile stays unread."""
    shown = bobs(talk, limit=4)
    assert asks(talk, reading.acknowledge, agent="bob")["acked"] == 4
    assert texts(shown) == ["0", "1", "2", "3"]
    assert texts(bobs(talk))[0] == "4"
    assert asks(talk, reading.acknowledge, agent="bob", cursor=shown["cursor"])["acked"] == 0


def test_ack_up_to_a_cursor_leaves_what_follows(talk: Core) -> None:
    page = bobs(talk)
    third = page["messages"][2]["cursor"]
    assert asks(talk, reading.acknowledge, agent="bob", cursor=third)["acked"] == 3
    assert texts(bobs(talk))[0] == "3"


def test_ack_of_what_was_never_shown_acknowledges_nothing(talk: Core) -> None:
    """H2."""
    assert asks(talk, reading.acknowledge, agent="bob")["acked"] == 0
    assert len(bobs(talk)["messages"]) == 10


def test_each_reader_has_its_own_place(talk: Core) -> None:
    """H2, B8: and only the default one's reading is reported to the author."""
    bobs(talk, reader="night", new_reader=True)
    assert asks(talk, reading.acknowledge, agent="bob", reader="night")["acked"] == 10
    assert bobs(talk, reader="night")["messages"] == []
    assert len(bobs(talk)["messages"]) == 10
    mine = asks(talk, reading.history, to="bob")["messages"]
    assert {it["state"] for it in mine} == {"delivered"}


def test_a_reader_name_is_bounded(talk: Core) -> None:
    with pytest.raises(BadParams):
        asks(talk, reading.acknowledge, agent="bob", reader="r" * 65)
    with pytest.raises(BadParams):
        bobs(talk, reader="r" * 65, new_reader=True)


@pytest.mark.parametrize("method", [reading.unread, reading.acknowledge])
def test_a_reader_that_never_was_is_asked_back(talk: Core, method: Any) -> None:
    """A mistyped name would silently show everything again, or acknowledge nothing."""
    bobs(talk, reader="night-shift", new_reader=True)
    with pytest.raises(ReaderUnknown) as refused:
        asks(talk, method, agent="bob", reader="nightshift")
    assert "did you mean night-shift?" in refused.value.hint
    with pytest.raises(ReaderUnknown) as refused:
        asks(talk, method, agent="bob", reader="zzz")
    assert refused.value.hint == "a new one needs --new-reader"


def test_a_new_reader_is_known_from_then_on_though_nothing_was_there(pair: Core) -> None:
    assert bobs(pair, reader="night", new_reader=True)["messages"] == []
    assert bobs(pair, reader="night")["messages"] == []
    with pytest.raises(ReaderUnknown):
        asks(pair, reading.unread, agent="alice", reader="night")  # each agent has its own


def test_history_shows_the_latest_page_and_goes_back(talk: Core) -> None:
    latest = asks(talk, reading.history, to="bob", limit=3)
    assert texts(latest) == ["7", "8", "9"]
    assert latest["more"] is True
    before = asks(talk, reading.history, to="bob", limit=3, before=latest["cursor"])
    assert texts(before) == ["4", "5", "6"]
    after = asks(talk, reading.history, to="bob", limit=3, after=latest["messages"][0]["cursor"])
    assert texts(after) == ["8", "9"]
    assert after["more"] is False


def test_a_history_is_paged_on_by_its_cursor_in_either_direction(talk: Core) -> None:
    seen: list[str] = []
    cursor, more = None, True
    while more:
        page = asks(talk, reading.history, to="bob", limit=3, before=cursor)
        seen, cursor, more = texts(page) + seen, page["cursor"], page["more"]
    assert seen == [str(number) for number in range(10)]
    seen, cursor, more = [], "0", True
    while more:
        page = asks(talk, reading.history, to="bob", limit=3, after=cursor)
        seen, cursor, more = seen + texts(page), page["cursor"], page["more"]
    assert seen == [str(number) for number in range(10)]


def test_a_message_is_found_by_its_id_or_the_beginning_of_it(talk: Core) -> None:
    whole = bobs(talk)["messages"][5]["id"]
    for word in (whole, whole[:12], whole.upper()):
        assert asks(talk, reading.show, agent="bob", id=word)["message"]["id"] == whole


@pytest.mark.parametrize("word", ["", "a", "nonesuch!", "1" * 52, "a" * 53, "é" * 20, "A" * 52])
def test_what_is_no_id_is_unknown(talk: Core, word: str) -> None:
    with pytest.raises(MessageUnknown):
        asks(talk, reading.show, agent="bob", id=word)


def test_too_short_an_id_is_told_how_much_of_it_is_needed(talk: Core) -> None:
    with pytest.raises(MessageUnknown, match="too short") as refused:
        asks(talk, reading.show, agent="bob", id="tirl")
    assert "first 6 characters" in refused.value.hint


def test_ids_that_begin_alike_are_told_apart(talk: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PREFIX_CHARS", 1)
    for number in range(23):  # 33 ids begin with 32 characters
        asks(talk, commands.send, to="bob", text=f"another {number}")
    ids = [message["id"] for message in bobs(talk)["messages"]]
    word = next(each[0] for each in ids if sum(other[0] == each[0] for other in ids) > 1)
    with pytest.raises(MessageUnknown, match="several messages") as refused:
        asks(talk, reading.show, agent="bob", id=word)
    one, other = refused.value.hint.removeprefix("type more of it, such as ").split(" or ")
    assert one[:-1] == other[:-1]
    assert one != other
    assert all(any(each.startswith(told) for each in ids) for told in (one, other))


def test_no_agent_finds_the_messages_of_another(talk: Core) -> None:
    """A4: nothing leaks between agents of one node."""
    from tests.core.stage import hosts

    hosts(talk, "carol")
    whole = bobs(talk)["messages"][0]["id"]
    with pytest.raises(MessageUnknown):
        asks(talk, reading.show, agent="carol", id=whole)
    assert asks(talk, reading.unread, agent="carol", after="0")["messages"] == []
    while not does(talk, reading.index):
        pass
    assert asks(talk, reading.search, agent="carol", text="number")["messages"] == []
    assert len(asks(talk, reading.search, agent="bob", text="number")["messages"]) == 10


@pytest.mark.parametrize("words", ["number AND", '"', "number*", "text:number", "(", "-number", "\x00number", "a\x00b"])
def test_search_takes_words_not_a_language(talk: Core, words: str) -> None:
    while not does(talk, reading.index):
        pass
    assert isinstance(asks(talk, reading.search, agent="bob", text=words)["messages"], list)


def test_a_search_without_words_is_refused(talk: Core) -> None:
    for text in ("", "  ", "\t\n", "\x00"):
        with pytest.raises(BadParams):
            asks(talk, reading.search, agent="bob", text=text)
