"""One declaration for each structure on the wire: its fields say how it is packed, read, bounded and written down.

    @dataclass(frozen=True, slots=True)
    class Tip(Layout):
        epoch: Annotated[bytes, Bytes(8)]
        seq: Uint53
        entry: Bytes32

`pack` makes its array and `unpack` reads one, strictly; `rule` is its CDDL (RFC 8610), which docs/protocol.md shows. A
field's name in errors and on the page is its own, or a text in its annotation. The code of a class is generated when it
is first used: importing it costs nothing.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter, call
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, get_type_hints

from p2p_agents.errors import Malformed
from p2p_agents.limits import CBOR_BYTES, CBOR_ITEMS
from p2p_agents.wire.cbor import array, decode, encode, version
from p2p_agents.wire.kinds import Kind, Nested, labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2p_agents.wire.kinds import Read


class Layout:
    """Base of a structure: a frozen dataclass whose fields are annotated with kinds, or are structures themselves."""

    __slots__ = ()
    RULE: ClassVar[str] = ""  # its name on the page; without one it is shown where it is used
    WHAT: ClassVar[str] = ""  # its name in errors, if different
    VERSION_AT: ClassVar[int | None] = None  # position of the version in the head
    KNOWN_AT: ClassVar[int | None] = None  # position in the head of the value that selected this class
    CHECKED: ClassVar[bool] = False  # whether its `__post_init__` calls `check`

    @classmethod
    def prefix(cls) -> tuple[int, ...]:
        """The integers at the start of its array."""
        return ()

    def pack(self) -> list[object]:
        """The array to send."""
        _settle(type(self))
        return self.pack()

    @classmethod
    def unpack(cls, value: Any) -> Self:
        """The inverse of `pack`, for a decoded value. Raises Malformed, or UnknownVersion before anything else."""
        _settle(cls)
        return cls.unpack(value)

    @classmethod
    def packed(cls, *values: Any) -> list[object]:
        """The array for fields with these `values`, without building an instance."""
        _settle(cls)
        return cls.packed(*values)

    @classmethod
    def parts(cls, value: Any) -> Iterable[Any]:
        """The field values of one, without building an instance; read lazily. Raises the same as `unpack`."""
        _settle(cls)
        return cls.parts(value)

    @classmethod
    def reader(cls) -> Read:
        """`unpack` as a function to keep."""
        _settle(cls)
        return cls.unpack

    @classmethod
    def part_reader(cls) -> Callable[[Any], Iterable[Any]]:
        """`parts`, to be kept by the caller."""
        _settle(cls)
        return cls.parts

    def check(self) -> None:
        """For classes whose instances must not be built out of bounds. Raises Malformed."""
        _settle(type(self))
        self.check()

    def encoded(self) -> bytes:
        return encode(self.pack())

    @classmethod
    def decoded(cls, data: bytes, *, limit: int = CBOR_BYTES, items: int = CBOR_ITEMS) -> Self:
        """Raises Malformed or UnknownVersion."""
        return cls.unpack(decode(data, limit=limit, items=items))

    @classmethod
    def rule(cls) -> str:
        """Its array in CDDL."""
        drawn = [labelled(field.label, field.kind.drawn()) for field in _fields(cls)]
        return f"[{', '.join([*map(str, cls.prefix()), *drawn])}]"


class Versioned(Layout):
    """A structure that begins with its version."""

    __slots__ = ()
    VERSION: ClassVar[int] = 1
    VERSION_AT: ClassVar[int | None] = 0

    @classmethod
    def prefix(cls) -> tuple[int, ...]:
        return (cls.VERSION,)


class Typed(Layout):
    """A structure that begins with its type number, and what follows that wherever it is sent."""

    __slots__ = ()
    KNOWN_AT: ClassVar[int | None] = 0
    TYPE: ClassVar[int]
    NEXT: ClassVar[tuple[int, ...]] = ()

    @classmethod
    def prefix(cls) -> tuple[int, ...]:
        return (cls.TYPE, *cls.NEXT)


class _Field(NamedTuple):
    name: str
    label: str  # on the page
    kind: Kind


def _fields(cls: type[Layout]) -> list[_Field]:
    hints = get_type_hints(cls, include_extras=True)
    return [_field(each.name, hints[each.name]) for each in fields(cls)]  # type: ignore[arg-type]  # a dataclass


def _field(name: str, hint: Any) -> _Field:
    said: tuple[object, ...] = getattr(hint, "__metadata__", ())
    kind = next((each for each in said if isinstance(each, Kind)), None) or Nested(hint)
    label = next((each for each in said if isinstance(each, str)), name.replace("_", "-"))
    return _Field(name, label, kind)


def _settle(cls: type[Layout]) -> None:
    """Give a class its own `pack`, `unpack` and the like, generated from its fields."""
    found = _fields(cls)
    arrange, parts = _arranger(cls.prefix(), found), _parter(cls, found)
    for name, made in (
        ("pack", _packer(cls.prefix(), found)),
        ("packed", staticmethod(lambda *values: arrange(values))),
        ("unpack", staticmethod(_unpacker(cls, found))),
        ("parts", staticmethod(parts)),
        ("check", _checker(found)),
    ):
        setattr(cls, name, made)


def _arranger(head: tuple[int, ...], found: list[_Field]) -> Callable[[Iterable[Any]], list[object]]:
    conversions = [(at, write) for at, each in enumerate(found, len(head)) if (write := each.kind.writer())]

    def arrange(values: Iterable[Any]) -> list[object]:
        packed = [*head, *values]
        for at, write in conversions:
            packed[at] = write(packed[at])
        return packed

    return arrange


def _packer(head: tuple[int, ...], found: list[_Field]) -> Callable[[Any], list[object]]:
    values, arrange = _values(found), _arranger(head, found)
    if any(each.kind.writer() for each in found):
        return lambda self: arrange(values(self))
    return lambda self: [*head, *values(self)]


def _values(found: list[_Field]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that returns the values of the fields."""
    names = [each.name for each in found]
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda self: (get(self),)


def _unpacker(cls: type[Layout], found: list[_Field]) -> Callable[[Any], Layout]:
    parts, readers, (length, skip, constants) = _parter(cls, found), _readers(cls, found), _shape(cls, found)
    if constants:
        return lambda value: cls(*parts(value))

    def unpack(value: Any) -> Layout:
        if type(value) is not list or len(value) != length:
            _refuse(cls, value, length)
        return cls(*(map(call, readers, value[skip:]) if readers else value[skip:]))

    return unpack


def _parter(cls: type[Layout], found: list[_Field]) -> Callable[[Any], Iterable[Any]]:
    readers, (length, skip, constants) = _readers(cls, found), _shape(cls, found)

    def parts(value: Any) -> Iterable[Any]:
        if type(value) is not list or len(value) != length:
            _refuse(cls, value, length)
        for at, meant in constants:
            if type(value[at]) is not int or value[at] != meant:
                _refuse(cls, value, length)
        return map(call, readers, value[skip:]) if readers else value[skip:]

    return parts


def _shape(cls: type[Layout], found: list[_Field]) -> tuple[int, int, list[tuple[int, int]]]:
    """The array's length, where its fields begin, and what must stand before them."""
    head = cls.prefix()
    constants = [(at, meant) for at, meant in enumerate(head) if at != cls.KNOWN_AT]
    return len(head) + len(found), len(head), constants


def _readers(cls: type[Layout], found: list[_Field]) -> list[Read]:
    """If building an instance checks its fields, only those are read first whose value differs from what is sent."""
    if not cls.CHECKED:
        return [_reader(each) for each in found]
    if not any(each.kind.converts for each in found):
        return []
    return [_reader(each) if each.kind.converts else _as_it_is for each in found]


def _checker(found: list[_Field]) -> Callable[[Any], None]:
    values, readers = _values(found), [_reader(each) for each in found]
    converted = [(at, each.kind.sent) for at, each in enumerate(found) if each.kind.converts]

    def check(self: Any) -> None:
        held = values(self)
        if converted:
            changed = list(held)
            for at, sent in converted:
                changed[at] = sent(changed[at])
            held = tuple(changed)
        for _ in map(call, readers, held):
            pass

    return check


def _reader(field: _Field) -> Read:
    return field.kind.reader(field.label.replace("-", " "))


def _as_it_is(value: Any) -> Any:
    return value


def _refuse(cls: type[Layout], value: Any, length: int) -> None:
    what = cls.WHAT or cls.RULE
    found, head, at = array(value, what=what), cls.prefix(), cls.VERSION_AT
    if at is not None and len(found) > at:
        version(found[at], head[at])
    array(found, length, what=what)
    raise Malformed(f"{what} does not begin with {', '.join(map(str, head))}")
