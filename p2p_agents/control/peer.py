"""The user at the other end of a Unix socket, as the kernel knows it. Light enough for a hot command to import."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# platform: level, option, bytes of the answer. Linux: unix(7), SO_PEERCRED, `struct ucred` {pid, uid, gid}.
# macOS and FreeBSD: unix(4), LOCAL_PEERCRED, `struct xucred` {version, uid, groups}.
CREDENTIALS = {"linux": (1, 17, 12), "darwin": (0, 1, 76), "freebsd": (0, 1, 88)}
UID = slice(4, 8)  # in both


def is_own_user(connected: Any) -> bool:
    """Whether the process that connected, or that listens, is of this user.

    If the kernel cannot tell, the socket's directory protects it: it is private, and both sides check that.
    """
    uid = peer_uid(connected)
    return uid is None or uid == os.getuid()


def peer_uid(connected: Any) -> int | None:
    """The user of the other process when it connected or listened; None on a platform that cannot tell."""
    known = CREDENTIALS.get(sys.platform.rstrip("0123456789"))
    if known is None:
        return None
    level, option, size = known
    return int.from_bytes(connected.getsockopt(level, option, size)[UID], sys.byteorder)
