"""`help`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from p2p_agents.cli.face import run
from p2p_agents.cli.options import Json, application, examples
from p2p_agents.exits import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.command(
    epilog=examples("p2p-agents help exit-codes", "p2p-agents help exit-codes --json", "p2p-agents send --help")
)
def help_(
    topic: Annotated[Literal["exit-codes"], typer.Argument(metavar="TOPIC", help="exit-codes")] = "exit-codes",
    json: Json = False,
) -> int:
    """Explain a topic: exit-codes."""
    codes = [{"exit": code, "meaning": meaning} for code, meaning in MEANINGS.items()]
    return run(lambda face: face.show({"topic": topic, "exit_codes": codes}, _lines), None, json)


def _lines(result: Mapping[str, Any]) -> str:
    return "\n".join(f"{item['exit']:>3}  {item['meaning']}" for item in result["exit_codes"])
