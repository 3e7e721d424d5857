"""The commands as data, for programs: their parameters and possible answers, from the same objects as the help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import p2p_agents
from p2p_agents import errors, exits
from p2p_agents.cli import app
from p2p_agents.cli.options import unknown_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Json = dict[str, Any]


def find(words: Sequence[str]) -> tuple[Any, Any]:
    """The command of these words, and its context. Raises Usage."""
    command = app.group()
    context = command.make_context(app.PROGRAM, [], resilient_parsing=True)
    for word in words:
        found = command.get_command(context, word) if hasattr(command, "get_command") else None
        if found is None:
            raise unknown_command(word, command, context)
        command, context = found, found.make_context(word, [], parent=context, resilient_parsing=True)
    return command, context


def page(words: Sequence[str]) -> str:
    """The help of a command, as --help shows it."""
    command, context = find(words)
    return str(command.get_help(context))


def book() -> Json:
    """Everything: each command, the exit codes, the errors."""
    return {
        "program": app.PROGRAM,
        "version": p2p_agents.__version__,
        "commands": [chapter([*words]) for words in _all()],
        "exit_codes": [{"exit": code, "meaning": meaning} for code, meaning in exits.MEANINGS.items()],
        "errors": [_error(kind) for kind in errors.all_errors()],
    }


def chapter(words: Sequence[str]) -> Json:
    """One command: its arguments, options and, of a group, its commands."""
    command, context = find(words)
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    return {
        "command": " ".join(words),
        "help": " ".join((command.help or "").split()),
        "arguments": [_argument(param, context) for param in arguments],
        "options": [_option(param) for param in options],
        "commands": list(app.GROUPS.get(words[0], ())) if len(words) == 1 else [],
    }


def _all() -> Iterator[tuple[str, ...]]:
    for name in app.COMMANDS:
        yield (name,)
        for sub in app.GROUPS.get(name, ()):
            yield name, sub


def _argument(param: Any, context: Any) -> Json:
    return {
        "name": param.make_metavar(context),
        "help": param.help or "",
        "required": bool(param.required),
        "many": param.nargs == -1,
        **_value(param),
    }


def _option(param: Any) -> Json:
    flag = bool(getattr(param, "is_flag", False))
    names = [*param.opts, *param.secondary_opts]
    return {"names": names, "help": param.help or "", "takes_value": not flag, **_value(param)}


def _value(param: Any) -> Json:
    """The allowed values, and the default if there is one."""
    kind = param.type
    described: Json = {"type": kind.name}
    if getattr(kind, "choices", None):
        described["choices"] = [str(choice) for choice in kind.choices]
    for name, bound in (("min", "at_least"), ("max", "at_most")):
        if getattr(kind, name, None) is not None:
            described[bound] = getattr(kind, name)
    if param.default not in (None, False) and not callable(param.default):
        described["default"] = param.default
    return described


def _error(kind: type[errors.P2PError]) -> Json:
    meaning = (kind.__doc__ or "").splitlines()[0]
    return {
        "code": kind.code,
        "exit": kind.exit,
        "retryable": kind.retryable,
        "meaning": meaning,
        "hint": kind.hint or None,
    }
