"""The bridge as a process: lock, log, signals; start, serve, stop cleanly."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import ipaddress
import logging
import os
import resource
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bridge import bounds, exhibits
from bridge.keeping import data_directory
from bridge.server import BridgeServer
from p2p_agents import exits
from p2p_agents.errors import AlreadyRunning
from p2p_agents.logs import EscapingFormatter

if TYPE_CHECKING:
    from bridge.face import Face
    from bridge.settings import Settings

log = logging.getLogger(__name__)

LOCK_NAME = "bridge.lock"


def run(settings: Settings, face: Face) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. Raises an EnvironmentFault that says why it cannot."""
    os.umask(0o077)
    _log(addresses=settings.log_addresses)
    data_directory(settings.data)
    lock = take_lock(settings.data)
    _allow_many_files()
    asyncio.run(_serve(settings, face))
    os.close(lock)
    return exits.OK


def take_lock(directory: str) -> int:
    """The descriptor that holds the directory while it is open. Raises AlreadyRunning."""
    descriptor = os.open(
        os.path.join(directory, LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise AlreadyRunning(
            f"another bridge runs on {directory}", hint="stop it, or name another directory: --data DIR"
        ) from error
    return descriptor


async def _serve(settings: Settings, face: Face) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(asyncio.get_running_loop(), stopping)
    server = BridgeServer(settings)
    address = await server.start()
    gc.collect()
    gc.freeze()  # the objects of a started bridge live as long as it does: never scan them again
    face.show_event(
        {
            "type": "ready",
            "address": str(address),
            "admission": str(settings.admission),
            "data": settings.data,
            "kept_days": settings.quotas.kept_s // bounds.DAY_S,
            "log_addresses": settings.log_addresses,
            "pid": os.getpid(),
        },
        exhibits.ready,
    )
    await stopping.wait()
    log.info("stopping")
    await server.stop()


def _stop_on_signals(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Handles signals until the process ends, even after the loop: a second signal must not spoil a clean end."""

    def stop(number: int, frame: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the end is near
            loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, stop)


def _allow_many_files() -> None:
    """A WebSocket connection is an open file: allow as many as this user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = bounds.CONNECTIONS * 2
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _log(*, addresses: bool) -> None:
    """To stderr, for whoever runs this process to keep."""
    handler = logging.StreamHandler()
    handler.setFormatter(EscapingFormatter())
    if not addresses:
        handler.addFilter(without_addresses)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def without_addresses(record: logging.LogRecord) -> bool:
    """A log filter: addresses among a record's arguments are left out."""
    if isinstance(record.args, tuple):
        record.args = tuple("(an address)" if _is_address(value) else value for value in record.args)
    return True


def _is_address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        return False
    return True
