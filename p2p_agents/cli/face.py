"""Common to all commands: the agent they act for, how results and errors are printed, how they end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from p2p_agents import errors, exits, output
from p2p_agents.control.client import Client
from p2p_agents.control.light import make_encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from p2p_agents.cli.selection import Selection
    from p2p_agents.errors import P2PError

STDERR = 2


class Face:
    """One command's view of the node and of its own two streams."""

    def __init__(self, as_: str | None = None, json: bool | None = None, *, start: bool | None = None) -> None:
        self.agent = as_ or os.environ.get("P2P_AGENT") or None
        self.json = not sys.stdout.isatty() if json is None else json
        self._selection: Selection | None = None
        self._client = Client(start=start)
        self._told = False  # that the node only reads

    def choose(self, fields: str | None, compact: bool) -> None:
        """Show only these fields, and with `compact` no empty values; both mean JSON. Raises Usage."""
        if fields is not None or compact:
            from p2p_agents.cli.selection import Selection

            self._selection = Selection(fields, compact)
            self.json = True

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a node's method that acts for no agent."""
        return self._noted(self._client.call(method, params))

    def act(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a method that acts for this command's agent."""
        return self._noted(self._client.call(method, {"agent": self.agent, **params}))

    def send(self, **params: Any) -> dict[str, Any]:
        """The result of `send`, for this command's agent, under a key that every error names."""
        return self._noted(self._client.send({"agent": self.agent, **params}))

    def _noted(self, result: dict[str, Any]) -> dict[str, Any]:
        """People are told once, beside the answer, that the node only reads; in JSON it is a field."""
        why = result.get("reads_only")
        if why and not self.json and not self._told:
            self._told = True
            self.warn(f"the node only reads: {why}")
        return result

    def follow(self, method: str, **params: Any) -> Iterator[dict[str, Any]]:
        """The events of a stream for this command's agent. Raises BrokenPipeError when nobody reads stdout any more."""
        return self._client.stream(method, {"agent": self.agent, **params}, output=sys.stdout.fileno())

    def show(self, result: Mapping[str, Any], human: Callable[[Mapping[str, Any]], str]) -> None:
        """One result, whole and flushed: JSON with `ok` first, or for people."""
        if self.json:
            _write_line(self._encode({"ok": True, **result}))
        else:
            _write_line(human(result))

    def show_event(self, event: Mapping[str, Any], human: Callable[[Mapping[str, Any]], str]) -> None:
        """One line of a stream."""
        _write_line(self._encode(event) if self.json else human(event))

    def _encode(self, value: Mapping[str, Any]) -> str:
        if self._selection is None:
            return encode(value)
        return encode(self._selection.of(value), compact=self._selection.compact)

    def show_error(self, error: P2PError) -> None:
        """On stdout as JSON, details among its fields; for people on stderr."""
        if self.json:
            described = {
                "code": error.code,
                "message": error.message,
                "hint": error.hint or None,
                "retryable": error.retryable,
            }
            _write_line(
                encode({"ok": False, "error": {**described, **error.details, **described}})
            )  # code stands first
        if not self.json or sys.stderr.isatty():
            self.warn(error.message)
            if error.hint:
                sys.stderr.write(output.fold(f"  {output.escape(error.hint)}", "  ", STDERR) + "\n")

    def warn(self, text: str) -> None:
        """On stderr, for whoever looks after this program."""
        sys.stderr.write(output.fold(f"p2p-agents: {output.escape(text)}", "  ", STDERR) + "\n")

    def stop_node(self) -> dict[str, Any]:
        """Stop the node and wait until it has ended."""
        result = self._client.call("node.stop")
        self._client.wait_end()
        return result

    def close(self) -> None:
        self._client.close()


def run(
    act: Callable[[Face], int | None],
    as_: str | None,
    json: bool | None,
    *,
    start: bool | None = None,
    fields: str | None = None,
    compact: bool = False,
) -> int:
    """Carry out one command; returns its exit status. Only a P2PError, a hang-up or Ctrl-C is expected."""
    face = Face(as_, json, start=start)
    try:
        face.choose(fields, compact)
        return act(face) or exits.OK
    except errors.P2PError as error:
        return _report(face, error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except OSError as error:
        return _hang_up(error)
    finally:
        face.close()


def encode(value: Mapping[str, Any], *, compact: bool = False) -> str:
    """JSON in printable ASCII: a peer's text can neither end the line nor control the terminal."""
    return make_encoder(*((",", ":") if compact else (", ", ": ")))(value)


def body(text: str) -> str:
    """The text itself, or for `-` standard input. Raises TooLarge or BadBody."""
    from p2p_agents.limits import BODY_BYTES

    raw = sys.stdin.buffer.read(BODY_BYTES + 1) if text == "-" else os.fsencode(text)
    if len(raw) > BODY_BYTES:
        raise errors.TooLarge(f"a message holds at most {BODY_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise errors.BadBody(f"the text is not UTF-8: byte {error.start} is {raw[error.start]:#04x}") from None


def _report(face: Face, error: P2PError) -> int:
    try:
        face.show_error(error)
    except OSError as lost:
        return _hang_up(lost)
    return error.exit


def _hang_up(error: OSError) -> int:
    """The reader of stdout left: end quietly. Or writing failed: say so. Keep the interpreter from flushing there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return exits.INTERRUPTED
    with suppress(OSError):
        os.write(2, f"p2p-agents: the answer cannot be written: {error.strerror}\n".encode())
    return exits.FAILURE


def _write_line(text: str) -> None:
    """To the byte stream, so that no locale can fail: a lone surrogate leaves as its JSON escape."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.buffer.flush()
