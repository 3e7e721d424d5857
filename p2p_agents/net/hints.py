"""Discovery on one host without multicast: a directory all users may write to, one small file per node.

Every file is hostile until parsed, and even then proves nothing: it says which loopback port to ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import json
import logging
import os
import re
import secrets
import stat
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import HINT_BYTES, HINT_FILES, HINT_FILES_PER_USER, ROSTER_AGENTS
from p2p_agents.paths import hints_directory
from p2p_agents.wire.advert import Advert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from p2p_agents.quic.address import Address

log = logging.getLogger(__name__)

VERSION = 1
POLL_S = 0.25
DIRECTORY_MODE = 0o1777  # sticky: everybody may add a file, only its owner may replace it
FILE_RE = re.compile(r"[0-9]{1,10}-[0-9a-f]{16}\.json")
LOOPBACK = "127.0.0.1"
MTIME_GRAIN_NS = 100_000_000  # several changes of a directory within one kernel tick share one time
UNKNOWN = -1
HINT_FIELDS = {"v", "boot_id", "netns", "pid", "incarnation", "port", "node", "agents"}
AGENT_FIELDS = {"agent", "name", "kind", "status"}


@dataclass(frozen=True, slots=True)
class Place:
    """What a hint must agree with to be about this host: one boot, one network namespace."""

    boot_id: str
    netns: int

    @classmethod
    def here(cls) -> Place:
        boot_id, netns = "", 0
        with contextlib.suppress(OSError):  # not Linux: hints then hold for any boot, and the pid decides
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                boot_id = file.read(64).strip()
            netns = os.stat("/proc/self/ns/net").st_ino
        return cls(boot_id, netns)


@dataclass(frozen=True, slots=True)
class Hint:
    """One node's file: where it belongs, which process wrote it, what it announces."""

    place: Place
    pid: int
    adverts: tuple[Advert, ...]


def encode_hint(hint: Hint) -> bytes:
    """The file of a node with at least one advert; all adverts are of one node."""
    first = hint.adverts[0]
    return json.dumps(
        {
            "v": VERSION,
            "boot_id": hint.place.boot_id,
            "netns": hint.place.netns,
            "pid": hint.pid,
            "incarnation": first.incarnation,
            "port": first.port,
            "node": first.node.hex(),
            "agents": [
                {"agent": a.agent.hex(), "name": a.name, "kind": a.kind, "status": a.status} for a in hint.adverts
            ],
        }
    ).encode()


def decode_hint(data: bytes) -> Hint:
    """Raises Malformed for anything `encode_hint` would not write."""
    if len(data) > HINT_BYTES:
        raise Malformed("a hint is too large")
    try:
        value = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise Malformed("a hint is not JSON") from None
    fields = _exactly(value, HINT_FIELDS)
    if _int(fields["v"]) != VERSION:
        raise Malformed("a hint of another version")
    agents = fields["agents"]
    if not isinstance(agents, list) or not 0 < len(agents) <= ROSTER_AGENTS:
        raise Malformed("a hint's agents are not a list, or too many")
    node, port, incarnation = _id(fields["node"]), _int(fields["port"]), _int(fields["incarnation"])
    adverts = tuple(_advert(agent, node, incarnation, port) for agent in agents)
    place = Place(_str(fields["boot_id"]), _int(fields["netns"]))
    return Hint(place, _int(fields["pid"]), adverts)


class Hints:
    """Publishes our adverts in `directory` and reports those of other nodes on this host.

    A thread of its own polls: a quarter of what handing each look to an executor costs.
    """

    def __init__(
        self,
        found: Callable[[Advert, tuple[Address, ...]], object],
        lost: Callable[[bytes, int], object],
        directory: str | None = None,
        *,
        poll_s: float = POLL_S,
    ) -> None:
        self.problem: str | None = "not started"
        self._found = found
        self._lost = lost
        self._folder = _Folder(directory)
        self._poll_s = poll_s
        self._known: dict[tuple[bytes, bytes], Advert] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Look once, then keep looking. What stands in the way is in `problem`."""
        self._report(await asyncio.to_thread(self._folder.look))
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="hints", daemon=True)
        self._thread.start()

    async def publish(self, adverts: Sequence[Advert]) -> None:
        """Announce exactly these; none withdraws the file."""
        self.problem = await asyncio.to_thread(self._folder.publish, tuple(adverts)[:ROSTER_AGENTS])

    async def stop(self) -> None:
        """Withdraw our file and stop. What cannot be removed dies with our pid."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._folder.publish, ())
        self.problem = "stopped"

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        last: View | None = None
        while not self._stopping.wait(self._poll_s):
            view = self._folder.look()
            if view != last:
                last = view
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                    loop.call_soon_threadsafe(self._report, view)

    def _report(self, view: View) -> None:
        if self._stopping.is_set():
            return
        self.problem = view.problem
        seen = {(advert.node, advert.agent): advert for advert in view.adverts}
        for key, advert in list(self._known.items()):
            if key not in seen:
                del self._known[key]
                self._lost(advert.agent, advert.incarnation)
        for key, advert in seen.items():
            if self._known.get(key) != advert:
                self._known[key] = advert
                self._found(advert, ((LOOPBACK, advert.port),))


@dataclass(frozen=True, slots=True)
class View:
    """What a look at the directory showed, or why it did not."""

    adverts: tuple[Advert, ...]
    problem: str | None


class _Folder:
    """The directory; every method may block, and any thread may call it."""

    def __init__(self, path: str | None) -> None:
        self._adverts: tuple[Advert, ...] = ()
        self._chosen = path
        self._file = f"{os.getpid()}-{secrets.token_hex(8)}.json"
        self._written: tuple[Advert, ...] = ()
        self._stamp = UNKNOWN
        self._lock = threading.Lock()
        self._hints: dict[str, tuple[tuple[int, int, int], Hint | None]] = {}

    @functools.cached_property
    def _path(self) -> str:
        return self._chosen or hints_directory()

    @functools.cached_property
    def _place(self) -> Place:
        return Place.here()

    def look(self) -> View:
        """Write what is to be written, then read what changed."""
        with self._lock:
            try:
                self._prepare()
                self._write()
                self._read()
            except OSError as fault:
                return View((), self._problem(fault))
        adverts = (
            advert
            for _, hint in self._hints.values()
            if hint is not None and hint.place == self._place and _alive(hint.pid)
            for advert in hint.adverts
        )
        return View(tuple(adverts), None)

    def publish(self, adverts: tuple[Advert, ...]) -> str | None:
        """Have our file say `adverts`, or be gone. Returns what stands in the way."""
        with self._lock:
            self._adverts = adverts
            try:
                self._prepare()
                self._write()
            except OSError as fault:
                return self._problem(fault)
        return None

    def _problem(self, fault: OSError) -> str:
        return f"cannot use the hint directory {self._path}: {fault.strerror}"

    def _read(self) -> None:
        stamp = os.stat(self._path).st_mtime_ns
        if stamp == self._stamp:
            return
        self._hints = dict(self._scan())
        settled = time.time_ns() - stamp > MTIME_GRAIN_NS  # else a change might still share the stamp
        self._stamp = stamp if settled else UNKNOWN

    def _write(self) -> None:
        """Make our file say `adverts`; it is written again when somebody cleaned it away."""
        path = os.path.join(self._path, self._file)
        if not self._adverts:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        elif self._adverts != self._written or not os.path.lexists(path):
            data = encode_hint(Hint(self._place, os.getpid(), self._adverts))
            temporary = f"{path}.{secrets.token_hex(8)}"  # nobody can have put anything there
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with open(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(descriptor, 0o644)  # readable whatever the umask
            os.replace(temporary, path)
        self._written = self._adverts

    def _prepare(self) -> None:
        try:
            os.mkdir(self._path)
        except FileExistsError:
            found = os.lstat(self._path)
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "it is not a directory") from None
        else:
            os.chmod(self._path, DIRECTORY_MODE)

    def _scan(self) -> Iterator[tuple[str, tuple[tuple[int, int, int], Hint | None]]]:
        per_user: Counter[int] = Counter()
        with os.scandir(self._path) as entries:
            for _, entry in zip(range(HINT_FILES), entries, strict=False):
                if FILE_RE.fullmatch(entry.name) is None or entry.name == self._file:
                    continue
                with contextlib.suppress(OSError):  # gone, a symbolic link, not ours to read: no hint
                    found = entry.stat(follow_symlinks=False)
                    per_user[found.st_uid] += 1
                    if per_user[found.st_uid] <= HINT_FILES_PER_USER:
                        yield entry.name, self._hint(entry, found)

    def _hint(self, entry: os.DirEntry[str], found: os.stat_result) -> tuple[tuple[int, int, int], Hint | None]:
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        known = self._hints.get(entry.name)
        if known is not None and known[0] == stamp:
            return known
        try:
            hint = decode_hint(_read(entry.path))
        except Malformed as fault:
            log.debug("ignoring hint %s: %s", entry.name, fault)
            return stamp, None
        if found.st_uid == os.getuid() and not _alive(hint.pid):
            os.unlink(entry.path)  # left behind by a node of ours that was killed
        return stamp, hint


def _read(path: str) -> bytes:
    """A small regular file, never a link, never a pipe that blocks. Raises OSError, Malformed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Malformed("a hint is no regular file")
        return file.read(HINT_BYTES + 1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _advert(value: Any, node: bytes, incarnation: int, port: int) -> Advert:
    fields = _exactly(value, AGENT_FIELDS)
    return Advert(
        agent=_id(fields["agent"]),
        name=_str(fields["name"]),
        kind=_str(fields["kind"]),
        status=_str(fields["status"]),
        node=node,
        incarnation=incarnation,
        port=port,
    )


def _exactly(value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise Malformed("a hint's fields are not the expected ones")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed("a hint's field is not text")
    return value


def _int(value: Any) -> int:
    """A non-negative integer: negative process ids would name groups."""
    if type(value) is not int or value < 0:
        raise Malformed("a hint's field is not a non-negative integer")
    return value


def _id(value: Any) -> bytes:
    try:
        return bytes.fromhex(_str(value))
    except ValueError:
        raise Malformed("a hint's id is not hexadecimal") from None
