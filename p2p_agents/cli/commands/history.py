"""`history`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents.cli import hot
from p2p_agents.cli.options import After, As, Compact, Fields, Json, Limit, To, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents history bob",
        "p2p-agents history bob --limit 10 --fields from.name,text",
        "p2p-agents history bob --before CURSOR --json",
    )
)
def history(
    to: To,
    before: Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="Only what precedes it.")] = None,
    after: After = None,
    limit: Limit = 50,
    fields: Fields = None,
    compact: Compact = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Show the conversation with a peer.

    Without --after it shows the end, and the cursor of the answer is for the next --before; with --after it is for the
    next --after.
    """
    return hot.history(
        to=to, before=before, after=after, limit=limit, fields=fields, compact=compact, as_=as_, json=json
    )
