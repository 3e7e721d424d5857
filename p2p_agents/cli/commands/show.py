"""`show`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents.cli import hot
from p2p_agents.cli.options import As, Compact, Fields, Json, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents show MESSAGE_ID",
        "p2p-agents show MESSAGE_ID --fields state",
        "p2p-agents --as bob show MESSAGE_ID --json",
    )
)
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A message id.")],
    fields: Fields = None,
    compact: Compact = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Show a message and where it stands with each recipient."""
    return hot.show(id=id, fields=fields, compact=compact, as_=as_, json=json)
