"""The native client in a directory as an installer lays it out, with a Python command beside it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from native import build

ROOT = Path(__file__).parents[2]
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *STRICT)
HANDED_OVER = 99
PYTHON = f'#!/bin/sh\nexec {sys.executable} -m p2p_agents "$@"\n'
NOTE = f"""#!/bin/sh
printf '%s\\n' "$@" > "$0.words"
cat > "$0.stdin"
echo handed over
exit {HANDED_OVER}
"""


def make_client(directory: Path, beside: str = PYTHON, flags: tuple[str, ...] = (*build.HARDENED, *STRICT)) -> Path:
    """`p2p-agents` in that directory, the script `beside` as what it hands over to."""
    client = directory / "p2p-agents"
    if not build.compile_to(client, *flags):
        pytest.skip("no C compiler")
    shutil.copy(client, directory / "p2pa")
    (directory / "p2p-agents-python").write_text(beside)
    (directory / "p2p-agents-python").chmod(0o755)
    return client
