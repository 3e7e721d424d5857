"""The output of `p2p-bridge`: results on stdout, as JSON unless it is a terminal, errors with a stable code."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from p2p_agents import exits, output
from p2p_agents.errors import P2PError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Face:
    """One command's two streams."""

    def __init__(self, *, json: bool) -> None:
        self.json = json or not sys.stdout.isatty()

    def show(self, result: Mapping[str, Any], human: Callable[[Mapping[str, Any]], str]) -> None:
        """One result, whole and flushed."""
        print(_line({"ok": True, **result}) if self.json else human(result), flush=True)  # noqa: T201 - the result

    def show_event(self, event: Mapping[str, Any], human: Callable[[Mapping[str, Any]], str]) -> None:
        """One line of a stream, its `type` first."""
        print(_line(event) if self.json else human(event), flush=True)  # noqa: T201 - the result

    def show_error(self, error: P2PError) -> None:
        if self.json:
            fields = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
            print(_line({"ok": False, "error": fields}), flush=True)  # noqa: T201 - the result
        if not self.json or sys.stderr.isatty():
            hint = f"\n  {output.escape(error.hint)}" if error.hint else ""
            print(f"p2p-bridge: {output.escape(error.message)}{hint}", file=sys.stderr)  # noqa: T201 - for people


def run(act: Callable[[Face], int | None], *, json: bool) -> int:
    """Carry out one command; its exit status."""
    face = Face(json=json)
    try:
        return act(face) or exits.OK
    except P2PError as error:
        face.show_error(error)
        return error.exit
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:  # the reader of stdout left: keep the interpreter from flushing into nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.INTERRUPTED


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value).replace("\x7f", "\\u007f")  # DEL is ASCII, but not printable
