"""Codes read from pictures: our own, as cameras and terminals show them, and any other files."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import segno
from PIL import Image

from p2p_agents import errors, limits
from p2p_agents.cli import camera, picture, scan
from p2p_agents.cli.commands import pair
from p2p_agents.crypto import oob
from tests.cli.photo import Shot, photo, terminal

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = oob.show(oob.Invitation(bytes(range(32)), bytes(range(16)), (("192.0.2.7", 40_000),), 1_800_000_000_000))
OTHER = oob.show(oob.Invitation(bytes(range(32)), bytes(16), (("192.0.2.7", 40_000),), 1_800_000_000_000))
SWAPPED = str.maketrans("█▀▄ ", " ▄▀█")  # light ink for dark


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes | str], str]:
    """A file with that content."""

    def write(content: bytes | str) -> str:
        path = tmp_path / "picture"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def drawn(text: str = CODE, kind: str = "PNG", **options: object) -> bytes:
    """The code as a picture file."""
    saved = io.BytesIO()
    as_image(text).save(saved, kind, **options)
    return saved.getvalue()


def as_image(text: str = CODE, scale: int = 8) -> Image.Image:
    made = io.BytesIO()
    segno.make_qr(text, error="l").save(made, kind="png", scale=scale, border=4)
    return Image.open(made).convert("L")


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def side_by_side(*images: Image.Image) -> Image.Image:
    both = Image.new("L", (sum(it.width for it in images), max(it.height for it in images)), 255)
    left = 0
    for it in images:
        both.paste(it, (left, 0))
        left += it.width
    return both


# --- what is read ---


def test_it_looks_for_what_the_node_shows() -> None:
    assert scan.PREFIX == oob.PREFIX
    assert CODE.startswith(scan.PREFIX)


def test_our_own_picture_is_read(tmp_path: Path) -> None:
    path = tmp_path / "code.png"
    picture.save(CODE, str(path), "png")
    assert scan.read(str(path)) == CODE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_every_format_is_read(file, kind: str) -> None:
    assert scan.read(file(drawn(kind=kind))) == CODE


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_depth_is_read(file, mode: str) -> None:
    deep = as_image().convert("I").point(lambda value: value * 257)
    image = (deep if mode == "I;16" else as_image()).convert(mode)
    assert scan.read(file(saved(image))) == CODE


def test_dark_on_nothing_is_dark_on_white(file) -> None:
    clear = Image.merge("LA", (Image.new("L", as_image().size, 0), as_image().point(lambda value: 255 - value)))
    assert scan.read(file(saved(clear))) == CODE


@pytest.mark.parametrize("light", [(0, 255), (255, 0), (90, 140), (140, 90)])
def test_inverted_and_faint_codes_are_read(file, light: tuple[int, int]) -> None:
    dark, bright = light
    assert scan.read(file(saved(as_image().point(lambda value: bright if value else dark)))) == CODE


@pytest.mark.parametrize("scale", [1, 2, 3, 40])
def test_small_and_large_codes_are_read(file, scale: int) -> None:
    assert scan.read(file(saved(as_image(scale=scale)))) == CODE


SHOTS = {
    "hand-held": Shot(),
    "out of focus": Shot(blur=3.5, noise=0.2),
    "grainy": Shot(blur=2.5, noise=0.3),
    "half in shadow": Shot(shade=0.85, noise=0.25),
    "from far": Shot(side=300, noise=0.1),
    "from aside": Shot(tilt=0.1, turn=45.0),
    "upside down": Shot(turn=180.0),
    "large and bad": Shot(side=2400, blur=8.0, noise=0.5),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shot", SHOTS.values(), ids=list(SHOTS))
def test_a_photo_is_read(file, shot: Shot, seed: int) -> None:
    """Perspective, rotation, blur, noise, uneven light and JPEG together."""
    assert scan.read(file(photo(as_image(), seed, shot))) == CODE


def test_what_one_look_does_not_read_is_read_by_another(file) -> None:
    shot = terminal(picture.draw(CODE, colour=False), gap=3)
    assert scan.codes(shot) == set()
    assert scan.read(file(saved(shot))) == CODE


@pytest.mark.parametrize("cell", [(9, 18), (8, 17), (12, 22), (5, 10), (6, 15)])
@pytest.mark.parametrize("gap", [0, 1, 2, 3])
@pytest.mark.parametrize("look", ["dark", "light", "drawn light", "drawn dark"])
def test_a_screenshot_of_a_terminal_is_read(file, cell: tuple[int, int], gap: int, look: str) -> None:
    """Light ink on dark and dark on light, cells of any shape, lines that do not touch."""
    plain = picture.draw(CODE, colour=False)
    shot = {
        "dark": lambda: terminal(plain, cell=cell, gap=gap, ink=229, paper=30),
        "light": lambda: terminal(plain, cell=cell, gap=gap, ink=20, paper=250),
        "drawn light": lambda: terminal(plain.translate(SWAPPED), cell=cell, gap=gap, ink=0, paper=255),
        "drawn dark": lambda: terminal(plain.translate(SWAPPED), cell=cell, gap=gap, ink=255, paper=0),
    }[look]()
    assert scan.read(file(saved(shot))) == CODE


@pytest.mark.parametrize("colour", [True, False])
def test_text_copied_from_a_terminal_is_read(file, colour: bool) -> None:
    """With its colour codes and without, blanks at the ends of lines cut off, and what stands around it."""
    text = picture.draw(CODE, colour=colour)
    around = f"user@host:~$ p2p-agents pair\n{text}\nCORAL-FIDDLE-7Q2MX   for alice, until 14:10, once\n"
    assert scan.read(file(around)) == CODE
    assert scan.read(file("\n".join(line.rstrip() for line in around.splitlines()))) == CODE
    assert scan.read(file("\ufeff" + around.replace("\n", "\r\n"))) == CODE


def test_coloured_text_whose_colours_were_lost_is_read(file) -> None:
    """Dark modules are light characters then."""
    assert scan.read(file(picture.draw(CODE, colour=False).translate(SWAPPED))) == CODE


def test_whole_blocks_and_coloured_blanks_of_other_programs_are_read(file) -> None:
    rows = [list(row) for row in segno.make_qr(CODE, error="l").matrix_iter(border=2)]
    whole = "\n".join("".join("  " if module else "██" for module in row) for row in rows)
    blanks = "\n".join("".join(f"\x1b[{40 if module else 47}m  " for module in row) + "\x1b[0m" for row in rows)
    assert scan.read(file(whole)) == CODE
    assert scan.read(file(blanks)) == CODE


def test_lower_case_is_ours_too(file) -> None:
    assert scan.read(file(drawn(CODE.lower()))) == CODE


def test_a_code_of_ours_among_others_is_the_one(file) -> None:
    both = side_by_side(as_image("https://example.org/menu"), as_image())
    assert scan.read(file(saved(both))) == CODE
    assert scan.read(file(saved(side_by_side(as_image(), as_image())))) == CODE


# --- what is refused ---


def refusal(path: str) -> errors.P2PError:
    with pytest.raises(errors.P2PError) as refused:
        scan.read(path)
    assert refused.value.hint
    return refused.value


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, "a\0b"):
        assert refusal(str(path)).code == "image_unreadable"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x7fELF\0\0",
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"\0\0\0\x20ftypheic\0\0\0\0",
        bytes(1000),
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"BM is no picture",
        "P2PA:P/AAAA",
    ],
)
def test_what_is_no_picture(file, content: bytes | str) -> None:
    assert refusal(file(content)).code == "not_an_image"


def test_our_own_svg_is_named(tmp_path: Path) -> None:
    path = tmp_path / "code.svg"
    picture.save(CODE, str(path), "svg")
    assert "SVG" in refusal(str(path)).message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_that_ends_early_is_broken(file, kind: str) -> None:
    whole = drawn(kind=kind)
    for part in (12, len(whole) // 4):
        assert refusal(file(whole[:part])).code in ("image_broken", "no_code_found")
    assert refusal(file(whole[:12])).code == "image_broken"


def test_a_picture_whose_bytes_were_changed_is_refused_or_read(file) -> None:
    """Whatever decoders do with it, one of our errors or the code comes out."""
    chance, seen = random.Random(1), set()
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        whole = saved(as_image(scale=2), kind)
        for _ in range(20):
            damaged = bytearray(whole)
            for _ in range(chance.choice((1, 4, 40))):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                seen.add(scan.read(file(bytes(damaged))))
            except errors.P2PError as fault:
                seen.add(fault.code)
    assert {CODE, "image_broken"} <= seen
    assert seen <= {CODE, "image_broken", "image_too_large", "not_an_image", "no_code_found"}


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def claims(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG of that size by its header."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(6_001, 6_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_a_decompression_bomb_is_refused_by_its_header(file, monkeypatch: pytest.MonkeyPatch, size) -> None:
    """Before any pixel is decoded."""
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("a pixel was decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("a pixel was decoded"))
    refused = refusal(file(claims(*size)))
    assert (refused.code, "36 million pixels" in refused.message) == ("image_too_large", True)


def test_a_photo_may_be_larger_than_a_screenshot_and_not_by_much(file) -> None:
    """A JPEG is decoded at a fraction of its size."""
    for side, wanted in ((7_900, "no_code_found"), (8_100, "image_too_large")):
        assert refusal(file(saved(Image.new("L", (side, side)), "JPEG"))).code == wanted


def test_a_text_chunk_that_unpacks_to_much_is_refused(file) -> None:
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 * limits.MIB)))
    png = claims(10, 10, bytes(110))
    assert refusal(file(png[:33] + bomb + png[33:])).code in ("image_broken", "no_code_found")


def test_a_file_beyond_the_bound_is_read_no_further(file, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as sparse:
        sparse.truncate(limits.IMAGE_BYTES + 1)
    refused = refusal(str(large))
    assert (refused.code, "32 MiB" in refused.message) == ("image_too_large", True)
    assert refusal("/dev/zero").code == "image_too_large"
    assert refusal(file("█\n" * limits.CAPTURE_BYTES)).code == "image_too_large"


@pytest.mark.parametrize("seed", range(2))
def test_a_picture_without_a_code(file, seed: int) -> None:
    grain = Image.frombytes("L", (600, 400), random.Random(seed).randbytes(240_000))
    assert refusal(file(saved(grain, "JPEG"))).code == "no_code_found"
    assert refusal(file(saved(Image.new("L", (1, 1))))).code == "no_code_found"
    assert refusal(file(saved(Image.new("L", (60_000, 1))))).code == "no_code_found"


def test_text_without_a_code(file) -> None:
    assert refusal(file("\n".join(["█▀▄ "] * 30))).code == "no_code_found"
    assert refusal(file("progress ████ 40 %")).code == "no_code_found"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("https://example.org/", "(https:)"),
        ("otpauth://totp/x?secret=HUSH", "(otpauth:)"),
        ("WIFI:S:net;P:HUSH;;", "(wifi:)"),
        ("HUSH", "another kind"),
        ("\x1b[2J: HUSH", "another kind"),
    ],
)
def test_a_code_that_is_not_ours_is_told_by_its_kind_alone(file, text: str, kind: str) -> None:
    """What it says may be a secret, and may be meant for the terminal."""
    refused = refusal(file(drawn(text)))
    assert (refused.code, kind in refused.message) == ("foreign_code", True)
    assert "HUSH" not in refused.message
    assert refused.message.isprintable()


def test_two_different_codes(file) -> None:
    assert refusal(file(saved(side_by_side(as_image(), as_image(OTHER))))).code == "several_codes"


def test_two_codes_in_one_capture(file) -> None:
    both = "\n$ p2p-agents pair\n".join(picture.draw(code, colour=True) for code in (CODE, OTHER))
    assert refusal(file(both)).code == "several_codes"


# --- extras that are missing, cameras ---


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    monkeypatch.delitem(sys.modules, "p2p_agents.cli.scan")
    monkeypatch.delattr("p2p_agents.cli.scan")
    with pytest.raises(errors.ScanUnavailable) as refused:
        pair._look("picture.png")
    assert "pip install 'p2p-agents[scan]'" in refused.value.hint
    with pytest.raises(errors.CameraUnavailable):
        pair._look(None)


def test_commands_that_read_no_picture_load_no_decoder() -> None:
    program = (
        "import sys, p2p_agents.cli.commands.pair; print(*{'PIL', 'zxingcpp', 'cv2', 'segno'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=os.environ | {"PYTHONPATH": os.getcwd()}
    )
    assert done.stdout.split() == []


class Camera:
    """As OpenCV's: a device gives its pictures one by one, then none."""

    def __init__(self, *pictures: Image.Image | None) -> None:
        self.pictures = list(pictures)
        self.released = False

    def isOpened(self) -> bool:
        return bool(self.pictures)

    def read(self) -> tuple[bool, Image.Image | None]:
        taken = self.pictures.pop(0) if self.pictures else None
        return taken is not None, taken

    def release(self) -> None:
        self.released = True


def connect(monkeypatch: pytest.MonkeyPatch, *cameras: Camera) -> None:
    def open_(number: int) -> Camera:
        return cameras[number] if number < len(cameras) else Camera()

    library = SimpleNamespace(VideoCapture=open_, cvtColor=lambda frame, _: frame, COLOR_BGR2GRAY=6)
    monkeypatch.setitem(sys.modules, "cv2", library)


def test_a_code_held_before_the_camera_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first device gives nothing; another code passes by; a frame is lost."""
    blank, poster = Image.new("L", (320, 240), 90), as_image("https://example.org/")
    seeing = Camera(blank, blank, poster, None, as_image())
    connect(monkeypatch, Camera(), seeing)
    told: list[str] = []
    assert camera.read(lambda: told.append("hold it there")) == CODE
    assert (told, seeing.released) == (["hold it there"], True)


def test_no_camera_a_camera_that_goes_and_none_that_sees_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    connect(monkeypatch)
    with pytest.raises(errors.NoCamera):
        camera.read(lambda: None)
    blank = Image.new("L", (32, 24), 90)
    connect(monkeypatch, Camera(blank, blank))
    with pytest.raises(errors.NoCamera):
        camera.read(lambda: None)
    monkeypatch.setattr(limits, "CAMERA_S", 0.05)
    for frame, error in ((blank, errors.NoCodeFound), (as_image("https://example.org/"), errors.ForeignCode)):
        connect(monkeypatch, Camera(*[frame] * 100_000))
        with pytest.raises(error):
            camera.read(lambda: None)


def test_a_camera_of_others_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(Path, "glob", lambda *_: iter((device,)))
    monkeypatch.setattr(os, "access", lambda *_: False)
    connect(monkeypatch)
    with pytest.raises(errors.NoCamera) as refused:
        camera.read(lambda: None)
    assert "video0" in refused.value.message


def test_without_opencv_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(errors.CameraUnavailable) as refused:
        camera.read(lambda: None)
    assert "p2p-agents[camera]" in refused.value.hint
