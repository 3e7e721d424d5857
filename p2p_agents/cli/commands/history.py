"""`history`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import After, As, Json, Limit, To, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents history bob",
        "p2p-agents history bob --limit 10",
        "p2p-agents history bob --before CURSOR --json",
    )
)
def history(
    to: To,
    before: Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="Only what precedes it.")] = None,
    after: After = None,
    limit: Limit = 50,
    as_: As = None,
    json: Json = None,
) -> int:
    """Show the conversation with a peer.

    Without --after its end, and the cursor of the answer is the next --before; with --after the next --after.
    """
    onwards = "--before" if after is None else "--after"

    def act(face: Face) -> None:
        result = face.act("history", to=to, before=before, after=after, limit=limit)
        face.show(result, lambda page: output.messages(page, onwards))

    return run(act, as_, json)
