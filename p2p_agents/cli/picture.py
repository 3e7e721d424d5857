"""Pairing codes as QR pictures: in a terminal of 80 by 24, and as files."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING

import segno

from p2p_agents import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

BORDER = 2  # light modules around it: scanners want some, a small terminal has few
FILE_BORDER = 4  # as ISO 18004 asks
FILE_SCALE = 8  # pixels a module
DARK_ON_LIGHT = "\x1b[38;5;16;48;5;231m"  # whatever the terminal's own colours are
PLAIN = "\x1b[0m"
HALVES = {(1, 1): "█", (1, 0): "▀", (0, 1): "▄", (0, 0): " "}


def draw(text: str, *, colour: bool) -> str:
    """Two modules a character. Without colour the light modules are drawn, for a dark terminal."""
    rows = [[int(bool(module)) for module in row] for row in _code(text).matrix_iter(border=BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(_line(upper, lower, colour=colour) for upper, lower in pairs)


def fits(text: str) -> bool:
    """Whether stderr can show it."""
    width = _code(text).symbol_size(border=BORDER)[0]
    encoding = (sys.stderr.encoding or "").lower().replace("-", "")
    return encoding == "utf8" and shutil.get_terminal_size().columns >= width


def save(text: str, path: str, kind: str) -> None:
    """Write an `svg` or `png` that only its owner reads: it holds the secret. Raises Usage."""
    drawn = io.BytesIO()
    _code(text).save(drawn, kind=kind, scale=FILE_SCALE, border=FILE_BORDER)
    try:
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # a file that was there keeps its mode otherwise
            file.write(drawn.getvalue())
    except OSError as error:
        raise errors.Usage(f"cannot write {path}: {error.strerror}") from error


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="l", boost_error=False)


def _line(upper: Sequence[int], lower: Sequence[int], *, colour: bool) -> str:
    if colour:
        halves = "".join(HALVES[above, below] for above, below in zip(upper, lower, strict=True))
        return f"{DARK_ON_LIGHT}{halves}{PLAIN}"
    return "".join(HALVES[1 - above, 1 - below] for above, below in zip(upper, lower, strict=True))
