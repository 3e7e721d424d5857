"""Reads the declared results: their fields and meanings, as a JSON Schema and in short form for the docs."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

Json = dict[str, Any]

NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a result. `kind` is its type without the description."""

    name: str
    kind: Any
    help: str
    required: bool


def fields(shape: type) -> list[Field]:
    """The fields that a TypedDict declares, those it inherits first."""
    return [_field(name, hint) for name, hint in get_type_hints(shape, include_extras=True).items()]


def _field(name: str, hint: Any) -> Field:
    required = get_origin(hint) is not NotRequired
    if not required:
        (hint,) = get_args(hint)
    said = hint.__metadata__ if get_origin(hint) is Annotated else ()
    kind = hint.__origin__ if said else hint
    words = next((each for each in said if isinstance(each, tuple)), None)
    told = next((each for each in said if isinstance(each, str)), "")
    return Field(name, kind if words is None else Annotated[kind, words], told, required)


def schema(kind: Any, defs: Json) -> Json:
    """The JSON Schema of a type; each shape in it is put under its name into `defs` and referred to."""
    if is_typeddict(kind):
        name = name_of(kind)
        if name not in defs:
            defs[name] = {}  # a shape may contain itself
            defs[name] |= schema_of_fields(kind, defs)
        return {"$ref": f"#/$defs/{name}"}
    origin, held = get_origin(kind), get_args(kind)
    if origin in (Literal, Annotated):
        return {"enum": [*choices_of(kind)]}
    if origin is list:
        return {"type": "array", "items": schema(held[0], defs)}
    if origin in (Union, UnionType):
        return {"anyOf": [schema(each, defs) for each in held]}
    return {"type": NAMES[kind]}


def schema_of_fields(shape: type, defs: Json) -> Json:
    """The JSON Schema of one shape, in full."""
    found = fields(shape)
    properties = {
        field.name: schema(field.kind, defs) | ({"description": field.help} if field.help else {}) for field in found
    }
    required = [field.name for field in found if field.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def shapes_in(kind: Any) -> list[type]:
    """The shapes that a type holds, itself first if it is one."""
    if is_typeddict(kind):
        return [kind, *(found for field in fields(kind) for found in shapes_in(field.kind))]
    return [found for held in get_args(kind) for found in shapes_in(held)]


def notation(shape: type) -> str:
    """A shape as people read it: {messages: [Message], cursor, more}."""
    return "{" + ", ".join(map(told, fields(shape))) + "}"


def type_name(kind: Any) -> str:
    """A type in words: string or null, [Message], "in" or "out"."""
    if is_typeddict(kind):
        return name_of(kind)
    origin, held = get_origin(kind), get_args(kind)
    if origin is list:
        return f"[{type_name(held[0])}]"
    if origin in (Literal, Annotated):
        return " or ".join("true" if value is True else f'"{value}"' for value in choices_of(kind))
    return " or ".join(map(type_name, held)) if held else NAMES[kind]


def name_of(shape: type) -> str:
    return shape.__name__


def told(field: Field) -> str:
    """A field in short: its name, and its type if that is a shape or a single word."""
    name = field.name if field.required else f"{field.name}?"
    is_word = len(choices_of(field.kind)) == 1
    return f"{name}: {_short(field.kind)}" if shapes_in(field.kind) or is_word else name


def choices(kind: Any) -> str:
    """The values that a field may have, if they are listed."""
    held = choices_of(kind)
    return ", ".join(map(str, held)) if len(held) > 1 else ""


def choices_of(kind: Any) -> tuple[Any, ...]:
    """All that a value may be, where that is declared."""
    if get_origin(kind) is Annotated:
        words: tuple[str, ...] = get_args(kind)[1]
        return words
    return get_args(kind) if get_origin(kind) is Literal else ()


def _short(kind: Any) -> str:
    held = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return " or ".join(type_name(each) for each in held if each is not NoneType)
