"""The command line as its users see it: script files with commands, expected stdout and exit status.

$ command          run by sh, stdout a pipe          tty$ command      stdout a terminal
> words            typed at that terminal            = 4   its exit status, when not 0
…                  within a line stands for anything
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p_agents.paths import Home
from tests.cli.world import make_world
from tests.control.fake import Served, make_home
from tests.native.made import PYTHON, make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a script and what it must do."""

    line: int
    command: str
    terminal: bool
    stdout: str
    status: int
    typed: str = ""


def read_script(path: Path) -> list[Step]:
    steps: list[Step] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := re.fullmatch(r"(tty)?\$ (.*)", line):
            steps.append(Step(number, found[2], bool(found[1]), "", 0))
        elif steps and line and not line.startswith("#"):
            steps[-1] = _with(steps[-1], line)
    return steps


def _with(step: Step, line: str) -> Step:
    """One more line of what a step says."""
    match line[:2]:
        case "= ":
            return replace(step, status=int(line[2:]))
        case "> ":
            return replace(step, typed=f"{step.typed}{line[2:]}\n")
    return replace(step, stdout=f"{step.stdout}{line}\n")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Served(make_world(), made := make_home(tmp_path_factory.mktemp("home"))):
        yield made


@pytest.fixture(scope="module", params=["python", "native"])
def environ(home: Home, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    """The same scripts over both clients."""
    bin_ = tmp_path_factory.mktemp("bin")
    if request.param == "native":
        make_client(bin_)
    else:
        for name in ("p2p-agents", "p2pa"):
            (bin_ / name).write_text(PYTHON)
            (bin_ / name).chmod(0o755)
    return {
        "PYTHONIOENCODING": "utf-8",
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "P2P_AGENTS_HOME": home.path,
        "P2P_AGENTS_NO_START": "1",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "TZ": "UTC",
        "COLUMNS": "100",
    }


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, environ: dict[str, str]) -> None:
    steps = read_script(path)
    assert steps
    wrong = [told for step in steps if (told := check(step, environ))]
    assert not wrong, "\n".join(wrong)


def check(step: Step, environ: dict[str, str]) -> str:
    """What is wrong with a step; empty when nothing is."""
    stdout, status = (_run_on_terminal if step.terminal else _run)(step, environ)
    if _matches(step.stdout, stdout) and status == step.status:
        return ""
    return f"line {step.line}: {step.command}\n{step.stdout}= {step.status}\n  but got\n{stdout}= {status}\n"


def _run(step: Step, environ: dict[str, str]) -> tuple[str, int]:
    done = subprocess.run(["sh", "-c", step.command], env=environ, capture_output=True, check=False, timeout=30)
    return done.stdout.decode(), done.returncode


def _run_on_terminal(step: Step, environ: dict[str, str]) -> tuple[str, int]:
    """Stdout and stderr are one terminal, as a person sees them; what is typed stands first, as its echo."""
    ours, theirs = os.openpty()
    os.write(ours, step.typed.encode())
    with subprocess.Popen(["sh", "-c", step.command], env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), child.returncode


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # EIO: the last writer has closed it
        return b""


def _matches(expected: str, got: str) -> bool:
    pattern = "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", expected))
    return re.fullmatch(pattern, got) is not None
