"""`trust show`, `verify`, `block`, `unblock`, `reset`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import As, Json, Peer, application, examples

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.callback(
    epilog=examples("p2p-agents trust show bob", "p2p-agents trust verify bob", "p2p-agents trust block mallory")
)
def trust() -> None:
    """Compare safety numbers; verify, block, unblock and reset peers.

    From low to high: blocked, unknown, requested, accepted, paired (by a code), verified (by a human).
    """


@app.command(
    epilog=examples(
        "p2p-agents trust show bob",
        "p2p-agents trust show k7wq2 --json",
        "p2p-agents trust show bob --json | jq -r .safety_number",
    )
)
def show(peer: Peer, as_: As = None, json: Json = None) -> int:
    """Show how far a peer is trusted, and the 60 digits that are the same on both sides."""
    return run(lambda face: face.show(face.act("trust.show", peer=peer), output.trust), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents trust verify bob",
        "p2p-agents trust verify bob --i-compared",
        "p2p-agents --as alice trust verify bob",
    )
)
def verify(
    peer: Peer,
    i_compared: Annotated[bool, typer.Option("--i-compared", help="You compared the digits already.")] = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Mark a contact as verified, after comparing the digits with the other side. At a terminal only."""

    def act(face: Face) -> None:
        shown = face.act("trust.show", peer=peer)
        _require_human(f"verify {peer}")
        if not i_compared:
            _ask(shown["safety_number"])
        face.show(face.act("trust.verify", peer=shown["peer"]["id"], digits=shown["safety_number"]), output.contact)

    return run(act, as_, json)


def _require_human(command: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.HumanRequired(hint=f"have a human run, at a terminal: p2p-agents trust {command}")


def _ask(number: str) -> None:
    """Raises NumberDiffers unless the human says that the numbers are the same."""
    sys.stderr.write(f"{output.digits(number)}\nDoes the other side show the same 60 digits? Type yes: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise errors.NumberDiffers("not verified")


@app.command(
    epilog=examples(
        "p2p-agents trust block mallory", "p2p-agents trust block k7wq2", "p2p-agents trust block mallory --json"
    )
)
def block(peer: Peer, as_: As = None, json: Json = None) -> int:
    """Block a peer: nothing from it is shown any more."""
    return run(lambda face: face.show(face.act("trust.block", peer=peer), output.contact), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents trust unblock bob", "p2p-agents trust unblock k7wq2", "p2p-agents trust unblock bob --json"
    )
)
def unblock(peer: Peer, as_: As = None, json: Json = None) -> int:
    """Unblock a peer: it is unknown again."""
    return run(lambda face: face.show(face.act("trust.unblock", peer=peer), output.contact), as_, json)


@app.command(
    epilog=examples(
        "p2p-agents trust reset bob", "p2p-agents trust reset bob --i-decided", "p2p-agents --as alice trust reset bob"
    )
)
def reset(
    peer: Peer,
    i_decided: Annotated[bool, typer.Option("--i-decided", help="Do not ask.")] = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Forget the pinned identity of a peer, frozen or not: it is a stranger again. At a terminal only.

    This holds for every agent of this node. Whoever shows its id next is treated as a stranger: pair again, or compare
    the safety number. Messages stay; a blocked peer stays blocked.
    """

    def act(face: Face) -> None:
        shown = face.act("trust.show", peer=peer)
        _require_human(f"reset {peer}")
        if not i_decided:
            _decide(shown)
        face.show(face.act("trust.reset", peer=shown["peer"]["id"]), output.contact)

    return run(act, as_, json)


def _decide(shown: Mapping[str, Any]) -> None:
    """Raises HumanRequired unless the human says so."""
    sys.stderr.write(f"{output.trust(shown)}\nForget what is pinned of this peer? Type yes: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise errors.HumanRequired("nothing was forgotten", hint="to forget it, run it again and type yes")
