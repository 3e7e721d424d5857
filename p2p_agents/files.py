"""Files that matter: private to this user, written whole or not at all, and safe after a loss of power."""

from __future__ import annotations

import os


def write_whole(path: str, content: bytes) -> None:
    """A file of this user alone that is on disk, whole, before it takes the place of what was there. Raises OSError,
    and leaves that as it was."""
    draft = f"{path}.new"
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Make a created or moved name in a directory survive a loss of power."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
