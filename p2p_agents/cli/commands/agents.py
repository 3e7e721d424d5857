"""`agents` and `agents remove`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, output
from p2p_agents.cli import names
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import Json, application, examples

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "p2p-agents agents",
        "p2p-agents agents --json",
        "p2p-agents --json agents",
    ),
)
def agents(ctx: typer.Context, json: Json = None) -> int:
    """List the agents of this machine; remove one."""
    return 0 if ctx.invoked_subcommand else list_(json)


@app.command(
    "list",
    epilog=examples("p2p-agents agents list", "p2p-agents agents list --json", "p2p-agents --json agents list"),
)
def list_(json: Json = None) -> int:
    """List the agents of this machine."""
    return run(lambda face: face.show(face.call("agents"), output.agents), None, json)


@app.command(
    epilog=examples(
        "p2p-agents agents remove alice",
        "p2p-agents agents remove alice --dry-run",
        "p2p-agents agents remove alice --yes --json",
    )
)
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=names.agents, help="The agent that is to go.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what goes with it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = None,
) -> int:
    """Remove an agent from this machine, for good.

    Its keys are destroyed, and with them contacts, sessions and the words of its messages; what it had not delivered
    fails. Nobody can speak for it any more, but by a backup that was exported before, or from another installation of
    it. Contacts are not told: to them it is away. Its name is free. Without --yes it asks first, at a terminal only.
    """

    def act(face: Face) -> None:
        if not (yes or dry_run):
            _ask(face.call("agents.remove", name=name, dry=True))
        face.show(face.call("agents.remove", name=name, dry=dry_run), _dry if dry_run else _removed)

    return run(act, None, json)


def _ask(found: Mapping[str, Any]) -> None:
    """Raises HumanRequired unless a human at a terminal says yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.HumanRequired("a human must decide to remove an agent", hint="or give --yes")
    sys.stderr.write(f"{_dry(found)}\nType yes to remove: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise errors.HumanRequired("nothing was removed", hint="to remove, run it again and type yes")


def _dry(found: Mapping[str, Any]) -> str:
    """What goes with it."""
    told = [_named(found), "Its keys and the words of its messages are deleted, for good. Contacts are not told."]
    if found["owed"]:
        told.append(f"{_count(found['owed'], 'message')} not delivered yet will fail.")
    if found["unread"]:
        told.append(f"{_count(found['unread'], 'message')} not read yet will be gone.")
    if found["other_devices"]:
        told.append(f"{_count(found['other_devices'], 'other installation')} of it will go on elsewhere.")
    else:
        told.append("Only a backup brings it back: p2p-agents backup export FILE")
    return "\n".join(told)


def _removed(result: Mapping[str, Any]) -> str:
    told = [_named(result), "removed" + (f"; {_count(result['owed'], 'message')} not delivered" * bool(result["owed"]))]
    if not result["emptied"]:
        told.append("the words of its messages leave the files as soon as the store's readers are done")
    if result["other_devices"]:
        told.append("run on another installation of it: p2p-agents devices revoke DEVICE")
    if result["default_agent"]:
        told.append(f"the default agent is {output.escape(result['default_agent'])}")
    return "\n".join(told)


def _named(result: Mapping[str, Any]) -> str:
    return f"{output.escape(result['agent']['name'])}  {result['agent']['id'][:10]}"


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
