"""`doctor`."""

from __future__ import annotations

import json as json_
import subprocess
from typing import Any

from p2p_agents import errors, exits, limits, output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import Json, application, examples
from p2p_agents.control import start
from p2p_agents.control.client import NoNode

app = application()


@app.command(
    epilog=examples("p2p-agents doctor", "p2p-agents doctor --json", "p2p-agents doctor --json | jq '.checks[].name'")
)
def doctor(json: Json = None) -> int:
    """Check what this machine and network allow.

    Works without a node too, and starts none. The exit status is 1 if a check failed; each failed one says what to do.
    """

    def act(face: Face) -> int:
        result = _ask(face)
        healthy = all(check["ok"] is not False for check in result["checks"])
        face.show({"healthy": healthy, **result}, output.checks)
        return exits.OK if healthy else exits.FAILURE

    return run(act, None, json, start=False)


def _ask(face: Face) -> dict[str, Any]:
    """The node's checks; if it cannot be reached, why, and the same checks from a process of their own."""
    try:
        return face.call("doctor")
    except NoNode:
        return {"checks": _run_checks()}
    except errors.EnvironmentFault as error:
        why = {"name": "node", "ok": False, "detail": error.message, "hint": error.hint or None, "time": None}
        return {"checks": [why, *_run_checks()]}


def _run_checks() -> list[dict[str, Any]]:
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        start.command("doctor"),
        env=start.environment(),
        capture_output=True,
        check=False,
        timeout=limits.CALL_S,
    )
    try:
        checks = json_.loads(done.stdout)["checks"]
        assert isinstance(checks, list)
    except (ValueError, KeyError, AssertionError):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        detail = said[-1] if said else f"the checks ended with status {done.returncode}"
        return [{"name": "checks", "ok": None, "detail": detail, "hint": None, "time": None}]
    return checks
