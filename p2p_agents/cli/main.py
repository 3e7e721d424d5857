"""The entry of `p2p-agents` and `p2pa`: hot commands go straight to work, everything else through Typer."""

from __future__ import annotations

import sys

from p2p_agents.cli import fast


def main(argv: list[str] | None = None) -> int:
    """Run one command line; its exit status."""
    words = sys.argv[1:] if argv is None else argv
    plain = fast.parse(words)
    try:
        if plain is None:
            from p2p_agents.cli import app

            return app.run(words)
        from p2p_agents.cli import hot

        verb, params = plain
        status: int = getattr(hot, verb)(**params)
    except KeyboardInterrupt:  # while modules load
        return 130
    return status
