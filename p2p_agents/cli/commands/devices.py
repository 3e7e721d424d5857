"""`devices list`, `revoke`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import exits, output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, application, examples

app = application()


def _list(as_: str | None, json: bool | None) -> int:
    return run(lambda face: face.show(face.act("devices.list"), output.devices), as_, json)


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents devices", "p2p-agents devices revoke laptop", "p2p-agents --as alice devices --json"),
)
def devices(ctx: typer.Context, as_: As = None, json: Json = None) -> int:
    """List the installations of an agent; revoke one."""
    return exits.OK if ctx.invoked_subcommand else _list(as_, json)


@app.command(
    "list",
    epilog=examples("p2p-agents devices list", "p2p-agents devices list --json", "p2p-agents --as alice devices list"),
)
def list_(as_: As = None, json: Json = None) -> int:
    """List the agent's installations, present and past."""
    return _list(as_, json)


@app.command(
    epilog=examples(
        "p2p-agents devices revoke laptop",
        "p2p-agents devices revoke k7wq2",
        "p2p-agents --as alice devices revoke laptop --json",
    )
)
def revoke(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its name or the beginning of its id.")],
    as_: As = None,
    json: Json = None,
) -> int:
    """Revoke another installation for good: contacts close its links and accept nothing new from it."""
    return run(lambda face: face.show(face.act("devices.revoke", device=device), output.devices), as_, json)
