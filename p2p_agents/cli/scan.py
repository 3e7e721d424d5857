"""A pairing code out of a file: a photo, a screenshot, or a terminal capture. Needs the extra `scan`.

Every byte of the file is hostile: its size is checked before it is decoded, and only five formats are tried.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING

import zxingcpp
from PIL import Image, ImageChops, ImageFilter, ImageOps

from p2p_agents import errors, limits
from p2p_agents.cli import capture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX = "P2PA:P/"  # of a scanned pairing code
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
SIGNATURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP|GIF8|BM....\0\0\0\0", re.DOTALL)
SIDE = 4_000  # pixels: larger pictures are looked at scaled down
REDUCED = (2_000, 1_200, 700)  # for a code that fills a large photo: noise is averaged away
SMALL = 1_500  # what is smaller is enlarged, and may be a screenshot
ENLARGED = (2, 3)
CALM = 1.5  # pixels of blur that take grain away
WINDOW = 12  # the neighbourhood of a local threshold is a picture's width over this
GAP = 5  # pixels between two lines of a terminal that are mended
MARGIN = 4  # modules of quiet around a capture, as ISO 18004 asks
GROUNDS = (capture.DARK, capture.LIGHT)  # and what colour it may have
MODULE = 4  # pixels for each of a terminal capture's
OTHERS = {
    b"ftypheic": "a HEIC picture",
    b"ftypmif1": "a HEIC picture",
    b"ftypavif": "an AVIF picture",
    b"<svg": "an SVG picture",
    b"%PDF": "a PDF document",
}


def read(path: str) -> str:
    """The text of the one pairing code in a file. Raises an error of errors/scan.py."""
    data = _load(path)
    if SIGNATURE.match(data):
        return choose(map(codes, _views(_open(data))))
    drawn = _captured(data)
    return choose({text for it in drawn for text in codes(_bordered(it, ground))} for ground in GROUNDS)


def choose(found: Iterable[set[str]]) -> str:
    """The one pairing code among the texts of several passes. Raises SeveralCodes, ForeignCode or NoCodeFound."""
    foreign: set[str] = set()
    for texts in found:
        ours = {text.upper() for text in texts if text.upper().startswith(PREFIX)}
        if len(ours) > 1:
            raise errors.SeveralCodes(f"the picture holds {len(ours)} different pairing codes")
        if ours:
            return ours.pop()
        foreign |= texts
    if foreign:
        raise errors.ForeignCode(f"the picture shows {_described(min(foreign))}, and no pairing code")
    raise errors.NoCodeFound


def _described(text: str) -> str:
    """A foreign code by its kind only: its text may be a secret."""
    scheme, colon, _ = text.partition(":")
    known = colon and scheme.isascii() and scheme.isalnum() and len(scheme) <= 12
    return f"a code of another kind ({scheme.lower()}:)" if known else "a code of another kind"


def codes(view: object) -> set[str]:
    """The texts of the codes in one view: an image, or a buffer of luminance with two dimensions."""
    formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    return {code.text for code in zxingcpp.read_barcodes(view, formats=formats) if code.valid}


# --- files ---


def _load(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(limits.IMAGE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise errors.ImageUnreadable(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > limits.IMAGE_BYTES:
        raise errors.ImageTooLarge(f"the file is larger than {limits.IMAGE_BYTES // limits.MIB} MiB")
    return data


def _open(data: bytes) -> Image.Image:
    """The picture in grey. Its size is checked by its header, before a pixel is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes that are bounded here
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_size(picture)
                picture.draft("L", (SIDE, SIDE))  # a JPEG can be decoded at a fraction of its size
                return _grey(picture)
    except errors.P2PError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many(limits.IMAGE_PIXELS) from error
    except Exception as error:  # decoders fail on hostile bytes in many ways
        raise errors.ImageBroken(f"the picture cannot be decoded: {type(error).__name__}") from error


def _check_size(picture: Image.Image) -> None:
    most = limits.PHOTO_PIXELS if picture.format == "JPEG" else limits.IMAGE_PIXELS
    if picture.width * picture.height > most:
        raise _too_many(most)


def _too_many(most: int) -> errors.ImageTooLarge:
    return errors.ImageTooLarge(f"the picture has more than {most // 10**6} million pixels")


def _grey(picture: Image.Image) -> Image.Image:
    """The first frame, no larger than SIDE; what is transparent becomes white. Few copies are made at full size."""
    if picture.mode.startswith("I"):  # 16 bits a pixel
        picture = picture.point(lambda value: value / 256, "L")
    elif picture.has_transparency_data:
        layers = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        layers.thumbnail((SIDE, SIDE))
        picture = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
    grey = picture.convert("L")
    grey.thumbnail((SIDE, SIDE))
    return grey


def _captured(data: bytes) -> list[capture.Raster]:
    """The pictures drawn in a text. Raises NotAnImage."""
    for mark, name in OTHERS.items():
        if mark in data[:1024]:
            raise errors.NotAnImage(f"{name} pictures cannot be read here")
    if b"\0" in data:
        raise errors.NotAnImage
    if len(data) > limits.CAPTURE_BYTES:
        raise errors.ImageTooLarge(f"the terminal capture is larger than {limits.CAPTURE_BYTES // limits.MIB} MiB")
    text = data.decode("utf-8-sig", errors="replace")
    if not capture.holds_blocks(text):
        raise errors.NotAnImage
    return capture.pictures(text)


# --- views of one picture, the likeliest first ---


def _views(grey: Image.Image) -> Iterator[Image.Image]:
    yield grey
    longest = max(grey.size)
    smaller = [_scaled(grey, side / longest) for side in REDUCED if side < longest]
    larger = [_scaled(grey, by) for by in ENLARGED] if longest < SMALL else []
    yield from (*smaller, *larger)
    for view in (*smaller, *larger) if smaller else (grey, *larger):
        calm = view.filter(ImageFilter.GaussianBlur(CALM))
        yield calm
        yield from _binarised(view)
        yield from _binarised(calm)
    for view in (grey, *smaller, *larger):
        if max(view.size) < SMALL:
            yield from _mended(view)


def _binarised(view: Image.Image) -> Iterator[Image.Image]:
    """Black and white: against each pixel's neighbourhood, for uneven light; against one level, for faint print."""
    around = view.filter(ImageFilter.BoxBlur(max(view.size) // WINDOW))
    yield ImageChops.subtract(view, around, 1, 128).point(lambda value: 255 if value > 125 else 0)
    yield ImageOps.autocontrast(view, cutoff=5).point(lambda value: 255 if value > 127 else 0)


def _mended(view: Image.Image) -> Iterator[Image.Image]:
    """Without thin dark lines, then without thin light ones: terminals leave some between their lines."""
    wider, narrower = ImageFilter.MaxFilter(GAP), ImageFilter.MinFilter(GAP)
    yield view.filter(wider).filter(narrower)
    yield view.filter(narrower).filter(wider)


def _scaled(view: Image.Image, by: float) -> Image.Image:
    size = max(1, round(view.width * by)), max(1, round(view.height * by))
    return view.resize(size, Image.Resampling.BICUBIC if by > 1 else Image.Resampling.BOX)


def _bordered(raster: capture.Raster, ground: int) -> Image.Image:
    """A capture with its quiet border."""
    drawn = Image.frombytes("L", (raster.width, raster.height), raster.pixels)
    bordered = ImageOps.expand(drawn, MARGIN, ground)
    return bordered.resize((bordered.width * MODULE, bordered.height * MODULE), Image.Resampling.NEAREST)
