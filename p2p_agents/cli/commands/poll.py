"""`poll`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents.cli import hot
from p2p_agents.cli.options import As, Compact, Fields, Json, Limit, NewReader, Reader, application, examples

app = application()


@app.command(epilog=examples("p2p-agents poll", "p2p-agents poll --claim --limit 1", "p2p-agents poll --compact"))
def poll(
    limit: Limit = 50,
    reader: Reader = "default",
    new_reader: NewReader = False,
    claim: Annotated[bool, typer.Option("--claim", help="Each message to one process only.")] = False,
    fields: Fields = None,
    compact: Compact = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Show unread messages and mark them as read.

    They are marked only after the output was written, so a reader that breaks off sees them again. With --claim several
    processes share one reader: each message goes to one of them, and to another only if that one ends before its
    output was written.
    """
    return hot.poll(
        limit=limit,
        reader=reader,
        new_reader=new_reader,
        claim=claim,
        fields=fields,
        compact=compact,
        as_=as_,
        json=json,
    )
