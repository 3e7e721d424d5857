"""`search`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Compact, Fields, Json, Limit, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents search deadline",
        'p2p-agents search "build failed"',
        "p2p-agents search deadline --limit 5 --json",
    )
)
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The words.")],
    limit: Limit = 50,
    fields: Fields = None,
    compact: Compact = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Find messages by their words."""
    return run(
        lambda face: face.show(face.act("search", text=text, limit=limit), output.messages),
        as_,
        json,
        fields=fields,
        compact=compact,
    )
