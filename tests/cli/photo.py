"""Photos of a code as a hand-held camera takes them, drawn from a seed: the same on every machine."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

from p2p_agents.cli.capture import BLOCKS

DESK = 96  # grey around the code


@dataclass(frozen=True, slots=True)
class Shot:
    """What goes wrong in a photo."""

    side: int = 900  # pixels of the whole photo
    tilt: float = 0.06  # corners move by up to this part of the side
    turn: float = 12.0  # degrees, either way
    blur: float = 1.2  # pixels
    noise: float = 0.12  # part of each pixel that is chance
    shade: float = 0.5  # light lost from one edge to the other
    quality: int = 55  # of the JPEG


def photo(code: Image.Image, seed: int, shot: Shot = Shot()) -> bytes:
    """A JPEG of the code on a desk."""
    chance = random.Random(seed)
    scene = Image.new("L", (shot.side, shot.side), DESK)
    size = round(shot.side * 0.62)
    card = code.convert("L").resize((size, size), Image.Resampling.BICUBIC)
    scene.paste(card, ((shot.side - size) // 2,) * 2)
    scene = scene.rotate(chance.uniform(-shot.turn, shot.turn), Image.Resampling.BICUBIC, fillcolor=DESK)
    scene = _tilted(scene, chance, shot.tilt)
    scene = ImageChops.multiply(scene, _light(scene.size, shot.shade, chance))
    scene = scene.filter(ImageFilter.GaussianBlur(shot.blur))
    grain = Image.frombytes("L", scene.size, chance.randbytes(scene.width * scene.height))
    taken = io.BytesIO()
    Image.blend(scene, grain, shot.noise).save(taken, "JPEG", quality=shot.quality)
    return taken.getvalue()


def _tilted(scene: Image.Image, chance: random.Random, tilt: float) -> Image.Image:
    """Seen from aside: each corner of the photo shows another point of the scene."""
    side = scene.width
    corners = [value for x, y in ((0, 0), (0, side), (side, side), (side, 0)) for value in (x, y)]
    quad = [value + chance.uniform(-tilt, tilt) * side for value in corners]
    return scene.transform(scene.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC, fillcolor=DESK)


def _light(size: tuple[int, int], shade: float, chance: random.Random) -> Image.Image:
    """Bright at one edge, dimmer towards the other."""
    ramp = Image.linear_gradient("L").point(lambda value: round(255 * (1 - shade * value / 255)))
    return ramp.rotate(chance.choice((0, 90, 180, 270))).resize(size, Image.Resampling.BICUBIC)


def terminal(
    drawn: str, *, cell: tuple[int, int] = (9, 18), gap: int = 0, ink: int = 229, paper: int = 30
) -> Image.Image:
    """A screenshot of characters without colour codes: each half block fills its half, `gap` pixels between lines."""
    lines = drawn.split("\n")
    width, height = cell
    shot = Image.new("L", (width * (max(map(len, lines)) + 4), (height + gap) * (len(lines) + 2)), paper)
    for row, line in enumerate(lines, 1):
        for column, char in enumerate(line, 2):
            for half, inked in enumerate(BLOCKS.get(char, (False, False))):
                if inked:
                    top = row * (height + gap) + half * (height // 2)
                    shot.paste(
                        ink,
                        (
                            column * width,
                            top,
                            (column + 1) * width,
                            top + height - height // 2 if half else top + height // 2,
                        ),
                    )
    return shot
