"""The errors of finding messages and places in the log. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import LocalFault


class MessageUnknown(LocalFault):
    """No message of this agent has that id."""

    code = "message_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents history NAME"


class CursorUnknown(LocalFault):
    """The cursor is not from this store: the store was replaced or rolled back, or the cursor is garbled."""

    code = "cursor_unknown"
    exit = exits.NOT_FOUND
    hint = "start again from cursor 0"


class ReaderUnknown(LocalFault):
    """No reader of that name has read anything yet."""

    code = "reader_unknown"
    exit = exits.NOT_FOUND
    hint = "check its name; a new one needs --new-reader"
