"""What this machine puts in the way: disk, network, another process. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import P2PError


class EnvironmentFault(P2PError):
    """Something on this machine prevents it."""


class NodeUnreachable(EnvironmentFault):
    """The node does not answer and could not be started."""

    code = "node_unreachable"
    exit = exits.NODE
    retryable = True
    hint = "run: p2p-agents node logs, or p2p-agents node run to see why"


class NodeTooOld(EnvironmentFault):
    """The running node is older than this command and could not be replaced."""

    code = "node_too_old"
    exit = exits.NODE
    hint = "run: p2p-agents node stop"


class NodeTooNew(EnvironmentFault):
    """The running node is newer than this command."""

    code = "node_too_new"
    exit = exits.NODE
    hint = "install the newer release here too"


class AlreadyRunning(EnvironmentFault):
    """Another node already runs for this home."""

    code = "already_running"
    exit = exits.REFUSED
    hint = "run: p2p-agents node status"


class NoSocket(EnvironmentFault):
    """The node could not bind a UDP socket."""

    code = "no_socket"
    exit = exits.NODE
    hint = "run: p2p-agents doctor"


class StoreFull(EnvironmentFault):
    """The disk is full; nothing was written in part."""

    code = "store_full"
    retryable = True
    hint = "free some space and try again"


class StoreUncertain(EnvironmentFault):
    """The disk failed during a write; what was asked for may or may not have been done."""

    code = "store_uncertain"
    retryable = True
    hint = "check before you repeat it; repeat a send with the same --id, which never sends twice"


class StoreReadOnly(EnvironmentFault):
    """The store cannot be written; nothing was written in part."""

    code = "store_read_only"
    hint = "check the owner and mode of the state directory: p2p-agents doctor"


class StoreBroken(EnvironmentFault):
    """The store cannot be read: it is damaged, or is not a store."""

    code = "store_broken"
    hint = "restore it from a copy, and keep the damaged one"


class StoreNewer(EnvironmentFault):
    """The store was written by a newer release."""

    code = "store_newer"
    hint = "install the newer release"


class NoPostQuantum(EnvironmentFault):
    """The installed cryptography library lacks ML-KEM-768; there is no weaker mode."""

    code = "no_post_quantum"
    hint = "install cryptography>=50 from PyPI wheels (OpenSSL 3.5 or newer inside)"


class UnsafeHome(EnvironmentFault):
    """The state directory cannot be used: others can read or write it, or this user cannot."""

    code = "unsafe_home"
    hint = "chmod 700 it, or choose another with P2P_AGENTS_HOME"
