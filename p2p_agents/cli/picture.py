"""Pairing codes as QR codes: in a terminal of 80 by 24, and as files."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

import segno

from p2p_agents import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

BORDER = 2  # light modules around it: scanners want some, a small terminal has few
GAP = 2  # columns between the picture and words at its right
LEAST_BESIDE = 30  # columns in which words can be read there
FILE_LINES = 1_000
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


def beside(text: str, lines: Sequence[str], below: str, *, colour: bool) -> str:
    """The picture with its words, all of it on one screen of stderr: words under the picture, else at its right, and
    `below` still under it. Where there is no room it is left out, and that is said."""
    columns, height = _screen()
    side = int(_code(text).symbol_size(border=BORDER)[0])
    rows = (side + 1) // 2
    under = [*lines, *filter(None, [below])]
    room = columns - side - GAP
    right = [part for line in lines for part in textwrap.wrap(line, max(room, 1))]
    needed = rows + _height(under, columns), max(rows, len(right)) + _height(under[len(lines) :], columns)
    if not _is_utf8():
        return "\n".join([*under, "The picture is left out: this terminal does not show UTF-8. Save it: --png FILE"])
    if side <= columns and needed[0] < height:
        return "\n".join([draw(text, colour=colour), *under])
    if room >= LEAST_BESIDE and needed[1] < height:
        drawn = draw(text, colour=colour).split("\n")
        joined = [f"{row}{' ' * GAP}{words}".rstrip() for row, words in zip_longest(drawn, right, fillvalue="")]
        return "\n".join([*joined, *under[len(lines) :]])
    why = f"it takes {side} columns and {needed[0] + 1} lines, and this window has {columns} and {height}"
    return "\n".join([*under, f"The picture is left out: {why}. Enlarge it, or save the picture: --png FILE"])


def _screen() -> tuple[int, int]:
    """Columns and lines of what stderr shows; a file has room for all of it."""
    size = shutil.get_terminal_size()  # $COLUMNS and $LINES first
    if not sys.stderr.isatty():
        return size.columns, FILE_LINES
    try:
        found = os.get_terminal_size(sys.stderr.fileno())
    except OSError:
        return size
    columns = size.columns if os.environ.get("COLUMNS") or not found.columns else found.columns
    return columns, size.lines if os.environ.get("LINES") or not found.lines else found.lines


def _is_utf8() -> bool:
    return (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"


def _height(lines: Sequence[str], columns: int) -> int:
    """Rows that these lines take, each broken at the edge."""
    return sum(max(1, -(-len(line) // columns)) for line in lines)


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
