"""Shorter JSON for those who pay by the byte: chosen fields of messages and peers, without empty values."""

from __future__ import annotations

from p2p_agents import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SINGLE = "message"  # the field that holds one of them; lists stand under a plural noun
LISTS = ("messages", "peers", "contacts", "requests")
ASSUMED = {"type": "text/plain"}  # the meaning of an absent field, beside null, false, 0 and empty


class Selection:
    """The wanted part of a result. Without fields and not compact: all of it."""

    def __init__(self, fields: str | None = None, compact: bool = False) -> None:
        paths = [name.strip() for name in (fields or "").split(",")] if fields is not None else []
        if fields is not None and not all(paths):
            raise errors.Usage("--fields names no field", hint="such as: --fields from.name,text")
        self._paths = [tuple(path.split(".")) for path in paths]
        self.compact = compact

    def of(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The wanted part of the result. Raises Usage for a field that nothing in it has."""
        chosen = dict(result)
        if self._paths:
            for name in LISTS:
                if isinstance(chosen.get(name), list):
                    chosen[name] = self._chosen(chosen[name])
            if isinstance(chosen.get(SINGLE), dict):
                chosen[SINGLE] = self._chosen([chosen[SINGLE]])[0]
        return _spare(chosen) if self.compact else chosen

    def _chosen(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for path in self._paths:
            _check(path, items)
        return [self._pick(item) for item in items]

    def _pick(self, item: Mapping[str, Any]) -> dict[str, Any]:
        picked: dict[str, Any] = {}
        for path in self._paths:
            found: Any = item
            for name in path:
                found = found.get(name) if isinstance(found, dict) else None
            at = picked
            for name in path[:-1]:
                inner = at.get(name)
                at[name] = at = dict(inner) if isinstance(inner, dict) else {}
            at[path[-1]] = found
        return picked


def _spare(value: Any) -> Any:
    """Without fields that are null, false, zero, empty or the assumed value; lists of LISTS stay."""
    if isinstance(value, list):
        return [_spare(item) for item in value]
    if not isinstance(value, dict):
        return value
    spared = {name: _spare(item) for name, item in value.items()}
    return {name: item for name, item in spared.items() if name in LISTS or (item and ASSUMED.get(name) != item)}


def _check(path: tuple[str, ...], items: list[Any]) -> None:
    """Raises Usage if there are objects at a part of the path, and none has a field of that name."""
    for depth, name in enumerate(path):
        items = [item for item in items if isinstance(item, dict)]
        known = {field for item in items for field in item}
        if items and name not in known:
            raise _no_field(".".join(path[: depth + 1]), name, known)
        items = [item[name] for item in items if name in item]


def _no_field(path: str, name: str, known: set[str]) -> errors.Usage:
    from p2p_agents.output import did_you_mean

    return errors.Usage(f"no field is called {path[:64]!r}", hint=did_you_mean(name, known) + ", ".join(sorted(known)))
