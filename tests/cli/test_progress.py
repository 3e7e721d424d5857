"""The line that tells what a command waits for."""

from __future__ import annotations

import io
import sys
import threading
from typing import TYPE_CHECKING

from p2p_agents.cli import progress

if TYPE_CHECKING:
    import pytest


class Screen(io.StringIO):
    """A terminal, or none, that knows when something was written."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal, self.written = terminal, threading.Event()

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


def test_it_is_shown_at_a_terminal_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STEP_S", 0.01)
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=True))
    with progress.shown("looking for bob"):
        assert screen.written.wait(10)
    assert "looking for bob 0 s" in screen.getvalue()
    assert screen.getvalue().endswith(progress.CLEAR)


def test_programs_and_quick_answers_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=terminal))
        with progress.shown("looking for bob"):
            pass
        assert screen.getvalue() == ""
