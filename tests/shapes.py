"""Answers checked against their declaration: a node's real answers, and those that a fake makes from it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args, get_origin, is_typeddict

from p2p_agents.control import methods, shape
from p2p_agents.control.methods import METHODS, Method
from p2p_agents.control.params import STORES
from p2p_agents.core.api import commands
from p2p_agents.errors import P2PError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFS: dict[str, Any] = {}
SCHEMAS = {name: methods.result_schema(method, DEFS) for name, method in METHODS.items()}
NAMED = {handler: name for name, handler in commands.HANDLERS.items()} | {commands.send: "send"}
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
EMPTY: dict[Any, Any] = {str: "", int: 0, float: 0.0, bool: False}


def check(method: str, answer: Any) -> None:
    """Fails unless the answer, or the event, is as the registry declares it for the method."""
    wrong = faults(SCHEMAS[method], answer, "")
    assert not wrong, f"{method}: {'; '.join(wrong)}"


def check_answer_of(handler: Callable[..., Any], answer: Any) -> None:
    """As `check`, for what a handler of the core returned; others are no method's."""
    if handler in NAMED:
        check(NAMED[handler], answer)


@contextmanager
def declared_errors(handler: Callable[..., Any]) -> Iterator[None]:
    """Fails where a handler of the core raises what the registry does not declare of its method.

    Any may find the disk failing: the node then answers from a snapshot what only reads.
    """
    try:
        yield
    except P2PError as error:
        if handler in NAMED and not isinstance(error, STORES):
            check_error(METHODS[NAMED[handler]], error)
        raise


def check_error(method: Method, error: P2PError) -> None:
    declared = isinstance(error, (*method.errors, *methods.ALWAYS))
    assert declared, f"{method.name}: {error.code} is not declared"


def faults(wanted: dict[str, Any], value: Any, path: str) -> list[str]:
    """Where a value differs from its JSON Schema, of the kind that the registry draws."""
    if "$ref" in wanted:
        return faults(DEFS[wanted["$ref"].rpartition("/")[2]], value, path)
    if "anyOf" in wanted:
        tries = [faults(each, value, path) for each in wanted["anyOf"]]
        return [] if [] in tries else min(tries, key=len)
    if "enum" in wanted:
        return [] if value in wanted["enum"] else [f"{path or '.'}: {value!r} is none of {wanted['enum']}"]
    is_bool = isinstance(value, bool) and wanted["type"] != "boolean"
    if is_bool or not isinstance(value, KINDS[wanted["type"]]):
        return [f"{path or '.'}: {value!r} is no {wanted['type']}"]
    if wanted["type"] == "array":
        return [found for at, each in enumerate(value) for found in faults(wanted["items"], each, f"{path}[{at}]")]
    return _field_faults(wanted, value, path) if wanted["type"] == "object" else []


def _field_faults(wanted: dict[str, Any], value: dict[str, Any], path: str) -> list[str]:
    known = wanted["properties"]
    found = [f"{path}.{name} is missing" for name in wanted["required"] if name not in value]
    found += [f"{path}.{name} is not declared" for name in value if name not in known]
    for name in value.keys() & known.keys():
        found += faults(known[name], value[name], f"{path}.{name}")
    return found


def make(kind: type, /, **given: Any) -> dict[str, Any]:
    """A whole one of that shape: what is not given is empty, null, or the first of its choices."""
    made = {field.name: _least(field.kind) for field in shape.fields(kind) if field.required} | given
    wrong = faults(shape.schema(kind, DEFS), made, "")
    assert not wrong, f"{kind.__name__}: {'; '.join(wrong)}"
    return made


def _least(kind: Any) -> Any:
    if is_typeddict(kind):
        return make(kind)
    if choices := shape.choices_of(kind):
        return choices[0]
    if get_origin(kind) is list:
        return []
    return None if type(None) in get_args(kind) else EMPTY[kind]
