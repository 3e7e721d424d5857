"""Files that people keep elsewhere: created 0600, whole or not at all, never over another; only plain files are read.

A next root key is three lines of text, for printing or for a password manager:

    p2p-agents next root key, version 1
    agent <agent id>
    key <its seed, in base32 like ids>
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from p2p_agents.crypto.fingerprint import id_text, parse_id
from p2p_agents.errors import BadKeyFile, FileExists, FileUnusable, Malformed, NextRootWrong
from p2p_agents.files import sync_directory
from p2p_agents.limits import NEXT_ROOT_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = "p2p-agents next root key, version 1"


def write_next_root(path: str, agent: bytes, seed: bytes) -> None:
    """Raises FileExists or FileUnusable. The file is read back before this returns."""
    text = f"{_HEAD}\nagent {id_text(agent)}\nkey {id_text(seed)}\n"
    write_new(path, [text.encode()])
    if read_next_root(path, agent) != seed:
        delete(path)
        raise FileUnusable(f"{path} does not read back as it was written")


def read_next_root(path: str, agent: bytes) -> bytes:
    """The seed. Raises FileUnusable, BadKeyFile, or NextRootWrong for another agent's."""
    with opened(path) as file:
        content = file.read(NEXT_ROOT_FILE_BYTES)
    try:
        head, whose, key = content.decode("ascii").strip().splitlines()
        if head.strip() != _HEAD or whose.split()[0] != "agent" or key.split()[0] != "key":
            raise BadKeyFile(f"{path} holds no next root key of this version")
        named, seed = (parse_id(line.split()[1]) for line in (whose, key))
    except (ValueError, IndexError, Malformed):
        raise BadKeyFile(f"{path} holds no next root key") from None  # the cause would contain the key
    if named != agent:
        raise NextRootWrong(f"{path} holds the next root key of agent {id_text(named)[:10]}, not of this one")
    return seed


def write_new(path: str, parts: Iterable[bytes]) -> None:
    """Write a new file, synced and complete before it gets its name; nothing is left behind on failure. Raises
    FileExists or FileUnusable."""
    if os.path.lexists(path):
        raise FileExists(f"{path} exists already")
    draft = f"{path}.part"
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(descriptor)
        _name(draft, path)
        sync_directory(os.path.dirname(path))
    except FileExistsError:
        raise FileExists(f"{path} exists already") from None
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        delete(draft)


def _name(draft: str, path: str) -> None:
    """Never replaces another file, which a plain rename would do."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, as on memory sticks
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        os.rename(draft, path)


def delete(path: str) -> None:
    """Delete a file that was made here and must not stay."""
    with suppress(OSError):
        os.unlink(path)


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A plain file opened for reading; not a pipe or device, which might never end. Raises FileUnusable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileUnusable(f"{path} is not a plain file")
            yield file
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: str, error: OSError) -> FileUnusable:
    return FileUnusable(f"{path}: {error.strerror}")
