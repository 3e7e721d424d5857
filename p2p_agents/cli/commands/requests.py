"""`requests list`, `accept`, `reject`, `block`, `policy`, `introductions`, `address`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, Peer, application, examples

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents requests list", "p2p-agents requests accept bob", "p2p-agents requests policy open"),
)
def requests(ctx: typer.Context, as_: As = None, json: Json = None) -> int:
    """Answer peers that want to write or were introduced: list, accept, reject, block; policies.

    An unknown peer may send one request of 1 KiB; nothing else arrives from it until it is accepted. A contact may
    introduce somebody: its description of the other is hearsay until the other proves its id.
    """
    return 0 if ctx.invoked_subcommand else list_(as_, json)


@app.command(
    "list",
    epilog=examples("p2p-agents requests list", "p2p-agents requests list --json", "p2p-agents --as bob requests list"),
)
def list_(as_: As = None, json: Json = None) -> int:
    """List requests, both ways, and introductions."""
    return run(lambda face: face.show(face.act("requests.list"), output.requests), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents requests accept bob",
        "p2p-agents requests accept k7wq2",
        "p2p-agents requests accept bob --json",
    )
)
def accept(peer: Peer, as_: As = None, json: Json = None) -> int:
    """Accept a peer: its messages arrive from now on."""
    return _answer("accept", peer, as_, json)


@app.command(
    epilog=examples(
        "p2p-agents requests reject bob",
        "p2p-agents requests reject k7wq2",
        "p2p-agents requests reject bob --json",
    )
)
def reject(peer: Peer, as_: As = None, json: Json = None) -> int:
    """Reject a peer's request."""
    return _answer("reject", peer, as_, json)


@app.command(
    epilog=examples(
        "p2p-agents requests block mallory",
        "p2p-agents requests block k7wq2",
        "p2p-agents requests block mallory --json",
    )
)
def block(peer: Peer, as_: As = None, json: Json = None) -> int:
    """Block a peer: nothing from it is shown any more."""
    return _answer("block", peer, as_, json)


@app.command(
    epilog=examples("p2p-agents requests policy", "p2p-agents requests policy ask", "p2p-agents requests policy closed")
)
def policy(
    policy: Annotated[
        Literal["open", "ask", "closed"] | None,
        typer.Argument(metavar="[open|ask|closed]", help="Without it, show it."),
    ] = None,
    as_: As = None,
    json: Json = None,
) -> int:
    """Show or set who may write first."""
    return run(lambda face: face.show(face.act("requests.policy", policy=policy), output.fields), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents requests introductions",
        "p2p-agents requests introductions accept",
        "p2p-agents requests introductions ignore --json",
    )
)
def introductions(
    policy: Annotated[
        Literal["ask", "accept", "ignore"] | None,
        typer.Argument(metavar="[ask|accept|ignore]", help="Without it, show it."),
    ] = None,
    as_: As = None,
    json: Json = None,
) -> int:
    """Show or set how introductions are treated.

    ask lists them; accept accepts at once anybody that a paired or verified contact introduces, and lists the others;
    ignore drops them.
    """
    return run(
        lambda face: face.show(face.act("requests.introductions", introductions=policy), output.fields), as_, json
    )


@app.command(
    epilog=examples(
        "p2p-agents requests address",
        "p2p-agents requests address --json",
        "p2p-agents requests address --off",
    )
)
def address(
    off: Annotated[
        bool, typer.Option("--off", help="Withdraw it for good: requests that lie there are dropped.")
    ] = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Print an address of this agent that anybody may pass on.

    Anybody who has it can send a request over a bridge, from any network: p2p-agents send ADDRESS TEXT. It holds the
    agent's name, id, keys and bridge, and no secret; it expires with its key, after 30 to 37 days. Needs a bridge:
    p2p-agents bridge add.
    """
    return run(lambda face: face.show(face.act("requests.address", off=off), output.request_address), as_, json)


def _answer(verb: str, peer: str, as_: str | None, json: bool | None) -> int:
    return run(lambda face: face.show(face.act(f"requests.{verb}", peer=peer), output.contact), as_, json)
