"""Terminal captures: turns a code drawn with block characters, copied as text or recorded, back into pixels.

Colours are used if the capture has them. Without any, characters are light on dark; scanners read both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS = {"█": (True, True), "▀": (True, False), "▄": (False, True)}  # whether the upper and lower half are inked
LIGHT, DARK = 255, 0
COLUMNS = 512  # the widest line that is read
LEAST_LINES, MOST_LINES = 10, 200  # the smallest code in half blocks, the largest in whole ones
PICTURES = 16  # of one capture: the latest ones
BASIC = (0, 61, 120, 182, 27, 88, 144, 229, 127, 76, 150, 226, 112, 105, 179, 255)  # xterm's 16 colours, as luminance
CUBE = (0, 95, 135, 175, 215, 255)

_TOKEN = re.compile(
    r"\x1b\[(?P<params>[0-?]*)[ -/]*(?P<final>[@-~])"  # ECMA-48 control sequences
    r"|\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # strings: titles, links
    r"|\x1b[ -/]*[0-~]"
    r"|(?P<char>.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Raster:
    """Luminance, a byte a pixel, row by row; a pixel is a module or half of one."""

    width: int
    height: int
    pixels: bytes


@dataclass(slots=True)
class _Pen:
    """The colours that characters are drawn in, as luminance."""

    ink: int = LIGHT
    paper: int = DARK
    reverse: bool = False

    def colours(self) -> tuple[int, int]:
        return (self.paper, self.ink) if self.reverse else (self.ink, self.paper)

    def obey(self, params: str) -> None:
        """Select Graphic Rendition."""
        codes = iter(params.split(";"))
        for code in codes:
            match _number(code.partition(":")[0]):
                case 0:
                    self.ink, self.paper, self.reverse = LIGHT, DARK, False
                case 7 | 27 as number:
                    self.reverse = number == 7
                case 38:
                    self.ink = _extended(code, codes, self.ink)
                case 48:
                    self.paper = _extended(code, codes, self.paper)
                case 39:
                    self.ink = LIGHT
                case 49:
                    self.paper = DARK
                case number if 30 <= number <= 37 or 90 <= number <= 97:
                    self.ink = BASIC[number % 10 + (8 if number >= 90 else 0)]
                case number if 40 <= number <= 47 or 100 <= number <= 107:
                    self.paper = BASIC[number % 10 + (8 if number >= 100 else 0)]


@dataclass(slots=True)
class _Screen:
    """Lines as they were drawn: the luminance of the halves of every cell, by column."""

    pen: _Pen = field(default_factory=_Pen)
    column: int = 0
    cells: dict[int, tuple[int, int]] = field(default_factory=dict)

    def draw(self, char: str) -> None:
        ink, paper = self.pen.colours()
        halves = BLOCKS.get(char)
        if self.column < COLUMNS:
            if halves is not None:
                self.cells[self.column] = (ink if halves[0] else paper, ink if halves[1] else paper)
            elif paper != DARK:
                self.cells[self.column] = (paper, paper)
            else:
                self.cells.pop(self.column, None)
        self.column += 1

    def control(self, final: str, params: str) -> None:
        if final == "m":
            self.pen.obey(params)
        elif final == "C":  # forward: some programs skip blanks
            self.column += max(1, _number(params))

    def line(self) -> dict[int, tuple[int, int]]:
        """End the line and return what it held."""
        drawn, self.cells, self.column = self.cells, {}, 0
        return drawn


def holds_blocks(text: str) -> bool:
    """Whether something may be drawn in it."""
    return any(block in text for block in BLOCKS) or "\x1b[" in text


def pictures(text: str) -> list[Raster]:
    """The pictures drawn in adjacent lines, the latest last."""
    found: list[Raster] = []
    run: list[dict[int, tuple[int, int]]] = []
    for line in (*_lines(text), {}):
        if line:
            run.append(line)
            continue
        if LEAST_LINES <= len(run) <= MOST_LINES:
            found.append(_raster(run))
        run = []
    return found[-PICTURES:]


def _lines(text: str) -> Iterator[dict[int, tuple[int, int]]]:
    screen = _Screen()
    for token in _TOKEN.finditer(text):
        char, final = token["char"], token["final"]
        if char == "\n":
            yield screen.line()
        elif char == "\r":
            screen.column = 0
        elif char is not None and char.isprintable():
            screen.draw(char)
        elif final is not None:
            screen.control(final, token["params"])
    yield screen.line()


def _raster(lines: list[dict[int, tuple[int, int]]]) -> Raster:
    left = min(min(line) for line in lines)
    right = max(max(line) for line in lines)
    blank = (DARK, DARK)
    rows = [
        bytes(line.get(column, blank)[half] for column in range(left, right + 1)) for line in lines for half in (0, 1)
    ]
    return Raster(right - left + 1, len(rows), b"".join(rows))


def _extended(code: str, following: Iterator[str], otherwise: int) -> int:
    """The luminance of an indexed or direct colour, written with semicolons or colons (ITU T.416)."""
    parts = code.split(":")[1:] or [next(following, "")]
    kind = _number(parts[0])
    wanted = {5: 1, 2: 3}.get(kind, 0)
    values = parts[1:] if len(parts) > 1 else [next(following, "") for _ in range(wanted)]
    numbers = [min(_number(value), 255) for value in values[-wanted:]] if wanted else []
    if len(numbers) < wanted or not wanted:
        return otherwise
    return _indexed(numbers[0]) if kind == 5 else _luminance(*numbers)


def _indexed(number: int) -> int:
    if number < 16:
        return BASIC[number]
    if number >= 232:
        return 8 + 10 * (number - 232)
    number -= 16
    return _luminance(CUBE[number // 36], CUBE[number // 6 % 6], CUBE[number % 6])


def _luminance(red: int, green: int, blue: int) -> int:
    return (299 * red + 587 * green + 114 * blue) // 1000


def _number(text: str) -> int:
    """A parameter's value; 0 if it is missing or too long."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
