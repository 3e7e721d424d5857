"""Names and kinds of agents: short, ASCII, safe in a path, a DNS label, a terminal and a shell."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Annotated, Any

from p2p_agents.errors import BadName, Malformed
from p2p_agents.limits import DISCOVERED_AGENTS, NAME_CHARS
from p2p_agents.wire.kinds import Custom

NAME_RE = re.compile(rf"[A-Za-z][A-Za-z0-9._-]{{0,{NAME_CHARS - 1}}}", re.ASCII)
KIND_RE = re.compile(rf"[a-z][a-z0-9-]{{0,{NAME_CHARS - 1}}}", re.ASCII)

# Characters of names that look alike (after Unicode Technical Standard 39, section 4, whose prototypes these are,
# except for case, which names ignore, and for marks between words, which readers overlook).
_ONE = str.maketrans({"i": "l", "1": "l", "0": "o", "5": "s", "2": "z", "8": "b", **dict.fromkeys("._-")})
_TWO = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def check_name(text: str) -> str:
    """Returns the name if it is valid. Raises BadName."""
    if NAME_RE.fullmatch(text) is None:
        raise BadName(f"not a name: {text[: 2 * NAME_CHARS]!r}")
    return text


def told_name(value: Any, *, optional: bool = False) -> str:
    """A name sent by a peer, under the same rule as our own; may be empty if `optional`. Raises Malformed."""
    if optional and value == "":
        return ""
    if type(value) is not str or NAME_RE.fullmatch(value) is None:
        raise Malformed("this is not a valid name")
    return value


def told_kind(value: Any, *, optional: bool = False) -> str:
    """A kind sent by a peer; may be empty if `optional`. Raises Malformed."""
    if optional and value == "":
        return ""
    if type(value) is not str or KIND_RE.fullmatch(value) is None:
        raise Malformed("this is not a valid kind")
    return value


AgentName = Annotated[str, Custom("agent-name", told_name)]
AgentKind = Annotated[str, Custom("agent-kind", told_kind)]
NameOrNothing = Annotated[str, Custom('agent-name / ""', partial(told_name, optional=True))]
KindOrNothing = Annotated[str, Custom('agent-kind / ""', partial(told_kind, optional=True))]


def name_or_nothing(text: str) -> str:
    """For passing on what an earlier release stored of a peer: empty if it is not a valid name."""
    return text if NAME_RE.fullmatch(text) else ""


def kind_or_nothing(text: str) -> str:
    return text if KIND_RE.fullmatch(text) else ""


@lru_cache(maxsize=2 * DISCOVERED_AGENTS)
def skeleton(name: str) -> str:
    """The same for names that a reader could confuse."""
    found = name.lower().translate(_ONE)
    for pair, one in _TWO:
        found = found.replace(pair, one)
    return found or name
