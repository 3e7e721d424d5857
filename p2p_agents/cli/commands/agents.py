"""`agents`."""

from __future__ import annotations

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import Json, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents agents",
        "p2p-agents agents --json",
        "p2p-agents --json agents",
    )
)
def agents(json: Json = None) -> int:
    """List the agents of this machine."""
    return run(lambda face: face.show(face.call("agents"), output.agents), None, json)
