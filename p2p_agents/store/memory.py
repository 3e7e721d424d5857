"""What was read from rows and hardly changes, remembered until a statement writes one of the tables that it is from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from p2p_agents.limits import KNOWN_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Memory:
    """Values by key, each with how often its tables were written when it was read."""

    def __init__(self) -> None:
        self._values: dict[object, tuple[int, Any]] = {}
        self._writes: Counter[str] = Counter()

    def of(self, key: object, tables: Sequence[str], find: Callable[[], T]) -> T:
        """What `find` reads from these tables, and from no others; it must not be changed."""
        stamp = self._stamp(tables)
        found = self._values.get(key)
        if found is not None and found[0] == stamp:
            value: T = found[1]
            return value
        value = find()
        self._keep(key, stamp, value)
        return value

    def put(self, key: object, tables: Sequence[str], value: object) -> None:
        """What `find` would read now."""
        self._keep(key, self._stamp(tables), value)

    def wrote(self, table: str) -> None:
        self._writes[table] += 1

    def clear(self) -> None:
        self._values.clear()

    def _stamp(self, tables: Sequence[str]) -> int:
        """Counts only grow, so their sum is another one when any of them is."""
        return sum(self._writes[table] for table in tables)

    def _keep(self, key: object, stamp: int, value: object) -> None:
        if len(self._values) >= KNOWN_VALUES:
            self._values.clear()
        self._values[key] = stamp, value
