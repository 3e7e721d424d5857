"""`introduce`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, Peer, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents introduce bob dave",
        "p2p-agents introduce k7wq2m dave --json",
        "p2p-agents --as alice introduce bob dave",
    )
)
def introduce(
    peer: Peer,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The other one: name, petname or id prefix.")],
    as_: As = None,
    json: Json = None,
) -> int:
    """Introduce two contacts to each other.

    Each is sent the other's name, id, keys and addresses, on your word. Both decide for themselves; once both have
    accepted, they can write to each other without a request.
    """
    return run(lambda face: face.show(face.act("introduce", peer=peer, other=other), output.introduced), as_, json)
