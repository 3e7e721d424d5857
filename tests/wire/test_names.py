"""Names of agents."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import BadName, Malformed
from p2p_agents.limits import NAME_CHARS
from p2p_agents.wire import frame as frames
from p2p_agents.wire.advert import Advert
from p2p_agents.wire.claims import decode_hello, encode_hello
from p2p_agents.wire.frame import RosterAgent, decode_frame, encode_frame
from p2p_agents.wire.names import (
    NAME_RE,
    check_name,
    kind_or_nothing,
    name_or_nothing,
    skeleton,
    told_kind,
    told_name,
)
from tests.wire.test_claims import HELLO


@pytest.mark.parametrize("name", ["a", "alice", "Build-bot.2", "x_y", "a" * NAME_CHARS])
def test_a_name_is_itself(name):
    assert check_name(name) == name


NO_NAMES = [
    "",
    "2fast",
    "-a",
    ".a",
    "_a",
    "a b",
    "a/b",
    "a\n",
    "a\0",
    "é",
    "\u0430lice",
    "bob\u202e",
    "bo\u200bb",
    "a" * (NAME_CHARS + 1),
    "a\x1b[31m",
]
NO_KINDS = ["", "Codex", "1x", "-x", "x y", "x_y", "x\n", "é", "k" * (NAME_CHARS + 1)]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_could_harm_a_path_or_a_terminal_is_no_name(name):
    with pytest.raises(BadName):
        check_name(name)


@given(st.text(max_size=50))
def test_any_text_is_a_harmless_name_or_refused(text):
    try:
        name = check_name(text)
    except BadName:
        return
    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= NAME_CHARS


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_is_told_is_held_to_the_same_rule(name):
    """Announced, in a roster, in a HELLO: whoever tells it, and however."""
    with pytest.raises(Malformed):
        told_name(name)
    with pytest.raises(Malformed):
        decode_hello(encode_hello(dataclasses.replace(HELLO, name=name)))
    roster = (RosterAgent(b"a" * 32, name, "codex", "online"),)
    with pytest.raises(Malformed):
        decode_frame(encode_frame(frames.Node(b"n" * 32, 1, "x", b"c" * 32, roster)))
    with pytest.raises(Malformed):
        Advert(b"a" * 32, name, "codex", "online", b"n" * 32, 1, 1)
    assert name_or_nothing(name) == ""


@pytest.mark.parametrize("kind", NO_KINDS)
def test_so_is_a_kind(kind):
    with pytest.raises(Malformed):
        told_kind(kind)
    with pytest.raises(Malformed):
        decode_hello(encode_hello(dataclasses.replace(HELLO, kind=kind)))
    roster = (RosterAgent(b"a" * 32, "bob", kind, "online"),)
    with pytest.raises(Malformed):
        decode_frame(encode_frame(frames.Node(b"n" * 32, 1, "x", b"c" * 32, roster)))
    with pytest.raises(Malformed):
        Advert(b"a" * 32, "bob", kind, "online", b"n" * 32, 1, 1)
    assert kind_or_nothing(kind) == ""


@pytest.mark.parametrize("value", [None, 7, b"bob", ["bob"]])
def test_what_is_no_text_is_no_name(value):
    for told in (told_name, told_kind):
        with pytest.raises(Malformed):
            told(value)


def test_a_card_may_leave_a_name_out():
    assert (told_name("", optional=True), told_kind("", optional=True)) == ("", "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "b0b"),
        ("bob", "BOB"),
        ("bill", "bi11"),
        ("bill", "BILL"),
        ("lance", "Iance"),
        ("corner", "comer"),
        ("wendy", "vvendy"),
        ("dave", "clave"),
        ("build-bot", "build_bot"),
        ("build-bot", "buildbot"),
        ("zoe", "2oe"),
    ],
)
def test_names_that_a_reader_takes_for_one_another(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("bob", "bobby"), ("alice", "alice1"), ("worker-6", "worker-8"), ("worker-1", "worker-2")]
)
def test_names_that_nobody_confuses(one, other):
    assert skeleton(one) != skeleton(other)


@given(st.from_regex(NAME_RE, fullmatch=True))
def test_a_name_looks_like_itself_in_any_case(name):
    assert skeleton(name) == skeleton(name.upper()) == skeleton(name.lower())
