"""`socket` and `json` without the Python around their C halves: `re`, `enum`, `selectors` cost a hot command 10 ms.

If an interpreter has none, the modules themselves are used: the names below mean the same either way.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import AF_UNIX, SOCK_STREAM, socket
    from typing import Any
else:
    try:
        from _socket import AF_UNIX, SOCK_STREAM, socket
    except ImportError:
        from socket import AF_UNIX, SOCK_STREAM, socket

DEL, DEL_ESCAPED = "\x7f", "\\u007f"  # ASCII, but not printable; it can occur only inside JSON strings

__all__ = ["AF_UNIX", "SOCK_STREAM", "decode_json", "make_encoder", "socket"]


def make_encoder(item_separator: str, key_separator: str) -> Callable[[Any], str]:
    """A function that writes a value as JSON on one line of printable ASCII: U+0085, U+2028 and C1 controls, which JSON
    may hold and readers take for ends of lines or for commands, are escaped, and so is DEL. It raises ValueError or
    TypeError for values without a JSON form."""
    try:
        import _json

        string = _json.encode_basestring_ascii
        write = _json.make_encoder(None, _refuse, string, None, key_separator, item_separator, False, False, False)
    except (ImportError, AttributeError, TypeError):
        from json import JSONEncoder

        separators = (item_separator, key_separator)
        encode = JSONEncoder(separators=separators, allow_nan=False).encode
        return lambda value: encode(value).replace(DEL, DEL_ESCAPED)
    return lambda value: "".join(write(value, 0)).replace(DEL, DEL_ESCAPED)


def _make_decoder() -> Callable[[str], Any]:
    try:
        import _json

        scan = _json.make_scanner(_Context())  # type: ignore[arg-type]  # any object with these attributes
    except (ImportError, AttributeError, TypeError):
        from json import JSONDecoder

        return JSONDecoder(parse_constant=_refuse).decode

    def decode(text: str) -> Any:
        text = text.strip(" \t\r\n")
        try:
            value, end = scan(text, 0)
        except StopIteration:
            raise ValueError("no JSON") from None
        if end != len(text):
            raise ValueError(f"more than one JSON value, from character {end}")
        return value

    return decode


def _refuse(value: object) -> Any:
    """Neither NaN in, nor objects out."""
    raise ValueError(f"{type(value).__name__} is not JSON")


class _Context:
    """How the C scanner reads, as `json.JSONDecoder` sets it up."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse)


decode_json = _make_decoder()
