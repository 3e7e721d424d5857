"""`python -m p2p_agents.node run [--foreground]` and `doctor`: the node's own entry point, not meant for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from p2p_agents.paths import Home

if TYPE_CHECKING:
    from p2p_agents.node.daemon import RunnableNode


def main(argv: list[str]) -> int:
    """Returns the exit status of `run` or `doctor`."""
    if argv in (["run"], ["run", "--foreground"]):
        from p2p_agents.node import daemon

        return daemon.run(Home(), _make_node, foreground="--foreground" in argv)
    if argv == ["doctor"]:
        return _doctor()
    sys.stderr.write("usage: python -m p2p_agents.node run [--foreground] | doctor\n")
    return 2


def _make_node(home: Home) -> RunnableNode:
    """Imported here, under the lock, so that a node that must not run costs nothing."""
    from p2p_agents.node.node import Node

    return Node(home)


def _doctor() -> int:
    """Print {"checks": [...]}, one line of JSON."""
    from p2p_agents.node.doctor import run_checks

    sys.stdout.write(json.dumps({"checks": run_checks(Home())}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
