"""The local API as data: every method, its parameters, result and errors.

The node, the CLI reference, the API schema and the MCP tools are drawn from this one registry.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from p2p_agents import errors, limits
from p2p_agents.control.bridge_methods import BRIDGES
from p2p_agents.control.consent_methods import CONSENT
from p2p_agents.control.identity_methods import IDENTITY
from p2p_agents.control.method import NAMES, Method, Param, Served, bad_param, result_schema, schema
from p2p_agents.control.node_methods import AGENTS, NODE
from p2p_agents.control.params import (
    ADDRESSEE,
    ADDRESSES,
    AFTER,
    AGENT,
    BODY_TYPES,
    FINDS_AGENT,
    FINDS_PEER,
    FROM,
    LIMIT,
    MESSAGE_ID,
    NEW_READER,
    PEER,
    READER,
    STORES,
    TO,
)
from p2p_agents.results import messages, pairing, people

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p2p_agents.errors import P2PError

__all__ = [
    "ALWAYS",
    "METHODS",
    "NAMES",
    "PROTOCOL",
    "Method",
    "Param",
    "Served",
    "api",
    "check_body",
    "result_schema",
    "schema",
    "validate",
]

PROTOCOL = 1  # raised when an older command could misread a newer node
ALWAYS: tuple[type[P2PError], ...] = (errors.UnknownMethod, errors.BadParams, errors.Busy, errors.Bug)
QUERY_CHARS = 1_024  # words to search for
CURSORS_CHARS = 32 * limits.PAGE_MAX  # a page's cursors: each is a generation, a dash and a position


def validate(method: str, params: object) -> dict[str, Any]:
    """All parameters, defaults filled in. Raises UnknownMethod, BadParams, TooLarge or BadBody."""
    known = METHODS.get(method) if isinstance(method, str) else None
    if known is None:
        raise errors.UnknownMethod(f"unknown method {str(method)[:64]!r}")
    if not isinstance(params, dict):
        raise errors.BadParams("params must be an object")
    checked: dict[str, Any] = {}
    for param in known.params:
        value = params.get(param.name)
        if value is not None:
            checked[param.name] = param.check(value)
        elif param.required:
            raise bad_param(param.name, "is missing")
        else:
            checked[param.name] = param.default
    if len(params) > len(checked) or not params.keys() <= checked.keys():
        raise bad_param(min(map(str, params.keys() - checked.keys()))[:64], "is not a parameter of this method")
    if known.body is not None:
        known.body(checked)
    return checked


def check_body(params: Mapping[str, Any]) -> None:
    """A message body fits its type and the largest message. Raises TooLarge or BadBody."""
    text = params["text"]
    size = len(text) if text.isascii() else len(text.encode())
    if size > limits.BODY_BYTES:
        raise errors.TooLarge(f"the text has {size} bytes; a message holds at most {limits.BODY_BYTES}")
    if params["type"] == "application/json":
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise errors.BadBody(f"the text is not JSON: {str(error)[:200]}") from None


def _timeout(default: float, text: str) -> Param:
    return Param("timeout", float, text, default=default, at_most=limits.WAIT_MAX_S)


_PEERS = (
    Method("peers", "List known and discovered peers.", (AGENT,), people.Peers, FINDS_AGENT, reads=True),
    Method(
        "peers.watch",
        "Follow peers as they come, change and go.",
        (AGENT,),
        (people.PeersReady, people.PeerEvent),
        FINDS_AGENT,
        served=Served.CALLS,
        streams=True,
    ),
    Method(
        "peers.add",
        "Dial an address and list who is there.",
        (
            AGENT,
            Param(
                "address",
                str,
                "HOST:PORT or [IPV6]:PORT, all addresses of a host name are tried; or an agent's own, P2PA:A/...",
                required=True,
                at_most=limits.REQUEST_ADDRESS_CHARS,
            ),
        ),
        people.Met,
        (errors.NoAgent, errors.NotReachable, *ADDRESSES),
        served=Served.CALLS,
        works_s=limits.ADD_PEER_S,
    ),
    Method(
        "peers.remove",
        "Stop dialling an address that was added. Contacts that were met there are still dialled there.",
        (
            Param(
                "address",
                str,
                "HOST:PORT or [IPV6]:PORT, as it was added; of a host name, all its addresses",
                required=True,
                at_most=limits.REQUEST_ADDRESS_CHARS,
            ),
        ),
        people.Removed,
        (errors.AddressUnknown, errors.NotReachable, errors.Usage, *STORES),
        served=Served.CALLS,
    ),
    Method(
        "ping",
        "Measure the round trip to a peer.",
        (AGENT, TO, _timeout(5.0, "seconds to wait for the answer")),
        people.Pong,
        (*FINDS_PEER, errors.NotReachable),
        served=Served.CALLS,
    ),
)


_CODE = Param("code", str, "a code, its id or last five characters; without it the newest", at_most=limits.OOB_CHARS)
_PETNAME = Param("petname", str, "petname for the other side", at_most=limits.NAME_CHARS)
_ENDED = (errors.CodeExpired, errors.CodeDead)
_JOINS = (
    errors.BadName,
    errors.BadCode,
    errors.UnknownVersion,
    *_ENDED,
    errors.CodePurpose,
    errors.CodeUsed,
    errors.CodeWrong,
    errors.NobodyFound,
    errors.PairFailed,
    errors.PairCancelled,
)

_PAIRING = (
    Method(
        "pair.start",
        "Show a pairing code, the agent's only one; it lives ten minutes, and no longer than the node.",
        (
            AGENT,
            _PETNAME,
            Param("device", bool, "for another installation of this agent, not for a contact", default=False),
            Param(
                "history",
                str,
                "what a linked installation is given of conversations: all, none, or the last so many days",
                default=str(limits.LINK_HISTORY_DAYS),
            ),
            Param("bridge", str, "the bridge that the link leads to; without it the first one that is used"),
        ),
        pairing.Code,
        (errors.NoAgent, errors.BadName, errors.RootElsewhere, errors.IdentityFull, errors.KeysBroken),
        addresses=True,
        repeats=False,
    ),
    Method(
        "pair.status",
        "The state of a code: waiting, paired, dead, expired or cancelled; `tries` more wrong ones end it.",
        (AGENT, _CODE),
        pairing.CodeState,
        (errors.NoAgent, errors.PairUnknown),
    ),
    Method(
        "pair.wait",
        "Wait until somebody has used the code, or tried it with wrong words.",
        (
            AGENT,
            _CODE,
            _timeout(limits.PAIRING_CODE_MS / 1000, "seconds to wait"),
            Param("seen", int, "return also when more wrong tries were made than this", at_most=limits.PAGE_MAX),
        ),
        pairing.CodeState,
        (errors.NoAgent, errors.PairUnknown, *_ENDED, errors.PairCancelled, errors.WaitTimeout),
        served=Served.CALLS,
    ),
    Method("pair.cancel", "Take a code back.", (AGENT, _CODE), pairing.CodeState, (errors.NoAgent, errors.PairUnknown)),
    Method(
        "pair.join",
        "Pair with whoever shows this code.",
        (
            AGENT,
            Param("code", str, "what the other side shows, typed or scanned", required=True, at_most=limits.OOB_CHARS),
            _PETNAME,
            _timeout(limits.WAIT_DEFAULT_S, "seconds to look for the other side"),
        ),
        pairing.Joined,
        (errors.NoAgent, *_JOINS),
        served=Served.CALLS,
        repeats=False,
    ),
    Method(
        "pair.link",
        "Become another installation of the agent that shows this code.",
        (
            Param("code", str, "what the other side shows, typed or scanned", required=True, at_most=limits.OOB_CHARS),
            Param("name", str, "the agent's name on this node; without it its own", at_most=limits.NAME_CHARS),
            _timeout(limits.WAIT_DEFAULT_S, "seconds to look for the other side"),
        ),
        pairing.Linked,
        (errors.AgentExists, errors.AlreadyHere, errors.RemovedHere, *_JOINS, *STORES),
        served=Served.CALLS,
        repeats=False,
    ),
    Method(
        "trust.show",
        "The facts a human decides by: trust, safety number, events.",
        (AGENT, PEER),
        people.Trusted,
        FINDS_PEER,
        reads=True,
    ),
    Method(
        "trust.verify",
        "Mark a contact as verified: a human compared the safety number. No program may do so for them.",
        (AGENT, PEER, Param("digits", str, "the 60 digits that were compared", required=True)),
        people.ContactAnswer,
        (*FINDS_PEER, errors.NotAContact, errors.NumberDiffers),
    ),
    Method("trust.block", "Block a peer.", (AGENT, PEER), people.ContactAnswer, FINDS_PEER),
    Method(
        "trust.reset",
        "Forget what is pinned of a peer, for every agent of this node: it is unknown again. For humans only.",
        (AGENT, PEER),
        people.ContactAnswer,
        (*FINDS_PEER, errors.NotAContact, *STORES),
    ),
    Method(
        "trust.unblock",
        "Unblock a peer: it is unknown again.",
        (AGENT, PEER),
        people.ContactAnswer,
        (*FINDS_PEER, errors.NotAContact),
    ),
)

_MESSAGES = (
    Method(
        "send",
        "Send a message; once answered it is kept until delivered.",
        (
            AGENT,
            ADDRESSEE,
            Param(
                "text",
                str,
                "the body, at most 256 KiB of UTF-8",
                required=True,
                at_least=1,
                at_most=limits.BODY_BYTES * 8,
            ),
            Param("type", str, "what the body is", default="text/plain", choices=BODY_TYPES),
            Param("id", str, "idempotency key: the same key never sends twice", at_least=1, at_most=limits.KEY_CHARS),
            Param("reply_to", str, "id of the message answered"),
            Param("wait", str, "wait until the message is in this state", choices=("delivered", "read")),
            _timeout(30.0, "seconds to wait for that state"),
        ),
        messages.Sent,
        (
            *FINDS_PEER,
            *ADDRESSES,
            errors.TooLarge,
            errors.BadBody,
            errors.IdConflict,
            errors.MessageUnknown,
            errors.PeerBlocked,
            errors.NotAContact,
            errors.DeviceRevoked,
            errors.OutboxFull,
            errors.SendUnconfirmed,
            errors.SendFailed,
            *STORES,
        ),
        served=Served.CALLS,
        key="id",
        waits_if="wait",
        body=check_body,
    ),
    Method(
        "inbox",
        "Unread messages of a reader, or those after a cursor.",
        (AGENT, AFTER, LIMIT, READER, NEW_READER),
        messages.Unread,
        (errors.NoAgent, errors.CursorUnknown, errors.ReaderUnknown),
        paged=True,
        reads=True,
    ),
    Method(
        "claim",
        "Take unread messages that no other process of the reader is given while this connection lasts; acknowledge"
        " them with `ack` and their cursors. What is not acknowledged then is unread again.",
        (AGENT, LIMIT, READER, NEW_READER),
        (messages.Claimed,),
        (errors.NoAgent, errors.ReaderUnknown),
        served=Served.CALLS,
        streams=True,
    ),
    Method(
        "ack",
        "Mark what was shown to a reader as read, up to a cursor or all of it.",
        (
            AGENT,
            Param("cursor", str, "up to here; without it everything shown"),
            Param("cursors", str, "exactly these, separated by commas, shown or not", at_most=CURSORS_CHARS),
            READER,
        ),
        messages.Acked,
        (errors.NoAgent, errors.CursorUnknown, errors.ReaderUnknown),
        hurried=False,
    ),
    Method(
        "wait",
        "Unread messages, waiting for the first one.",
        (
            AGENT,
            FROM,
            AFTER,
            READER,
            NEW_READER,
            _timeout(limits.WAIT_DEFAULT_S, "seconds to wait"),
            LIMIT,
            Param("requests", bool, "return for requests that wait for a decision too", default=False),
        ),
        messages.Awaited,
        (*FINDS_PEER, errors.CursorUnknown, errors.ReaderUnknown, errors.WaitTimeout),
        served=Served.CALLS,
    ),
    Method(
        "watch",
        "Follow messages, and the states of your own.",
        (AGENT, AFTER, FROM),
        (messages.Ready, messages.MessageEvent, messages.StateEvent, messages.RequestEvent),
        (*FINDS_PEER, errors.CursorUnknown),
        served=Served.CALLS,
        streams=True,
    ),
    Method(
        "history",
        "The conversation with a peer, oldest first.",
        (AGENT, TO, Param("before", str, "only what precedes this cursor"), AFTER, LIMIT),
        messages.Page,
        (*FINDS_PEER, errors.CursorUnknown),
        paged=True,
        reads=True,
    ),
    Method(
        "search",
        "Messages that hold the words.",
        (AGENT, Param("text", str, "words", required=True, at_most=QUERY_CHARS), LIMIT),
        messages.Found,
        FINDS_AGENT,
        served=Served.CALLS,
        paged=True,
        reads=True,
    ),
    Method(
        "purge",
        "Delete the content of messages for good: those with these ids, of a conversation, dated before a time, or"
        " the last two. Messages still to be delivered are kept, and so are the other sides' copies.",
        (
            AGENT,
            Param("ids", str, "message ids, separated by commas", at_most=limits.PURGE_IDS_CHARS),
            Param("with", str, "the conversation with this peer: a name, petname or id prefix"),
            Param("before", str, "a date, or an RFC 3339 time"),
            Param("dry", bool, "delete nothing, only count", default=False),
        ),
        messages.Purged,
        (*FINDS_PEER, errors.MessageUnknown, *STORES),
        served=Served.CALLS,
        works_s=limits.PURGE_S,
    ),
    Method(
        "show",
        "One message and where it stands with each recipient.",
        (AGENT, MESSAGE_ID),
        messages.Shown,
        (errors.NoAgent, errors.MessageUnknown),
        reads=True,
    ),
)

_ALL = (*NODE, *AGENTS, *IDENTITY, *_PEERS, *CONSENT, *_PAIRING, *_MESSAGES, *BRIDGES)
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def api() -> dict[str, Any]:
    """The whole API as data: what each method takes, answers and raises, as JSON Schemas, and how it is called."""
    defs: dict[str, Any] = {}
    return {
        "protocol": PROTOCOL,
        "methods": {name: _api(method, defs) for name, method in METHODS.items()},
        "$defs": defs,
    }


def _api(method: Method, defs: dict[str, Any]) -> dict[str, Any]:
    return {
        "help": method.help,
        "params": schema(method),
        "events" if method.streams else "result": result_schema(method, defs),
        "errors": [kind.code for kind in (*method.errors, *ALWAYS)],
        "repeats": method.repeats,
        "key": method.key or None,
        "works_s": method.works_s,
        "reads": method.reads,
    }
