"""Options and arguments that several commands share, and the house style of a Typer application."""

from __future__ import annotations

import math
import os
from typing import Annotated, Any

import typer

from p2p_agents import limits

As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Act for this local agent; else $P2P_AGENT.")]
Json = Annotated[bool, typer.Option("--json", help="JSON, as whenever stdout is not a terminal.")]
After = Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="Only what follows this cursor; 0: all.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=limits.PAGE_MAX, help="Messages at most.")]
Reader = Annotated[str, typer.Option("--reader", metavar="R", help="Whose place in the log.")]
NewReader = Annotated[bool, typer.Option("--new-reader", help="Make the reader, where none of that name has read.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A file's path.")]
Peer = Annotated[str, typer.Argument(metavar="PEER", help="A peer: name, petname or id prefix.")]
To = Annotated[str, typer.Argument(metavar="TO", help="A peer: name, petname or id prefix.")]


def check_number(value: float | None) -> float | None:
    """NaN passes every bound."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number of seconds.")
    return value


Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="S", min=0, max=limits.WAIT_MAX_S, callback=check_number, help="Seconds to wait."
    ),
]


def absolute(path: str) -> str:
    """As the node, whose directory is another, finds it."""
    return os.path.abspath(os.path.expanduser(path))


def application(**settings: Any) -> typer.Typer:
    """A Typer application in the house style: plain help, our own errors, no completion of its own."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


def examples(*lines: str) -> str:
    """The end of a `--help`: what to type, exactly so."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
