"""The fast path and Typer mean the same, or the fast path is not taken."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p_agents.cli import app, fast, hot
from p2p_agents.control import methods

OPTIONS = sorted({option for _, _, options in fast.HOT.values() for option in options} | set(fast.COMMON))
NUMBERS = ["-5", "5", "0", "1001", "1.5", "1.", ".5", ".", "1e3", "+7", "1_0", "٣", "nan", "inf"]
ODD = [
    "--limit=5",
    "--json=1",
    "--as=",
    "--as=bob",
    "--timeout=99999999",
    "--reader=r",
    "--wait=read",
    "--li",
    "--help",
    "--",
]
PLAIN = ["bob", "-", "", " 7", "add", "x" * 20, "text/plain", "delivered"]
WORDS = st.sampled_from([*fast.HOT, *OPTIONS, *NUMBERS, *ODD, *PLAIN])
ARGV = st.tuples(st.sampled_from(sorted(fast.HOT)), st.lists(WORDS | st.text(max_size=4), max_size=5)).map(
    lambda pair: [pair[0], *pair[1]]
) | st.lists(WORDS, max_size=5)


def as_typer_means(argv: list[str]) -> tuple[str, dict[str, Any]] | None:
    """The hot command Typer would run and with what; None when it would not."""
    taken: list[tuple[str, dict[str, Any]]] = []

    def record(verb: str) -> Any:
        def command(**params: Any) -> int:
            taken.append((verb, params))
            return 0

        return command

    with pytest.MonkeyPatch.context() as patch:
        for verb in fast.HOT:
            patch.setattr(hot, verb, record(verb))
        patch.setattr("p2p_agents.cli.face.run", lambda *args, **kwargs: 2)
        app.run(argv)
    return taken[0] if taken else None


def complete(verb: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """With the defaults of the hot command."""
    known = inspect.signature(getattr(hot, verb)).parameters
    defaults = {name: item.default for name, item in known.items() if item.default is not item.empty}
    return verb, defaults | params


@settings(max_examples=300, deadline=None)
@given(ARGV)
def test_fast_is_none_or_what_typer_means(argv: list[str]) -> None:
    plain = fast.parse(argv)
    if plain is not None:
        assert complete(*plain) == as_typer_means(argv)


@pytest.mark.parametrize(
    "line",
    [
        "send bob hello",
        "send bob - --wait delivered --timeout 10",
        "send bob hi --type=text/markdown --id k1 --reply-to m1 --json",
        "--as alice --json inbox --after c1 --limit 10",
        "ack",
        "ack c1 --reader night",
        "poll --limit 1",
        "wait --from bob --timeout 0.5",
        "peers --json",
        "history bob --before c1 --limit 5",
        "show m3 --fields state --compact",
        "inbox --fields from.name,text --text",
    ],
)
def test_what_agents_type_all_day_is_fast(line: str) -> None:
    plain = fast.parse(line.split())
    assert plain is not None
    assert complete(*plain) == as_typer_means(line.split())


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["send", "bob"],
        ["send", "bob", "hi", "there"],
        ["send", "bob", "--", "--hi"],
        ["send", "--help"],
        ["inbox", "--limit", "0"],
        ["inbox", "--limit", "1001"],
        ["inbox", "--limit"],
        ["wait", "--timeout", "1e3"],
        ["wait", "--timeout", "1.2.3"],
        ["wait", "--timeout", "."],
        ["peers", "--watch"],
        ["peers", "add", "h:1"],
        ["search", "bob"],
        ["--limit", "5", "inbox"],
    ],
)
def test_anything_unusual_is_left_to_typer(argv: list[str]) -> None:
    assert fast.parse(argv) is None


def test_choices_are_those_of_the_registry() -> None:
    params = {param.name: param for param in methods.METHODS["send"].params}
    assert {"body": params["type"].choices, "state": params["wait"].choices} == fast.CHOICES


def test_settle_moves_common_options_behind_the_command() -> None:
    assert app.settle(["--as", "bob", "--json", "requests", "list"]) == ["requests", "list", "--as", "bob", "--json"]
    assert app.settle(["--json", "peers", "--watch"]) == ["peers", "--json", "--watch"]
    assert app.settle(["--json"]) == []
    assert app.settle(["--json", "frobnicate"]) == ["--json", "frobnicate"]
