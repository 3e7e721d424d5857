"""How much time the node saw pass, and the machine's clocks when that was stored (PROTOCOL B12). Rows that wait are
stamped with it, in SQL: SELECT lived_ms FROM clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p_agents.store.database import Database


@dataclass(frozen=True, slots=True)
class Mark:
    """Milliseconds of three clocks at one moment; `boot` names the start of the machine that `boot_ms` counts from."""

    lived_ms: int
    boot: str
    boot_ms: int
    wall_ms: int


def mark(db: Database) -> Mark:
    """The last one kept; of a new store the beginning of time."""
    row = db.one("SELECT lived_ms, boot, boot_ms, wall_ms FROM clock")
    assert row is not None
    return Mark(*row)


def keep(db: Database, mark: Mark) -> None:
    db.run(
        "UPDATE clock SET lived_ms = ?, boot = ?, boot_ms = ?, wall_ms = ?",
        (mark.lived_ms, mark.boot, mark.boot_ms, mark.wall_ms),
    )
