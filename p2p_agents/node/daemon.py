"""The node as a process: home, lock, log, signals; start, serve, stop cleanly."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import logging
import logging.handlers
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from p2p_agents import errors, exits, limits
from p2p_agents.control.server import ControlServer, Service
from p2p_agents.control.start import clear_error, leave_error
from p2p_agents.control.wire import STOPPING
from p2p_agents.logs import EscapingFormatter
from p2p_agents.output import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.paths import Home

log = logging.getLogger(__name__)


class RunnableNode(Service, Protocol):
    """What the daemon needs of a node besides the control service."""

    stopping: asyncio.Event
    goodbye: str | None  # sent to clients when it stops; None if it failed

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def run(home: Home, make_node: Callable[[Home], RunnableNode], *, foreground: bool) -> int:
    """Run the node of `home` until it is told to stop; returns the exit status. If it cannot run, the reason is left in
    the home."""
    os.umask(0o077)
    _raise_files()
    locked = False
    try:
        home.create()
        lock = take_lock(home)
        locked = True
        _log_to(home, foreground)
        clear_error(home)
        asyncio.run(_serve(home, make_node))
        os.close(lock)
    except errors.P2PError as error:
        if locked:
            log.error("cannot run: %s", error.message)
            _leave(home, error)
        return _last_word(error)
    except OSError as error:  # of the lock or the log, on a disk that cannot be written
        return _last_word(errors.StoreReadOnly(f"{home.path} cannot be written: {error.strerror}"))
    except Exception:
        log.exception("cannot run")
        _leave(home, errors.Bug("the node failed while starting"))
        return exits.FAILURE
    return exits.OK


def _last_word(error: errors.P2PError) -> int:
    with suppress(OSError):  # nobody may be there to read it
        print(f"p2p-agents: {escape(error.message)}", file=sys.stderr, flush=True)  # noqa: T201 - the node's own
    return error.exit


def _raise_files() -> None:
    """Allow as many open files as this user may have, one per client: shells set a low limit for old programs."""
    wanted = limits.CONTROL_CLIENTS + limits.FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def take_lock(home: Home) -> int:
    """A descriptor that holds the home's lock while it is open. Raises AlreadyRunning."""
    fd = _open_lock(home)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise errors.AlreadyRunning(f"another node runs for {home.path}") from error
    with suppress(OSError):  # a full disk; naming the holder is useful, but not necessary
        os.ftruncate(fd, 0)
        os.write(fd, b"%d\n" % os.getpid())
    return fd


def _open_lock(home: Home) -> int:
    """The lock file. If there is none and it cannot be created, the directory of keys instead, since that of the home
    is locked by whoever starts a node. Raises AlreadyRunning if another node holds that, even once the file can be
    created again."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    directory = os.open(home.keys, os.O_RDONLY | os.O_DIRECTORY | flags)
    try:
        try:
            fd = os.open(home.lock, os.O_RDWR | os.O_CREAT | flags, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            fd = os.open(home.lock, os.O_RDONLY | flags) if os.path.exists(home.lock) else os.dup(directory)
        if not os.path.sameopenfile(fd, directory) and _is_locked(directory):
            os.close(fd)
            raise errors.AlreadyRunning(f"another node runs for {home.path}")
        return fd
    finally:
        os.close(directory)


def _is_locked(directory: int) -> bool:
    try:
        fcntl.flock(directory, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


async def _serve(home: Home, make_node: Callable[[Home], RunnableNode]) -> None:
    node = make_node(home)
    stopping = node.stopping
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            loop.add_signal_handler(number, _tell_to_stop, node)
    control = ControlServer(node, home)
    try:
        await node.start()
        await control.start()
        gc.collect()
        gc.freeze()  # a started node keeps its modules and tables for life: do not scan them again
        sys.setswitchinterval(0.001)  # s, so that the store's thread does not hold up the loop
        log.info("listening on %s, pid %d", home.socket, os.getpid())
        await stopping.wait()
    finally:
        log.info("stopping")
        control.quiesce()
        try:
            await node.stop()
        finally:
            await control.stop(node.goodbye)


def _tell_to_stop(node: RunnableNode) -> None:
    node.goodbye = STOPPING
    node.stopping.set()


def _leave(home: Home, error: errors.P2PError) -> None:
    with suppress(OSError):  # the disk that kept the node from starting may reject this too
        leave_error(home, error)


def _log_to(home: Home, foreground: bool) -> None:
    """Log to the home's file, 0600, rotated at its size limit; in the foreground to stderr too."""
    logging.raiseExceptions = False  # on a full disk no line can be logged, and no traceback about it either
    handlers: list[logging.Handler] = [logging.NullHandler()]
    with suppress(OSError):  # the disk cannot be written; what it holds can still be read
        handlers.append(
            logging.handlers.RotatingFileHandler(
                home.log,
                maxBytes=limits.NODE_LOG_BYTES,
                backupCount=1,
                encoding="utf-8",
                errors="backslashreplace",
            )
        )
    if foreground:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(EscapingFormatter())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.getLogger("quic").setLevel(logging.WARNING)  # otherwise it logs a line per connection
