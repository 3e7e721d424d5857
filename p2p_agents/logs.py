"""The format of log lines, for the node and the bridge: text from peers, the LAN or file names stays within its line
and is escaped, so that it can neither forge another line nor control the terminal that shows the log."""

from __future__ import annotations

import logging

from p2p_agents.output import escape

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
INDENT = "    "  # of what belongs to the line above: a line of its own begins with its time


class EscapingFormatter(logging.Formatter):
    """One record, one line; a traceback below it, indented. All of it printable."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """As the library does, which keeps a traceback it has written on the record: that of another formatter too."""
        lines = [escape(self._first_line(record))]
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        if record.stack_info:
            lines += self.formatStack(record.stack_info).split("\n")
        return f"\n{INDENT}".join((lines[0], *map(escape, lines[1:])))

    def _first_line(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record, self.datefmt)
        return self.formatMessage(record)
