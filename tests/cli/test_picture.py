"""The picture of a pairing code: what a camera reads, and what a small terminal shows."""

from __future__ import annotations

import io
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from p2p_agents import errors
from p2p_agents.cli import picture, scan

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "P2PA:P/" + "A" * 109  # one IPv4 address inside
WORDS = (
    "CORAL-FIDDLE-7Q2MX   for alice, until 14:10, once",
    "On the other side, type it when asked: p2p-agents pair --join",
)
LINK = "https://agents.example.org:4433/p/7Q2MX#CORAL-FIDDLE-" + "a" * 52
HALVES = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}


def modules(drawn: str) -> list[list[int]]:
    rows: list[list[int]] = []
    for line in drawn.split("\n"):
        cells = [HALVES[char] for char in line]
        rows += [[above for above, _ in cells], [below for _, below in cells]]
    return rows


def test_it_fits_a_terminal_of_80_by_24_with_its_words() -> None:
    lines = picture.draw(TEXT, colour=False).split("\n")
    assert len(lines) <= 24 - 3
    assert max(map(len, lines)) <= 80


def test_colour_and_plain_show_the_same_picture() -> None:
    """Dark modules on light ones, whatever the terminal's colours; without colour, light ones on a dark terminal."""
    coloured = picture.draw(TEXT, colour=True)
    assert all(line.startswith(picture.DARK_ON_LIGHT) and line.endswith(picture.PLAIN) for line in coloured.split("\n"))
    dark = modules(coloured.replace(picture.DARK_ON_LIGHT, "").replace(picture.PLAIN, ""))
    light = modules(picture.draw(TEXT, colour=False))
    assert dark == [[1 - cell for cell in row] for row in light]
    side = picture.BORDER
    assert dark[side][side : side + 7] == [1] * 7  # the corner a scanner looks for
    assert sum(dark[0]) == sum(dark[1]) == 0  # its quiet border


@pytest.mark.parametrize(("kind", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_a_file_is_its_owners_alone(tmp_path, kind: str, magic: bytes) -> None:
    path = tmp_path / f"code.{kind}"
    path.touch(0o644)
    picture.save(TEXT, str(path), kind)
    assert path.read_bytes().startswith(magic)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(errors.Usage):
        picture.save(TEXT, str(tmp_path / "none" / "x"), kind)


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def laid_out(
    monkeypatch: pytest.MonkeyPatch, columns: int, lines: int, text: str = TEXT, below: str = "", **values: str
) -> list[str]:
    for name, value in {"COLUMNS": str(columns), "LINES": str(lines), **values}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Screen())
    return picture.beside(text, WORDS, below, colour=False).split("\n")


def test_words_stand_under_the_picture_where_all_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = laid_out(monkeypatch, 80, 24)
    assert shown[:-2] == picture.draw(TEXT, colour=False).split("\n")
    assert (shown[-2:], len(shown)) == (list(WORDS), 23)


@pytest.mark.parametrize("text", [TEXT, "P2PA:P/" + "A" * 140])
def test_a_link_and_the_picture_fit_a_terminal_of_80_by_24(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Nothing scrolls out: words go beside the picture, and the link, which is copied, stays whole under it."""
    shown = laid_out(monkeypatch, 80, 24, text, LINK)
    assert shown[-1] == LINK
    assert len(shown) - 1 + -(-len(LINK) // 80) < 24
    assert all(len(line) <= 80 for line in shown[:-1])
    assert "CORAL-FIDDLE-7Q2MX" in shown[0]


def test_a_picture_with_words_at_its_side_is_read_from_a_capture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "screen.txt"
    path.write_text("\n".join(laid_out(monkeypatch, 80, 24, TEXT, LINK)))
    assert scan.read(str(path)) == TEXT


@pytest.mark.parametrize(("columns", "lines"), [(40, 24), (80, 12)])
def test_a_picture_that_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch, columns: int, lines: int) -> None:
    *words, said = laid_out(monkeypatch, columns, lines)
    assert words == list(WORDS)
    assert f"this window has {columns} and {lines}" in said
    assert "--png FILE" in said
