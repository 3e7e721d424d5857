"""`python -m bench [--quick] [NAME ...]`: measure, and print one JSON line per figure."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bench import (
    bridge,
    bridge_shared,
    bulk,
    commands,
    direct_path,
    discovery,
    hostile,
    idle,
    messages,
    pairing,
    primitives,
    reading,
    relayed,
    work,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.figure import Figure

MEASUREMENTS: dict[str, Callable[[bool], list[Figure]]] = {
    "primitives": primitives.measure,
    "command": commands.measure,
    "latency": messages.latency,
    "round_trip": messages.round_trip,
    "rate": messages.rate,
    "work": work.measure,
    "idle": idle.measure,
    "discovery": discovery.measure,
    "pairing": pairing.measure,
    "unread": reading.measure,
    "relayed": relayed.measure,
    "hostile": hostile.measure,
    "direct_path": direct_path.measure,
    "bulk": bulk.measure,
    "bridge": bridge.measure,
    "bridge_shared": bridge_shared.measure,
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure, one JSON line per figure.")
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it runs, measures little")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; all of {', '.join(MEASUREMENTS)} if none")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.names) - MEASUREMENTS.keys():
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}")
    for name in chosen.names or MEASUREMENTS:
        for found in MEASUREMENTS[name](chosen.quick):
            print(found.line(), flush=True)
    return 0


sys.exit(main(sys.argv[1:]))
