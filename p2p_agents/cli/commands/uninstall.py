"""`uninstall`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, output
from p2p_agents.cli import leftovers
from p2p_agents.cli.face import STDERR, Face, run
from p2p_agents.cli.options import Json, application, examples
from p2p_agents.cli.own_bridge import OwnBridge
from p2p_agents.control.client import NoNode
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.command(
    epilog=examples("p2p-agents uninstall", "p2p-agents uninstall --purge", "p2p-agents uninstall --purge --yes --json")
)
def uninstall(
    purge: Annotated[bool, typer.Option("--purge", help="Delete agents, keys and messages too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = None,
) -> int:
    """Stop everything and remove what was left outside the package.

    The node and a bridge that `host` started are stopped; sockets, hint files and shell completion are removed. Agents,
    keys and messages stay unless --purge is given, which asks first: without a backup they are lost. The last line of
    the answer is the command that removes the package itself.
    """

    def act(face: Face) -> None:
        home = Home()
        there = os.path.isdir(home.path)
        if purge and there and not yes:
            _ask(home)
        if there:
            OwnBridge(home).stop()
        stopped = False
        with suppress(NoNode):
            stopped = face.stop_node()["stopping"]
        removed = leftovers.remove_home(home) if purge else []
        removed += leftovers.remove_traces(home)
        kept = home.path if os.path.isdir(home.path) else None
        told = {"stopped": stopped, "removed": removed, "kept": kept, "next": leftovers.package_line()}
        face.show(told, _told)

    return run(act, None, json, start=False)


def _ask(home: Home) -> None:
    """Raises HumanRequired unless a human at a terminal says yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.HumanRequired("a human must decide to delete keys and messages", hint="or give --yes")
    warning = f"This deletes every agent in {output.escape(home.path)}, with keys and messages, for good."
    sys.stderr.write(
        f"{output.fold(warning, '  ', STDERR)}\n"
        "To keep one, first run: p2p-agents backup export FILE\nType yes to delete: "
    )
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise errors.HumanRequired("nothing was deleted", hint="to delete, run it again and type yes")


def _told(result: Mapping[str, Any]) -> str:
    lines = ["stopped the node"] if result["stopped"] else []
    lines += [f"removed {output.escape(path)}" for path in result["removed"]] or ["nothing to remove"]
    if result["kept"]:
        kept = f"kept {output.escape(result['kept'])}: agents, keys and messages; --purge deletes them"
        lines.append(output.fold(kept, "  "))
    return "\n".join([*lines, f"now remove the package: {output.escape(result['next'])}"])
