"""Finds and removes what this program leaves on a machine beside its package: sockets, hints, completion, the home."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from p2p_agents import errors, limits
from p2p_agents.paths import hints_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2p_agents.paths import Home

PROGRAMS = ("p2p-agents", "p2pa")
HINT = re.compile(r"([0-9]{1,10})-[0-9a-f]{16}\.json(?:\.[0-9a-f]{16})?")
HOME_FILES = re.compile(r"(?:store\.|node\.|p2pa-).+")
BRIDGE_MARKS = ("bridge.lock", "host.json")  # a directory `bridge` with one of these is what `host` made
POLL_S = 0.02
RC_BYTES = 1024 * 1024  # a shell's start file is never longer


def remove_traces(home: Home) -> list[str]:
    """Remove sockets, hints of nodes that have ended, and completion; returns the removed paths."""
    return [path for path in (home.socket, *_hints(), *_completions()) if _unlink(path)] + _strip_rc() + _emptied(home)


def remove_home(home: Home) -> list[str]:
    """Remove agents, keys and messages; the paths that went. What is not this program's stays, with the directory
    around it. Raises AlreadyRunning while a node runs."""
    if not os.path.isdir(home.path):
        return []
    with _held(home):
        own = [name for name in os.listdir(home.path) if HOME_FILES.fullmatch(name)]
        gone = [path for name in own if _unlink(path := os.path.join(home.path, name))]
        gone += [
            path for name in _names(home.keys) if ".key" in name and _unlink(path := os.path.join(home.keys, name))
        ]
        bridge = os.path.join(home.path, "bridge")
        if any(mark in _names(bridge) for mark in BRIDGE_MARKS):
            shutil.rmtree(bridge)
            gone.append(bridge)
        return gone + [path for path in (home.keys, home.path) if _rmdir(path)]


def package_line() -> str:
    """The command that removes the package itself, by the installer that installed it."""
    prefix = sys.prefix.replace(os.sep, "/")
    if "/pipx/venvs/" in prefix:
        return "pipx uninstall p2p-agents"
    if "/uv/tools/" in prefix:
        return "uv tool uninstall p2p-agents"
    return f"{sys.executable} -m pip uninstall p2p-agents"


@contextmanager
def _held(home: Home) -> Iterator[None]:
    """While the block lasts, no node runs and none is started."""
    held = []
    try:
        for path, flags in ((home.path, os.O_RDONLY | os.O_DIRECTORY), (home.lock, os.O_RDWR | os.O_CREAT)):
            held.append(os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            _lock(held[-1], home)
        yield
    except OSError as error:
        raise errors.FileUnusable(f"{error.filename or home.path} cannot be removed: {error.strerror}") from error
    finally:
        for descriptor in held:
            os.close(descriptor)


def _lock(descriptor: int, home: Home) -> None:
    """A stopped node hangs up a moment before it releases the lock. Raises AlreadyRunning."""
    deadline = time.monotonic() + limits.NODE_STOP_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise errors.AlreadyRunning(
                    f"a node still runs for {home.path}", hint="run: p2p-agents node stop"
                ) from None
        time.sleep(POLL_S)


def _hints() -> Iterator[str]:
    """Hint files of this user whose node has ended."""
    directory = hints_directory()
    for name in _names(directory):
        found = HINT.fullmatch(name)
        path = os.path.join(directory, name)
        with suppress(OSError):
            if found and os.lstat(path).st_uid == os.getuid() and not _lives(int(found[1])):
                yield path


def _completions() -> Iterator[str]:
    """Where completion is installed for each shell, for both names of the program."""
    user = os.path.expanduser("~")
    for program in PROGRAMS:
        yield os.path.join(user, ".bash_completions", f"{program}.sh")
        yield os.path.join(user, ".zfunc", f"_{program}")
        yield os.path.join(user, ".config", "fish", "completions", f"{program}.fish")


def _strip_rc() -> list[str]:
    """Take the lines that load completion out of ~/.bashrc; the file if it changed."""
    path = os.path.realpath(os.path.expanduser("~/.bashrc"))
    ours = re.compile(r"source '[^'\n]*/\.bash_completions/(?:p2p-agents|p2pa)\.sh'\n?")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            before = file.read(RC_BYTES + 1)
        after = "".join(line for line in before.splitlines(keepends=True) if not ours.fullmatch(line))
        if len(before) > RC_BYTES or after == before:
            return []
        with open(f"{path}.p2p-agents", "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(after)
        shutil.copymode(path, file.name)
        os.replace(file.name, path)
    except OSError:  # none, or not ours to change: it names a file that is gone, which a shell says
        return []
    return [path]


def _emptied(home: Home) -> list[str]:
    """The socket's own directory, where there is no runtime directory; never one that others made."""
    directory = os.path.dirname(home.socket)
    return [directory] if os.path.basename(directory) == f"p2pa-{os.getuid()}" and _rmdir(directory) else []


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _unlink(path: str) -> bool:
    """Whether it was there. Raises FileUnusable where it cannot go."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise errors.FileUnusable(f"{path} cannot be removed: {error.strerror}") from error
    return True


def _rmdir(path: str) -> bool:
    try:
        os.rmdir(path)
    except OSError:  # something of somebody else's is in it
        return False
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
