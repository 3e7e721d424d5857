"""Parameters and errors that many methods share."""

from __future__ import annotations

from p2p_agents import errors, limits
from p2p_agents.control.method import Param

KINDS = ("claude-code", "codex", "openclaw", "human", "other")
POLICIES = ("open", "ask", "closed")
BODY_TYPES = ("text/plain", "text/markdown", "application/json")

AGENT = Param("agent", str, "name of the local agent to act for; without it the default one")
READER = Param("reader", str, "the reader, which has its own place in the log", default="default")
NEW_READER = Param("new_reader", bool, "create the reader if it does not exist", default=False)
LIMIT = Param("limit", int, "messages at most", default=limits.PAGE, at_least=1, at_most=limits.PAGE_MAX)
AFTER = Param("after", str, "only messages after this cursor; 0 is the start")
FROM = Param("from", str, "only messages of this peer: a name, petname or id prefix")
TO = Param("to", str, "a peer: name, petname or id prefix", required=True)
ADDRESSEE = Param(
    "to",
    str,
    "a peer: name, petname, id prefix, or address: P2PA:A/...",
    required=True,
    at_most=limits.REQUEST_ADDRESS_CHARS,
)
PEER = Param("peer", str, "a peer: name, petname or id prefix", required=True)
NAME = Param("name", str, "name of a local agent", required=True)
MESSAGE_ID = Param("id", str, "a message id", required=True)

FINDS_AGENT = (errors.NoAgent, errors.KeysBroken)
FINDS_PEER = (*FINDS_AGENT, errors.PeerUnknown, errors.PeerAmbiguous)
ADDRESSES = (errors.BadAddress, errors.AddressExpired, errors.UnknownVersion)
STORES = (errors.StoreFull, errors.StoreReadOnly, errors.StoreUncertain)
