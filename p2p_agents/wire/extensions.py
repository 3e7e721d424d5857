"""The map that NODE, HELLO, SYNC and GREETING end in: a later release adds keys to it, and this one ignores them.

Two keys are known. HELLO and SYNC, which are signed, announce by them which optional features and which suites of
cryptography their sender understands; in the others, which are not signed, nobody announces anything. Keys are text:
so are those of every other map on the wire, and for them there is one order alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from operator import methodcaller
from typing import Annotated, Any

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import EXTENSION_BYTES, EXTENSION_DEPTH, EXTENSION_KEYS, FEATURES, SUITES
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.kinds import Custom, ListOf, Uint

SUITE = 1  # sections 1 and 5 of docs/protocol.md: there is no other yet

_TOKEN = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Extensions:
    """`suites` empty: nothing is said of them, which means the first one."""

    features: tuple[str, ...] = ()
    suites: tuple[int, ...] = ()

    def pack(self) -> dict[str, object]:
        if not (self.features or self.suites):
            return {}
        said = {"features": list(self.features), "suites": list(self.suites)}
        return {key: value for key, value in said.items() if value}


NOTHING = Extensions()
SPOKEN = Extensions(suites=(SUITE,))  # what this release announces


def agree(said: Extensions) -> None:
    """Raises UnknownVersion unless the peer speaks the suite that is spoken here."""
    if said.suites and SUITE not in said.suites:
        raise UnknownVersion("the peer speaks none of the suites that are spoken here")


def _read(value: Any) -> Extensions:
    if type(value) is not dict:
        raise Malformed("extensions must be a map")
    if not value:
        return NOTHING
    if len(value) > EXTENSION_KEYS or not all(map(_TOKEN.fullmatch, value)):
        raise Malformed(f"extensions must have at most {EXTENSION_KEYS} keys of up to 32 letters, digits and dashes")
    if _is_deeper(value, EXTENSION_DEPTH) or len(encode(value)) > EXTENSION_BYTES:
        raise Malformed(f"extensions must have at most {EXTENSION_BYTES} bytes and {EXTENSION_DEPTH} nested containers")
    return Extensions(_features(value.get("features", [])), _suites(value.get("suites", [])))


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether more than so many containers lie in each other."""
    inner = value.values() if type(value) is dict else value if type(value) is list else None
    return inner is not None and (depth == 0 or any(_is_deeper(each, depth - 1) for each in inner))


def _token(value: Any) -> str:
    if type(value) is not str or _TOKEN.fullmatch(value) is None:
        raise Malformed("this is not a valid feature")
    return value


_read_features = ListOf(Custom("token", _token), FEATURES).reader("features")
_read_suites = ListOf(Uint(), SUITES).reader("suites")


def _features(value: Any) -> tuple[str, ...]:
    return _rising(_read_features(value), "features")


def _suites(value: Any) -> tuple[int, ...]:
    return _rising(_read_suites(value), "suites")


def _rising(found: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    """One list has one order, and names nothing twice."""
    if any(one >= two for one, two in pairwise(found)):
        raise Malformed(f"{what} must rise")
    return found


EXTENSIONS = Custom("extensions", _read, methodcaller("pack"))
ExtensionMap = Annotated[Extensions, EXTENSIONS]
