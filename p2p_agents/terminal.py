"""Text for terminals: peers' text escaped, lines broken between words, columns, colours.

Standard library only, and little of it: a hot command imports this.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Printable by category, yet drawn as nothing: fillers, joiners, variation selectors other than FE0F.
INVISIBLE = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE0F),
        ),
    )
)
SELECTORS = ("\U000e0100", "\U000e01ef")  # supplementary variation selectors, another hiding place
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def escape(text: str) -> str:
    """One line: whatever is not plainly visible appears as \\xNN, \\uNNNN or \\UNNNNNNNN."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_visible(char) else _spell(char) for char in text)


def block(text: str, indent: str = "  ") -> str:
    """Several lines, each escaped and indented, so that none can pose as a line of ours."""
    lines = text.replace("\r\n", "\n").expandtabs(4).split("\n")
    return "\n".join(fold(indent + escape(line), indent) for line in lines)


def fold(line: str, indent: str = "", descriptor: int = 1) -> str:
    """A line that is too long for the terminal, broken between words, the rest indented. Elsewhere it is unchanged."""
    columns = _columns(descriptor)
    if not columns or width(line) <= columns:
        return line
    words = iter(line.split(" "))
    lines = [next(words)]
    for word in words:
        if lines[-1].strip() and width(lines[-1]) + 1 + width(word) > columns:
            lines.append(indent + word)
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def style(text: str, *names: str) -> str:
    """Coloured where stdout is a terminal and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or not on_terminal():
        return text
    return f"\x1b[{';'.join(STYLES[name] for name in names)}m{text}\x1b[0m"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; cells are escaped."""
    cells = [list(head), *([escape(cell) for cell in row] for row in rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([style(lines[0], "dim"), *lines[1:]])


# --- characters -------------------------------------------------------------------------------------------


def _is_visible(char: str) -> bool:
    return char.isprintable() and char not in INVISIBLE and not SELECTORS[0] <= char <= SELECTORS[1]


def _spell(char: str) -> str:
    number = ord(char)
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\u{number:04x}" if number > 0xFF else f"\\x{number:02x}"


def _columns(descriptor: int) -> int:
    """The columns of the terminal; 0 if there is none, or it does not say."""
    if not os.isatty(descriptor):
        return 0
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(descriptor).columns)
    except (ValueError, OSError):
        return 0


def width(text: str) -> int:
    """Terminal columns."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
