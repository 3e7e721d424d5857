"""Pairing codes: WORD-WORD-XXXXX, as they are shown and typed.

The two words are the secret, drawn from words.py. XXXXX is the place to meet: public, 25 bits, and independent of the
words, so seeing it reveals nothing of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from p2p_agents.crypto import pake
from p2p_agents.crypto.words import WORDS
from p2p_agents.errors import BadCode

if TYPE_CHECKING:
    from p2p_agents.crypto.entropy import Entropy
    from p2p_agents.crypto.pake import Run, Side

PLACE_CHARS = 5

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32: no I, L, O, U
_MISREAD = str.maketrans("OIL", "011")
_PLACE_RE = re.compile(f"[{_ALPHABET}]{{{PLACE_CHARS}}}")
_SEPARATORS = re.compile(r"[\s\-_.,\u2010-\u2015]+")
_TYPED_CHARS = 64  # a code has at most 19 characters; a longer text is something else
_DRAW_BYTES = 8  # for an index below 2^11: the bias is under 2^-53
_NEAREST = 3
_FAR = 3  # with more slips of the finger than this, it is another word


@dataclass(frozen=True, slots=True)
class Code:
    """A pairing code. Building one of other words, or an impossible place, raises BadCode."""

    first: str = field(repr=False)
    second: str = field(repr=False)
    place: str

    def __post_init__(self) -> None:
        for word in (self.first, self.second):
            if word not in _known():
                raise _unknown(word)
        check_place(self.place)

    @property
    def secret(self) -> bytes:
        """The secret that CPace is given: never shown, stored or sent."""
        return f"{self.first}-{self.second}".upper().encode()

    @property
    def agent(self) -> None:
        """A typed code names nobody."""

    def begin(self, side: Side, *, ci: bytes, sid: bytes, ad: bytes, entropy: Entropy) -> Run:
        """A side of one run of CPace over the words."""
        return pake.begin(side, prs=self.secret, ci=ci, sid=sid, ad=ad, scalar=entropy.draw(pake.SCALAR_BYTES))

    def shown(self) -> str:
        """The code for a screen, upper case."""
        return f"{self.first}-{self.second}-{self.place}".upper()


def draw(entropy: Entropy) -> Code:
    """A fresh code: 21.9 bits of words, 25 bits of place."""
    first, second = (WORDS[_number(entropy) % len(WORDS)] for _ in range(2))
    bits = _number(entropy)
    return Code(first, second, "".join(_ALPHABET[bits >> 5 * i & 31] for i in range(PLACE_CHARS)))


def parse(typed: str) -> Code:
    """The code that somebody typed: any case, spaces or dashes, O for 0, I or L for 1. Raises BadCode.

    A word that is not on the list is noticed here, and costs no try; the error's `nearest` holds the likely words.
    """
    if len(typed) > _TYPED_CHARS:
        raise BadCode
    first, second, *rest = [*filter(None, _SEPARATORS.split(typed)), "", ""]
    return Code(first.lower(), second.lower(), "".join(rest).upper().translate(_MISREAD))


def check_place(place: str) -> str:
    """The place, if it is one. Raises BadCode."""
    if not _PLACE_RE.fullmatch(place):
        raise BadCode(f"a code ends with {PLACE_CHARS} letters and digits, and has no U among them")
    return place


def nearest(word: str) -> tuple[str, ...]:
    """Up to three words of the list that `word` may stand for, the likeliest first."""
    near = sorted((slips(word, known), known) for known in WORDS if abs(len(known) - len(word)) < _FAR)
    return tuple(known for count, known in near[:_NEAREST] if count < _FAR)


def slips(a: str, b: str) -> int:
    """Damerau-Levenshtein distance: insertions, deletions, substitutions, swaps of neighbours."""
    before, above = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, x in enumerate(a):
        row = [i + 1]
        for j, y in enumerate(b):
            row.append(min(above[j + 1] + 1, row[j] + 1, above[j] + (x != y)))
            if i and j and x == b[j - 1] and a[i - 1] == y:
                row[-1] = min(row[-1], before[j - 1] + 1)
        before, above = above, row
    return above[-1]


@cache
def _known() -> frozenset[str]:
    return frozenset(WORDS)


def _number(entropy: Entropy) -> int:
    return int.from_bytes(entropy.draw(_DRAW_BYTES), "big")


def _unknown(word: str) -> BadCode:
    """It names the typed word: as it is not on the list, it is no part of a secret."""
    if not word.isascii() or not word.isalpha():
        return BadCode(nearest=())
    near = nearest(word)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return BadCode(f"{word!r} is not a word of pairing codes{meant}", nearest=near)
