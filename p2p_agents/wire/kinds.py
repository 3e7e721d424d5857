"""The kinds of fields on the wire: how each is read, bounded, written, and shown in CDDL (RFC 8610)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING, Annotated, Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import DATE_MS_MAX, INT_MAX
from p2p_agents.wire.cbor import array_of, blob, flag, text, uint

if TYPE_CHECKING:
    from enum import Enum

    from p2p_agents.wire.layout import Layout

Read = Callable[[Any], Any]  # from a decoded value to a field's value; raises Malformed
Write = Callable[[Any], object]  # the inverse


class Kind:
    """The kind of a field. `rule` is its CDDL, `name` that rule's name on the page, if it has one."""

    __slots__ = ("converts", "name", "rule")

    def __init__(self, rule: str, name: str = "", *, converts: bool = False) -> None:
        """`converts`: a field's value differs from what is decoded."""
        self.rule, self.name, self.converts = rule, name, converts

    def reader(self, what: str) -> Read:
        """`what` is the field's name in errors."""
        raise NotImplementedError

    def writer(self) -> Write | None:
        """None if a field's value is sent unchanged."""
        return None

    def sent(self, value: Any) -> Any:
        """A field's value as it will be decoded."""
        write = self.writer()
        return value if write is None else write(value)

    def drawn(self) -> str:
        """As shown within a structure on the page."""
        return self.name or self.rule


class Bytes(Kind):
    """A byte string of one of `sizes`, or up to a maximum size."""

    __slots__ = ("_at_most", "_sizes")

    def __init__(self, *sizes: int, at_most: int | None = None, name: str = "") -> None:
        sized = f".size ({' / '.join(map(str, sizes))})" if len(sizes) > 1 else f".size {sizes[0]}" if sizes else ""
        rule = f"bytes {sized}" if sizes else f"bytes .size (0..{at_most})" if at_most is not None else "bytes"
        super().__init__(rule, name or ("bytes32" if sizes == (32,) else ""))
        self._sizes, self._at_most = sizes, at_most

    def reader(self, what: str) -> Read:
        sizes, at_most = self._sizes, self._at_most
        if len(sizes) == 1:
            return _sized(sizes[0], what)
        if sizes:
            return lambda value: value if len(blob(value, what=what)) in sizes else _no_size(value, sizes, what)
        if at_most is None:
            return lambda value: blob(value, what=what)
        return lambda v: v if type(v) is bytes and len(v) <= at_most else blob(v, at_most=at_most, what=what)


def _sized(size: int, what: str) -> Read:
    return lambda value: value if type(value) is bytes and len(value) == size else blob(value, size=size, what=what)


def _no_size(value: bytes, sizes: Iterable[int], what: str) -> None:
    raise Malformed(f"{what} has {len(value)} bytes instead of {' or '.join(map(str, sizes))}")


class Uint(Kind):
    __slots__ = ("_at_least", "_at_most")

    def __init__(self, at_most: int = INT_MAX, *, at_least: int = 0, name: str = "") -> None:
        rule = "uint53" if (at_least, at_most) == (0, INT_MAX) else f"{at_least}..{at_most}"
        super().__init__(rule, name)
        self._at_least, self._at_most = at_least, at_most

    def reader(self, what: str) -> Read:
        low, high = self._at_least, self._at_most

        def read(value: Any) -> int:
            if type(value) is int and low <= value <= high:
                return value
            uint(value, at_most=high, what=what)
            raise Malformed(f"{what} must begin at {low}")

        return read


class Text(Kind):
    """A text of `at_least` to `at_most` Unicode characters."""

    __slots__ = ("_at_least", "_at_most")

    def __init__(self, at_most: int, *, at_least: int = 0, name: str = "") -> None:
        super().__init__(f"text .size ({at_least}..{at_most})", name)
        self._at_least, self._at_most = at_least, at_most

    def reader(self, what: str) -> Read:
        low, high = self._at_least, self._at_most

        def read(value: Any) -> str:
            if type(value) is str and low <= len(value) <= high and value.isascii():
                return value
            if len(text(value, at_most=high, what=what)) < low:
                raise Malformed(f"{what} is empty")
            return value  # type: ignore[no-any-return]  # text() returned this very value

        return read


class Flag(Kind):
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("bool")

    def reader(self, what: str) -> Read:
        return lambda value: value if type(value) is bool else flag(value, what)


class OneOf(Kind):
    """The values of an enumeration, integers or texts."""

    __slots__ = ("_members",)

    def __init__(self, members: type[Enum], name: str = "") -> None:
        values = [each.value for each in members]
        super().__init__(" / ".join(f'"{v}"' if type(v) is str else str(v) for v in values), name, converts=True)
        self._members = {(type(each.value), each.value): each for each in members}

    def reader(self, what: str) -> Read:
        members = self._members

        def read(value: Any) -> Enum:
            if type(value) in (int, str) and (found := members.get((type(value), value))) is not None:
                return found
            raise Malformed(f"{what} is not one of {self.rule}")

        return read

    def writer(self) -> Write:
        return attrgetter("value")


class Maybe(Kind):
    """An `inner` value, or null."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Kind) -> None:
        super().__init__(f"{inner.drawn()} / null", converts=inner.converts)
        self._inner = inner

    def reader(self, what: str) -> Read:
        read = self._inner.reader(what)
        return lambda value: None if value is None else read(value)

    def writer(self) -> Write | None:
        write = self._inner.writer()
        return None if write is None else lambda value: None if value is None else write(value)


class Nested(Kind):
    """A structure inside another one."""

    __slots__ = ("_inner",)

    def __init__(self, inner: type[Layout]) -> None:
        super().__init__("", inner.RULE, converts=True)
        self._inner = inner

    def reader(self, what: str) -> Read:
        return self._inner.reader()

    def writer(self) -> Write:
        return methodcaller("pack")

    def drawn(self) -> str:
        return self.name or self._inner.rule()


class PartsOf(Nested):
    """The same, held as a tuple of its fields' values."""

    __slots__ = ()

    def reader(self, what: str) -> Read:
        parts = self._inner.part_reader()
        return lambda value: tuple(parts(value))

    def writer(self) -> Write:
        self._inner.part_reader()  # which settles `packed` too
        packed = self._inner.packed
        return lambda values: packed(*values)


class ListOf(Kind):
    """A list of one kind or structure, with a minimum and maximum length; `label` names its elements on the page."""

    __slots__ = ("_at_least", "_at_most", "_inner", "_label")

    def __init__(self, inner: Kind | type[Layout], at_most: int, *, at_least: int = 0, label: str = "") -> None:
        super().__init__("", converts=True)
        self._inner = inner if isinstance(inner, Kind) else Nested(inner)
        self._at_least, self._at_most, self._label = at_least, at_most, label

    def reader(self, what: str) -> Read:
        read, low, high = self._inner.reader(self._label.replace("-", " ") or what), self._at_least, self._at_most

        def read_all(value: Any) -> tuple[Any, ...]:
            if type(value) is list and low <= len(value) <= high:
                return tuple(map(read, value))
            found = array_of(value, high, what)
            raise Malformed(f"{what} has {len(found)} elements; at least {low} are needed")

        return read_all

    def writer(self) -> Write | None:
        write = self._inner.writer()
        return None if write is None else lambda values: [write(each) for each in values]

    def sent(self, value: Any) -> Any:
        return [self._inner.sent(each) for each in value]

    def drawn(self) -> str:
        often = "?" if (self._at_least, self._at_most) == (0, 1) else f"{self._at_least}*{self._at_most}"
        return f"[{often} {labelled(self._label, self._inner.drawn())}]"


class Custom(Kind):
    """Anything else: `read` checks and converts by itself."""

    __slots__ = ("_read", "_write")

    def __init__(self, rule: str, read: Read, write: Write | None = None) -> None:
        super().__init__(rule, converts=write is not None)
        self._read, self._write = read, write

    def reader(self, what: str) -> Read:
        return self._read

    def writer(self) -> Write | None:
        return self._write


Bytes32 = Annotated[bytes, Bytes(32)]
Uint53 = Annotated[int, Uint()]
Ms = Annotated[int, Uint(name="ms")]  # since 1970
Date = Annotated[int, Uint(DATE_MS_MAX, name="date")]  # the same, up to the end of the calendar: it is shown
Bool = Annotated[bool, Flag()]


def labelled(label: str, drawn: str) -> str:
    """A label is left out beside a rule of the same name, and before a list, whose elements are labelled."""
    return drawn if label in ("", drawn) or drawn.startswith("[") else f"{label}: {drawn}"
