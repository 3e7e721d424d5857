"""`status` and `status set`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from p2p_agents import output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import As, Json, application, examples

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents status", "p2p-agents status set busy", "p2p-agents --as bob status set idle"),
)
def status(ctx: typer.Context, as_: As = None, json: Json = None) -> int:
    """Show or set what the agent is doing."""
    if ctx.invoked_subcommand:
        return 0

    def act(face: Face) -> None:
        agent = face.act("whoami")["agent"]
        gone = {name: True for name in ("retired", "behind") if agent.get(name)}
        face.show({**gone, "name": agent["name"], "status": agent["status"]}, output.fields)

    return run(act, as_, json)


@app.command(
    "set",
    epilog=examples(
        "p2p-agents status set busy",
        "p2p-agents status set online",
        "p2p-agents --as bob status set idle",
    ),
)
def set_(
    status: Annotated[
        Literal["online", "busy", "idle"], typer.Argument(metavar="online|busy|idle", help="How busy it is.")
    ],
    as_: As = None,
    json: Json = None,
) -> int:
    """Set the status that peers see beside the name."""
    return run(lambda face: face.show(face.act("status.set", status=status), output.fields), as_, json)
