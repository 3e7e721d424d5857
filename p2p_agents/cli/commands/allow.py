"""`allow add`, `remove`, `list`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, application, examples

Whom = Annotated[str, typer.Argument(metavar="PEER", help="A whole agent id, known or not; or a known peer's name.")]

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents allow", "p2p-agents allow add bob", "p2p-agents allow remove bob"),
)
def allow(ctx: typer.Context, as_: As = None, json: Json = None) -> int:
    """Keep the allowlist: who may write without a request.

    A peer on it is accepted as soon as it proves its id, even if the policy is ask or closed, and may reach a hidden
    agent if it knows its keys. Blocked counts for more than allowed.
    """
    return 0 if ctx.invoked_subcommand else list_(as_, json)


@app.command(
    epilog=examples(
        "p2p-agents allow add bob",
        "p2p-agents allow add k7wq2mzr5t3xj6vb4hdn2ycf7lpu5sgo3aeit6kwq2mzr5t3xj6q",
        "p2p-agents --as alice allow add bob --json",
    )
)
def add(peer: Whom, as_: As = None, json: Json = None) -> int:
    """Put a peer on the allowlist: it needs no request. Once accepted, it is a contact like any other."""
    return run(lambda face: face.show(face.act("allow.add", peer=peer), output.allowed), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents allow remove bob", "p2p-agents allow remove k7wq2m", "p2p-agents allow remove bob --json"
    )
)
def remove(peer: Whom, as_: As = None, json: Json = None) -> int:
    """Take a peer off the allowlist; if it was accepted, it stays a contact."""
    return run(lambda face: face.show(face.act("allow.remove", peer=peer), output.allowed), as_, json)


@app.command(
    "list",
    epilog=examples("p2p-agents allow list", "p2p-agents allow list --json", "p2p-agents --as bob allow list"),
)
def list_(as_: As = None, json: Json = None) -> int:
    """List the allowlist."""
    return run(lambda face: face.show(face.act("allow.list"), output.allowlist), as_, json)
