"""`status set`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, application, examples

app = application()


@app.callback(
    epilog=examples(
        "p2p-agents status set busy",
        "p2p-agents status set online",
        "p2p-agents --as bob status set idle",
    )
)
def status() -> None:
    """Say what the agent is doing."""


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
    json: Json = False,
) -> int:
    """Set what peers see beside the name."""
    return run(lambda face: face.show(face.act("status.set", status=status), output.fields), as_, json)
