"""The bridges this node was told to use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p_agents.store.database import Database


@dataclass(frozen=True, slots=True)
class Configured:
    """`token` is the operator's, or empty."""

    address: str
    token: str = field(repr=False)
    added_ms: int


def add(db: Database, address: str, token: str | None, now_ms: int) -> None:
    """One that is there already keeps its place, and its token where `token` is None."""
    db.run(
        "INSERT INTO bridges (address, token, added_ms) VALUES (?1, coalesce(?2, ''), ?3)"
        " ON CONFLICT (address) DO UPDATE SET token = coalesce(?2, token)",
        (address, token, now_ms),
    )


def remove(db: Database, address: str) -> bool:
    """Whether it was there."""
    return db.run("DELETE FROM bridges WHERE address = ?", (address,)).rowcount > 0


def everything(db: Database) -> list[Configured]:
    """In the order in which they were added."""
    return [Configured(*row) for row in db.all("SELECT address, token, added_ms FROM bridges ORDER BY number")]
