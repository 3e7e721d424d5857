"""The bridge as a process: its log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bridge import daemon

if TYPE_CHECKING:
    import pytest


def test_its_log_tells_what_clients_said_in_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        daemon._log(addresses=False)
        logging.getLogger("bridge").warning("%s said %s", "192.0.2.7", "hello\n2026-11-21 INFO bridge: well\x1b[2J")
    finally:
        root.handlers[:], root.level = before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("bridge: (an address) said hello\\x0a2026-11-21 INFO bridge: well\\x1b[2J")
