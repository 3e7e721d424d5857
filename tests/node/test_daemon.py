"""The node's process around a stand-in for the node: real processes, real signals."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p_agents import errors, exits
from p2p_agents.control import start
from p2p_agents.control.client import Client
from p2p_agents.node import daemon
from tests.control.fake import make_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2p_agents.paths import Home

PROGRAM = """
import asyncio, os, sys
from p2p_agents import errors, exits
from p2p_agents.node import daemon
from p2p_agents.paths import Home

class Node:
    def __init__(self, home):
        self.home = home
        self.stopping = asyncio.Event()
        self.goodbye = None
    async def start(self):
        if FAIL == "known":
            raise errors.NoSocket("no UDP here")
        if FAIL == "unknown":
            raise RuntimeError("hunter2")
    async def stop(self):
        open(os.path.join(self.home.path, "stopped-cleanly"), "w").close()
    async def call(self, method, params):
        if method == "node.stop":
            self.stopping.set()
            return {"stopping": True}
        return {"pid": os.getpid()}
    def stream(self, method, params):
        raise errors.UnknownMethod

sys.exit(daemon.run(Home(), Node, foreground=False))
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)


@contextmanager
def spawn(home: Home, fail: str = "") -> Iterator[subprocess.Popen[bytes]]:
    environ = dict(os.environ, P2P_AGENTS_HOME=home.path, XDG_RUNTIME_DIR="", PYTHONPATH=str(Path(__file__).parents[2]))
    program = f"FAIL = {fail!r}\n{PROGRAM}"
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def listens(home: Home) -> bool:
    with Client(home, start=False) as client, suppress(errors.NodeUnreachable):
        client.connect()
        return True
    return False


@pytest.fixture
def running(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    with spawn(home) as child:
        while not listens(home):
            assert child.poll() is None
        yield child


def is_gone_cleanly(home: Home) -> bool:
    return os.path.exists(os.path.join(home.path, "stopped-cleanly")) and not os.path.exists(home.socket)


def test_it_serves_and_stops_when_told(home: Home, running: subprocess.Popen[bytes]) -> None:
    with Client(home, start=False) as client:
        assert client.call("node.info") == {"pid": running.pid}
        assert client.call("node.stop") == {"stopping": True}
        client.wait_end()
        assert is_gone_cleanly(home)
    assert running.wait(10) == 0
    assert is_gone_cleanly(home)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(home: Home, running: subprocess.Popen[bytes], number: int) -> None:
    running.send_signal(number)
    assert running.wait(10) == 0
    assert is_gone_cleanly(home)


def test_a_second_node_of_one_home_gives_way(home: Home, running: subprocess.Popen[bytes]) -> None:
    with spawn(home) as second:
        _, told = second.communicate(timeout=20)
    assert second.returncode == errors.AlreadyRunning.exit
    assert b"another node runs" in told
    assert start.read_error(home) is None
    with Client(home, start=False) as client:
        assert client.call("node.info") == {"pid": running.pid}


def test_after_kill_nine_the_next_node_takes_lock_and_socket(home: Home, running: subprocess.Popen[bytes]) -> None:
    """H1: lock, then unlink, then bind."""
    running.kill()
    running.wait()
    assert os.path.exists(home.socket)
    with spawn(home) as second:
        while not listens(home):
            assert second.poll() is None
        with Client(home, start=False) as client:
            assert client.call("node.info") == {"pid": second.pid}
            client.call("node.stop")
        assert second.wait(10) == 0


@pytest.mark.parametrize(("fail", "kind"), [("known", errors.NoSocket), ("unknown", errors.Bug)])
def test_a_node_that_cannot_start_leaves_its_reason(home: Home, fail: str, kind: type[errors.P2PError]) -> None:
    """H1: a node that cannot bind UDP exits."""
    with spawn(home, fail) as child:
        _, told = child.communicate(timeout=20)
    assert child.returncode == kind.exit
    reason = start.read_error(home)
    assert type(reason) is kind
    assert "hunter2" not in reason.message
    assert not os.path.exists(home.socket)
    log = Path(home.log).read_text()
    assert ("no UDP here" in log and b"no UDP here" in told) or "hunter2" in log


def test_what_it_writes_is_for_this_user_alone(home: Home, running: subprocess.Popen[bytes]) -> None:
    for path in (home.log, home.lock, home.socket):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert Path(home.lock).read_text() == f"{running.pid}\n"


def test_an_open_home_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from p2p_agents.paths import Home

    os.chmod(tmp_path, 0o755)
    before = os.umask(0o022)
    try:
        status = daemon.run(Home({"P2P_AGENTS_HOME": str(tmp_path)}), lambda home: pytest.fail("ran"), foreground=False)
    finally:
        os.umask(before)
    assert status == errors.UnsafeHome.exit
    assert "must be 0700" in capsys.readouterr().err


def test_the_entry_knows_two_words() -> None:
    from p2p_agents.node import __main__ as entry

    assert entry.main(["frobnicate"]) == exits.USAGE


def test_its_log_tells_what_peers_said_in_its_own_lines(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        daemon._log_to(home, foreground=True)
        logging.getLogger("node").warning("linked to %s", "bob\n2026-11-21 INFO node: all is well\x1b[2J\x85")
        for handler in root.handlers:
            handler.close()
    finally:
        root.handlers[:], root.level = before
    for text in (Path(home.log).read_text(), capsys.readouterr().err):
        (line,) = text.splitlines()
        assert line.endswith("linked to bob\\x0a2026-11-21 INFO node: all is well\\x1b[2J\\x85")


@pytest.mark.parametrize("mode", [None, 0o500])
def test_without_a_runtime_directory_to_write_the_socket_lies_in_the_home(tmp_path: Path, mode: int | None) -> None:
    """A directory that is missing, or cannot hold a socket, does not stop the node: the home is just as private."""
    runtime, home = tmp_path / "run", tmp_path / "h"
    if mode is not None:
        runtime.mkdir(mode=mode)
    code = "from p2p_agents.paths import Home; print(Home().socket)"
    without = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "P2P_AGENTS_HOME": str(home)}
    found = subprocess.run(
        [*without, sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()).parent in (home, Path(f"/tmp/p2pa-{os.getuid()}"))  # the latter for a long path
