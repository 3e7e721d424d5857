"""The picture of a pairing code: what a camera reads, and what a small terminal shows."""

from __future__ import annotations

import stat

import pytest

from p2p_agents import errors
from p2p_agents.cli import picture

TEXT = "P2PA:P/" + "A" * 109  # one IPv4 address inside
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
