"""The branch of errors that are a peer's: bytes that break the protocol. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import P2PError


class PeerFault(P2PError):
    """A peer broke the protocol; what it sent was refused."""

    code = "peer_fault"
    exit = exits.REFUSED
    hint = "the other side sent something wrong, and nothing of it was kept; see p2p-agents node logs"


class Malformed(PeerFault):
    """Bytes that are not what they claim to be: not deterministic CBOR, wrong shape, out of bounds."""

    code = "malformed"


class UnknownVersion(PeerFault):
    """A protocol version this program does not speak. There is no negotiation: it is refused."""

    code = "unknown_version"
    hint = "install the same release on both sides"


class BadSignature(PeerFault):
    """A signature that does not verify under the key that must have made it."""

    code = "bad_signature"


class BadSeal(PeerFault):
    """A sealed frame, init or sync that does not open."""

    code = "bad_seal"


class Replayed(PeerFault):
    """Something that was accepted before and may be accepted once only."""

    code = "replayed"


class Gap(PeerFault):
    """A frame that is ahead of what was received: what is missing is asked for again."""

    code = "gap"


class BadIdentity(PeerFault):
    """An identity log that does not follow from what is known of it."""

    code = "bad_identity"


class IdentityRollback(BadIdentity):
    """An identity log shorter than the one already known."""

    code = "identity_rollback"


class IdentityFork(BadIdentity):
    """Two different identity log entries at one position; the contact is frozen until a human decides."""

    code = "identity_fork"
    exit = exits.HUMAN
    hint = "a human must decide: p2p-agents trust show PEER, then p2p-agents trust reset PEER"


class Flood(PeerFault):
    """A peer sent more than it was granted."""

    code = "flood"
    retryable = True
