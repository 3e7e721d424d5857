"""A bridge's store on a disk that fails in a commit, which may or may not take effect."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any

import pytest

from bridge import sqlite_store


class FailingCommit:
    """Arms the next commit of any connection that the bridge opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._takes_effect: list[bool] = []
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql == "COMMIT" and disk._takes_effect:
                    super().execute("COMMIT" if disk._takes_effect.pop() else "ROLLBACK")
                    error = sqlite3.OperationalError("disk I/O error")
                    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                    raise error
                return super().execute(sql, *parameters)

        monkeypatch.setattr(sqlite_store.sqlite3, "connect", partial(sqlite3.connect, factory=Connection))

    def next(self, *, takes_effect: bool) -> None:
        self._takes_effect.append(takes_effect)
