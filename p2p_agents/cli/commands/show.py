"""`show`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents show MESSAGE_ID",
        "p2p-agents show MESSAGE_ID --json",
        "p2p-agents --as bob show MESSAGE_ID",
    )
)
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A message id.")], as_: As = None, json: Json = None
) -> int:
    """Show a message and where it stands with each recipient."""
    return run(lambda face: face.show(face.act("show", id=id), output.shown), as_, json)
