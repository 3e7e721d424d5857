"""Commands that ask before they destroy something."""

from __future__ import annotations

import importlib
import io
import sys

import pytest

from p2p_agents import errors
from p2p_agents.paths import Home
from tests.cli.world import REMOVAL

BOB = {"id": "bobid23456", "name": "bob", "kind": "other", "trust": "paired"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("command", "ask", "found"),
    [
        ("purge", "_ask", {"purged": 2}),
        ("uninstall", "_ask", Home({"P2P_AGENTS_HOME": "/nowhere"})),
        ("agents", "_ask", REMOVAL),
        ("backup", "_ask", "alice.backup"),
        ("contacts", "_ask", {"contact": BOB, "failed": 1}),
        ("trust", "_decide", {"peer": BOB, "trust": "paired", "safety_number": "12345", "events": []}),
    ],
)
def test_who_answers_no_is_told_how_to_say_yes(
    command: str, ask: str, found: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    monkeypatch.setattr(sys, "stderr", Terminal())
    module = importlib.import_module(f"p2p_agents.cli.commands.{command}")
    with pytest.raises(errors.HumanRequired, match="nothing was") as refused:
        getattr(module, ask)(found)
    assert refused.value.hint.endswith("run it again and type yes")
