"""Names of agents: short, ASCII, harmless in a path, a DNS label, a terminal and a shell."""

from __future__ import annotations

import re

from p2p_agents.errors import BadName
from p2p_agents.limits import NAME_CHARS

NAME_RE = re.compile(rf"[A-Za-z][A-Za-z0-9._-]{{0,{NAME_CHARS - 1}}}", re.ASCII)


def check_name(text: str) -> str:
    """The name itself when it is one. Raises BadName."""
    if NAME_RE.fullmatch(text) is None:
        raise BadName(f"not a name: {text[: 2 * NAME_CHARS]!r}")
    return text
