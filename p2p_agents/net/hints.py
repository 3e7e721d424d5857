"""Discovery on one host without multicast: a directory all users may write to, one small file per node.

Nobody can hide another user's files: files are counted, and work is paced, by owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import os
import re
import secrets
import stat
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from p2p_agents.errors import Malformed
from p2p_agents.limits import (
    HINT_AGENTS_OF_OTHERS,
    HINT_AGENTS_PER_USER,
    HINT_BYTES,
    HINT_ENTRIES,
    HINT_FILES_PER_USER,
    HINT_READS_BURST,
    HINT_READS_OF_OTHERS_BURST,
    HINT_READS_OF_OTHERS_PER_S,
    HINT_READS_PER_S,
    HINT_USERS,
    ROSTER_AGENTS,
)
from p2p_agents.link.admission import Bucket
from p2p_agents.net.hint_file import Hint, Place, decode_hint, encode_hint
from p2p_agents.paths import hints_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from p2p_agents.quic.address import Address
    from p2p_agents.wire.advert import Advert

log = logging.getLogger(__name__)

POLL_S = 0.25
DIRECTORY_MODE = 0o1777  # sticky: everybody may add a file, only its owner may replace it
FILE_RE = re.compile(r"[0-9]{1,10}-[0-9a-f]{16}\.json")
LOOPBACK = "127.0.0.1"
MTIME_GRAIN_NS = 100_000_000  # several changes of a directory within one kernel tick share one time
UNKNOWN = -1
NEVER = (0, 0, 0)  # the version of a file that was not read


class Hints:
    """Publishes our adverts in `directory` and reports those of other nodes on this host.

    A thread of its own polls: this costs a quarter of handing each look to an executor.
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
        """Announce exactly these; with none, the file is withdrawn."""
        self.problem = await asyncio.to_thread(self._folder.publish, tuple(adverts)[:ROSTER_AGENTS])

    async def stop(self) -> None:
        """Withdraw our file and stop. A file that cannot be removed is void once our process ends."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._folder.close)
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
        seen = {(advert.node, advert.agent): advert for advert in reversed(view.adverts)}  # the first counts
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
    """The result of a look at the directory, our own user's adverts first, or why there is none."""

    adverts: tuple[Advert, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class _File:
    """One file of another node as it was when it was last read: its owner, version and content."""

    uid: int
    stamp: tuple[int, int, int]
    hint: Hint | None


class _Pass:
    """One walk through the directory, a bounded number of entries in each look: every entry is reached, however many
    there are, and no look takes long."""

    def __init__(self, path: str, stamp: int) -> None:
        settled = time.time_ns() - stamp > MTIME_GRAIN_NS  # else a change might still share the stamp
        self.stamp = stamp if settled else UNKNOWN
        self.files: dict[str, _File] = {}
        self.per_user: Counter[int] = Counter()
        self._entries = os.scandir(path)

    def next(self) -> list[os.DirEntry[str]]:
        """The next entries; fewer than HINT_ENTRIES when it is done."""
        return [entry for _, entry in zip(range(HINT_ENTRIES), self._entries, strict=False)]

    def close(self) -> None:
        self._entries.close()


class _Folder:
    """The directory; every method may block, and any thread may call it."""

    def __init__(self, path: str | None) -> None:
        self._adverts: tuple[Advert, ...] = ()
        self._chosen = path
        self._file = f"{os.getpid()}-{secrets.token_hex(8)}.json"
        self._written: tuple[Advert, ...] = ()
        self._stamp = UNKNOWN
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}
        self._pass: _Pass | None = None
        self._late = False  # a file changed more often than it is read
        self._reads: dict[int, Bucket] = {}  # by user
        self._reads_of_others = Bucket(HINT_READS_OF_OTHERS_BURST, HINT_READS_OF_OTHERS_PER_S)

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
                self._end_pass()
                return View((), self._problem(fault))
            return View(tuple(self._adverts_of(os.getuid(), HINT_AGENTS_PER_USER)) + self._adverts_of_others(), None)

    def _adverts_of_others(self) -> tuple[Advert, ...]:
        users = {file.uid for file in self._files.values()} - {os.getuid()}
        found = (advert for uid in users for advert in self._adverts_of(uid, HINT_AGENTS_PER_USER))
        return tuple(islice(found, HINT_AGENTS_OF_OTHERS))

    def _adverts_of(self, uid: int, most: int) -> Iterator[Advert]:
        """The adverts of one user's live nodes in this place."""
        hints = (file.hint for file in self._files.values() if file.uid == uid and file.hint is not None)
        here = (hint for hint in hints if hint.place == self._place and _alive(hint.pid))
        return islice((advert for hint in here for advert in hint.adverts), most)

    def publish(self, adverts: tuple[Advert, ...]) -> str | None:
        """Write `adverts` to our file, or remove it if there are none. Returns what prevents it."""
        with self._lock:
            self._adverts = adverts
            try:
                self._prepare()
                self._write()
            except OSError as fault:
                return self._problem(fault)
        return None

    def close(self) -> None:
        """Withdraw our file, and end the walk."""
        self.publish(())
        self._end_pass()

    def _problem(self, fault: OSError) -> str:
        return f"cannot use the hint directory {self._path}: {fault.strerror}"

    def _read(self) -> None:
        """Continue the walk through the directory, or begin one if something changed."""
        if self._pass is None:
            stamp = os.stat(self._path).st_mtime_ns
            if stamp == self._stamp and not self._late:
                return
            self._late = False
            self._pass = _Pass(self._path, stamp)
        entries = self._pass.next()
        for entry in entries:
            self._take(self._pass, entry)
        if len(entries) < HINT_ENTRIES:
            self._files, self._stamp = self._pass.files, self._pass.stamp
            self._end_pass()
        else:
            self._files |= self._pass.files  # which files are gone is known at the end

    def _end_pass(self) -> None:
        if self._pass is not None:
            self._pass.close()
            self._pass = None

    def _write(self) -> None:
        """Write `adverts` to our file, again if somebody removed it."""
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

    def _take(self, walk: _Pass, entry: os.DirEntry[str]) -> None:
        """Note one entry, unless its owner has too many already: nobody can crowd out another user."""
        if FILE_RE.fullmatch(entry.name) is None or entry.name == self._file:
            return
        with contextlib.suppress(OSError):  # gone, a symbolic link, not ours to read: no hint
            found = entry.stat(follow_symlinks=False)
            if found.st_uid not in walk.per_user and len(walk.per_user) > HINT_USERS and found.st_uid != os.getuid():
                return
            walk.per_user[found.st_uid] += 1
            if walk.per_user[found.st_uid] <= HINT_FILES_PER_USER:
                walk.files[entry.name] = self._read_file(entry, found)

    def _read_file(self, entry: os.DirEntry[str], found: os.stat_result) -> _File:
        """Its content, or its earlier content if its owner changes files faster than we read them."""
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        known = self._files.get(entry.name)
        if known is not None and (known.uid, known.stamp) == (found.st_uid, stamp):
            return known
        if not self._may_read(found.st_uid):
            self._late = True
            return known if known is not None and known.uid == found.st_uid else _File(found.st_uid, NEVER, None)
        try:
            hint = decode_hint(_read(entry.path, found.st_uid))
        except Malformed as fault:
            log.debug("ignoring hint %s: %s", entry.name, fault)
            return _File(found.st_uid, stamp, None)
        if found.st_uid == os.getuid() and not _alive(hint.pid):
            os.unlink(entry.path)  # left behind by a node of our user that was killed
        return _File(found.st_uid, stamp, hint)

    def _may_read(self, uid: int) -> bool:
        """Our own user's files may always be read: whoever writes them owns the node."""
        if uid == os.getuid():
            return True
        if uid not in self._reads and len(self._reads) > 2 * HINT_USERS:
            self._reads.clear()
        bucket = self._reads.setdefault(uid, Bucket(HINT_READS_BURST, HINT_READS_PER_S))
        now = time.monotonic()
        return bucket.take(now) and self._reads_of_others.take(now)


def _read(path: str, uid: int) -> bytes:
    """A small regular file of that user, never a link, never a pipe that blocks. Raises OSError, Malformed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid:
            raise Malformed("the hint is not a regular file of its user")
        return file.read(HINT_BYTES + 1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
