"""Names of agents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import BadName
from p2p_agents.limits import NAME_CHARS
from p2p_agents.wire.names import check_name


@pytest.mark.parametrize("name", ["a", "alice", "Build-bot.2", "x_y", "a" * NAME_CHARS])
def test_a_name_is_itself(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
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
        "a" * (NAME_CHARS + 1),
        "a\x1b[31m",
    ],
)
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
