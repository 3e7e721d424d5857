"""`whoami`."""

from __future__ import annotations

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents whoami",
        "p2p-agents --as bob whoami",
        "P2P_AGENT=bob p2p-agents whoami --json",
    )
)
def whoami(as_: As = None, json: Json = None) -> int:
    """Show the agent that commands act for."""
    return run(lambda face: face.show(face.act("whoami"), output.agent), as_, json)
