"""Control lines: one JSON object per line over the Unix socket. Light enough for a hot command to import.

greeting   {"node": version, "protocol": 1, "pid": n}              once, from the node
request    {"id": n, "method": name, "params": {…}, "client": version}
answer     {"id": n, "ok": true, "result": {…}}
           {"id": n, "ok": false, "error": {code, message, hint, retryable, exit, details?}}
event      {"id": n, "event": {…}}                                 of a stream, until the client closes
goodbye    {"goodbye": "stopping" or "replaced"}                   once, from a node that was told to stop
"""

from __future__ import annotations

from p2p_agents import errors, exits
from p2p_agents.control.light import decode_json, make_encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from p2p_agents.errors import P2PError

STOPPING = "stopping"  # a goodbye for good: followers end
REPLACED = "replaced"  # a newer node comes at once: followers continue with it

_encode = make_encoder(",", ":")


def encode_line(value: dict[str, Any]) -> bytes:
    """One object as a line."""
    return _encode(value).encode() + b"\n"


def decode_line(line: bytes) -> dict[str, Any]:
    """The object of one line. Raises BadParams for anything else."""
    try:
        value = decode_json(line.decode())
    except (ValueError, RecursionError):
        raise errors.BadParams("a control line must be one JSON object in UTF-8") from None
    if type(value) is not dict:
        raise errors.BadParams("a control line must be one JSON object")
    return value


def encode_error(error: P2PError) -> dict[str, Any]:
    """An error as the control socket carries it."""
    described: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint or None,
        "retryable": error.retryable,
        "exit": error.exit,
    }
    if error.details:
        described["details"] = error.details
    return described


def decode_error(described: Any) -> P2PError:
    """The error of that code, of this release's class where it knows the code."""
    if not isinstance(described, dict):
        described = {}
    code = str(described.get("code", "internal"))
    kind = _by_code().get(code, errors.P2PError)
    details = described.get("details")
    error = kind(str(described.get("message", "")), hint=str(described.get("hint") or ""))
    error.details = details if isinstance(details, dict) else {}
    if kind is errors.P2PError:  # a newer node's code: passed through unchanged
        error.code = code
        error.exit = int(described.get("exit") or exits.FAILURE)
        error.retryable = described.get("retryable") is True
    return error


def _by_code() -> dict[str, type[P2PError]]:
    return {kind.code: kind for kind in errors.all_errors()}
