"""What works on this machine and network, and why the rest does not. Runs beside a node or without one."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2p_agents.core.agents import ownership
from p2p_agents.core.contact.naming import Names
from p2p_agents.core.delivery import integrity
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.crypto.fingerprint import PREFIX_CHARS, id_text
from p2p_agents.crypto.kem import require_post_quantum
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import DeviceRevoked, EnvironmentFault, IdentityBehind, KeysBroken, NoPostQuantum, P2PError
from p2p_agents.limits import DISK_LOW_BYTES, DISK_PROBE_BYTES, STORE_CHECK_S
from p2p_agents.net import probing
from p2p_agents.net.interfaces import local_addresses
from p2p_agents.output import called
from p2p_agents.paths import hints_directory
from p2p_agents.store import agents, contacts, keyring, upgrade
from p2p_agents.store.database import Database

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.net.probing import Probe
    from p2p_agents.paths import Home
    from p2p_agents.store.agents import LocalAgent
    from p2p_agents.store.contacts import Event

DAMAGED_HINT = "check the disk; an earlier backup has the text, and so have the peers: ask them to send it again"
EVENTS_SHOWN = 10
STARTING = "starting"  # the problem that `net.mdns` reports before its first attempt
MULTICAST_HINT = (
    "let UDP port 5353 pass this machine's firewall; or exchange addresses by hand: p2p-agents node status shows the"
    " port, p2p-agents peers add HOST:PORT dials it"
)
DISK_HINT = "look at the disk and the directory: its owner, its mode, how it is mounted"
_DISK_HINTS = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some space: this user's quota is used up",
    errno.EROFS: "mount it writable, or choose another place with P2P_AGENTS_HOME",
    errno.EACCES: "make the directory yours: chown and chmod 700",
    errno.EIO: "the disk fails: save what is there, and look into the system's log",
}


@dataclass(frozen=True, slots=True)
class Live:
    """What a running node knows better than a probe could find out."""

    port: int
    mdns_problem: str | None
    hints_problem: str | None
    probe: Probe  # answered by the node


@dataclass(frozen=True, slots=True)
class Check:
    """`ok` is None for information that is neither good nor bad, such as a past event, at `time`."""

    name: str
    ok: bool | None
    detail: str
    hint: str = ""
    time: str | None = None

    def shown(self) -> dict[str, Any]:
        hint = self.hint or None
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "hint": hint, "time": self.time}


def run_checks(
    home: Home, live: Live | None = None, *, resting: EnvironmentFault | None = None
) -> list[dict[str, Any]]:
    """All checks, each after those it depends on; `resting` is why a running node only reads. Blocks for milliseconds
    if all is well, and for some seconds if nothing gets through."""
    checks = [
        _crypto(),
        _home(home),
        _disk(home),
        *_store(home, running=live is not None, resting=resting is not None),
        _node(live, resting),
        _socket(socket.AF_INET, "ipv4"),
        _socket(socket.AF_INET6, "ipv6"),
        _network(),
        *_udp(live),
        _multicast(live),
        _hints(live),
    ]
    return [check.shown() for check in checks]


def what_the_store_tells(core: Core) -> list[dict[str, Any]]:
    """The state of identities and contacts, and past events that people should know of."""
    kept = [_rotation(core, hosted) for hosted in core.hosted.values()]
    kept += [Check("keys", False, broken.fault.message, broken.fault.hint) for broken in core.unusable.values()]
    if broken := integrity.count(core):
        what = "1 message is" if broken == 1 else f"{broken} messages are"
        detail = f"{what} damaged on this disk: the text is not shown, and undelivered ones have failed"
        kept.append(Check("integrity", False, detail, DAMAGED_HINT))
    frozen = [check for hosted in core.hosted.values() for check in (*_frozen(core, hosted), *_forgotten(core, hosted))]
    past = [_event(core, event) for event in contacts.events(core.db, EVENTS_SHOWN)]
    return [check.shown() for check in (*kept, *frozen, *past)]


def _frozen(core: Core, hosted: Hosted) -> list[Check]:
    """Contacts with whom nothing is exchanged."""
    names = Names(core, hosted)
    found = [contact for contact in contacts.contacts(core.db, hosted.local.id) if contact.frozen]
    return [
        Check(
            "contact",
            False,
            f"{called(names.of(contact.peer))}: nothing is exchanged: {contact.frozen}",
            f"run: p2p-agents trust show {id_text(contact.peer)[:PREFIX_CHARS]} --as {hosted.local.name}",
        )
        for contact in found
    ]


def _forgotten(core: Core, hosted: Hosted) -> list[Check]:
    """Contacts whose identity log the disk damaged: they show it again when they are next met."""
    names = Names(core, hosted)
    found = [each.peer for each in contacts.contacts(core.db, hosted.local.id) if agents.is_damaged(core.db, each.peer)]
    why = "its identity log is damaged on this disk; it is requested again, and nothing is exchanged before it comes"
    return [Check("contact", False, f"{called(names.of(peer))}: {why}", "wait until it is online") for peer in found]


def _event(core: Core, event: Event) -> Check:
    """A past event. What still holds has a check of its own."""
    hosted = core.hosted.get(event.agent)
    whose = f"{called(Names(core, hosted).of(event.peer))}: " if hosted is not None and any(event.peer) else ""
    return Check(event.kind, None, whose + event.detail, time=time_text(event.time_ms))


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


def _disk(home: Home) -> Check:
    """Whether data written there can be read back."""
    if not os.path.isdir(home.path):
        return Check("disk", None, "nothing is kept yet")
    path = os.path.join(home.path, f"doctor-{secrets.token_hex(8)}.tmp")
    try:
        try:
            _write(path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)
        disk = os.statvfs(home.path)
    except OSError as error:
        hint = _DISK_HINTS.get(error.errno or 0, DISK_HINT)
        return Check("disk", False, f"{home.path} cannot be written: {error.strerror}", hint)
    free = disk.f_bavail * disk.f_frsize
    if free < DISK_LOW_BYTES:
        return Check("disk", None, f"{free // 2**20} MiB are left on the disk of {home.path}", "free some space soon")
    return Check("disk", True, f"written and read back; {free // 2**20} MiB free")


def _write(path: str) -> None:
    """Write to the disk itself, and read back. Raises OSError."""
    data = os.urandom(DISK_PROBE_BYTES)
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        if file.read() != data:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def _store(home: Home, *, running: bool, resting: bool) -> list[Check]:
    """The store, and without a node the key files of its agents; a running node has read them itself."""
    if not os.path.exists(home.store):
        return [Check("store", None, "no messages yet")]
    open_ = Database.rest if resting else Database.read if running else Database.open
    try:
        database = open_(home.store)
    except P2PError as error:
        return [Check("store", False, error.message, error.hint)]
    try:
        if flaw := database.flaw(STORE_CHECK_S):
            return [Check("store", False, f"its file is damaged: {flaw}", _how_to_restore(home))]
        whole = ", and its pages are whole" if flaw == "" else ""
        keys = [] if running or resting else _keys(home, agents.agents(database))
        return [Check("store", True, f"readable{whole}"), *keys]
    finally:
        database.close()


def _keys(home: Home, found: list[LocalAgent]) -> list[Check]:
    """One check for each agent whose key file is missing or damaged; one for all if none is."""
    broken = [check for local in found if (check := _broken_key(home, local)) is not None]
    if broken or not found:
        return broken
    whose = "agent " + found[0].name if len(found) == 1 else f"all {len(found)} agents"
    return [Check("keys", True, f"the keys of {whose} can be read")]


def _broken_key(home: Home, local: LocalAgent) -> Check | None:
    try:
        kept = keyring.read_agent_key(home.keys, local.agent, restore=False)
    except KeysBroken as error:
        return Check("keys", False, f"agent {local.name}: {error.message}", error.hint)
    if SigningKey.from_seed(kept.device).public != local.device:
        return Check("keys", False, f"the keys of agent {local.name} do not belong to its identity", KeysBroken.hint)
    return None


def _how_to_restore(home: Home) -> str:
    """From a backup, or from the last intact copy beside the store, if there is one."""
    kept = upgrade.kept(home.store)
    copy = f"; or stop the node and put {kept[-1]}, from before the last upgrade, in its place" if kept else ""
    return f"move it away and run: p2p-agents backup import FILE{copy}; contacts send back what they hold"


def _node(live: Live | None, resting: EnvironmentFault | None) -> Check:
    if resting is not None:
        hint = "make room, or mount it writable: the node then continues by itself"
        return Check("node", False, f"it only reads, and is not on the network: {resting.message}", hint)
    if live is None:
        return Check("node", None, "not running", "any command starts it; or run: p2p-agents node run")
    return Check("node", True, f"listening on UDP port {live.port}")


def _socket(family: socket.AddressFamily, name: str) -> Check:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind(("", 0))
    except OSError as error:
        detail = f"no UDP over {name}: {error.strerror}"
        if family == socket.AF_INET6:
            return Check(name, None, detail)
        return Check(name, False, detail, "let this user open UDP sockets: a sandbox or a policy forbids it")
    return Check(name, True, f"UDP sockets over {name} can be opened")


def _network() -> Check:
    found = local_addresses()
    if found:
        return Check("network", True, "addresses of this machine: " + ", ".join(found[:6]))
    hint = "agents on this machine still find each other; connect to a network to reach others"
    if down := probing.down():
        return Check("network", False, f"{', '.join(down[:6])} is down or has no address", hint)
    return Check("network", None, "there is no network interface besides loopback", hint)


def _udp(live: Live | None) -> list[Check]:
    """Whether datagrams reach this machine's own addresses, and pass its interfaces, at the node's port or that of a
    stand-in."""
    if live is not None:
        return _passages(live.port, live.probe)
    probe = probing.Probe()
    try:
        with probing.StandIn(probe) as stand_in:
            return _passages(stand_in.port, probe)
    except OSError as error:
        return [Check("udp", False, f"no UDP port can be opened: {error.strerror}", "see ipv4 above")]


def _passages(port: int, probe: Probe) -> list[Check]:
    hint = f"let UDP pass this machine's firewall, to and from the node's port, for example: ufw allow {port}/udp"
    came = probing.round_trips(local_addresses(), port, probe)
    lost = _told(came)
    if not came:
        return [Check("udp", None, "there is no address to try")]
    if lost:
        return [Check("udp", False, f"datagrams to port {port} of this machine are lost: {lost}", hint)]
    checks = [Check("udp", True, f"datagrams to port {port} come and are answered at {_listed(came)}")]
    arrived = probing.arrivals(port, probe)
    if shut := _told(arrived):
        detail = f"UDP for port {port} does not pass this machine's firewall: {shut}"
        checks.append(Check("firewall", False, detail, hint))
    elif arrived:
        checks.append(Check("firewall", True, f"lets in UDP for port {port} by {_listed(arrived)}"))
    return checks


def _multicast(live: Live | None) -> Check:
    """First what the node reports; then a question to the group, which this machine itself must hear."""
    problem = live.mdns_problem if live is not None else None
    if problem == STARTING:
        return Check("multicast", None, "multicast DNS is starting", "ask again in a second")
    if problem is not None:
        return Check("multicast", False, problem, MULTICAST_HINT)
    came = probing.multicast([host for host in local_addresses() if ":" not in host])
    if lost := _told(came):
        return Check("multicast", False, f"questions to the multicast group are lost: {lost}", MULTICAST_HINT)
    if not came:
        return Check("multicast", None, "there is no IPv4 address to ask from")
    detail = f"questions to the group are heard by this machine at {_listed(came)}; what the network does with them"
    return Check("multicast", True, f"{detail} shows when peers appear")


def _told(found: probing.Found) -> str:
    """Where nothing came through, and why."""
    return "; ".join(f"{place}: {why}" for place, why in found.items() if why is not None)


def _listed(found: probing.Found) -> str:
    return ", ".join(found)


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
        kept = ownership.secrets_of(core, hosted)
    except P2PError as error:
        return Check("identity", False, error.message, error.hint)
    if hosted.retired:
        return Check("identity", False, f"{name}: this installation was revoked or replaced", DeviceRevoked.hint)
    if hosted.behind:
        detail = f"{name}: a contact knows a newer identity log: this installation may have been replaced elsewhere"
        return Check("identity", False, detail, IdentityBehind.hint)
    if not kept.next_root:
        return Check("identity", True, f"{name}: the next root key is kept elsewhere; a copy of this disk lacks it")
    detail = f"{name}: pre-rotation protects nothing yet: the next root key is on this disk beside the present one"
    return Check(
        "identity", None, detail, f"run: p2p-agents identity export-next-root FILE --as {name}; keep FILE elsewhere"
    )
