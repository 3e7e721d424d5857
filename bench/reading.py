"""What a page of unread messages costs in a short log and in a very long one."""

from __future__ import annotations

import os
import tempfile
from statistics import median

from bench.figure import Figure, figure, per_call
from p2p_agents.limits import PAGE
from p2p_agents.store import readers
from p2p_agents.store.database import Database

SHORT, LONG = 1_000, 1_000_000
AGENT = 1


def measure(quick: bool) -> list[Figure]:
    """Microseconds for a page from the beginning, where all is unread, and from the end, where little is."""
    samples: dict[tuple[str, int], list[float]] = {}
    for size in (SHORT, SHORT * 10 if quick else LONG):
        with tempfile.TemporaryDirectory(prefix="p2pa-bench-") as directory:
            db = Database.open(os.path.join(directory, "store.db"))
            _fill(db, size)
            samples["all", size] = _read(db, quick)
            db.run("INSERT INTO readers VALUES (?, ?, ?)", (AGENT, readers.DEFAULT, size - PAGE))
            samples["few", size] = _read(db, quick)
            db.close()
    return [_figure(case, size, samples[case, SHORT], samples[case, size]) for case, size in samples if size != SHORT]


def _figure(case: str, size: int, short: list[float], long: list[float]) -> Figure:
    base = median(short)
    baseline = {"entries": size, "at_1000": base}
    return figure(f"unread.{case}", long, "us", over=base, baseline=baseline, must="2 x the cost at 1000", aims="1.2 x")


def _read(db: Database, quick: bool) -> list[float]:
    return [1e6 * s for s in per_call(lambda: readers.unread(db, AGENT, readers.DEFAULT, PAGE), 20 if quick else 200)]


def _fill(db: Database, size: int) -> None:
    """Rows as `entries.append` and `log.add` leave them, made inside SQLite: a million in seconds."""
    count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    peer = bytes(32)
    db.run("PRAGMA synchronous = OFF")
    db.begin()
    db.run(
        f"{count} INSERT INTO entries (hash, kind, conversation, author, device, epoch, seq, prev, lamport, time_ms,"
        " type, signed)"
        " SELECT randomblob(32), 'message', ?, ?, ?, ?, i, ?, i, 1700000000000 + i, 'text/plain', randomblob(400)"
        " FROM n",
        (size, peer, peer, peer, bytes(8), peer),
    )
    db.run("INSERT INTO bodies SELECT id, randomblob(220) FROM entries")
    db.run(
        "INSERT INTO log (agent, entry, conversation, incoming, trust) SELECT ?, id, ?, 1, 4 FROM entries",
        (AGENT, peer),
    )
    db.commit()
    db.truncate()
