"""Terminal captures become pixels again: colours, sequences, bounds."""

from __future__ import annotations

import pytest

from p2p_agents.cli import capture

BAR = "█▀▄ "
PICTURE = "\n".join(["█▀▄█"] * 10)


def only(text: str) -> list[list[int]]:
    (raster,) = capture.pictures(text)
    assert len(raster.pixels) == raster.width * raster.height
    return [list(raster.pixels[at : at + raster.width]) for at in range(0, len(raster.pixels), raster.width)]


def test_each_character_is_two_pixels_one_above_the_other() -> None:
    rows = only(PICTURE)
    assert rows == [[255, 255, 0, 255], [255, 0, 255, 255]] * 10


def test_blanks_that_were_cut_off_at_the_ends_of_lines_are_dark() -> None:
    rows = only("\n".join(["█", "██ █"] * 5))
    assert rows[0] == [255, 0, 0, 0]


@pytest.mark.parametrize(
    ("colours", "ink", "paper"),
    [
        ("38;5;16;48;5;231", 0, 255),
        ("38:5:16;48:5:231", 0, 255),
        ("38;2;0;0;0;48;2;255;255;255", 0, 255),
        ("38:2::10:10:10;48:2::250:250:250", 10, 250),
        ("30;107", 0, 255),
        ("97;40", 255, 0),
        ("7", 0, 255),
        ("7;27", 255, 0),
        ("30;47;0", 255, 0),
        ("30;47;39;49", 255, 0),
        ("38;5;244;48;5;20", 128, 24),
        ("38;5;300", 238, 0),
        ("38;9;38;2;1;38;5;", 255, 0),
        ("1;4;99999;xyz", 255, 0),
        ("", 255, 0),
    ],
)
def test_colours_are_followed(colours: str, ink: int, paper: int) -> None:
    rows = only("\n".join([f"\x1b[{colours}m▀\x1b[0m"] * 10))
    assert rows == [[ink], [paper]] * 10


def test_a_colour_lasts_until_another_one_and_blanks_have_its_ground() -> None:
    rows = only("\x1b[30;107m" + "\n".join([" ▀ "] * 10))
    assert rows == [[255, 0, 255], [255, 255, 255]] * 10


def test_what_else_a_terminal_is_told_draws_nothing() -> None:
    told = "\x1b]0;a title █\x07\x1b]8;;http://x\x1b\\\x1b(B\x1b[?2004l\x1b[K"
    assert only("\n".join([told + "█\x1b[2C█\r\x1b[Cx"] * 10))[0] == [255, 0, 0, 255]


def test_pictures_are_told_apart_by_lines_without_any() -> None:
    prompt = "\n$ p2p-agents pair\n"
    assert len(capture.pictures(PICTURE + prompt + PICTURE + "\r\n\r\n" + PICTURE)) == 3


def test_what_is_too_small_too_long_or_too_wide_is_no_picture() -> None:
    assert capture.pictures("\n".join(["█"] * 9)) == []
    assert capture.pictures("\n".join(["█"] * 201)) == []
    assert capture.pictures("no blocks at all") == []
    wide = capture.pictures("\n".join(["█" * 2000, "█\x1b[9999C█"] * 5))
    assert wide[0].width == capture.COLUMNS


def test_of_many_pictures_the_latest_are_kept() -> None:
    many = "\n\n".join([PICTURE] * 40 + [PICTURE.replace("▀", " ")])
    found = capture.pictures(many)
    assert len(found) == capture.PICTURES
    assert found[-1].pixels[1] == 0
