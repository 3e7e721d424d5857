"""`contacts` and `contacts name`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, Peer, application, examples

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents contacts", "p2p-agents contacts --json", "p2p-agents contacts name bob bobby"),
)
def contacts(ctx: typer.Context, as_: As = None, json: Json = None) -> int:
    """List contacts; give them names."""
    return 0 if ctx.invoked_subcommand else list_(as_, json)


@app.command(
    "list",
    epilog=examples("p2p-agents contacts list", "p2p-agents contacts list --json", "p2p-agents --as bob contacts list"),
)
def list_(as_: As = None, json: Json = None) -> int:
    """List contacts."""
    return run(lambda face: face.show(face.act("contacts"), output.contacts), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents contacts name bob bobby",
        "p2p-agents contacts name k7wq2 work-bob",
        'p2p-agents contacts name bob ""',
    )
)
def name(
    peer: Peer,
    petname: Annotated[str, typer.Argument(metavar="PETNAME", help="Your name for it; empty takes it away.")],
    as_: As = None,
    json: Json = None,
) -> int:
    """Give a peer a name of your own."""
    return run(
        lambda face: face.show(face.act("contacts.name", peer=peer, petname=petname), output.contact),
        as_,
        json,
    )
