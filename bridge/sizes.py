"""Sizes and keys as an operator writes them."""

from __future__ import annotations

import base64
import re

from p2p_agents.errors import Usage

KEY_BYTES = 32

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"([0-9]{1,12})(?:([kmgt])(?:i?b)?)?", re.IGNORECASE | re.ASCII)


def parse_size(text: str, what: str) -> int:
    """`64M` or `64MiB` or `67108864`: bytes. Raises Usage."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise Usage(f"{what} is not a size: {text[:40]!r}", hint="write it as 67108864, 64M or 1G")
    return int(found[1]) * _UNITS[(found[2] or "").lower()]


def show_size(size: int) -> str:
    """Rounded, with its unit."""
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1_024:
            break
        number, unit = number / 1_024, larger
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def parse_key(text: str) -> bytes:
    """An account's key, base32 as `show_key` writes it. Raises Usage."""
    cleaned = text.strip().upper().rstrip("=")
    try:
        key = base64.b32decode(cleaned + "====") if re.fullmatch(r"[A-Z2-7]{52}", cleaned, re.ASCII) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES or show_key(key).upper() != cleaned:
        raise Usage(
            f"not an account: {text[:64]!r}", hint="52 letters and digits, as p2p-agents bridge status shows it"
        )
    return key


def show_key(key: bytes) -> str:
    return base64.b32encode(key).decode().rstrip("=").lower()
