"""`ping`."""

from __future__ import annotations

from p2p_agents import output
from p2p_agents.cli.face import run
from p2p_agents.cli.options import As, Json, Timeout, To, application, examples

app = application()


@app.command(
    epilog=examples(
        "p2p-agents ping bob",
        "p2p-agents ping bob --timeout 1",
        "p2p-agents ping bob --json",
    )
)
def ping(to: To, timeout: Timeout = 5.0, as_: As = None, json: Json = None) -> int:
    """Measure the round trip to a peer."""
    return run(lambda face: face.show(face.act("ping", to=to, timeout=timeout), output.pong), as_, json)
