"""`wait`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents.cli import hot
from p2p_agents.cli.options import (
    After,
    As,
    Compact,
    Fields,
    From,
    Json,
    Limit,
    NewReader,
    Reader,
    Timeout,
    application,
    examples,
)

app = application()


@app.command(
    epilog=examples(
        "p2p-agents wait", "p2p-agents wait --from bob --timeout 300", "p2p-agents wait --after CURSOR --json"
    )
)
def wait(
    from_: From = None,
    after: After = None,
    timeout: Timeout = 60.0,
    limit: Limit = 50,
    reader: Reader = "default",
    new_reader: NewReader = False,
    fields: Fields = None,
    compact: Compact = False,
    requests: Annotated[
        bool | None,
        typer.Option("--requests/--no-requests", help="Also return for a request. Default: only at a terminal."),
    ] = None,
    as_: As = None,
    json: Json = None,
) -> int:
    """Wait for messages.

    Returns at once if some are unread; at a terminal also if somebody asks to be accepted. Messages stay unread until
    `ack`. With --after no reader is involved: pass the cursor of each answer to the next call. The exit status is 4 if
    nothing came in time. Processes that wait as the same reader all get every message: give each its own --reader, or
    share the work with `poll --claim`.
    """
    return hot.wait(
        from_=from_,
        after=after,
        timeout=timeout,
        limit=limit,
        reader=reader,
        new_reader=new_reader,
        fields=fields,
        compact=compact,
        requests=requests,
        as_=as_,
        json=json,
    )
