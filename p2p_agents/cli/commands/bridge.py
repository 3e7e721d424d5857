"""`bridge add`, `list`, `remove`, `status`, `run`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from p2p_agents import errors, output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import Json, application, check_number, examples

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TOKEN_CHARS = 128  # as bridges take them
TOKEN_FILE_BYTES = 1_024  # more holds something else

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="bridge://HOST:PORT#KEY, as its operator gives it.")]
Which = Annotated[str, typer.Argument(metavar="BRIDGE", help="Its address, or its host and port.")]

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents bridge", "p2p-agents bridge list", "p2p-agents bridge status --json"),
)
def bridge(ctx: typer.Context, json: Json = None) -> int:
    """Reach peers on other networks through bridges: use them, check them, run one.

    A bridge carries what it cannot read. It sees who sends how much to which queue and when, and network addresses; no
    names, and no content.
    All agents of this machine's node use the same bridges.
    """
    return 0 if ctx.invoked_subcommand else list_(json)


@app.command(
    epilog=examples(
        "p2p-agents bridge add bridge://bridge.example:4433#kdmfryeyl3gh6ycbrkxqzrnllb7ufqsxbkeebfnj5dgkzuhwkroa",
        "p2p-agents bridge add bridge://bridge.example:4433#kdmfryeyl3gh6ycbrkxqzrnllb7ufqsxbkeebfnj5dgkzuhwkroa"
        " --timeout 30",
        "echo letmein | p2p-agents bridge add"
        " bridge://bridge.example:4433#kdmfryeyl3gh6ycbrkxqzrnllb7ufqsxbkeebfnj5dgkzuhwkroa --token-file -",
    )
)
def add(
    address: Address,
    token_file: Annotated[
        str | None, typer.Option("--token-file", metavar="FILE", help="Read the admission token from here; - is stdin.")
    ] = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="S", min=0, max=3600, callback=check_number, help="Seconds to wait for it."),
    ] = 10.0,
    json: Json = None,
) -> int:
    """Use a bridge from now on, and wait until it answers.

    One that does not answer is kept and tried again. One that holds another key, or does not admit this node, is not.
    For a bridge that is known already, the new token replaces the old one, unless there is none or it is refused.
    """

    def act(face: Face) -> None:
        params = {"address": address, "token": _token(token_file), "timeout": timeout}
        face.show(face.call("bridge.add", **params), lambda result: _describe(result["bridge"]))

    return run(act, None, json)


@app.command(
    "list",
    epilog=examples(
        "p2p-agents bridge list", "p2p-agents bridge list --json", "p2p-agents bridge list --json | jq .bridges"
    ),
)
def list_(json: Json = None) -> int:
    """List the bridges that this machine's node was told to use."""
    return run(lambda face: face.show(face.call("bridge.list"), _table), None, json)


@app.command(
    epilog=examples(
        "p2p-agents bridge remove bridge.example",
        "p2p-agents bridge remove bridge.example:4433",
        "p2p-agents bridge remove bridge.example --json",
    )
)
def remove(which: Which, json: Json = None) -> int:
    """Stop using a bridge. Messages that contacts still leave there are read until they have been told."""

    def act(face: Face) -> None:
        face.show(face.call("bridge.remove", address=which), lambda result: f"removed {output.escape(which)}")

    return run(act, None, json)


@app.command(
    epilog=examples(
        "p2p-agents bridge status",
        "p2p-agents bridge status bridge.example",
        "p2p-agents bridge status --json | jq '.bridges[].state'",
    )
)
def status(
    which: Annotated[str | None, typer.Argument(metavar="[BRIDGE]", help="Only this one: address or host.")] = None,
    json: Json = None,
) -> int:
    """Show the state of bridges: your own, and those that contacts are reached at."""
    return run(lambda face: face.show(face.call("bridge.status", address=which), _details), None, json)


@app.command(
    "run",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    epilog=examples(
        "p2p-agents bridge run", "p2p-agents bridge run --port 443 --admission token", "p2p-agents bridge run --help"
    ),
)
def run_(ctx: typer.Context) -> int:
    """Run a bridge here: `p2p-bridge run` with these options."""

    def act(face: Face) -> None:
        words = [sys.executable, "-m", "bridge", "run", *ctx.args]
        os.execve(sys.executable, words, dict(os.environ))  # noqa: S606 - no shell

    return run(act, None, None)


def _token(path: str | None) -> str | None:
    """The file's only line. It is never an argument: everybody on the machine can read those."""
    if path is None:
        return None
    try:
        if path == "-":
            data = sys.stdin.buffer.read(TOKEN_FILE_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(TOKEN_FILE_BYTES + 1)
    except OSError as fault:
        raise errors.Usage(
            f"cannot read {path}: {fault.strerror}", hint="check the path, and who may read it"
        ) from None
    token = data.decode("ascii", "replace").strip()
    if not token or len(token) > TOKEN_CHARS or not (token.isascii() and token.isprintable()):
        raise errors.Usage("the file holds no token", hint=f"one line of at most {TOKEN_CHARS} printable characters")
    return token


def _table(result: Mapping[str, Any]) -> str:
    rows = [(_host(found), _state(found), found["way"] or "", _queues(found)) for found in result["bridges"]]
    head = ("BRIDGE", "STATE", "BY", "QUEUES")
    return output.table(head, rows) if rows else "no bridges; add one: p2p-agents bridge add ADDRESS"


def _details(result: Mapping[str, Any]) -> str:
    return "\n\n".join(map(_describe, result["bridges"])) or "no bridges; add one: p2p-agents bridge add ADDRESS"


def _describe(found: Mapping[str, Any]) -> str:
    """One line for each known fact."""
    lines = {
        "address": found["address"],
        "use": "configured" + (", with a token" if found["token"] else "") if found["configured"] else "by contacts",
        "state": _state(found),
        "by": found["way"],
        "round trip": f"{found['rtt_ms']:g} ms" if found["rtt_ms"] is not None else None,
        "sees us at": found["observed"],
        "account": found["account"],
        "queues": _queues(found),
        "waiting": f"{found['waiting']} frames" if found["waiting"] else None,
        "last heard": found["heard"],
        "last refusal": f"{found['refusal_why']}, {found['refused']}" if found["refusal"] else None,
        "next try": f"in {found['next_try_s']:g} s" if found["next_try_s"] is not None else None,
    }
    return "\n".join(f"{name:<13} {output.escape(str(value))}" for name, value in lines.items() if value)


def _state(found: Mapping[str, Any]) -> str:
    return f"{found['state']}: {found['why']}" if found["why"] else str(found["state"])


def _queues(found: Mapping[str, Any]) -> str:
    unread = f", {found['unread']} cannot be" if found["unread"] else ""
    return f"{found['queues']} read{unread}"


def _host(found: Mapping[str, Any]) -> str:
    return str(found["address"]).removeprefix("bridge://").partition("#")[0]
