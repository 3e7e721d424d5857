"""Compiles the native client: `python native/build.py TARGET`. The exit status is 0 if it was made.

Bounds, exit codes and the release are those of the Python command: they are handed to the compiler.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import p2p_agents  # noqa: E402 - the package of this source tree
from p2p_agents import errors, exits, limits, paths  # noqa: E402
from p2p_agents.control import client, wire  # noqa: E402
from p2p_agents.control.method import REFERENCE_CHARS  # noqa: E402

SOURCES = [str(HERE / name) for name in ("client.c", "json.c")]
LANGUAGE = ("-std=c11", "-D_GNU_SOURCE", "-D_DARWIN_C_SOURCE")
HARDENED = (
    *("-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-fPIE", "-Wall", "-Wextra"),
    *(("-pie", "-Wl,-z,relro,-z,now") if sys.platform == "linux" else ()),
)
UNANSWERED = "the node does not answer in time"
PATIENCE_S = 60  # a compiler takes one


def facts() -> dict[str, str]:
    """What the client must know, as C."""
    late = errors.NodeUnreachable(UNANSWERED)
    return {
        "RELEASE": _text(p2p_agents.__version__),
        "PROTOCOL": _text(str(client.PROTOCOL)),
        "UNANSWERED": _text(_error(late)),
        "STOPPED": _text(_error(client.stopped())),
        "WAIT_DEFAULT": _text(str(limits.WAIT_DEFAULT_S)),
        "WAIT_MAX_S": str(limits.WAIT_MAX_S),
        "CALL_S": str(limits.CALL_S),
        "NODE_START_S": str(limits.NODE_START_S),
        "PAGE_DEFAULT": _text(str(limits.PAGE)),
        "PAGE_MAX": str(limits.PAGE_MAX),
        "BODY_BYTES": str(limits.BODY_BYTES),
        "CONTROL_LINE_BYTES": str(limits.CONTROL_LINE_BYTES),
        "CONTROL_ANSWER_BYTES": str(limits.CONTROL_ANSWER_BYTES),
        "SOCKET_PATH_BYTES": str(paths.SOCKET_PATH_BYTES),
        "REFERENCE_CHARS": str(REFERENCE_CHARS),
        "FAILURE": str(exits.FAILURE),
        "INTERRUPTED": str(exits.INTERRUPTED),
    }


def _text(value: str) -> str:
    return json.dumps(value)


def _error(error: errors.P2PError) -> str:
    return wire.encode_line(wire.encode_error(error)).decode().strip()


def compile_to(target: Path, *flags: str) -> bool:
    """Whether `target` was made, with these flags beside those of the language."""
    compiler = next(filter(shutil.which, [*shlex.split(os.environ.get("CC", ""))[:1], "cc", "gcc", "clang"]), None)
    if compiler is None:
        return False
    given = [f"-D{name}={value}" for name, value in facts().items()]
    command = [compiler, *LANGUAGE, *given, *flags, *SOURCES, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)  # noqa: S603 - a list
    sys.stderr.write(done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(not compile_to(Path(sys.argv[1]), *HARDENED))
