"""`send`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from p2p_agents.cli import hot, names
from p2p_agents.cli.options import As, Json, Timeout, application, examples

app = application()


@app.command(
    epilog=examples(
        'p2p-agents send bob "the build is green"',
        "git diff | p2p-agents send bob - --wait delivered --timeout 10",
        'p2p-agents send bob "yes" --reply-to MESSAGE_ID --id answer-17',
    )
)
def send(
    to: Annotated[
        str,
        typer.Argument(
            metavar="TO", autocompletion=names.peers, help="A peer: name, petname, id prefix, or address (P2PA:A/...)."
        ),
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message; - reads standard input.")],
    id: Annotated[str | None, typer.Option("--id", metavar="KEY", help="Idempotency key: one key sends once.")] = None,
    type: Annotated[
        Literal["text/plain", "text/markdown", "application/json"], typer.Option("--type", help="What it is.")
    ] = "text/plain",
    reply_to: Annotated[str | None, typer.Option("--reply-to", metavar="ID", help="The message it answers.")] = None,
    wait: Annotated[
        Literal["delivered", "read"] | None, typer.Option("--wait", help="Wait until it got so far.")
    ] = None,
    timeout: Timeout = 30.0,
    as_: As = None,
    json: Json = None,
) -> int:
    """Send a message.

    Once this ends with status 0, the message is stored and will be delivered, or its state says why not. The first
    message to a peer is a request to be accepted. Other users of this machine can read arguments while a command runs;
    pass text that they must not see on standard input, with `-` as TEXT.

    With --wait, status 4 means that it is stored but has not arrived yet: do not send it again.
    """
    return hot.send(
        to=to,
        text=text,
        id=id,
        type=type,
        reply_to=reply_to,
        wait=wait,
        timeout=timeout,
        as_=as_,
        json=json,
    )
