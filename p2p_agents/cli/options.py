"""Options and arguments that several commands share, and the house style of a Typer application."""

from __future__ import annotations

import math
import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from p2p_agents import errors, limits, output
from p2p_agents.cli import names

As = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="NAME", autocompletion=names.agents, help="Act for this local agent; else $P2P_AGENT."
    ),
]
Json = Annotated[
    bool | None,
    typer.Option(
        "--json/--text", help="JSON, or text for people; else text on a terminal, JSON in a pipe.", show_default=False
    ),
]
Fields = Annotated[
    str | None,
    typer.Option("--fields", metavar="A,B.C", help="JSON, of each message or peer only these fields."),
]
Compact = Annotated[
    bool, typer.Option("--compact", help="JSON without blanks, and without what is null, false, 0, empty, text/plain.")
]
After = Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="Only what follows this cursor; 0: all.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=limits.PAGE_MAX, help="Messages at most.")]
Reader = Annotated[str, typer.Option("--reader", metavar="R", help="Whose place in the log.")]
NewReader = Annotated[bool, typer.Option("--new-reader", help="Make the reader, where none of that name has read.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A file's path.")]
Peer = Annotated[
    str, typer.Argument(metavar="PEER", autocompletion=names.peers, help="A peer: name, petname or id prefix.")
]
From = Annotated[
    str | None, typer.Option("--from", metavar="PEER", autocompletion=names.peers, help="Only messages of it.")
]
To = Annotated[
    str, typer.Argument(metavar="TO", autocompletion=names.peers, help="A peer: name, petname or id prefix.")
]


OUTPUTS = {"--json", "--text"}


def check_number(value: float | None) -> float | None:
    """Refuse NaN, which passes every bound."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not a number of seconds.")
    return value


Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="S", min=0, max=limits.WAIT_MAX_S, callback=check_number, help="Seconds to wait."
    ),
]


def absolute(path: str) -> str:
    """The path as the node finds it, which runs in another directory."""
    return os.path.abspath(os.path.expanduser(path))


SENTENCE = 1000  # characters: more than the first sentence of any help


class BareGroup(Exception):
    """A group was named, and none of its commands."""

    def __init__(self, path: str, commands: list[str], page: str) -> None:
        super().__init__(path)
        self.path, self.commands, self.page = path, commands, page


class Listed(TyperGroup):
    """Lists its commands by whole sentences, on as many lines as they need."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.get_short_help_str(SENTENCE)) for name, found in commands if found])


class Group(Listed):
    """Commands under one word: a slip is answered with similar commands, the bare word with its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not self.invoke_without_command and not ctx.resilient_parsing and set(args) <= OUTPUTS:
            raise BareGroup(ctx.command_path, self.list_commands(ctx), ctx.get_help())
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and args[0][:1] != "-":
            raise unknown_command(args[0], self, ctx)
        return super().resolve_command(ctx, args)


def unknown_command(word: str, group: Any, ctx: Any) -> errors.Usage:
    """There is no such command: suggest similar ones, and where to look."""
    known = group.list_commands(ctx) if hasattr(group, "list_commands") else []
    near = output.did_you_mean(word, known)
    return errors.Usage(
        f"{ctx.command_path} has no command {word[:64]!r}", hint=f"{near}run: {ctx.command_path} --help"
    )


def application(**settings: Any) -> typer.Typer:
    """A Typer application in the house style: plain help, our own errors, no completion of its own."""
    settings.setdefault("cls", Group)
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


def examples(*lines: str) -> str:
    """The end of a `--help`: examples that can be typed exactly as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
