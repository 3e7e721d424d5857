"""`demo`."""

from __future__ import annotations

from p2p_agents.cli.options import Json, application, examples

app = application()


@app.command(epilog=examples("p2p-agents demo", "p2p-agents demo --json", "p2p-agents demo --json | tail -1"))
def demo(json: Json = None) -> int:
    """Watch two throw-away agents find each other and talk.

    Two nodes in temporary homes; nothing of yours is touched and nothing is left behind.
    """
    from p2p_agents.cli.demo import run  # only this command pays for it

    return run(json)
