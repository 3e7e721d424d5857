"""A line at a terminal that says what the command waits for, and for how long already."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_S = 1.0  # a wait shorter than this needs no line
CLEAR = "\r\x1b[K"


@contextmanager
def shown(what: str) -> Iterator[None]:
    """Show it while the block runs; nothing if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    teller = threading.Thread(target=_tell, args=(what, ended), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _tell(what: str, ended: threading.Event) -> None:
    began, told = time.monotonic(), False
    while not ended.wait(STEP_S):
        _write(f"{CLEAR}{what} {time.monotonic() - began:.0f} s")
        told = True
    if told:
        _write(CLEAR)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
