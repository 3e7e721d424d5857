"""What an agent waits for each time it runs a command: the whole process, against a bare Python start."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from statistics import median

from bench.figure import Figure, figure
from bench.world import world

ROOT = str(Path(__file__).parents[1])
ENTRY = "import sys\nfrom p2p_agents.cli.main import main\nsys.exit(main())\n"  # what an installer generates
MUST, AIMS = "3 x bare start", "2 x"


def measure(quick: bool) -> list[Figure]:
    """Milliseconds; the commands and the bare start take turns, so that all see the same machine."""
    with world() as made:
        alice, bob = made.pair()
        entry = os.path.join(made.root, "p2p-agents")
        Path(entry).write_text(ENTRY, encoding="utf-8")
        environ = {**os.environ, **alice.environment, "PYTHONPATH": ROOT}
        command = [sys.executable, entry]
        first = alice.call("history", to=bob.id)["messages"][0]["id"]
        runs = {
            "bare": [sys.executable, "-c", "pass"],
            "send": [*command, "send", bob.id, "x" * 200],
            "inbox": [*command, "inbox"],
            "peers": [*command, "peers"],
            "history": [*command, "history", bob.id, "--limit", "5"],
            "show": [*command, "show", first],
            "wait": [*command, "wait", "--timeout", "5"],  # bob's first message is never acknowledged
        }
        samples: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(3 if quick else 40):
            for name, arguments in runs.items():
                samples[name].append(_run(arguments, environ))
    bare = median(samples.pop("bare"))
    return [
        figure(f"command.{name}", taken, "ms", over=bare, baseline={"bare_start": bare}, must=MUST, aims=AIMS)
        for name, taken in samples.items()
    ]


def _run(arguments: list[str], environ: dict[str, str]) -> float:
    null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    child = os.posix_spawn(arguments[0], arguments, environ, file_actions=null)
    _, status = os.waitpid(child, 0)
    took = time.perf_counter() - began
    if status:
        raise SystemExit(f"{arguments[2:]} failed with {os.waitstatus_to_exitcode(status)}")
    return 1000 * took
