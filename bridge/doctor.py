"""Checks what works on this machine for a bridge, and why the rest does not. Runs beside a bridge or without one."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge import bounds, keys, sqlite_store
from bridge.daemon import take_lock
from bridge.keeping import STORE_NAME, data_directory
from bridge.sizes import show_size
from p2p_agents.errors import AlreadyRunning, P2PError
from p2p_agents.limits import SOCKET_BUFFER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

DISK_LOW_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Check:
    """`ok` is None for information that is neither good nor bad."""

    name: str
    ok: bool | None
    detail: str
    hint: str = ""

    def shown(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "hint": self.hint or None}


def run_checks(data: str, store: str, host: str | None, port: int) -> list[dict[str, Any]]:
    """Every check, in the order in which one builds on another."""
    running = _running(data)
    checks: list[Callable[[], Check]] = [
        lambda: _data(data, running=running),
        lambda: _key(data),
        lambda: _redis(store) if store else _store(data),
        lambda: _disk(data),
        lambda: _port(socket.SOCK_DGRAM, "udp", host, port, running=running),
        lambda: _port(socket.SOCK_STREAM, "tcp", host, port, running=running),
        _buffers,
        _files,
    ]
    return [check().shown() for check in checks]


def _running(data: str) -> bool:
    if not os.path.isdir(data):
        return False
    try:
        os.close(take_lock(data))
    except AlreadyRunning:
        return True
    except OSError:
        return False
    return False


def _data(data: str, *, running: bool) -> Check:
    if not os.path.isdir(data):
        return Check("data", None, f"{data} does not exist; run makes it")
    try:
        data_directory(data)
    except P2PError as error:
        return Check("data", False, error.message, "give its owner the right to write there, or name another: --data")
    if os.stat(data).st_mode & 0o077:
        return Check("data", False, f"{data} is open to other users", f"run: chmod 700 {data}")
    return Check("data", True, f"{data}; a bridge {'runs' if running else 'does not run'} on it")


def _key(data: str) -> Check:
    if not os.path.exists(os.path.join(data, keys.NAME)):
        return Check("key", None, "none yet; run makes it")
    try:
        keys.seed(data)
    except P2PError as error:
        return Check("key", False, error.message, "bring it back from a copy: clients know the bridge by it")
    return Check("key", True, "there; keep a copy: clients know the bridge by it")


def _store(data: str) -> Check:
    path = os.path.join(data, STORE_NAME)
    if not os.path.exists(path):
        return Check("store", None, "none yet; run makes it")
    found = sqlite_store.check(path)
    hint = "stop the bridge and bring it back from a backup: senders send again what is missing"
    return Check("store", found == "ok", f"{show_size(os.path.getsize(path))}: {found}", "" if found == "ok" else hint)


def _redis(store: str) -> Check:
    """Whether it answers and is fit for a bridge, and what it would lose in a power cut."""
    from bridge.redis_link import Link, parse_store

    async def look() -> list[dict[str, Any]]:
        link = await Link.open(parse_store(store))
        try:
            return await link.info()
        finally:
            await link.close()

    try:
        nodes = asyncio.run(look())
    except P2PError as error:
        return Check("store", False, error.message, error.hint)
    found = f"Redis {nodes[0]['redis_version']}, {show_size(sum(node['used_memory'] for node in nodes))} in memory"
    if not all(node["aof_enabled"] for node in nodes):
        return Check("store", None, f"{found}; it keeps nothing of the last minutes", "set its appendonly to yes")
    return Check("store", True, f"{found}, appending to a file")


def _disk(data: str) -> Check:
    place = data if os.path.isdir(data) else os.path.dirname(os.path.abspath(data))
    if not os.path.isdir(place):
        return Check("disk", None, f"{place} does not exist")
    free = shutil.disk_usage(place).free
    low = free < DISK_LOW_BYTES
    return Check("disk", not low, f"{show_size(free)} free", "make room: a bridge without refuses blobs" if low else "")


def _port(kind: socket.SocketKind, name: str, host: str | None, port: int, *, running: bool) -> Check:
    family = socket.AF_INET6 if host is None or ":" in host else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host or "::", port))
    except OSError as error:
        if running:
            return Check(name, True, f"port {port} is taken, by this bridge it seems")
        hint = "ports below 1024 are for root, or for CAP_NET_BIND_SERVICE" if port < 1_024 else "use another: --port"
        return Check(name, False, f"port {port} cannot be had: {error.strerror}", hint)
    return Check(name, True, f"port {port} is free; let the firewall pass it")


def _buffers() -> Check:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        got = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if got >= SOCKET_BUFFER_BYTES:
        return Check("udp buffer", True, show_size(got))
    hint = f"for many clients run: sysctl -w net.core.rmem_max={SOCKET_BUFFER_BYTES}"
    return Check("udp buffer", None, f"{show_size(got)} of {show_size(SOCKET_BUFFER_BYTES)}", hint)


def _files() -> Check:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= bounds.CONNECTIONS:
        return Check("open files", True, "enough")
    return Check("open files", None, f"{hard}: so many clients by WebSocket at most", "raise it: ulimit -Hn")
