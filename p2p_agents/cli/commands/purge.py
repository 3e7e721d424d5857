"""`purge`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import As, Json, application, examples

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.command(
    epilog=examples(
        "p2p-agents purge MESSAGE_ID --yes",
        "p2p-agents purge --with bob --before 2026-01-01 --yes",
        "p2p-agents purge --before 2026-01-01T12:00:00Z --dry-run",
    )
)
def purge(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Messages: ids, or their beginnings.")
    ] = None,
    with_: Annotated[str | None, typer.Option("--with", metavar="PEER", help="The conversation with a peer.")] = None,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="DATE", help="Dated before: 2026-01-31, or a time of RFC 3339."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Delete the content of messages, for good.

    It is removed from the store, the word index and the files. Ids, sender and date stay, so that chains can still be
    verified; the other sides keep their copies. Messages that are still to be delivered are kept. Without --yes it
    asks first, at a terminal only.
    """
    if not (ids or with_ or before):
        raise errors.Usage("say what to delete: ids, --with PEER, --before DATE", hint="run: p2p-agents purge --help")
    chosen = {"ids": ",".join(ids) if ids else None, "with": with_, "before": before}

    def act(face: Face) -> None:
        if not (yes or dry_run):
            _ask(face.act("purge", **chosen, dry=True))
        face.show(face.act("purge", **chosen, dry=dry_run), lambda result: _told(result, dry_run))

    return run(act, as_, json)


def _ask(found: Mapping[str, Any]) -> None:
    """Raises HumanRequired unless a human at a terminal says yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.HumanRequired("a human must decide to delete messages", hint="or give --yes")
    sys.stderr.write(f"This deletes {_count(found['purged'])}, for good. Type yes to delete: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise errors.HumanRequired("nothing was deleted", hint="to delete, run it again and type yes")


def _told(result: Mapping[str, Any], dry: bool) -> str:
    kept = f"; {_count(result['kept'])} kept until delivered" if result["kept"] else ""
    late = "" if result["emptied"] else "; the store's log is emptied as soon as its readers are done"
    return f"{_count(result['purged'])}{' would be deleted' if dry else ' deleted'}{kept}{late}"


def _count(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"
