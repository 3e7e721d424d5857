"""`identity show`, `rotate`, `export-next-root`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, File, Json, absolute, application, examples

NextRoot = Annotated[
    str | None, typer.Option("--next-root", metavar="FILE", help="Where export-next-root put the key, if it did.")
]

app = application()


@app.callback(
    epilog=examples(
        "p2p-agents identity show",
        "p2p-agents identity export-next-root /media/stick/alice.key",
        "p2p-agents identity rotate --next-root /media/stick/alice.key",
    )
)
def identity() -> None:
    """Show the identity log; rotate its root key; move the next one away.

    The root key adds and revokes devices. It commits to the hash of the next root key, which alone can replace it.
    """


@app.command(
    epilog=examples(
        "p2p-agents identity show", "p2p-agents identity show --json", "p2p-agents --as alice identity show"
    )
)
def show(as_: As = None, json: Json = None) -> int:
    """Show the signed log that says which devices are the agent's."""
    return run(lambda face: face.show(face.act("identity.show"), output.identity), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents identity rotate",
        "p2p-agents identity rotate --next-root /media/stick/alice.key",
        "p2p-agents --as alice identity rotate --json",
    )
)
def rotate(
    next_root: NextRoot = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Although a contact knows a newer identity.")] = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Replace the root key by the next one, as after a theft: entries by a thief of the old key are superseded.

    Contacts follow by themselves and lift a freeze. Older backups can no longer restore the agent: make a new one. If
    the agent was restored or rotated elsewhere, a second rotation would freeze every contact for good; it is refused
    once a contact shows that it knows of the other, unless --anyway says that this contact lies.
    """
    path = None if next_root is None else absolute(next_root)
    return run(
        lambda face: face.show(face.act("identity.rotate", path=path, anyway=anyway), output.identity), as_, json
    )


@app.command(
    epilog=examples(
        "p2p-agents identity export-next-root alice.key",
        "p2p-agents identity export-next-root /media/stick/alice.key",
        "p2p-agents --as alice identity export-next-root ~/alice.key --json",
    )
)
def export_next_root(file: File, as_: As = None, json: Json = None) -> int:
    """Move the next root key to a new file of mode 0600, and delete it from this machine's key files.

    From then on a thief of this machine cannot rotate; you can, with the file. It is the only copy: keep it elsewhere,
    printed or on a USB stick. Without it the agent can be neither rotated nor restored.
    """
    return run(lambda face: face.show(face.act("identity.export", path=absolute(file)), output.exported), as_, json)
