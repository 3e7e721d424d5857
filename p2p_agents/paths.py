"""Where things are: the state directory, the store, the key files, the lock, the control socket.

The home is `$P2P_AGENTS_HOME`, or `p2p-agents` under the XDG state directory. Names never become paths: an agent's
files bear its id. The socket lies in the runtime directory under a hash of the home, because a Unix socket's path
may have 107 bytes at most.
"""

from __future__ import annotations

import os
import stat
import zlib

from p2p_agents.errors import UnsafeHome

TYPE_CHECKING = False
if TYPE_CHECKING:  # not typing.TYPE_CHECKING: a hot command does not pay for importing typing
    from collections.abc import Mapping

SOCKET_PATH_BYTES = 100  # sun_path holds 108 on Linux, 104 on macOS


class Home:
    """The paths of one node. Building one touches nothing; `create` makes the directory, 0700."""

    __slots__ = ("path", "runtime")

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self.path = os.path.abspath(env.get("P2P_AGENTS_HOME") or _default_home(env))
        runtime = env.get("XDG_RUNTIME_DIR") or ""
        self.runtime = runtime if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK | os.X_OK) else ""

    @property
    def store(self) -> str:
        return os.path.join(self.path, "store.db")

    @property
    def keys(self) -> str:
        """Directory of key files: `node.key`, and one `<agent id>.key` per agent."""
        return os.path.join(self.path, "keys")

    @property
    def lock(self) -> str:
        return os.path.join(self.path, "node.lock")

    @property
    def log(self) -> str:
        return os.path.join(self.path, "node.log")

    @property
    def socket(self) -> str:
        name = f"p2pa-{zlib.crc32(os.fsencode(self.path)):08x}.sock"
        shared = os.path.join("/tmp", f"p2pa-{os.getuid()}", name)  # noqa: S108 - made 0700 by create
        for directory in (self.runtime, self.path):
            candidate = os.path.join(directory, name) if directory else ""
            if candidate and len(os.fsencode(candidate)) <= SOCKET_PATH_BYTES:
                return shared if directory == self.path and self._is_elsewhere(shared) else candidate
        return shared

    def _is_elsewhere(self, shared: str) -> bool:
        """Whether no socket can be in the home, or a node that started when that was so still listens at `shared`."""
        return not self.is_writable or (_is_own(os.path.dirname(shared)) and os.path.exists(shared))

    @property
    def is_writable(self) -> bool:
        """Whether a file can be created in the home, by its mode and mount; true if there is no home yet."""
        return not os.path.isdir(self.path) or os.access(self.path, os.W_OK | os.X_OK)

    def create(self) -> None:
        """Make the directories, 0700. Raises UnsafeHome if that fails, or if others own or may enter one."""
        for directory in (self.path, self.keys, os.path.dirname(self.socket)):
            try:
                os.makedirs(directory, mode=0o700, exist_ok=True)
            except OSError as error:
                raise unusable(directory, "made", error) from error
            if not _is_private(directory):
                raise UnsafeHome(f"{directory} was removed just now")

    def is_socket_private(self) -> bool:
        """Whether the directory of the control socket exists. Raises UnsafeHome if others own or may enter it.

        In a directory that all users share, anybody may have put something where this user's socket would be.
        """
        return _is_private(os.path.dirname(self.socket))


def unusable(path: str, what: str, error: OSError) -> UnsafeHome:
    """The error for a path of ours, with a fitting hint: on a read-only disk, its mode is not the problem."""
    hint = "choose a directory that this user can write, on a disk that is not full or read-only: P2P_AGENTS_HOME"
    return UnsafeHome(f"{path} cannot be {what}: {error.strerror}", hint=hint)


def _is_own(directory: str) -> bool:
    try:
        return _is_private(directory)
    except UnsafeHome:
        return False


def _is_private(directory: str) -> bool:
    """Whether it exists. Raises UnsafeHome when it is anything but this user's directory, closed to others."""
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unusable(directory, "looked at", error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UnsafeHome(f"{directory} is not a directory of this user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UnsafeHome(f"{directory} has mode {stat.S_IMODE(found.st_mode):04o}; it must be 0700")
    return True


def hints_directory(environ: Mapping[str, str] | None = None) -> str:
    """Where the nodes of one machine find each other: $P2P_AGENTS_HINTS, else a well-known name in shared memory or in
    the system's temporary directory."""
    env = os.environ if environ is None else environ
    if chosen := env.get("P2P_AGENTS_HINTS"):
        return chosen
    from tempfile import gettempdir

    shared = "/dev/shm" if os.path.isdir("/dev/shm") else gettempdir()  # noqa: S108 - shared on purpose
    return os.path.join(shared, "p2p-agents-nodes")


def _default_home(env: Mapping[str, str]) -> str:
    state = env.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "p2p-agents")
