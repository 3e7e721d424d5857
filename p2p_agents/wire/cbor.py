"""Strict deterministic CBOR (RFC 8949): one value has one encoding, and anything else is refused.

Values are integers within ±(2^53-1), byte strings, text, booleans, null, arrays, and maps with text keys.
There are no floats, tags, indefinite lengths or duplicate keys. The field parsers make decoded values typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import cbor2

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import CBOR_BYTES, CBOR_DEPTH, CBOR_ITEMS, DATE_MS_MAX, INT_MAX

VERSION = 1  # the first element of every versioned array

_dumps = cbor2.dumps
_loads = cbor2.loads


def encode(value: Any) -> bytes:
    """Deterministic CBOR of `value`. With text keys, RFC 8949's map order and the older one are the same."""
    return _dumps(value, canonical=True)


def decode(data: bytes, *, limit: int = CBOR_BYTES, items: int = CBOR_ITEMS) -> Any:
    """The value whose one encoding is `data`, of at most `items` values. Raises Malformed for anything else."""
    if len(data) > limit:
        raise Malformed(f"there are {len(data)} bytes of CBOR; at most {limit} are allowed here")
    try:
        value = _loads(
            data,
            max_depth=CBOR_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
            semantic_decoders=_NO_TAGS,
        )
    except Exception as error:  # the decoder's errors are many, and every one of them means the same
        raise Malformed(f"the CBOR cannot be decoded: {type(error).__name__}") from None
    _check_values(value, items)
    if _dumps(value, canonical=True) != data:
        raise Malformed("the CBOR is not deterministic, or is followed by more bytes")
    return value


def array(value: Any, *lengths: int, what: str = "") -> list[Any]:
    """`value` as an array, of one of `lengths` when any are given. Raises Malformed."""
    if type(value) is not list:
        raise _wrong(what, "must be an array")
    if lengths and len(value) not in lengths:
        raise _wrong(what, f"has {len(value)} elements instead of {' or '.join(map(str, lengths))}")
    return value


def array_of(value: Any, at_most: int, what: str) -> list[Any]:
    """`value` as an array of at most `at_most` elements. Raises Malformed."""
    found = array(value, what=what)
    if len(found) > at_most:
        raise _wrong(what, f"has {len(found)} elements; at most {at_most} are allowed")
    return found


def uint(value: Any, *, at_most: int = INT_MAX, what: str = "") -> int:
    """`value` as an integer from 0 to `at_most`; a boolean is not one. Raises Malformed."""
    if type(value) is not int or not 0 <= value <= at_most:
        raise _wrong(what, f"must be an integer from 0 to {at_most}")
    return value


def date(value: Any, *, what: str = "") -> int:
    """`value` as milliseconds since 1970 that have a calendar date, to show to people. Raises Malformed."""
    return uint(value, at_most=DATE_MS_MAX, what=what)


def blob(value: Any, *, size: int | None = None, at_most: int | None = None, what: str = "") -> bytes:
    """`value` as bytes: exactly `size`, or at most `at_most`. Raises Malformed."""
    if type(value) is not bytes:
        raise _wrong(what, "must be a byte string")
    if size is not None and len(value) != size:
        raise _wrong(what, f"has {len(value)} bytes instead of {size}")
    if at_most is not None and len(value) > at_most:
        raise _wrong(what, f"has {len(value)} bytes; at most {at_most} are allowed")
    return value


def text(value: Any, *, at_most: int, what: str = "") -> str:
    """`value` as text of at most `at_most` characters, encodable as UTF-8. Raises Malformed."""
    if type(value) is not str:
        raise _wrong(what, "must be text")
    if len(value) > at_most:
        raise _wrong(what, f"has {len(value)} characters; at most {at_most} are allowed")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise _wrong(what, "holds half of a surrogate pair")
    return value


def flag(value: Any, what: str = "") -> bool:
    """`value` as a boolean; 0 and 1 are not. Raises Malformed."""
    if type(value) is not bool:
        raise _wrong(what, "must be true or false")
    return value


def version(value: Any, spoken: int = VERSION) -> None:
    """Raises UnknownVersion unless `value` is the integer that is spoken here."""
    if type(value) is not int or value != spoken:
        raise UnknownVersion


class _NoTags(Mapping[int, Any]):
    """A table of semantic decoders that finds, and refuses, every tag, so no built-in one is ever reached."""

    def __getitem__(self, tag: int) -> Any:
        return _refuse_tag

    def get(self, tag: int, default: Any = None) -> Any:
        return _refuse_tag

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _refuse_tag(*_: Any) -> NoReturn:
    raise Malformed("the CBOR holds a tag")


_NO_TAGS = _NoTags()
_PLAIN = frozenset({bytes, str, bool, type(None)})


def _check_values(value: Any, at_most: int) -> None:
    """Refuse what the decoder accepts and we do not: floats, simple values, large integers, other keys, many items."""
    pending: list[Any] = [(value,)]
    left = at_most
    while pending:
        items = pending.pop()
        left -= len(items)
        if left < 0:
            raise Malformed(f"the CBOR has more than {at_most} items")
        for item in items:
            kind = type(item)
            if kind in _PLAIN:
                continue
            if kind is int and -INT_MAX <= item <= INT_MAX:
                continue
            if kind is list:
                pending.append(item)
            elif kind is dict and all(type(key) is str for key in item):
                pending.append(item.values())
            else:
                raise Malformed(f"the CBOR holds a value that is not allowed here: {kind.__name__}")


def _wrong(what: str, why: str) -> Malformed:
    return Malformed(f"{what or 'a field'} {why}")
