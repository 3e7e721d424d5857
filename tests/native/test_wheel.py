"""What is installed: the native client where one could be compiled, the Python command beside it in any case."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

import p2p_agents
from tests.cli.world import make_world
from tests.control.fake import Served, make_home
from tests.native.made import ROOT

PROGRAMS = ("p2p-agents", "p2pa")
KINDS = pytest.mark.parametrize(
    ("environ", "tag", "begins"),
    [({}, "py3-none-linux_", b"\x7fELF"), ({"P2P_AGENTS_NATIVE": "0"}, "py3-none-any", b"#!/bin/sh")],
    ids=["native", "pure"],
)


def build_wheel(directory: Path, environ: dict[str, str]) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, check=True, timeout=50)
    (wheel,) = directory.glob("*.whl")
    return wheel


def run(program: Path, home: str, *words: str) -> str:
    environ = {
        "P2P_AGENTS_HOME": home,
        "P2P_AGENTS_NO_START": "1",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": sysconfig.get_path("purelib"),  # what the package depends on
    }
    return subprocess.run([program, *words], env=environ, capture_output=True, text=True, check=True, timeout=30).stdout


@KINDS
def test_an_installed_command_works_wherever_it_is_called_from(
    tmp_path: Path, environ: dict[str, str], tag: str, begins: bytes
) -> None:
    """Also through a link from another directory, as pipx and uv make them, and where paths hold spaces."""
    if not environ and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler")
    wheel = build_wheel(tmp_path, environ)
    assert tag in wheel.name
    with ZipFile(wheel) as content:
        data = f"p2p_agents-{p2p_agents.__version__}.data/scripts"
        assert all(content.read(f"{data}/{name}").startswith(begins) for name in PROGRAMS)
        assert not [name for name in content.namelist() if name.endswith((".c", ".h"))]
    place = tmp_path / "in a place"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=50)
    install = ["--python", place / "bin" / "python", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, "-m", "pip", *install], capture_output=True, check=True, timeout=50)
    linked = tmp_path / "linked"
    linked.mkdir()
    with Served(make_world(), home := make_home(tmp_path / "home")):
        for name in PROGRAMS:
            (linked / name).symlink_to(place / "bin" / name)
            for program in (place / "bin" / name, linked / name):
                assert run(program, home.path, "inbox", "--after", "c2").startswith('{"ok": true, "messages": []')
                assert p2p_agents.__version__ in run(program, home.path, "version")


def test_a_compiler_that_fails_fails_no_installation(tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    assert build_wheel(tmp_path, {"CC": str(compiler)}).name.endswith("py3-none-any.whl")


def test_without_a_compiler_the_wheel_is_pure(tmp_path: Path) -> None:
    assert build_wheel(tmp_path, {"PATH": str(tmp_path), "CC": ""}).name.endswith("py3-none-any.whl")
