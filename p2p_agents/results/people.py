"""Agents of this node, and those they know: peers, contacts, requests, the allowlist."""

from typing import Annotated, Literal, NotRequired, TypedDict

Kind = str  # its own word for itself; a peer can claim any
Trust = Annotated[str, ("blocked", "unknown", "requested", "accepted", "paired", "verified")]
Path = Annotated[str, ("local", "direct", "bridge")]
Policy = Annotated[str, ("open", "ask", "closed")]
OnIntroductions = Annotated[str, ("ask", "accept", "ignore")]


class Worth(TypedDict):
    """How far a name can be trusted."""

    pinned: Annotated[bool, "the name was given here, or this id was accepted under it; else only the id identifies it"]
    like: Annotated[str | None, "a name known here that it could be confused with"]


class Party(TypedDict):
    """The author or a recipient of a message."""

    id: str
    name: Annotated[str, "its announced name; with `~` and a part of the id if the name belongs to another agent here"]
    petname: Annotated[str | None, "the name given to it here"]
    pinned: Annotated[bool, "the name was given here, or this id was accepted under it; else only the id identifies it"]
    like: Annotated[str | None, "a name known here that it could be confused with"]


class Agent(TypedDict):
    """An agent of this node."""

    id: str
    name: str
    kind: Kind
    status: Annotated[str, ("online", "busy", "idle")]
    policy: Annotated[Policy, "who may write first"]
    introductions: Annotated[OnIntroductions, "what happens to introductions"]
    hidden: Annotated[bool, "it is not announced on the network"]
    default: Annotated[bool, "the agent that commands act for unless they name another"]
    device_ids: Annotated[list[str], "the device keys of its live installations"]
    attending: Annotated[bool, "a reader waits or watches for it now"]
    created: str
    retired: Annotated[bool, "this installation was revoked"]
    behind: Annotated[bool, "a contact has a newer identity log of it"]


class Peer(TypedDict):
    """A known or discovered agent, and how it can be reached now."""

    id: str
    name: Annotated[str, "its announced name"]
    petname: Annotated[str | None, "the name given to it here"]
    pinned: Annotated[bool, "the name was given here, or this id was accepted under it; else only the id identifies it"]
    like: Annotated[str | None, "a name known here that it could be confused with"]
    kind: Kind
    trust: Trust
    status: Annotated[str, "its own word: online, busy or idle; offline without a connection"]
    reachable: Annotated[bool, "there is a connection now, or it was heard recently over a bridge"]
    last_seen: str | None
    attending: Annotated[bool | None, "a reader waits or watches there now; null if not known"]
    last_read: str | None
    accepts: Annotated[bool | None, "whether it has accepted this agent; null if not known"]
    local: Annotated[bool, "it lives on this node"]
    path: Annotated[Path | None, "the path that messages take now"]
    addresses: list[str]
    bridge: NotRequired[Annotated[str | None, "the bridge, if it is reached over one"]]
    why: NotRequired[Annotated[str | None, "why there is no better path, or none at all"]]


class Contact(TypedDict):
    """A contact of this agent."""

    id: str
    name: Annotated[str, "its announced name"]
    petname: Annotated[str | None, "the name given to it here"]
    kind: Kind
    trust: Trust
    accepts: Annotated[bool | None, "whether it has accepted this agent; null if not known"]
    allowed: Annotated[bool, "it is on the allowlist"]
    since: str
    frozen: Annotated[str | None, "why nothing is exchanged with it"]
    safety_number: Annotated[str, "60 digits, the same on both sides, for two humans to compare"]


class Request(TypedDict):
    """A peer that asks to be accepted, was asked by this agent, or was introduced."""

    id: str
    name: Annotated[str, "its announced name, or the name that the introducer gave"]
    pinned: Annotated[bool, "the name was given here, or this id was accepted under it; else only the id identifies it"]
    like: Annotated[str | None, "a name known here that it could be confused with"]
    kind: Kind
    text: Annotated[str | None, "the beginning of its first message"]
    time: str
    direction: Annotated[str, ("in", "out")]
    state: Annotated[str, ("pending", "accepted", "rejected", "blocked")]
    introducer: Annotated[Party | None, "who introduced it, if anybody did"]


class Listed(TypedDict):
    """An entry of the allowlist."""

    id: str
    name: Annotated[str | None, "its announced name; null if the id is not known"]
    petname: str | None
    trust: Trust
    since: str


class Called(TypedDict):
    """An agent by its id and names."""

    id: str
    name: str
    petname: str | None


class TrustEvent(TypedDict):
    """A change of the trust in a peer."""

    kind: str
    detail: str
    time: str


class Introduced(TypedDict):
    """One half of an introduction."""

    id: Annotated[str, "id of the message that carries it"]
    to: Party
    about: Party
    state: str


# --- answers ---


class AgentAnswer(TypedDict):
    agent: Agent


class Created(AgentAnswer):
    created: Annotated[bool, "false if it existed already"]


class Named(TypedDict):
    """An agent by its id and name."""

    id: str
    name: str


class AgentRemoved(TypedDict):
    agent: Named
    owed: Annotated[int, "messages that fail"]
    unread: Annotated[int, "messages that were not read"]
    other_devices: Annotated[int, "its other installations, which stay"]
    default_agent: Annotated[str | None, "the name of the default agent afterwards"]
    emptied: Annotated[bool, "the files no longer contain any of its text"]


class Agents(TypedDict):
    agents: list[Agent]


class Status(TypedDict):
    status: str


class Peers(TypedDict):
    peers: list[Peer]


class PeersReady(TypedDict):
    type: Literal["ready"]


class PeerEvent(Peer):
    type: Literal["peer"]


class Met(TypedDict):
    address: Annotated[str, "the one that answered"]
    agents: list[Peer]


class Removed(TypedDict):
    removed: Annotated[list[str], "the addresses as dialed"]


class Pong(TypedDict):
    to: Party
    rtt_ms: float
    path: Path
    bridge: NotRequired[str | None]
    why: NotRequired[Annotated[str | None, "why there is no better path"]]


class Contacts(TypedDict):
    contacts: list[Contact]


class ContactAnswer(TypedDict):
    contact: Contact


class ContactRemoved(ContactAnswer):
    failed: Annotated[int, "messages that will not be delivered to it"]


class Requests(TypedDict):
    requests: list[Request]


class PolicyAnswer(TypedDict):
    policy: Policy


class IntroductionsPolicy(TypedDict):
    introductions: OnIntroductions


class Introductions(TypedDict):
    introductions: list[Introduced]


class RequestAddress(TypedDict):
    """Null in every field once it is withdrawn."""

    address: Annotated[str | None, "text to pass on: P2PA:A/..."]
    bridge: str | None
    expires: str | None
    open: Annotated[bool, "the bridge takes requests"]
    why: Annotated[str | None, "why it does not, or who cannot be answered"]


class ListedAnswer(TypedDict):
    listed: Listed


class Allowlist(TypedDict):
    allowlist: list[Listed]


class Trusted(TypedDict):
    peer: Called
    trust: Trust
    accepts: Annotated[bool | None, "whether it has accepted this agent; null if not known"]
    allowed: Annotated[bool, "it is on the allowlist"]
    frozen: Annotated[str | None, "why nothing is exchanged with it"]
    safety_number: Annotated[str, "60 digits, the same on both sides, for two humans to compare"]
    events: Annotated[list[TrustEvent], "the newest first"]
