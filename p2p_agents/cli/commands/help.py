"""`help`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from p2p_agents import errors, output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import Json, application, examples
from p2p_agents.exits import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

app = application()


@app.command(epilog=examples("p2p-agents help send", "p2p-agents help exit-codes --text", "p2p-agents help --json"))
def help_(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="A command, or exit-codes, or errors.")
    ] = None,
    json: Json = None,
) -> int:
    """Explain a command, the exit codes or the errors; without an argument, list the commands.

    As JSON, which a pipe gets, `help` describes every command with its arguments and options, every exit code and
    every error. `--help` is always text.
    """
    return run(lambda face: _explain(face, words or []), None, json)


def _explain(face: Face, words: list[str]) -> None:
    from p2p_agents.cli import manual  # it needs the root, which imports this

    if words == ["exit-codes"]:
        codes = [{"exit": code, "meaning": meaning} for code, meaning in MEANINGS.items()]
        face.show({"topic": "exit-codes", "exit_codes": codes}, _codes)
    elif words == ["errors"]:
        face.show({"topic": "errors", "errors": manual.book()["errors"]}, _errors)
    elif face.json:
        face.show(manual.chapter(words) if words else manual.book(), lambda _: "")
    else:
        face.show({}, lambda _: manual.page(words))


def _codes(result: Mapping[str, Any]) -> str:
    return "\n".join(output.fold(f"{item['exit']:>3}  {item['meaning']}", " " * 5) for item in result["exit_codes"])


def _errors(result: Mapping[str, Any]) -> str:
    width = max(len(kind.code) for kind in errors.all_errors())
    indent = " " * (width + 2)
    return "\n".join(output.fold(f"{item['code']:<{width}}  {item['meaning']}", indent) for item in result["errors"])
