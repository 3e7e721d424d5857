"""Secrets that a person types: asked for at a terminal, or read from standard input.

Never an argument: every user of a machine can read the arguments of every program that runs on it.
"""

from __future__ import annotations

import re
import sys

from p2p_agents import errors, limits, output
from p2p_agents.cli.face import STDERR

STDIN = "-"
LINE_BYTES = 4 * limits.OOB_CHARS  # the longest text of a code, however it is encoded, and its line end
SEEN = (
    "every user of this machine can read the code there: it is an argument. Safer: p2p-agents pair --join, which asks"
    " for it, or p2p-agents pair - which reads standard input"
)

LINK = re.compile(r"https://([^/#\s]+)/p/[^/#\s]+#[A-Za-z]+-[A-Za-z]+-([A-Za-z2-7]{52})(?:-([A-Za-z2-7]{32}))?")


def bridge_in(code: str) -> tuple[str, str | None] | None:
    """From a link of `pair --link`: the address of its bridge, and the token that it contains, if any."""
    found = LINK.fullmatch(code)
    if found is None:
        return None
    place, key, token = found.groups()
    return f"bridge://{place}#{key.lower()}", token.lower() if token else None


def ask_code() -> str:
    """A code that a person types at a terminal. Raises HumanRequired without one, BadCode for nothing."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        hint = "give it on standard input: p2p-agents pair -"
        raise errors.HumanRequired("a code can be typed only at a terminal, and there is none", hint=hint)
    sys.stderr.write("The code that the other side shows: ")
    sys.stderr.flush()
    return read_code()


def read_code() -> str:
    """The first line of standard input. Raises BadCode."""
    line = sys.stdin.buffer.readline(LINE_BYTES)
    text = line.decode("utf-8", "replace").strip()
    if not text or len(text) > limits.OOB_CHARS:
        raise errors.BadCode("no code was given" if not text else "that is too long for a code")
    return text


def take_code(words: list[str], *, gives_agent: bool) -> str:
    """The code from these arguments: none asks for it, `-` reads standard input. Raises Usage for a code itself if it
    `gives_agent` away."""
    if not words:
        return ask_code()
    if words == [STDIN]:
        return ask_code() if sys.stdin.isatty() and sys.stderr.isatty() else read_code()
    if gives_agent:
        raise errors.Usage(
            "a code of --link-device gives the whole agent away, and every user of this machine can read arguments",
            hint="take that code back on the other side (Ctrl-C there), show a new one, and type it when asked:"
            " p2p-agents pair --link-device --join",
        )
    warn_seen()
    return " ".join(words)


def warn_seen() -> None:
    """On stderr, whatever stdout is."""
    sys.stderr.write(output.fold(f"p2p-agents: {SEEN}", "  ", STDERR) + "\n")
    sys.stderr.flush()
