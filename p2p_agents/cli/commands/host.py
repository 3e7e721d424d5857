"""`host`, `host status`, `host stop`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, exits, output
from p2p_agents.cli.commands.pair import Name, show_and_wait, tell
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import As, Json, application, examples
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents host", "p2p-agents host --public-host agents.example.org", "p2p-agents host --tunnel"),
)
def host(
    ctx: typer.Context,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65_535, help="UDP and TCP.")] = 4433,
    public_host: Annotated[
        str | None, typer.Option("--public-host", metavar="NAME", help="How others reach this machine.")
    ] = None,
    tunnel: Annotated[
        bool, typer.Option("--tunnel", help="Through cloudflared or tailscale, where one is installed.")
    ] = False,
    invited: Annotated[
        bool,
        typer.Option("--invited", help="The bridge is for those with the token that is shown; else for anybody."),
    ] = False,
    no_qr: Annotated[bool, typer.Option("--no-qr", help="Words only, no picture.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Show the code and end; it lives on.")] = False,
    name: Name = None,
    as_: As = None,
    json: Json = None,
) -> int:
    """Be reachable from other networks: run a bridge if none is used yet, and show a code that works over it.

    Anybody who reaches that bridge may use it, within bounds, unless it was started with --invited.

    The bridge runs in the background and keeps what it is given in this node's home, until `host stop`. Others reach
    it where this machine can be reached: at --public-host, or through a tunnel program that is installed already.
    """
    if ctx.invoked_subcommand:
        return exits.OK

    def act(face: Face) -> int:
        started = _serve(face, port, public_host, tunnel, invited=invited)
        return show_and_wait(face, name, picture=not no_qr, link=True, wait=not no_wait, more=started)

    return run(act, as_, json)


@app.command(epilog=examples("p2p-agents host status", "p2p-agents host status --json", "p2p-agents bridge status"))
def status(json: Json = None) -> int:
    """Show whether a bridge of this machine runs in the background, and where it is reached."""

    def act(face: Face) -> None:
        from p2p_agents.cli.own_bridge import OwnBridge

        own = OwnBridge(Home())
        known = own.running()
        shown = {name: value for name, value in (known or {}).items() if name != "token"}
        face.show({"running": known is not None, "data": own.data, **shown}, _state)

    return run(act, None, json)


@app.command(epilog=examples("p2p-agents host stop", "p2p-agents host stop --json", "p2p-agents host status"))
def stop(json: Json = None) -> int:
    """Stop the bridge that `host` started, and use it no longer. What it keeps stays on disk for the next start."""

    def act(face: Face) -> None:
        from p2p_agents.cli.own_bridge import OwnBridge

        known = OwnBridge(Home()).stop()
        if known is None:
            raise errors.BridgeUnknown("no bridge of this machine runs", hint="run: p2p-agents host")
        with suppress(errors.BridgeUnknown):  # it was removed by hand
            face.call("bridge.remove", address=known["address"])
        face.show({"stopped": known["address"]}, lambda result: f"stopped {output.escape(result['stopped'])}")

    return run(act, None, json)


def _serve(face: Face, port: int, public_host: str | None, tunnel: bool, *, invited: bool) -> dict[str, Any]:
    """The bridge that is used: one that is known, or one of our own, started now."""
    from p2p_agents.cli.own_bridge import OwnBridge, address_here, tunnel_tool

    own = OwnBridge(Home())
    known = own.running()
    used = face.call("bridge.list")["bridges"]
    if known is None and used and not (tunnel or public_host):
        return {"bridge": used[0]["address"], "started": False, "admission": None, "token": None}
    started = known is None
    if known is None:
        tool = tunnel_tool() if tunnel else None
        here = public_host or address_here()
        known = own.start(["--port", str(port), "--public-host", here], tool, invited=invited)
        if not (tunnel or public_host):
            tell(f"Only where {here} is reached, this bridge is; else: --public-host NAME or --tunnel.")
    try:
        face.call("bridge.add", address=known["address"], token=known.get("token"))
    except errors.BridgeUnreachable as error:  # it is kept and tried again: a tunnel's name takes a while
        tell(f"The bridge runs and is not reached yet at that address: {output.escape(error.message)}")
    if started:
        tell(
            f"A bridge runs in the background now: {output.escape(known['address'])}\nTo stop it: p2p-agents host stop"
        )
    token = own.invitation("invited") if known.get("token") and (started or invited) else None
    tell(_who_may_use(known["address"], token, invited=bool(known.get("token"))))
    return {"bridge": known["address"], "started": started, "admission": known.get("admission"), "token": token}


def _who_may_use(address: str, token: str | None, *, invited: bool) -> str:
    if not invited:
        return (
            "Anybody who reaches that bridge may use it, within bounds. For those you invite alone:"
            " p2p-agents host stop, then p2p-agents host --invited"
        )
    if token is None:
        return "Only those with a token may use that bridge. One to give away: p2p-agents host --invited"
    return (
        "Only those with this token may use that bridge. Whom you invite types:\n"
        f"  echo {token} | p2p-agents bridge add {output.escape(address)} --token-file -"
    )


def _state(result: Mapping[str, Any]) -> str:
    if not result["running"]:
        return "no bridge of this machine runs; start one: p2p-agents host"
    through = f", through {result['tunnel']}" if result["tunnel"] else ""
    who = "those with a token" if result.get("admission") == "token" else "anybody who reaches it"
    keeps = f"runs as process {result['pid']}{through}, and keeps what it is given in {output.escape(result['data'])}"
    return f"{output.escape(result['address'])}\n{keeps}\nadmits {who}"
