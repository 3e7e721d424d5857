"""`peers`, `peers add` and `peers remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli import hot
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import As, Compact, Fields, Json, application, examples

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents peers", "p2p-agents peers --watch", "p2p-agents peers add 192.168.1.20:4433"),
)
def peers(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Go on: a line per change.")] = False,
    fields: Fields = None,
    compact: Compact = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """List peers; follow them; add an address to dial, or remove it."""
    return 0 if ctx.invoked_subcommand else hot.peers(watch=watch, fields=fields, compact=compact, as_=as_, json=json)


@app.command(
    "list",
    epilog=examples("p2p-agents peers list", "p2p-agents peers list --json", "p2p-agents --as bob peers list"),
)
def list_(fields: Fields = None, compact: Compact = False, as_: As = None, json: Json = None) -> int:
    """List peers."""
    return hot.peers(fields=fields, compact=compact, as_=as_, json=json)


@app.command(
    epilog=examples(
        "p2p-agents peers add 192.168.1.20:4433",
        "p2p-agents peers add build-host.local:4433",
        "p2p-agents peers add '[fd00::7]:4433' --json",
    )
)
def add(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="HOST:PORT, where a node listens; or an agent's own, P2PA:A/...")
    ],
    as_: As = None,
    json: Json = None,
) -> int:
    """Dial an address and list who is there, or learn where an agent can be asked over a bridge.

    For networks that carry no announcements; `p2p-agents node status` shows a node's port. The address is kept and
    dialled again, even if nobody answers now, until `p2p-agents peers remove`. What the other side's
    `p2p-agents requests address` printed needs no dialling: `p2p-agents send` asks to be let in.
    """

    def act(face: Face) -> None:
        face.show(
            face.act("peers.add", address=address),
            lambda result: output.peers(result, "a node without agents"),
        )

    return run(act, as_, json)


@app.command(
    epilog=examples(
        "p2p-agents peers remove 192.168.1.20:4433",
        "p2p-agents peers remove build-host.local:4433",
        "p2p-agents peers remove '[fd00::7]:4433' --json",
    )
)
def remove(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="HOST:PORT, as it was added.")],
    json: Json = None,
) -> int:
    """Stop dialling an address that was added.

    Open connections stay, and contacts that were met there are still dialled there.
    """

    def act(face: Face) -> None:
        face.show(
            face.call("peers.remove", address=address),
            lambda result: "\n".join(f"removed {output.escape(each)}" for each in result["removed"]),
        )

    return run(act, None, json)
