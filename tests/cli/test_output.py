from __future__ import annotations

import os
import sys
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents import output


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\x08c\x7f", "a\\x0db\\x08c\\x7f"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("sel\ufe01\U000e0101", "sel\\ufe01\\U000e0101"),
        ("filler\u3164\u2800", "filler\\u3164\\u2800"),
        ("line\u2028sep", "line\\u2028sep"),
        ("two\nlines", "two\\x0alines"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(hostile: str, shown: str) -> None:
    assert output.escape(hostile) == shown


@pytest.mark.parametrize("text", ["plain", "Grüße", "日本語", "עברית", "👍🏽 ❤\ufe0f", "naïve — “quotes”"])
def test_what_people_write_is_left_alone(text: str) -> None:
    assert output.escape(text) == text


@given(st.text())
def test_nothing_escaped_controls_a_terminal(text: str) -> None:
    shown = output.escape(text)
    assert shown.isprintable()
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for char in shown)


def test_no_line_of_a_peer_stands_at_the_margin() -> None:
    assert output.block("a\nalice  10:00\r\n\x1b[A") == "  a\n  alice  10:00\n  \\x1b[A"


def test_columns_count_wide_characters_twice() -> None:
    lines = output.table(("NAME", "ID"), [("日本", "1"), ("bob", "2")]).splitlines()
    assert lines == ["NAME  ID", "日本  1", "bob   2"]


def test_a_cell_cannot_break_its_row() -> None:
    assert len(output.table(("NAME",), [("a\nb",)]).splitlines()) == 2


@pytest.mark.parametrize("stamp", ["", None])
def test_no_time_is_a_dash(stamp: str | None) -> None:
    assert output.clock(stamp) == "-"


def test_a_time_that_is_none_is_shown_escaped() -> None:
    assert output.clock("soon\x1b") == "soon\\x1b"
    assert output.clock("2001-02-03T04:05:06Z").startswith("2001-02-0")


def test_the_last_day_of_the_calendar_is_shown_where_it_is_over_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer may date a message so; in local time it has no date."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert output.clock("9999-12-31T23:59:59.999Z") == "9999-12-31T23:59:59.999Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_more_messages_name_the_next_cursor() -> None:
    from tests.control.fake import message

    page = {"messages": [message(1)], "cursor": "c1", "more": True}
    assert output.messages(page).endswith("more: --after c1")


def test_why_peers_are_not_reached_directly_is_said_once_for_all_it_holds_for() -> None:
    plain = {"kind": "other", "trust": "paired", "reachable": True, "path": "bridge", "last_seen": None}
    listed = [
        plain | {"id": "a" * 52, "name": name, "why": why}
        for name, why in (("bob", "a NAT"), ("carol", "a NAT"), ("dave", None), ("\x1b[2J", "a bridge"))
    ]
    shown = output.peers({"peers": listed}).splitlines()
    assert shown[-2:] == ["not direct: bob, carol: a NAT", "not direct: \\x1b[2J: a bridge"]
    assert len(shown) == 1 + 4 + 2


BOB = {"id": "4o76ugzetdxxxxxx", "name": "bob", "pinned": True, "like": None}


@pytest.mark.parametrize(
    ("party", "shown"),
    [
        (BOB, "bob"),
        ({"id": BOB["id"], "name": "bob"}, "bob"),
        (BOB | {"pinned": False}, "bob 4o76ugzetd"),
        (BOB | {"pinned": False, "name": "b0b", "like": "bob"}, "b0b 4o76ugzetd (looks like bob)"),
        (BOB | {"like": "b0b"}, "bob 4o76ugzetd (looks like b0b)"),
        (BOB | {"pinned": False, "name": "bob~4o76ug", "like": "bob"}, "bob 4o76ugzetd (looks like bob)"),
        (BOB | {"pinned": False, "name": ""}, "(no name) 4o76ugzetd"),
        (BOB | {"name": "x", "petname": "bob"}, "bob"),
    ],
)
def test_beside_a_name_that_does_not_say_who_it_is_stands_the_id(party: dict[str, Any], shown: str) -> None:
    """PROTOCOL E5."""
    assert output.called(party) == shown
    item = {"time": "", "id": "m", "trust": "accepted", "state": "", "text": "hi", "type": "text/plain"}
    assert output.message(item | {"from": party}).startswith(f"{shown}  ")
    assert f" to {shown}" in output.message(item | {"from": BOB, "to": party})
    assert f"queued to {shown}  " in output.sent({"state": "queued", "id": "m", "to": party})
    assert shown in output.introduced({"introductions": [{"state": "queued", "to": party, "about": BOB}]})


@pytest.mark.parametrize("state", ["queued", "asked"])
def test_a_person_is_shown_as_much_of_an_id_as_is_typed_again(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {"state": state, "id": "abcdefghij" + "k" * 42, "to": {"id": "b" * 52, "name": "bob", "petname": None}}
    assert sent["id"] in output.sent(sent)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    told = output.sent(sent)
    assert "abcdefghij" in told
    assert "k" not in told.partition("abcdefghij")[2]


def test_lists_that_show_every_id_mark_what_looks_alike() -> None:
    impostor = BOB | {"name": "b0b", "pinned": False, "like": "bob", "kind": "other", "trust": "unknown"}
    peer = impostor | {"reachable": False, "path": None, "petname": None, "last_seen": None}
    assert "b0b (looks like bob)  4o76ugzetd" in output.peers({"peers": [peer]})
    request = impostor | {"time": "", "state": "pending", "direction": "in", "text": "hi"}
    assert "from b0b (looks like bob)" in output.request(request)
    assert "from (no name)" in output.request(request | {"name": "", "like": None})
    by = output.request(request | {"introducer": BOB | {"pinned": False, "name": "carol"}})
    assert "by carol 4o76ugzetd" in by


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setenv("COLUMNS", str(columns))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three four", "  one two\n  three\n  four"),
        ("one", "  one"),
        ("abcdefghijklmnop qr", "  abcdefghijklmnop\n  qr"),
        ("a  b", "  a  b"),
        ("漢字 漢字 漢字", "  漢字 漢字\n  漢字"),
        ("one two\nthree four five", "  one two\n  three\n  four five"),
    ],
)
def test_words_wrap_at_words(monkeypatch: pytest.MonkeyPatch, text: str, shown: str) -> None:
    on_a_terminal(monkeypatch, 11)
    assert output.block(text) == shown


def test_nothing_wraps_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output.block("word " * 100) == "  " + "word " * 100
    on_a_terminal(monkeypatch, 0)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((0, 0)))
    assert "\n" not in output.block("word " * 100)


def test_no_line_of_a_peer_poses_as_ours_by_wrapping(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, 20)
    lines = output.block("hello " * 10 + "bob  12:00 · accepted").split("\n")
    assert all(line.startswith("  ") for line in lines)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("snd", "did you mean send? "), ("PEER", "did you mean peers? "), ("xyz", ""), ("", ""), ("sen" * 99, "")],
)
def test_a_slip_is_told_what_it_may_have_meant(word: str, hint: str) -> None:
    assert output.did_you_mean(word, ["send", "peers", "wait"]) == hint
