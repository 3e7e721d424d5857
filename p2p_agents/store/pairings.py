"""The part of pairing codes that must survive a restart: spent tries, and used codes (PROTOCOL F1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.crypto.digest import H

if TYPE_CHECKING:
    from p2p_agents.store.database import Database

_PLACE_LABEL = "p2pa/1 pair place"


def tries(db: Database, place: str) -> tuple[int, bool]:
    """Runs made with the code of a place, and whether it was used."""
    row = db.one("SELECT tries, used FROM pairing_codes WHERE place = ?", (_hash(place),))
    return (int(row[0]), bool(row[1])) if row else (0, False)


def spend(db: Database, place: str, runs: int, now_ms: int) -> None:
    """Store that `runs` runs were made with it; the count never falls."""
    db.run(
        "INSERT INTO pairing_codes (place, tries, heard_ms) VALUES (?, ?, ?)"
        " ON CONFLICT (place) DO UPDATE SET tries = max(tries, excluded.tries), heard_ms = excluded.heard_ms",
        (_hash(place), runs, now_ms),
    )


def use(db: Database, place: str, now_ms: int) -> None:
    """Mark it as used, for good."""
    db.run(
        "INSERT INTO pairing_codes (place, used, heard_ms) VALUES (?, 1, ?)"
        " ON CONFLICT (place) DO UPDATE SET used = 1, heard_ms = excluded.heard_ms",
        (_hash(place), now_ms),
    )


def forget(db: Database, before_ms: int) -> None:
    """Forget codes not seen since then: they are dead on the other side."""
    db.run("DELETE FROM pairing_codes WHERE heard_ms < ?", (before_ms,))


def _hash(place: str) -> bytes:
    return H(_PLACE_LABEL, place)
