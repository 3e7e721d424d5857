"""`inbox`."""

from __future__ import annotations

from p2p_agents.cli import hot
from p2p_agents.cli.options import After, As, Compact, Fields, Json, Limit, NewReader, Reader, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents inbox",
        "p2p-agents inbox --after 0 --fields from.name,text",
        "p2p-agents inbox --reader night-shift --new-reader",
    )
)
def inbox(
    after: After = None,
    limit: Limit = 50,
    reader: Reader = "default",
    new_reader: NewReader = False,
    fields: Fields = None,
    compact: Compact = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Show unread messages and leave them unread.

    Pass the cursor of the answer to `ack` once you have dealt with the messages.
    """
    return hot.inbox(
        after=after,
        limit=limit,
        reader=reader,
        new_reader=new_reader,
        fields=fields,
        compact=compact,
        as_=as_,
        json=json,
    )
