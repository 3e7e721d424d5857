"""`init`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from p2p_agents import output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import Json, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents init alice",
        "p2p-agents init build-bot --kind claude-code --policy open",
        "p2p-agents init auditor --hidden --json",
    )
)
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 32 letters, digits, . - _")],
    kind: Annotated[
        Literal["claude-code", "codex", "openclaw", "human", "other"],
        typer.Option("--kind", help="What it is."),
    ] = "other",
    hidden: Annotated[bool, typer.Option("--hidden", help="Keep it out of announcements.")] = False,
    policy: Annotated[Literal["open", "ask", "closed"], typer.Option("--policy", help="Who may write first.")] = "ask",
    json: Json = None,
) -> int:
    """Create an agent on this machine.

    The first agent is the default one. The node starts by itself. If the agent exists already, with the same options,
    that is a success too.
    """

    def act(face: Face) -> None:
        made = face.call("init", name=name, kind=kind, hidden=hidden, policy=policy)
        face.show(made, output.created)

    return run(act, None, json)
