"""`backup export`, `import`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from p2p_agents import errors, limits, output
from p2p_agents.cli.face import STDERR, Face, run
from p2p_agents.cli.options import As, File, Json, absolute, application, examples

PassphraseFile = Annotated[
    str | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its first line is the passphrase; - is standard input."),
]
NextRoot = Annotated[
    str | None, typer.Option("--next-root", metavar="FILE", help="Where export-next-root put the key, if it did.")
]

app = application()


@app.callback(
    epilog=examples(
        "p2p-agents backup export alice.backup",
        "p2p-agents backup export alice.backup --passphrase-file secret.txt",
        "p2p-agents backup import alice.backup",
    )
)
def backup() -> None:
    """Export an agent to a file, or import one, under a passphrase.

    The passphrase is asked for at a terminal, or read from a file; it is never an argument.
    """


@app.command(
    epilog=examples(
        "p2p-agents backup export alice.backup",
        "p2p-agents --as alice backup export /media/stick/alice.backup",
        "p2p-agents backup export alice.backup --passphrase-file secret.txt --json",
    )
)
def export(file: File, passphrase_file: PassphraseFile = None, as_: As = None, json: Json = None) -> int:
    """Write keys, contacts with their pins, and the log to a new file of mode 0600, and read it back.

    It does not hold device keys and sessions. It holds the next root key unless that was exported: then the file and
    its passphrase are all it takes to become this agent.
    """

    def act(face: Face) -> None:
        passphrase = _passphrase(passphrase_file, twice=True)
        made = face.act("backup.export", path=absolute(file), passphrase=passphrase)
        face.show(made, output.backed_up)

    return run(act, as_, json)


@app.command(
    "import",
    epilog=examples(
        "p2p-agents backup import alice.backup",
        "p2p-agents backup import alice.backup --next-root /media/stick/alice.key",
        "p2p-agents backup import alice.backup --name alice2 --passphrase-file secret.txt --yes --json",
    ),
)
def import_(
    file: File,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name here.")] = None,
    next_root: NextRoot = None,
    passphrase_file: PassphraseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = None,
) -> int:
    """Bring an agent back from a backup, on this machine, as a new device.

    Its root key is replaced and all its other installations are revoked: contacts take nothing from those any more.
    Never import a backup that was made before the last rotation: contacts would freeze the agent. Make a new backup
    afterwards. Without --yes it asks first, at a terminal only.
    """

    def act(face: Face) -> None:
        if not yes:
            _ask(file)
        found = face.call(
            "backup.import",
            path=absolute(file),
            passphrase=_passphrase(passphrase_file, twice=False),
            name=name,
            next_root=None if next_root is None else absolute(next_root),
        )
        face.show(found, output.restored)

    return run(act, None, json)


def _ask(file: str) -> None:
    """Raises HumanRequired unless a human at a terminal says yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.HumanRequired(
            "a human must decide to revoke the agent's other installations", hint="or give --yes"
        )
    asked = "This revokes every other installation of the agent, for good. Type yes to import"
    sys.stderr.write(output.fold(f"{asked} {output.escape(file)}:", "  ", STDERR) + " ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise errors.HumanRequired("nothing was imported", hint="to import it, run it again and type yes")


def _passphrase(path: str | None, *, twice: bool) -> str:
    """Raises HumanRequired without a terminal or file, FileUnusable or BadPassphrase."""
    if path is not None:
        return _first_line(path)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise errors.HumanRequired("the passphrase is typed at a terminal", hint="or give --passphrase-file FILE")
    from getpass import getpass

    typed = getpass("Passphrase: ", stream=sys.stderr)
    if twice and getpass("Again: ", stream=sys.stderr) != typed:
        raise errors.BadPassphrase("the two passphrases differ")
    return typed


def _first_line(path: str) -> str:
    try:
        if path == "-":
            line = sys.stdin.buffer.readline(4 * limits.PASSPHRASE_CHARS + 2)
        else:
            with open(path, "rb") as file:
                line = file.readline(4 * limits.PASSPHRASE_CHARS + 2)
        return line.decode().rstrip("\r\n")
    except OSError as error:
        raise errors.FileUnusable(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise errors.BadPassphrase("the passphrase file is not UTF-8 text") from None
