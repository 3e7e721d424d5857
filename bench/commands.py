"""What an agent waits for each time it runs a command: the whole process, against a bare start of Python, or of C."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from statistics import median

from bench.figure import Figure, figure
from bench.world import world
from native import build

ROOT = str(Path(__file__).parents[1])
ENTRY = "import sys\nfrom p2p_agents.cli.main import main\nsys.exit(main())\n"  # what an installer generates
MUST, AIMS = "3 x bare start", "2 x"
NATIVE = "native_"
NATIVE_MUST = "0.66 x bare start"  # 1.2 x 6.2 ms, hcom's send where a bare start took 11.2 ms


def measure(quick: bool) -> list[Figure]:
    """Milliseconds; the commands and the bare start take turns, so that all see the same machine."""
    with world() as made:
        alice, bob = made.pair()
        entry = os.path.join(made.root, "p2p-agents")
        Path(entry).write_text(ENTRY, encoding="utf-8")
        environ = {**os.environ, **alice.environment, "PYTHONPATH": ROOT, "PATH": made.root}
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
        runs |= _native(made.root, runs)
        samples: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(3 if quick else 40):
            for name, arguments in runs.items():
                samples[name].append(_run(arguments, environ))
    bare, program = median(samples.pop("bare")), median(samples.pop("program"))
    return [_figure(name, taken, bare, program) for name, taken in samples.items()]


def _native(root: str, runs: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same commands by the native client, and a program in C that does nothing. What the client hands over fails
    here: the command in Python is not beside it."""
    client, program = Path(root) / "native" / "p2p-agents", shutil.which("true") or "/bin/true"
    client.parent.mkdir()
    if not build.compile_to(client, *build.HARDENED):
        sys.stderr.write("the native client is not measured: no C compiler\n")
        return {"program": [program]}
    taken = {NATIVE + name: [str(client), *runs[name][2:]] for name in ("send", "inbox", "peers", "wait")}
    return {"program": [program], **taken}


def _figure(name: str, taken: list[float], bare: float, program: float) -> Figure:
    if not name.startswith(NATIVE):
        baseline = {"bare_start": bare}
        return figure(f"command.{name}", taken, "ms", over=bare, baseline=baseline, must=MUST, aims=AIMS)
    baseline = {"bare_start": bare, "bare_program": program}
    return figure(f"command.{name}", taken, "ms", over=bare, baseline=baseline, must=NATIVE_MUST)


def _run(arguments: list[str], environ: dict[str, str]) -> float:
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]  # a terminal is people's
    began = time.perf_counter()
    child = os.posix_spawn(arguments[0], arguments, environ, file_actions=null)
    _, status = os.waitpid(child, 0)
    took = time.perf_counter() - began
    if status:
        raise SystemExit(f"{arguments[2:]} failed with {os.waitstatus_to_exitcode(status)}")
    return 1000 * took
