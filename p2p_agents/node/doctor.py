"""What works on this machine and network, and why the rest does not. Runs beside a node or without one."""

from __future__ import annotations

import os
import socket
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2p_agents.crypto.kem import require_post_quantum
from p2p_agents.errors import NoPostQuantum, P2PError
from p2p_agents.net.interfaces import local_addresses
from p2p_agents.node import owning, showing
from p2p_agents.paths import hints_directory
from p2p_agents.store import contacts
from p2p_agents.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.node.core import Core
    from p2p_agents.node.state import Hosted
    from p2p_agents.paths import Home
    from p2p_agents.store.contacts import Event

MDNS_GROUP = "224.0.0.251"  # RFC 6762, section 3
MDNS_PORT = 5353
EVENTS_SHOWN = 10
NEWS = frozenset({"identity_rotated", "identity_thawed", "device_added", "device_revoked"})  # nothing is wrong
STARTING = "starting"  # what `net.mdns` gives as its problem before its first attempt


@dataclass(frozen=True, slots=True)
class Live:
    """What a running node knows better than a probe."""

    port: int
    mdns_problem: str | None
    hints_problem: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """`ok` is None for what is worth knowing and neither good nor bad."""

    name: str
    ok: bool | None
    detail: str
    hint: str = ""

    def shown(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "hint": self.hint or None}


def run_checks(home: Home, live: Live | None = None) -> list[dict[str, Any]]:
    """Every check, in the order in which one builds on another. Blocks for some milliseconds."""
    checks: list[Callable[[], Check]] = [
        _crypto,
        lambda: _home(home),
        lambda: _store(home, running=live is not None),
        lambda: _node(live),
        lambda: _udp(socket.AF_INET, "ipv4"),
        lambda: _udp(socket.AF_INET6, "ipv6"),
        _interfaces,
        lambda: _multicast(live),
        lambda: _hints(live),
    ]
    return [check().shown() for check in checks]


def what_the_store_tells(core: Core) -> list[dict[str, Any]]:
    """How identities stand, and what happened that a human should know: rollbacks, forks, equivocations."""
    kept = [_rotation(core, hosted).shown() for hosted in core.hosted.values()]
    return kept + [_event(event).shown() for event in contacts.events(core.db, EVENTS_SHOWN)]


def _event(event: Event) -> Check:
    told = f"{showing.time_text(event.time_ms)} {event.peer.hex()[:12]}: {event.detail}"
    return Check(event.kind, None if event.kind in NEWS else False, told)


def _crypto() -> Check:
    try:
        require_post_quantum()
    except NoPostQuantum as error:
        return Check("cryptography", False, error.message, error.hint)
    return Check("cryptography", True, "hybrid post-quantum sessions: X25519 with ML-KEM-768")


def _home(home: Home) -> Check:
    if not os.path.isdir(home.path):
        return Check("home", None, f"{home.path} does not exist yet", "run: p2p-agents init NAME")
    mode = stat.S_IMODE(os.stat(home.path).st_mode)
    if mode & 0o077:
        return Check("home", False, f"{home.path} has mode {mode:04o}: others may read it", f"chmod 700 {home.path}")
    return Check("home", True, home.path)


def _store(home: Home, *, running: bool) -> Check:
    if not os.path.exists(home.store):
        return Check("store", None, "no messages yet")
    try:
        database = Database.read(home.store) if running else Database.open(home.store)
    except P2PError as error:
        return Check("store", False, error.message, error.hint)
    database.close()
    free = os.statvfs(home.path)
    return Check("store", True, f"readable; {free.f_bavail * free.f_frsize // 2**20} MiB free on its disk")


def _node(live: Live | None) -> Check:
    if live is None:
        return Check("node", None, "not running", "any command starts it; or run: p2p-agents node run")
    return Check("node", True, f"listening on UDP port {live.port}")


def _udp(family: socket.AddressFamily, name: str) -> Check:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind(("", 0))
    except OSError as error:
        bad = False if family == socket.AF_INET else None
        return Check(name, bad, f"no UDP over {name}: {error.strerror}")
    return Check(name, True, f"UDP sockets over {name} work")


def _interfaces() -> Check:
    found = local_addresses()
    if not found:
        hint = "agents on this machine still find each other; connect to a network to reach others"
        return Check("network", None, "no network interface besides loopback is up", hint)
    return Check("network", True, "reachable at " + ", ".join(found[:6]))


def _multicast(live: Live | None) -> Check:
    problem = live.mdns_problem if live is not None else _join_multicast()
    if problem == STARTING:
        return Check("multicast", None, "multicast DNS is starting", "ask again in a second")
    if problem is None:
        return Check("multicast", True, "peers on the LAN are found by multicast DNS")
    hint = "exchange addresses by hand: p2p-agents node status shows the port, p2p-agents peers add HOST:PORT dials it"
    return Check("multicast", False, problem, hint)


def _join_multicast() -> str | None:
    """Why the group of multicast DNS cannot be joined."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            membership = struct.pack("4s4s", socket.inet_aton(MDNS_GROUP), socket.inet_aton("0.0.0.0"))  # noqa: S104 - any interface
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            sock.sendto(b"", (MDNS_GROUP, MDNS_PORT))
    except OSError as error:
        return f"multicast does not work here: {error.strerror}"
    return None


def _hints(live: Live | None) -> Check:
    problem = live.hints_problem if live is not None else None
    directory = hints_directory()
    if problem is None and os.path.isdir(directory) and not os.access(directory, os.W_OK | os.X_OK):
        problem = f"{directory} cannot be written"
    if problem is not None:
        return Check("same host", False, problem, "set P2P_AGENTS_HINTS to a directory that all users share")
    return Check("same host", True, f"agents on this machine meet through {directory}")


def _rotation(core: Core, hosted: Hosted) -> Check:
    name = hosted.local.name
    try:
        kept = owning.secrets_of(core, hosted)
    except P2PError as error:
        return Check("identity", False, error.message, error.hint)
    if not kept.next_root:
        return Check("identity", True, f"{name}: the next root key is kept elsewhere; who copies this disk lacks it")
    detail = f"{name}: pre-rotation protects nothing yet: the next root key lies on this disk beside the present one"
    return Check(
        "identity", None, detail, f"run: p2p-agents identity export-next-root FILE --as {name}; keep FILE elsewhere"
    )
