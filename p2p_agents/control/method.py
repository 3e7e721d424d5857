"""A control method and its parameters: names, types, bounds, errors, and how a call of it is served and repeated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from p2p_agents import errors
from p2p_agents.control import shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from p2p_agents.errors import P2PError

REFERENCE_CHARS = 128  # an id, a name, a petname, an address, a cursor: the longest is a 52-character id with a suffix

NAMES: dict[type, str] = {kind: shape.NAMES[kind] for kind in (str, int, float, bool)}
READS_ONLY = {"type": "string", "description": "why the node takes no writes, while it takes none"}


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. Text has `at_least` to `at_most` characters; a number lies between them."""

    name: str
    type: type
    help: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    at_least: float = 0
    at_most: float = REFERENCE_CHARS

    def __post_init__(self) -> None:
        if self.type not in NAMES or (self.required and self.default is not None):
            raise ValueError(self.name)

    def check(self, value: Any) -> Any:
        """The value as the node uses it. Raises BadParams naming the parameter and its bound."""
        if self.type is str:
            return self._check_text(value)
        if self.type is bool:
            if value is True or value is False:
                return value
            raise bad_param(self.name, "must be true or false")
        return self._check_number(value)

    def _check_text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise bad_param(self.name, "must be a string")
        if self.choices and value not in self.choices:
            raise bad_param(self.name, f"must be one of {', '.join(self.choices)}")
        if len(value) < self.at_least:
            raise bad_param(self.name, "is empty")
        if len(value) > self.at_most:
            raise bad_param(self.name, f"has {len(value)} characters; at most {self.at_most:g} are allowed")
        if not value.isascii() and _has_surrogates(value):
            raise bad_param(self.name, "is not valid Unicode text")
        return value

    def _check_number(self, value: Any) -> int | float:
        whole = self.type is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise bad_param(self.name, f"must be {'a whole number' if whole else 'a number'}")
        if not self.at_least <= value <= self.at_most:  # NaN is within no bounds
            raise bad_param(self.name, f"must be from {self.at_least:g} to {self.at_most:g}")
        return value if whole else float(value)


class Served(Enum):
    """The part of the node that answers a method."""

    CORE = "one item of a batch"
    CALLS = "several items, or one and what it waits for, or a file"
    BRIDGES = "the bridges' desk"
    NODE = "the process itself"


@dataclass(frozen=True, slots=True)
class Method:
    """One method, with every fact about it that a client or the node goes by."""

    name: str
    help: str
    params: tuple[Param, ...]
    result: type | tuple[type, ...]  # the shape of its answer; of a stream those of its events, the first one first
    errors: tuple[type[P2PError], ...] = ()  # its own, beyond ALWAYS
    served: Served = Served.CORE
    streams: bool = False
    paged: bool = False  # waits for nothing, and answers with a page of messages
    reads: bool = False  # needs no write: it is answered also while the disk takes none
    hurried: bool = True  # whether anybody waits for what it answers
    addresses: bool = False  # the node adds `addresses`: where it listens
    repeats: bool = True  # asked again after a lost answer it means the same
    key: str = ""  # the parameter that makes it so, where nothing else does
    works_s: float = 0.0  # seconds that it may work, beyond what any call may take
    waits_if: str = ""  # `timeout` counts only beside this parameter
    body: Callable[[Mapping[str, Any]], None] | None = None  # checks what no single parameter can

    @property
    def shapes(self) -> tuple[type, ...]:
        """What it answers, or each event of its stream."""
        return self.result if isinstance(self.result, tuple) else (self.result,)

    def may_repeat(self, given: Mapping[str, Any]) -> bool:
        """Whether the call may be sent again where its answer was lost."""
        return self.repeats and (not self.key or given.get(self.key) is not None)

    def waits(self, given: Mapping[str, Any]) -> float:
        """Seconds that the call waits for something to happen."""
        timeout = next((param for param in self.params if param.name == "timeout"), None)
        if timeout is None or (self.waits_if and given.get(self.waits_if) is None):
            return 0.0
        wanted = given.get(timeout.name)
        return float(timeout.default if wanted is None else wanted)


def schema(method: Method) -> dict[str, Any]:
    """The JSON schema of a method's parameters."""
    properties: dict[str, Any] = {}
    for param in method.params:
        described: dict[str, Any] = {"type": NAMES[param.type], "description": param.help}
        if param.choices:
            described["enum"] = list(param.choices)
        elif param.type is str:
            described |= {"minLength": int(param.at_least), "maxLength": int(param.at_most)}
        elif param.type is not bool:
            described |= {"minimum": param.at_least, "maximum": param.at_most}
        if param.default is not None:
            described["default"] = param.default
        properties[param.name] = described
    required = [param.name for param in method.params if param.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def result_schema(method: Method, defs: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a method's answer, or of any event of its stream; named shapes go to `defs`."""
    found = [shape.schema_of_fields(each, defs) for each in method.shapes]
    if method.reads:
        found[0]["properties"]["reads_only"] = READS_ONLY
    return found[0] if len(found) == 1 else {"anyOf": found}


def bad_param(name: str, why: str) -> errors.BadParams:
    """A parameter is not what it must be."""
    return errors.BadParams(f"parameter {name!r} {why}", param=name)


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
