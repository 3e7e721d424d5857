"""Reads a pairing code held in front of a camera. Needs the extra `camera`: OpenCV, beside what scan.py needs."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2p_agents import errors, limits
from p2p_agents.cli import scan

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICES = 4  # device numbers to try: one camera may have several, some without a picture
BLANKS = 30  # consecutive frames without a picture after which a camera counts as gone


def read(ready: Callable[[], object]) -> str:
    """The first pairing code that is seen, once a camera is `ready`. Raises an error of errors/scan.py."""
    library = _library()
    camera = _open(library)
    try:
        ready()
        return _look(library, camera, time.monotonic() + limits.CAMERA_S)
    finally:
        camera.release()


def _library() -> Any:
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # it complains on stderr about every device that is not a camera
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise errors.CameraUnavailable from error


def _open(library: Any) -> Any:
    """The first camera that delivers a picture."""
    for number in range(DEVICES):
        camera = library.VideoCapture(number)
        if camera.isOpened() and camera.read()[0]:
            return camera
        camera.release()
    shut = [str(path) for path in sorted(Path("/dev").glob("video*")) if not os.access(path, os.R_OK | os.W_OK)]
    if shut:
        raise errors.NoCamera(f"this user may not open {shut[0]}", hint="join the group that may: ls -l /dev/video*")
    raise errors.NoCamera


def _look(library: Any, camera: Any, deadline: float) -> str:
    """When the time is over, the fault of the last frame with a code is raised."""
    wrong: errors.P2PError = errors.NoCodeFound(f"no code was seen within {limits.CAMERA_S:g} s")
    blanks = 0
    while time.monotonic() < deadline:
        seen, frame = camera.read()
        blanks = 0 if seen else blanks + 1
        if blanks > BLANKS:
            raise errors.NoCamera("the camera stopped delivering pictures")
        if not seen:
            continue
        try:
            return scan.choose([scan.codes(library.cvtColor(frame, library.COLOR_BGR2GRAY))])
        except errors.NoCodeFound:
            continue
        except (errors.ForeignCode, errors.SeveralCodes) as fault:
            wrong = fault
    raise wrong
