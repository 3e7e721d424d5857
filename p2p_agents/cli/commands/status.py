"""`status set`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, application, examples

app = application()


@app.callback(
    epilog=examples(
        'p2p-agents status set "reviewing"',
        'p2p-agents status set ""',
        'p2p-agents --as bob status set "away"',
    )
)
def status() -> None:
    """Say what the agent is doing."""


@app.command(
    "set",
    epilog=examples(
        'p2p-agents status set "reviewing"',
        'p2p-agents status set ""',
        'p2p-agents --as bob status set "away"',
    ),
)
def set_(
    status: Annotated[str, typer.Argument(metavar="STATUS", help="A short line; empty takes it away.")],
    as_: As = None,
    json: Json = False,
) -> int:
    """Set the line peers see beside the name."""
    return run(lambda face: face.show(face.act("status.set", status=status), output.fields), as_, json)
