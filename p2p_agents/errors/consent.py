"""The errors that concern who may write to whom. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import LocalFault


class RequestUnknown(LocalFault):
    """No pending request matches."""

    code = "request_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents requests list"


class PeerBlocked(LocalFault):
    """That peer is blocked here."""

    code = "peer_blocked"
    exit = exits.REFUSED
    hint = "run: p2p-agents trust unblock PEER"


class ContactFrozen(PeerBlocked):
    """That contact is frozen: its identity log forked, and a human must decide which one to believe."""

    code = "contact_frozen"
    exit = exits.HUMAN
    hint = "have a human compare safety numbers: p2p-agents trust show PEER, then p2p-agents trust reset PEER"


class NotAContact(LocalFault):
    """The peer has not accepted this agent, or this agent has not accepted the peer."""

    code = "not_a_contact"
    exit = exits.REFUSED
    hint = "send it a message: the first one is a request to be accepted"


class NotListed(LocalFault):
    """That peer is not on the allowlist."""

    code = "not_listed"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents allow list"


class AllowlistFull(LocalFault):
    """The allowlist is full."""

    code = "allowlist_full"
    exit = exits.REFUSED
    hint = "remove one: p2p-agents allow remove PEER"


class BadAddress(LocalFault):
    """That is not an agent's address."""

    code = "bad_address"
    exit = exits.USAGE
    hint = "copy all of it, as p2p-agents requests address printed it: P2PA:A/..."


class AddressExpired(LocalFault):
    """The agent's address has expired."""

    code = "address_expired"
    exit = exits.REFUSED
    hint = "ask for a new one: p2p-agents requests address prints it on the other side"


class AddressTooLong(LocalFault):
    """The agent's identity log is too long to fit in an address."""

    code = "address_too_long"
    exit = exits.REFUSED
    hint = "pair instead: p2p-agents pair"


class NoBridge(LocalFault):
    """This node uses no bridge."""

    code = "no_bridge"
    exit = exits.REFUSED
    hint = "use one: p2p-agents bridge add ADDRESS"
