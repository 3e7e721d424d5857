"""File systems small enough to be filled, and disks that fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, megabytes: int) -> Iterator[Path]:
    """A new directory that holds so much, where the machine lets a test mount one; in CI it must."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("cannot mount a small file system")
        pytest.skip("needs root to mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class FailingSync:
    """Syncing the write-ahead logs of programs that run in `environ` fails on request."""

    def __init__(self, place: Path) -> None:
        library, self._armed = place / "failing_sync.so", place / "armed"
        source = Path(__file__).parent / "system" / "failing_sync.c"
        if shutil.which("cc") is None:
            if os.environ.get("CI") == "true":
                pytest.fail("there is no C compiler")
            pytest.skip("needs a C compiler")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
        self.environ = {"LD_PRELOAD": str(library), "FAIL_SYNC": str(self._armed)}

    def once(self, marker: str) -> None:
        """The next one of a log that holds this fails."""
        draft = self._armed.with_suffix(".new")
        draft.write_text(marker)
        draft.rename(self._armed)

    @contextmanager
    def always(self) -> Iterator[None]:
        """Each fails, inside."""
        self._armed.mkdir()
        yield
        self._armed.rmdir()
