"""Every command that is not hot, and all help: a Typer group that imports a command when it is named."""

from __future__ import annotations

import importlib
import os
from functools import partial
from typing import Annotated, Any

import typer

from p2p_agents import errors, exits
from p2p_agents.cli import face
from p2p_agents.cli.options import OUTPUTS, BareGroup, Group, examples

# command: the first line of its help. Its module in `commands` has the same name, dashes apart.
COMMANDS = {
    "init": "Create an agent on this machine.",
    "agents": "List the agents of this machine; remove one.",
    "use": "Make an agent the default.",
    "whoami": "Show the agent that commands act for.",
    "identity": "Show the identity log; rotate its root key; move the next one away.",
    "devices": "List the installations of an agent; revoke one.",
    "backup": "Export an agent to a file, or import one, under a passphrase.",
    "peers": "List peers; follow them; add an address to dial, or remove it.",
    "requests": "Answer peers that want to write or were introduced: list, accept, reject, block; policies.",
    "allow": "Keep the allowlist: who may write without a request.",
    "introduce": "Introduce two contacts to each other.",
    "pair": "Become contacts by a code: show one, or type the one that the other side shows.",
    "trust": "Compare safety numbers; verify, block, unblock and reset peers.",
    "contacts": "List contacts; give them names; remove them.",
    "host": "Be reachable from other networks: run a bridge unless one is in use, and show a code that works over it.",
    "bridge": "Reach peers on other networks through bridges: use them, check them, run one.",
    "send": "Send a message.",
    "inbox": "Show unread messages and leave them unread.",
    "ack": "Mark what was shown as read.",
    "poll": "Show unread messages and mark them as read.",
    "wait": "Wait for messages.",
    "watch": "Follow messages as they come.",
    "history": "Show the conversation with a peer.",
    "search": "Find messages by their words.",
    "show": "Show a message and where it stands with each recipient.",
    "purge": "Delete the content of messages, for good.",
    "ping": "Measure the round trip to a peer.",
    "status": "Show or set what the agent is doing.",
    "node": "Run, stop or inspect the background node.",
    "doctor": "Check what this machine and network allow.",
    "demo": "Watch two throw-away agents find each other and talk.",
    "uninstall": "Stop everything and remove what was left outside the package.",
    "help": "Explain a command, the exit codes or the errors; without an argument, list the commands.",
    "version": "Show the version.",
}
GROUPS = {  # commands that have commands of their own
    "agents": ("list", "remove"),
    "identity": ("show", "rotate", "export-next-root"),
    "devices": ("list", "revoke"),
    "backup": ("export", "import"),
    "peers": ("list", "add", "remove"),
    "requests": ("list", "accept", "reject", "block", "policy", "introductions", "address"),
    "allow": ("add", "remove", "list"),
    "pair": ("join", "status", "cancel"),
    "trust": ("show", "verify", "block", "unblock", "reset"),
    "contacts": ("list", "name", "remove"),
    "bridge": ("add", "list", "remove", "status", "run"),
    "host": ("status", "stop"),
    "status": ("set",),
    "node": ("run", "status", "stop", "logs"),
}


PANELS = {  # how the root help groups them; commands that are not named here are in the last group
    "Agents": ("init", "agents", "use", "whoami", "status", "identity", "devices", "backup"),
    "People": ("peers", "pair", "requests", "contacts", "trust", "allow", "introduce"),
    "Messages": ("send", "inbox", "ack", "poll", "wait", "watch", "history", "search", "show", "purge"),
    "Networks": ("host", "bridge", "ping"),
    "This machine": ("node", "doctor", "demo", "uninstall", "help", "version"),
}


class LazyGroup(Group):
    """Lists commands from the table above, and imports the one that is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"p2p_agents.cli.commands.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """From the table alone: help imports no command."""
        placed = {name for names in PANELS.values() for name in names}
        for title, names in PANELS.items():
            rest = [name for name in COMMANDS if name not in placed] if title == LAST_PANEL else []
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name]) for name in (*names, *rest)])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """From the table too: the shell is waiting."""
        from typer._click.shell_completion import CompletionItem

        return [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]


LAST_PANEL = next(reversed(PANELS))
PROGRAM = "p2p-agents"
PROGRAMS = (PROGRAM, "p2pa")
COMPLETE = "_P2P_AGENTS_COMPLETE"  # the variable by which a shell asks, for both names of the program

root = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Messaging between AI agents, and the humans beside them, with no server.",
    epilog="Everywhere: --as NAME (or $P2P_AGENT) says which local agent acts; --json asks for JSON, "
    "which is also what a pipe gets, --text for text. More: p2p-agents help COMMAND, help exit-codes.\n\n"
    + examples("p2p-agents init alice", 'p2p-agents send bob "hello"', "p2p-agents wait --timeout 60"),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from p2p_agents.cli.commands.version import version

        raise typer.Exit(version())


def _install_completion(wanted: bool) -> None:
    if wanted:
        from typer._completion_shared import install

        done = [install(prog_name=name, complete_var=COMPLETE) for name in PROGRAMS]
        told = {"shell": done[0][0], "files": [str(path) for _, path in done]}
        raise typer.Exit(face.run(lambda it: it.show(told, _installed), None, None))


def _installed(told: Any) -> str:
    return f"{told['shell']} completes {' and '.join(PROGRAMS)} once it is started again: {', '.join(told['files'])}"


def _show_completion(wanted: bool) -> None:
    if wanted:
        from typer._completion_shared import _get_shell_name, get_completion_script

        shell = _get_shell_name() or "bash"
        scripts = [get_completion_script(prog_name=name, complete_var=COMPLETE, shell=shell) for name in PROGRAMS]
        raise typer.Exit(face.run(lambda it: it.show({}, lambda _: "\n\n".join(scripts)), None, False))


@root.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    install: Annotated[
        bool,
        typer.Option(
            "--install-completion", callback=_install_completion, is_eager=True, help="Let this shell complete words."
        ),
    ] = False,
    show: Annotated[
        bool,
        typer.Option(
            "--show-completion", callback=_show_completion, is_eager=True, help="Show what that would install."
        ),
    ] = False,
) -> None:
    """A callback makes it a group even before it has commands."""


def run(argv: list[str]) -> int:
    """Parse and run one command line; its exit status."""
    wanted = True if "--json" in argv else False if "--text" in argv else None
    if COMPLETE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    try:
        words = settle(argv) or ["--help"]
        status = group().main(words, prog_name=PROGRAM, standalone_mode=False, complete_var=COMPLETE)
    except BareGroup as bare:
        return face.run(partial(_show_bare, bare), None, wanted)
    except (typer.TyperException, errors.Usage) as error:
        refused = error if isinstance(error, errors.Usage) else _usage(error)
        return face.run(lambda _: _raise(refused), None, wanted)
    except typer.Abort:
        return exits.INTERRUPTED
    return status if isinstance(status, int) else exits.OK


def group() -> Any:
    """The root command, as Typer runs it."""
    return typer.main.get_command(root)


def _show_bare(bare: BareGroup, face: face.Face) -> int:
    """People are shown the group's help; a program gets an error. The exit status is that of usage for both."""
    if face.json:
        listed = ", ".join(bare.commands)
        raise errors.Usage(f"{bare.path} needs one of its commands: {listed}", hint=f"run: {bare.path} --help")
    face.show({}, lambda _: bare.page)
    return exits.USAGE


def settle(argv: list[str]) -> list[str]:
    """`--as NAME`, `--json` and `--text` before a command mean the same as after it, so they are moved there."""
    moved: list[str] = []
    rest = list(argv)
    while rest and (rest[0] in OUTPUTS or rest[0].startswith("--as=") or (rest[0] == "--as" and len(rest) > 1)):
        count = 2 if rest[0] == "--as" else 1
        moved += rest[:count]
        del rest[:count]
    if not moved or not rest or rest[0] not in COMMANDS:
        return list(argv) if rest else []
    depth = 2 if len(rest) > 1 and rest[1] in GROUPS.get(rest[0], ()) else 1
    return [*rest[:depth], *moved, *rest[depth:]]


def _usage(error: typer.TyperException) -> errors.Usage:
    told = getattr(error, "format_message", None)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "p2p-agents"
    return errors.Usage(errors.as_message(told() if told is not None else str(error)), hint=f"run: {path} --help")


def _raise(error: errors.P2PError) -> None:
    raise error
