"""The branch of errors that are a peer's: bytes that break the protocol. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import P2PError


class PeerFault(P2PError):
    """A peer broke the protocol; what it sent was refused."""

    code = "peer_fault"
    exit = exits.REFUSED
    hint = "nothing of it was kept; p2p-agents node logs says what it was. If it goes on, update both sides"


class Malformed(PeerFault):
    """The bytes are not valid: not deterministic CBOR, the wrong shape, or out of bounds."""

    code = "malformed"


class UnknownVersion(PeerFault):
    """This program does not speak that protocol version; versions are never negotiated."""

    code = "unknown_version"
    hint = "install the same release on both sides"


class BadSignature(PeerFault):
    """The signature does not verify under the key that should have made it."""

    code = "bad_signature"


class BadSeal(PeerFault):
    """The sealed bytes do not open."""

    code = "bad_seal"


class Replayed(PeerFault):
    """This was accepted before, and may be accepted only once."""

    code = "replayed"


class Gap(PeerFault):
    """Frames before this one are missing; they are asked for again."""

    code = "gap"


class BadIdentity(PeerFault):
    """The identity log does not follow from the one already known."""

    code = "bad_identity"


class IdentityRollback(BadIdentity):
    """The identity log is shorter than the one already known."""

    code = "identity_rollback"


class IdentityFork(BadIdentity):
    """Two different identity log entries have the same position; the contact is frozen until a human decides."""

    code = "identity_fork"
    exit = exits.HUMAN
    hint = "a human must decide: p2p-agents trust show PEER, then p2p-agents trust reset PEER"


class Flood(PeerFault):
    """The peer sent more than it was allowed to."""

    code = "flood"
    retryable = True
