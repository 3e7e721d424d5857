"""What a transaction wrote so far, so that it can be written again without the one item that failed.

A savepoint costs every item two statements, and SQLite a copy of each page that the item touches. Hardly an item fails.
So what is written is noted instead, and where an item fails, all of the transaction is undone and what the items before
it wrote is written again. That comes to the same store, row ids included: items run one after another, so what failed
stands at the end of the journal, and what is left is what ran before it, from the same state, in the same order. No
statement of ours depends on anything but rows and parameters (none says `random` or asks the time), and another process
that wrote in between is noticed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from p2p_agents.limits import JOURNAL_STATEMENTS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    Parameters = Sequence[object]
    Run = Callable[[str, Parameters], sqlite3.Cursor]

_TARGET = re.compile(r"(?:INSERT(?: OR \w+)? INTO|REPLACE INTO|UPDATE(?: OR \w+)?|DELETE FROM) (\w+)")
_WORD = re.compile(r"\w+")


@lru_cache(maxsize=1024)
def target(sql: str) -> str:
    """The table that a statement of ours writes; "" if it writes none."""
    found = _TARGET.search(sql)
    return found[1] if found else ""


@lru_cache(maxsize=1024)
def words(sql: str) -> frozenset[str]:
    """The words of a statement, its tables among them."""
    return frozenset(_WORD.findall(sql))


@lru_cache(maxsize=1024)
def insertion(table: str, columns: int, rows: int) -> str:
    """The statement that inserts so many rows of a table."""
    row = f"({','.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {','.join([row] * rows)}"  # noqa: S608 - a constant of ours


class Journal:
    """The statements of one transaction that wrote something, as long as they are few enough to be kept."""

    def __init__(self) -> None:
        self._written: list[tuple[str, Parameters]] = []
        self.is_full = False  # what came later is not in it

    def __len__(self) -> int:
        return len(self._written)

    def note(self, sql: str, parameters: Parameters) -> None:
        if len(self._written) < JOURNAL_STATEMENTS:
            self._written.append((sql, parameters))
        else:
            self.is_full = True

    def cut(self, at: int) -> None:
        """What was noted since is undone."""
        del self._written[at:]

    def write_again(self, through: int, run: Run) -> None:
        """The first `through` statements."""
        for sql, parameters in self._written[:through]:
            run(sql, parameters).fetchall()
