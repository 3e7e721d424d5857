"""`contacts`, `contacts name` and `contacts remove`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, output
from p2p_agents.cli.face import STDERR, Face, run
from p2p_agents.cli.options import As, Json, Peer, application, examples

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.callback(
    invoke_without_command=True,
    epilog=examples("p2p-agents contacts", "p2p-agents contacts --json", "p2p-agents contacts name bob bobby"),
)
def contacts(ctx: typer.Context, as_: As = None, json: Json = None) -> int:
    """List contacts; give them names; remove them."""
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


@app.command(
    epilog=examples(
        "p2p-agents contacts remove bob",
        "p2p-agents contacts remove k7wq2 --yes",
        "p2p-agents --as alice contacts remove bob --yes --json",
    )
)
def remove(
    peer: Peer,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Remove a contact: it is a stranger again, and has to ask before it may write.

    Trust, its name here, addresses, queues at bridges and sessions are forgotten, and messages that were not delivered
    yet fail. The conversation stays readable; `purge --with` deletes it. Its pinned keys stay; `trust reset` forgets
    them. Other agents of this machine keep it as a contact. A blocked contact is refused, because removing it would
    let it ask again. Without --yes it asks first, at a terminal only.
    """

    def act(face: Face) -> None:
        if not yes:
            _ask(face.act("contacts.remove", peer=peer, dry=True))
        face.show(face.act("contacts.remove", peer=peer), _removed)

    return run(act, as_, json)


def _ask(found: Mapping[str, Any]) -> None:
    """Raises HumanRequired unless a human at a terminal says yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.HumanRequired("a human must decide to remove a contact", hint="or give --yes")
    failed = f"; {_count(found['failed'])} not delivered yet will fail" if found["failed"] else ""
    asked = output.fold(f"This contact becomes a stranger{failed}. Type yes to remove:", "  ", STDERR)
    sys.stderr.write(f"{output.contact(found)}\n{asked} ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise errors.HumanRequired("nothing was removed", hint="to remove it, run it again and type yes")


def _removed(result: Mapping[str, Any]) -> str:
    failed = f"; {_count(result['failed'])} not delivered" if result["failed"] else ""
    return f"{output.contact(result)}\nremoved{failed}; what was said stays, until: p2p-agents purge --with PEER"


def _count(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"
