"""`use`."""

from __future__ import annotations

from typing import Annotated

import typer

from p2p_agents import output
from p2p_agents.cli import names
from p2p_agents.cli.face import run
from p2p_agents.cli.options import Json, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents use alice",
        "p2p-agents use build-bot",
        "p2p-agents use alice --json",
    )
)
def use(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=names.agents, help="A local agent.")],
    json: Json = None,
) -> int:
    """Make an agent the default."""
    return run(lambda face: face.show(face.call("use", name=name), output.agent), None, json)
