"""The entry of `p2p-bridge`."""

from __future__ import annotations

import sys

import typer

from bridge import cli, face
from bridge.faults import RedisMissing
from p2p_agents import exits
from p2p_agents.errors import P2PError, Usage, as_message

EXTRA = "redis"  # what p2p-agents[redis] brings: nothing else of a bridge may be missing


def main(argv: list[str] | None = None) -> int:
    """Parse and run one command line; its exit status."""
    words = sys.argv[1:] if argv is None else argv
    group = typer.main.get_command(cli.app)
    try:
        status = group.main(words or ["--help"], prog_name="p2p-bridge", standalone_mode=False)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != EXTRA:
            raise
        return face.run(lambda _: _raise(RedisMissing()), json="--json" in words)
    except typer.TyperException as error:
        refused = _usage(error)
        return face.run(lambda _: _raise(refused), json="--json" in words)
    except typer.Abort:
        return exits.INTERRUPTED
    return status if isinstance(status, int) else exits.OK


def _usage(error: typer.TyperException) -> Usage:
    told = getattr(error, "format_message", None)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "p2p-bridge"
    return Usage(as_message(told() if told is not None else str(error)), hint=f"run: {path} --help")


def _raise(error: P2PError) -> None:
    raise error
