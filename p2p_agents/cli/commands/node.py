"""`node run`, `status`, `stop`, `logs`."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import limits, output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import Json, application, examples
from p2p_agents.control import start
from p2p_agents.control.client import NoNode
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()
LINES_MAX = 10_000  # of the log, in one answer


@app.callback(epilog=examples("p2p-agents node status", "p2p-agents node logs --lines 50", "p2p-agents node stop"))
def node() -> None:
    """Run, stop or inspect the background node.

    It starts by itself on first use; these commands look after it.
    """


@app.command(
    "run",
    epilog=examples(
        "p2p-agents node run",
        "P2P_AGENTS_HOME=/tmp/other p2p-agents node run",
        "P2P_AGENTS_NO_START=1 p2p-agents node run",
    ),
)
def run_() -> None:
    """Run the node here, until Ctrl-C; its log goes to stderr too."""
    os.execve(sys.executable, start.command("run", "--foreground"), start.environment())  # noqa: S606 - no shell


@app.command(
    epilog=examples(
        "p2p-agents node status", "p2p-agents node status --json", "p2p-agents node status --json | jq .port"
    )
)
def status(json: Json = None) -> int:
    """Show whether the node runs, without starting it; the exit status is 7 if it does not."""
    return run(lambda face: face.show(face.call("node.info"), output.fields), None, json, start=False)


@app.command(
    epilog=examples(
        "p2p-agents node stop",
        "p2p-agents node stop --json",
        "p2p-agents node stop && p2p-agents node status",
    )
)
def stop(json: Json = None) -> int:
    """Stop the node and wait until it has ended; if none runs, that is a success too. Messages are kept."""

    def act(face: Face) -> None:
        try:
            face.show(face.stop_node(), lambda _: "stopped")
        except NoNode:
            face.show({"stopping": False}, lambda _: "no node runs")

    return run(act, None, json, start=False)


@app.command(
    epilog=examples(
        "p2p-agents node logs",
        "p2p-agents node logs --lines 500",
        "p2p-agents node logs --json | jq -r '.lines[]'",
    )
)
def logs(
    lines: Annotated[int, typer.Option("--lines", metavar="N", min=1, max=LINES_MAX, help="Lines at most.")] = 100,
    json: Json = None,
) -> int:
    """Show the end of the node's log, even if it does not run."""

    def act(face: Face) -> None:
        path = Home().log
        face.show({"path": path, "lines": _tail(path, lines)}, _lines)

    return run(act, None, json)


def _tail(path: str, count: int) -> list[str]:
    """The last lines of the file; none when there is no file."""
    try:
        with open(path, "rb") as file:
            file.seek(max(os.path.getsize(path) - limits.MIB, 0))
            return [line.decode(errors="replace").rstrip("\n") for line in deque(file, count)]
    except FileNotFoundError:
        return []


def _lines(result: Mapping[str, Any]) -> str:
    return "\n".join(map(output.escape, result["lines"])) or f"nothing logged in {result['path']}"
