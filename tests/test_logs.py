"""Text from strangers stays within its log line."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.logs import INDENT, EscapingFormatter

HOSTILE = st.text() | st.text(alphabet="\n\r\x1b\x85\u2028\u2029\x9b\x7f\u202e ab")


def logged(message: str, *args: Any, exc_info: Any = None) -> str:
    """What a handler writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(EscapingFormatter())
    handler.handle(logging.LogRecord("node", logging.WARNING, "x.py", 1, message, args, exc_info))
    return out.getvalue()


@given(HOSTILE, HOSTILE)
def test_a_record_is_one_printable_line(first: str, second: str) -> None:
    text = logged("from %s: %s", first, second)
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert len(text.splitlines()) == 1


@given(HOSTILE)
def test_a_traceback_cannot_pose_as_a_record(said: str) -> None:
    """Exceptions carry what peers said, with line ends of theirs."""
    try:
        raise ValueError(said)
    except ValueError:
        text = logged("failed", exc_info=sys.exc_info())
    first, *rest = text.removesuffix("\n").split("\n")
    assert first.endswith("node: failed")
    assert all(line.startswith(INDENT) and line.isprintable() for line in rest)
    assert text.splitlines() == [first, *rest]


def test_what_another_formatter_left_on_the_record_is_not_taken_over() -> None:
    """The library keeps a formatted traceback there, raw."""
    out = io.StringIO()
    handlers = [logging.StreamHandler(io.StringIO()), logging.StreamHandler(out)]
    handlers[1].setFormatter(EscapingFormatter())
    try:
        raise ValueError("\x1b[2J\n2026-11-21 12:00:00,000 INFO node: all is well")
    except ValueError:
        record = logging.LogRecord("node", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    record.stack_info = "Stack:\n  \x1b[2J"
    for handler in handlers:
        handler.handle(record)
    lines = out.getvalue().removesuffix("\n").split("\n")
    assert all(line.startswith(INDENT) for line in lines[1:])
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("said", "spelled"), [("a\nb", "a\\x0ab"), ("\x1b[2J", "\\x1b[2J"), ("\u2028", "\\u2028"), ("é", "é")]
)
def test_what_is_plainly_visible_stays_as_it_is(said: str, spelled: str) -> None:
    assert logged("%s", said).endswith(f" WARNING node: {spelled}\n")
