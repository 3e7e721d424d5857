"""`host`, `host status`, `host stop`."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, exits, output
from p2p_agents.cli.commands.pair import Name, show_and_wait, tell
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import As, Json, application, examples
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p2p_agents.cli.own_bridge import OwnBridge

DEFAULT_PORT = 4433
ANSWER_S = 10.0  # a bridge in use answers within this time, or not at all
POLL_S = 0.1

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents host", "p2p-agents host --public-host agents.example.org", "p2p-agents host --tunnel"),
)
def host(
    ctx: typer.Context,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", min=0, max=65_535, help="UDP and TCP; else 4433.")
    ] = None,
    public_host: Annotated[
        str | None, typer.Option("--public-host", metavar="NAME", help="How others reach this machine.")
    ] = None,
    tunnel: Annotated[
        bool, typer.Option("--tunnel", help="Through cloudflared or tailscale, where one is installed.")
    ] = False,
    invited: Annotated[
        bool, typer.Option("--invited", help="Show a token too, for nodes that use the bridge without the link.")
    ] = False,
    open_: Annotated[
        bool, typer.Option("--open", help="The bridge is for anybody who reaches it; else for those invited.")
    ] = False,
    no_qr: Annotated[bool, typer.Option("--no-qr", help="Words only, no picture.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Show the code and end; it lives on.")] = False,
    name: Name = None,
    as_: As = None,
    json: Json = None,
) -> int:
    """Be reachable from other networks: run a bridge unless one is in use, and show a code that works over it.

    A bridge that it started before, and that has ended, is started again with the same options. With other options, or
    at another address of this machine, a new one takes its place, and earlier links no longer work.

    Only this machine and those you invite may use that bridge: the link admits one other, once, while its code lives;
    --invited shows a token that admits 16. With --open anybody who can reach it may use it, within limits.

    The bridge runs in the background, with its data in this node's home, until `host stop`. Others reach it where this
    machine can be reached: at --public-host, or through a tunnel program that is already installed.
    """
    if ctx.invoked_subcommand:
        return exits.OK

    if invited and open_:
        raise typer.BadParameter("--open is for anybody, and --invited for those with a token: one of them.")

    def act(face: Face) -> int:
        who = True if open_ else False if invited else None
        started = _serve(face, Wish(port, public_host, tunnel=tunnel, open=who), invites=invited)
        wanted = {"bridge": started["bridge"]}
        return show_and_wait(face, name, picture=not no_qr, link=True, wait=not no_wait, more=started, wanted=wanted)

    return run(act, as_, json)


@app.command(epilog=examples("p2p-agents host status", "p2p-agents host status --json", "p2p-agents bridge status"))
def status(json: Json = None) -> int:
    """Show whether a bridge of this machine runs in the background, and where it is reached."""

    def act(face: Face) -> None:
        from p2p_agents.cli.own_bridge import OwnBridge

        own = OwnBridge(Home())
        shown = {name: value for name, value in (own.last() or {}).items() if name != "token"}
        face.show({"running": own.running() is not None, "data": own.data, **shown}, _state)

    return run(act, None, json)


@app.command(epilog=examples("p2p-agents host stop", "p2p-agents host stop --json", "p2p-agents host status"))
def stop(json: Json = None) -> int:
    """Stop the bridge that `host` started, and stop using it. Its data stays on disk for the next start."""

    def act(face: Face) -> None:
        from p2p_agents.cli.own_bridge import OwnBridge

        known = OwnBridge(Home()).stop()
        if known is None:
            raise errors.BridgeUnknown("no bridge is running on this machine", hint="run: p2p-agents host")
        with suppress(errors.BridgeUnknown):  # it was removed by hand
            face.call("bridge.remove", address=known["address"])
        face.show({"stopped": known["address"]}, lambda result: f"stopped {output.escape(result['stopped'])}")

    return run(act, None, json)


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of the command line; `open` None means as before, and closed the first time."""

    port: int | None
    public_host: str | None
    tunnel: bool
    open: bool | None

    def of(self, last: Mapping[str, Any] | None) -> Wish:
        """The same, completed from what was started last. Port 0 means any: the previous one."""
        from p2p_agents.cli.own_bridge import is_open

        if last is None:
            return replace(self, port=DEFAULT_PORT if self.port is None else self.port, open=bool(self.open))
        elsewhere = self.tunnel or self.public_host is not None
        return Wish(
            self.port or last.get("port") or DEFAULT_PORT,
            self.public_host if elsewhere else last.get("public_host"),
            tunnel=self.tunnel if elsewhere else last["tunnel"] is not None,
            open=is_open(last) if self.open is None else self.open,
        )

    def is_met(self, known: Mapping[str, Any], here: str) -> bool:
        """Whether what runs is what is wanted; `here` is this machine's address."""
        from p2p_agents.cli.own_bridge import host_of, is_open

        if self.port != known.get("port", self.port) or self.open is not is_open(known):
            return False
        if self.tunnel or known["tunnel"]:
            return self.tunnel is (known["tunnel"] is not None)
        return host_of(known["address"]) == (self.public_host or here)


def _serve(face: Face, wish: Wish, *, invites: bool) -> dict[str, Any]:
    """The bridge to use: a known one, or our own, started now unless it runs as wanted."""
    from p2p_agents.cli.own_bridge import OwnBridge, address_here, is_open, tunnel_tool

    own = OwnBridge(Home())
    last, known, here = own.last(), own.running(), address_here()
    used = face.call("bridge.list")["bridges"]
    if last is None and used and not (wish.tunnel or wish.public_host or wish.open is not None):
        return _used(face, used[0]["address"])
    wanted = wish.of(last)
    started = known is None or not wanted.is_met(known, here)
    if known is None or started:
        tool = tunnel_tool() if wanted.tunnel else None
        _end_last(own, last, known)
        known = own.start(wanted.port or 0, wanted.public_host, tool, open_=bool(wanted.open))
        if not (wanted.tunnel or wanted.public_host):
            tell(f"Only whoever can reach {here} can reach this bridge. For others: --public-host NAME or --tunnel")
    _use(face, known, last)
    if started:
        tell(
            f"A bridge runs in the background now: {output.escape(known['address'])}\nTo stop it: p2p-agents host stop"
        )
    token = own.invitation("invited") if invites else None
    tell(_who_may_use(known["address"], token, open_=is_open(known)))
    return {"bridge": known["address"], "started": started, "admission": known.get("admission"), "token": token}


def _end_last(own: OwnBridge, last: Mapping[str, Any] | None, known: Mapping[str, Any] | None) -> None:
    """End the previous bridge before the next one, and say so."""
    if last is None:
        return
    if known is None:
        tell(f"The bridge at {output.escape(last['address'])} had ended; it is started again.")
    else:
        tell(f"The bridge at {output.escape(last['address'])} is restarted with other options.")
    own.stop()


def _use(face: Face, known: Mapping[str, Any], last: Mapping[str, Any] | None) -> None:
    """Let the node use it, at its present address only."""
    try:
        face.call("bridge.add", address=known["address"], token=known.get("token"))
    except errors.BridgeUnreachable as error:  # it is kept and tried again: a tunnel's name takes a while to appear
        tell(f"The bridge runs and is not reached yet at that address: {output.escape(error.message)}")
    if last is not None and last["address"] != known["address"]:
        with suppress(errors.BridgeUnknown):
            face.call("bridge.remove", address=last["address"])
        tell("Its address has changed: links and codes for the old one no longer work.")


def _used(face: Face, address: str) -> dict[str, Any]:
    """A bridge of somebody else that this node uses. Raises BridgeUnreachable if it does not answer."""
    deadline = time.monotonic() + ANSWER_S
    while True:
        found = face.call("bridge.status", address=address)["bridges"][0]
        if found["state"] != "connecting" or time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    if found["state"] != "up":
        place = address.removeprefix("bridge://").partition("#")[0]
        raise errors.BridgeUnreachable(
            f"this node uses the bridge {place}, and it is {found['state']}: {found['why'] or 'no answer'}",
            hint=f"use it no longer: p2p-agents bridge remove {place}; or run one: p2p-agents host --public-host NAME",
        )
    return {"bridge": address, "started": False, "admission": None, "token": None}


def _who_may_use(address: str, token: str | None, *, open_: bool) -> str:
    from p2p_agents.cli.own_bridge import INVITED

    if open_:
        return (
            "Anybody who reaches that bridge may use it, within bounds. To admit only those you invite:"
            " p2p-agents host --invited"
        )
    if token is None:
        return (
            "Only those you invite may use that bridge: the link below lets in one, once. A token for others:"
            " p2p-agents host --invited"
        )
    return (
        f"Only those you invite may use that bridge. A token that lets in {INVITED} machines; each types:\n"
        f"  echo {token} | p2p-agents bridge add {output.escape(address)} --token-file -"
    )


def _state(result: Mapping[str, Any]) -> str:
    if not result["running"]:
        ended = f"the bridge at {output.escape(result['address'])} has ended" if "address" in result else ""
        return f"{ended or 'no bridge is running on this machine'}; start one: p2p-agents host"
    from p2p_agents.cli.own_bridge import is_open

    through = f", through {result['tunnel']}" if result["tunnel"] else ""
    who = "anybody who reaches it" if is_open(result) else "those you invite"
    keeps = f"runs as process {result['pid']}{through}, and keeps what it is given in {output.escape(result['data'])}"
    return f"{output.escape(result['address'])}\n{keeps}\nadmits {who}"
