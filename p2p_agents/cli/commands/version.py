"""`version`."""

from __future__ import annotations

import p2p_agents
from p2p_agents.cli.face import run
from p2p_agents.cli.options import Json, application, examples

app = application()


@app.command(epilog=examples("p2p-agents version", "p2p-agents version --json", "p2pa version"))
def version(json: Json = None) -> int:
    """Show the version."""
    return run(lambda face: face.show({"version": p2p_agents.__version__}, lambda it: str(it["version"])), None, json)
