"""`poll`."""

from __future__ import annotations

from p2p_agents.cli import hot
from p2p_agents.cli.options import As, Json, Limit, Reader, application, examples

app = application()


@app.command(epilog=examples("p2p-agents poll", "p2p-agents poll --limit 10", "p2p-agents --as build-bot poll --json"))
def poll(limit: Limit = 50, reader: Reader = "default", as_: As = None, json: Json = False) -> int:
    """Show unread messages and mark them as read.

    They are marked only after the output was written: a reader that breaks off sees them again.
    """
    return hot.poll(limit=limit, reader=reader, as_=as_, json=json)
