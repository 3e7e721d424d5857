"""What Hatch puts into a wheel as `p2p-agents` and `p2pa`: the native client, or what starts the Python one.

A compiler that is not there, or fails, fails no installation. P2P_AGENTS_NATIVE=0 leaves the native client out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

HERE = Path(__file__).resolve().parent
PROGRAMS = ("p2p-agents", "p2pa")


class Programs(BuildHookInterface):
    """Both names are files of the wheel, not entry points: an installer copies files as they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._made = Path(tempfile.mkdtemp(prefix="p2pa-build-"))
        program = self._made / PROGRAMS[0]
        if _compiled(program):
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{_platform()}"
        else:
            shutil.copy(HERE / "launcher.sh", program)
        program.chmod(0o755)
        for name in PROGRAMS[1:]:
            shutil.copy(program, self._made / name)
        build_data["shared_scripts"] |= {str(self._made / name): name for name in PROGRAMS}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self._made, ignore_errors=True)


def _compiled(target: Path) -> bool:
    if os.environ.get("P2P_AGENTS_NATIVE") == "0":
        return False
    done = subprocess.run([sys.executable, HERE / "build.py", target], check=False)  # noqa: S603 - of this source tree
    return done.returncode == 0 and target.exists()


def _platform() -> str:
    """This machine's own tag: what was compiled here is not promised to run on an older system."""
    return next(tag for tag in platform_tags() if not tag.startswith(("manylinux", "musllinux")))
