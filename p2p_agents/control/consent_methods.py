"""The methods that decide who may write to whom: contacts, requests, and the allowlist."""

from __future__ import annotations

from p2p_agents import errors
from p2p_agents.control.method import Method, Param, Served
from p2p_agents.control.params import (
    AGENT,
    FINDS_AGENT,
    FINDS_PEER,
    PEER,
    POLICIES,
    STORES,
)
from p2p_agents.results import people


def _answer_request(verb: str, text: str) -> Method:
    return Method(
        f"requests.{verb}",
        text,
        (AGENT, PEER),
        people.ContactAnswer,
        (*FINDS_PEER, errors.RequestUnknown, errors.PeerBlocked),
    )


CONTACTS = (
    Method(
        "contacts",
        "List contacts.",
        (AGENT,),
        people.Contacts,
        FINDS_AGENT,
        reads=True,
    ),
    Method(
        "contacts.name",
        "Give a peer a name of your own.",
        (AGENT, PEER, Param("petname", str, "the name; empty takes it away", required=True, at_most=32)),
        people.ContactAnswer,
        (*FINDS_PEER, errors.BadName),
    ),
    Method(
        "contacts.remove",
        "Make a contact a stranger again, to this agent: trust, names, addresses, queues, sessions and links go, the"
        " conversation stays. A blocked contact stays blocked, and is refused here.",
        (AGENT, PEER, Param("dry", bool, "do nothing, only count", default=False)),
        people.ContactRemoved,
        (*FINDS_PEER, errors.NotAContact, errors.PeerBlocked, errors.ContactFrozen, *STORES),
    ),
)

REQUESTS = (
    Method(
        "requests.list",
        "List requests, both ways, and introductions: those with an introducer.",
        (AGENT,),
        people.Requests,
        FINDS_AGENT,
        reads=True,
    ),
    _answer_request("accept", "Accept a peer that asked or was introduced: its messages arrive from now on."),
    _answer_request("reject", "Reject a peer's request, or an introduction of it."),
    _answer_request("block", "Block a peer: nothing from it is shown any more."),
    Method(
        "requests.policy",
        "Show or set who may write first.",
        (AGENT, Param("policy", str, "open, ask or closed; without it nothing changes", choices=POLICIES)),
        people.PolicyAnswer,
        FINDS_AGENT,
    ),
    Method(
        "requests.address",
        "The agent's address, text to pass on: whoever has it can send a request over a bridge. `off` withdraws it.",
        (AGENT, Param("off", bool, "withdraw it: requests that lie there are dropped", default=False)),
        people.RequestAddress,
        (*FINDS_AGENT, errors.NoBridge, errors.AddressTooLong, *STORES),
        served=Served.BRIDGES,
    ),
)

_ID_OR_PEER = Param("peer", str, "a whole agent id, known or not, or a known name, petname or id prefix", required=True)

ALLOWLIST = (
    Method(
        "allow.add",
        "Put a peer on the allowlist: once it proved who it is, it is accepted without a request. Blocked wins.",
        (AGENT, _ID_OR_PEER),
        people.ListedAnswer,
        (*FINDS_PEER, errors.AllowlistFull, *STORES),
    ),
    Method(
        "allow.remove",
        "Take a peer off the allowlist; who was accepted stays a contact.",
        (AGENT, _ID_OR_PEER),
        people.ListedAnswer,
        (*FINDS_PEER, errors.NotListed),
    ),
    Method("allow.list", "List the allowlist.", (AGENT,), people.Allowlist, FINDS_AGENT),
)

_INTRODUCTIONS = ("ask", "accept", "ignore")

INTRODUCTIONS = (
    Method(
        "introduce",
        "Introduce two contacts to each other: each is sent the other's name, id, keys and addresses.",
        (
            AGENT,
            PEER,
            Param("other", str, "the other one: name, petname or id prefix", required=True),
        ),
        people.Introductions,
        (
            *FINDS_PEER,
            errors.NotAContact,
            errors.PeerBlocked,
            errors.DeviceRevoked,
            errors.OutboxFull,
            *STORES,
        ),
        addresses=True,
    ),
    Method(
        "requests.introductions",
        "Show or set how introductions are treated: ask, accept those by paired and verified contacts, or ignore.",
        (AGENT, Param("introductions", str, "without it nothing changes", choices=_INTRODUCTIONS)),
        people.IntroductionsPolicy,
        FINDS_AGENT,
    ),
)

CONSENT = (*CONTACTS, *REQUESTS, *ALLOWLIST, *INTRODUCTIONS)
