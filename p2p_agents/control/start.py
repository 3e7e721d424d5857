"""Starting a node from a command: launch it apart from the terminal, learn why it could not start."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time

import p2p_agents
from p2p_agents import errors
from p2p_agents.control.wire import decode_error, encode_error
from p2p_agents.paths import unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from p2p_agents.errors import P2PError
    from p2p_agents.paths import Home

POLL_MIN_S = 0.005  # between two looks at a starting node, first
POLL_MAX_S = 0.05  # and later: many commands may be waiting for one node
LAUNCHES = 8  # of one command: a node that is killed while it starts is started again
ERROR_BYTES = 64 * 1024  # a start error is a few hundred


class NodeStart:
    """One attempt to bring up the node of a home. Of many commands that try at once, one launches it."""

    def __init__(self, home: Home, deadline: float) -> None:
        self._home = home
        self._deadline = deadline
        self._turn = -1  # the home's directory, locked: it is this command that launches
        self._child = 0
        self._launches = 0
        self._poll = POLL_MIN_S

    def wait(self) -> None:
        """Launch, unless that is done, and pause a moment. Raises the node's own reason, or NodeUnreachable.

        The caller looks for the node between taking the turn and launching: another may have just had it.
        """
        if self._turn < 0:
            if self._take_turn():
                return
        elif not self._child:
            clear_error(self._home)
            self._child = launch(self._home)
            self._launches += 1
        elif self._has_ended():
            self._child = 0
        if time.monotonic() > self._deadline:
            raise errors.NodeUnreachable("the node was started but does not answer")
        time.sleep(self._poll)
        self._poll = min(self._poll * 2, POLL_MAX_S)

    def end(self) -> None:
        """Let the next command try: this one has its node, or its reason."""
        if self._turn >= 0:
            os.close(self._turn)
            self._turn = -1

    def _take_turn(self) -> bool:
        try:
            turn = os.open(self._home.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise unusable(self._home.path, "read", error) from error
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(turn)
            return False
        self._turn = turn
        return True

    def _has_ended(self) -> bool:
        """Whether the child is gone and another may be launched: it found another node's lock, or was killed before it
        could say anything. Any other end is an error."""
        try:
            pid, status = os.waitpid(self._child, os.WNOHANG)
        except ChildProcessError:  # reaped by the embedding program
            return True
        if pid == 0:
            return False
        code = os.waitstatus_to_exitcode(status)
        reason = read_error(self._home)
        killed = code < 0 and self._launches < LAUNCHES
        if reason is None and (killed or code == errors.AlreadyRunning.exit):  # the home is not its own: no reason
            return True
        raise reason or errors.NodeUnreachable(f"the node exited with {code} while starting")


def launch(home: Home) -> int:
    """Start the node of `home` in a session of its own with null streams; its process id."""
    environ = {**environment(), "P2P_AGENTS_HOME": home.path, "XDG_RUNTIME_DIR": home.runtime}
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    try:
        return os.posix_spawn(sys.executable, command("run"), environ, file_actions=null, setsid=True)
    except OSError as error:
        raise errors.NodeUnreachable(f"the node cannot be started: {error.strerror}") from error


def command(*words: str) -> list[str]:
    """The command line of the node's own entry."""
    # -P: the current directory of a command must not supply the node's modules.
    return [sys.executable, "-P", "-m", "p2p_agents.node", *words]


def environment() -> dict[str, str]:
    """This process's environment, with the package findable where it is not installed."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(p2p_agents.__file__)))
    if os.path.basename(package) in {"site-packages", "dist-packages"}:
        return dict(os.environ)
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), package)))
    return {**os.environ, "PYTHONPATH": path}


def leave_error(home: Home, error: P2PError) -> None:
    """Store the reason why a node could not start where the command that started it finds it."""
    fd = os.open(_error_path(home), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(encode_error(error), file)


def read_error(home: Home) -> P2PError | None:
    """The reason that the last node left, if any."""
    try:
        with open(_error_path(home), "rb") as file:
            return decode_error(json.loads(file.read(ERROR_BYTES)))
    except (OSError, ValueError):
        return None


def clear_error(home: Home) -> None:
    try:
        os.unlink(_error_path(home))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise unusable(home.path, "written", error) from error


def _error_path(home: Home) -> str:
    return os.path.join(home.path, "node.error") if home.is_writable else f"{home.socket}.error"
