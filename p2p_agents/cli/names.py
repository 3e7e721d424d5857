"""Names for the shell to complete: agents of this machine, and peers. It starts no node, and prints no errors."""

from __future__ import annotations

import os
import re
from typing import Any

from p2p_agents import errors
from p2p_agents.control.client import Client

PATIENCE_S = 1.0  # a shell waits for this
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")  # peers choose their names: none with a meaning to a shell


def agents(incomplete: str) -> list[str]:
    """Local agents whose name begins so."""
    return [name for name in _names("agents", "agents", {}) if name.startswith(incomplete)]


def peers(ctx: Any, incomplete: str) -> list[str]:
    """Peers, known or heard of, whose petname or name begins so."""
    agent = ctx.params.get("as_") or os.environ.get("P2P_AGENT")
    return [name for name in _names("peers", "peers", {"agent": agent}) if name.startswith(incomplete)]


def _names(method: str, listed: str, params: dict[str, Any]) -> list[str]:
    try:
        with Client(start=False) as client:
            found = client.call(method, params, timeout=PATIENCE_S)[listed]
    except errors.P2PError:
        return []
    names = {item.get("petname") or item["name"] for item in found}
    return sorted(name for name in names if PLAIN.fullmatch(name))
