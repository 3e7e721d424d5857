"""Starting a node: real processes of a stand-in for the node's entry."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from typing import TYPE_CHECKING

import pytest

from p2p_agents import errors, exits
from p2p_agents.control import start
from p2p_agents.control.client import Client
from tests.control.fake import make_home

if TYPE_CHECKING:
    from pathlib import Path

    from p2p_agents.paths import Home

LISTENING = """
import json, os, socket
from p2p_agents.paths import Home
server = socket.socket(socket.AF_UNIX)
server.bind(Home().socket)
server.listen()
client, _ = server.accept()
client.sendall(b'{"node": "0.1.0", "protocol": 1, "pid": 1}\\n')
client.makefile().readline()
told = {"session": os.getsid(0) == os.getpid(), "null": [os.fstat(fd).st_rdev for fd in (0, 1, 2)]}
client.sendall(json.dumps({"id": 1, "ok": True, "result": told}).encode() + b"\\n")
client.recv(1)
"""
FAILING = """
import sys
from p2p_agents import errors, exits
from p2p_agents.control.start import leave_error
from p2p_agents.paths import Home
leave_error(Home(), errors.NoPostQuantum("no ML-KEM here"))
sys.exit(1)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(start, "command", lambda *words: [sys.executable, "-P", "-c", program])


def test_the_first_command_starts_the_node_in_a_session_of_its_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """H1: a new session, standard streams to the null device."""
    stand_in(monkeypatch, LISTENING)
    with Client(home, start=True) as client:
        told = client.call("agents")
    assert told["session"] is True
    assert told["null"] == [os.stat(os.devnull).st_rdev] * 3
    os.wait()


def test_a_node_that_cannot_start_tells_the_real_reason(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, FAILING)
    with Client(home, start=True) as client, pytest.raises(errors.NoPostQuantum, match="no ML-KEM here"):
        client.call("agents")


def test_a_node_that_dies_without_a_word(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "import sys; sys.exit(9)")
    with Client(home, start=True) as client, pytest.raises(errors.NodeUnreachable, match="exited with 9"):
        client.call("agents")


def test_a_node_that_is_killed_while_it_starts_is_started_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever killed it did not mean the command that waits for it."""
    once = f"import os\nif not os.path.exists({home.lock!r}):\n open({home.lock!r}, 'w')\n os.kill(os.getpid(), 9)\n"
    stand_in(monkeypatch, once + LISTENING)
    with Client(home, start=True) as client:
        assert client.call("agents")["session"] is True
    os.wait()


def test_a_node_that_never_survives_its_start_is_given_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, f"import os; open('{home.path}/tries', 'a').write('x'); os.kill(os.getpid(), 9)")
    with Client(home, start=True) as client, pytest.raises(errors.NodeUnreachable, match="exited with -9"):
        client.call("agents")
    with open(f"{home.path}/tries") as file:
        assert file.read() == "x" * start.LAUNCHES


def test_an_old_reason_is_not_mistaken_for_a_new_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    start.leave_error(home, errors.StoreBroken())
    stand_in(monkeypatch, "import sys; sys.exit(9)")
    with Client(home, start=True) as client, pytest.raises(errors.NodeUnreachable, match="exited with 9"):
        client.call("agents")


def test_losing_the_race_for_the_lock_is_no_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command's node holds the lock and is about to listen."""
    stand_in(monkeypatch, f"import sys; sys.exit({errors.AlreadyRunning.exit})")
    attempt = start.NodeStart(home, time.monotonic() + 5)
    attempt.wait()
    attempt.wait()
    assert attempt._child
    while attempt._child:
        attempt.wait()
    attempt.wait()
    assert attempt._child
    attempt.end()
    os.wait()


def test_of_many_commands_one_launches_and_the_next_only_after_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty commands must not cost fifty interpreters."""
    launched = []
    monkeypatch.setattr(start, "launch", lambda home: launched.append(home) or os.getpid())
    first, second = (start.NodeStart(home, time.monotonic() + 5) for _ in range(2))
    first.wait()
    for _ in range(3):
        second.wait()
    assert not launched
    first.wait()
    assert len(launched) == 1
    first.end()
    second.wait()
    assert len(launched) == 1, "it looks for the first one's node before it launches"
    second.wait()
    assert len(launched) == 2
    second.end()


def test_a_start_has_an_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "pass")
    attempt = start.NodeStart(home, time.monotonic() - 1)
    attempt.wait()
    with pytest.raises(errors.NodeUnreachable, match="does not answer"):
        attempt.wait()
    attempt.end()
    os.wait()


def test_a_place_that_cannot_be_used_is_not_told_to_be_too_open(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only disk: chmod would not help."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "makedirs", fail)
    with pytest.raises(errors.UnsafeHome, match="Read-only") as refused:
        home.create()
    assert "P2P_AGENTS_HOME" in refused.value.hint
    assert "chmod" not in refused.value.hint
    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(errors.UnsafeHome, match="Read-only") as refused:
        start.clear_error(home)
    assert "chmod" not in refused.value.hint


def test_the_working_directory_supplies_no_module_of_the_node(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attack: a directory full of modules with our names, and an agent that works in it."""
    trap = tmp_path / "project"
    (trap / "p2p_agents" / "node").mkdir(parents=True)
    for name in ("p2p_agents/__init__.py", "p2p_agents/node/__init__.py", "json.py"):
        (trap / name).write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    monkeypatch.chdir(trap)
    entry = start.command("no-such-word")  # the real entry, which ends at once
    monkeypatch.setattr(start, "command", lambda *words: entry)
    start.launch(home)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == exits.USAGE
    assert not (tmp_path / "sprung").exists()


def test_the_reason_is_for_this_user_alone_and_survives_garbage(home: Home) -> None:
    assert start.read_error(home) is None
    start.leave_error(home, errors.StoreNewer("written by 2.0", needs="2.0"))
    path = os.path.join(home.path, "node.error")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    found = start.read_error(home)
    assert isinstance(found, errors.StoreNewer)
    assert found.details == {"needs": "2.0"}
    with open(path, "w") as file:
        file.write(json.dumps([1])[:-1])
    assert start.read_error(home) is None
    start.clear_error(home)
    start.clear_error(home)
    assert not os.path.exists(path)


def test_a_checkout_is_findable_and_comes_last_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    first, *rest = start.environment()["PYTHONPATH"].split(os.pathsep)
    assert first == "/somewhere"
    assert rest
