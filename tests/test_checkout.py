"""A fresh clone: its scripts find or make their environment, and its tests touch nothing of their user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The scripts alone, with an interpreter that only notes what it is asked for."""
    for folder in ("scripts", "bench"):
        (tmp_path / folder).mkdir()
    for script in ("scripts/env", "scripts/demo", "scripts/test", "scripts/check", "bench/run"):
        shutil.copy(ROOT / script, tmp_path / script)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "$@" >> "${0%/*}/asked"\n')
    python.chmod(0o755)
    return tmp_path


def run_in(clone: Path, *words: str) -> list[str]:
    """What the interpreter was asked for, one line a time."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    subprocess.run([clone / words[0], *words[1:]], env=environ, check=True, capture_output=True, timeout=30)
    asked = clone / ".venv/bin/asked"
    lines = asked.read_text().splitlines()
    asked.unlink()
    return lines


def test_the_demo_installs_no_tools_of_development(clone: Path) -> None:
    install, demo = run_in(clone, "scripts/demo")
    assert install.endswith("--editable .")
    assert demo == "-m p2p_agents demo"
    assert run_in(clone, "scripts/demo") == [demo]  # and nothing the second time


def test_tests_install_what_the_demo_left_out(clone: Path) -> None:
    run_in(clone, "scripts/demo")
    install, tests = run_in(clone, "scripts/test")
    assert install.endswith("--editable .[dev]")
    assert tests.startswith("-m pytest")
    assert run_in(clone, "scripts/demo") == ["-m p2p_agents demo"]  # it serves for both


def test_measurements_find_the_environment(clone: Path) -> None:
    assert run_in(clone, "bench/run", "--quick", "rate")[-1] == "-m bench --quick rate"


def test_tests_say_how_long_they_take(clone: Path) -> None:
    done = subprocess.run([clone / "scripts/test"], capture_output=True, text=True, check=True, timeout=30)
    assert "minutes" in done.stderr


def test_nothing_of_the_users_environment_reaches_a_test() -> None:
    theirs = {"XDG_RUNTIME_DIR": "/run/user/7", "P2P_AGENT": "carol", "P2P_AGENTS_HOME": "/x", "COLUMNS": "7"}
    program = f"import os, tests.conftest; print(sorted({set(theirs)!r} & os.environ.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=os.environ | theirs, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
