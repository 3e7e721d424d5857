"""`ack`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents.cli import hot
from p2p_agents.cli.options import As, Json, Reader, application, examples

app = application()


@app.command(epilog=examples("p2p-agents ack", "p2p-agents ack CURSOR", "p2p-agents ack CURSOR --reader night-shift"))
def ack(
    cursor: Annotated[
        str | None, typer.Argument(metavar="[CURSOR]", help="Up to here; without it all that was shown.")
    ] = None,
    reader: Reader = "default",
    as_: As = None,
    json: Json = None,
) -> int:
    """Mark what was shown as read.

    Only what was shown to this reader is marked; a message that came meanwhile stays unread.
    """
    return hot.ack(cursor=cursor, reader=reader, as_=as_, json=json)
