"""Agents of this node, and those they know: peers, contacts, requests, the allowlist."""

from typing import Annotated, Literal, NotRequired, TypedDict

Kind = str  # what an agent says it is: any word of a peer
Trust = Annotated[str, ("blocked", "unknown", "requested", "accepted", "paired", "verified")]
Path = Annotated[str, ("local", "direct", "bridge")]
Policy = Annotated[str, ("open", "ask", "closed")]
OnIntroductions = Annotated[str, ("ask", "accept", "ignore")]


class Worth(TypedDict):
    """What a name is worth."""

    pinned: Annotated[bool, "the name was given here, or this id was accepted by it; else only the id says who it is"]
    like: Annotated[str | None, "a name here that it may be taken for"]


class Party(TypedDict):
    """Who wrote a message, or is written to."""

    id: str
    name: Annotated[str, "as it announces itself, with `~` and a piece of the id where the name is another's here"]
    petname: Annotated[str | None, "the name it was given here"]
    pinned: Annotated[bool, "the name was given here, or this id was accepted by it; else only the id says who it is"]
    like: Annotated[str | None, "a name here that it may be taken for"]


class Agent(TypedDict):
    """An agent of this node."""

    id: str
    name: str
    kind: Kind
    status: Annotated[str, ("online", "busy", "idle")]
    policy: Annotated[Policy, "who may write first"]
    introductions: Annotated[OnIntroductions, "what becomes of them"]
    hidden: Annotated[bool, "it is kept off the network's announcements"]
    default: Annotated[bool, "commands act for it unless they name another"]
    device_ids: Annotated[list[str], "of its live installations"]
    attending: Annotated[bool, "somebody waits or watches for it now"]
    created: str
    retired: Annotated[bool, "this installation was revoked"]
    behind: Annotated[bool, "a contact knows a newer identity log of it"]


class Peer(TypedDict):
    """Somebody known or discovered, and how to reach it now."""

    id: str
    name: Annotated[str, "as it announces itself"]
    petname: Annotated[str | None, "the name it was given here"]
    pinned: Annotated[bool, "the name was given here, or this id was accepted by it; else only the id says who it is"]
    like: Annotated[str | None, "a name here that it may be taken for"]
    kind: Kind
    trust: Trust
    status: Annotated[str, "as it says: online, busy, idle; offline without a connection"]
    reachable: Annotated[bool, "there is a connection now, or it was heard over a bridge a moment ago"]
    last_seen: str | None
    attending: Annotated[bool | None, "somebody waits or watches there now; null if it is not known"]
    last_read: str | None
    accepts: Annotated[bool | None, "whether it has accepted this agent; null if it is not known"]
    local: Annotated[bool, "it lives on this node"]
    path: Annotated[Path | None, "the way that frames go now"]
    addresses: list[str]
    bridge: NotRequired[Annotated[str | None, "where it is reached over bridges: which one"]]
    why: NotRequired[Annotated[str | None, "why no better way is taken, or none"]]


class Contact(TypedDict):
    """Somebody this agent has to do with."""

    id: str
    name: Annotated[str, "as it announces itself"]
    petname: Annotated[str | None, "the name it was given here"]
    kind: Kind
    trust: Trust
    accepts: Annotated[bool | None, "whether it has accepted this agent; null if it is not known"]
    allowed: Annotated[bool, "it stands on the allowlist"]
    since: str
    frozen: Annotated[str | None, "why nothing is exchanged with it"]
    safety_number: Annotated[str, "60 digits, the same on both sides, for two humans to compare"]


class Request(TypedDict):
    """Somebody who asks to be let in, whom this agent asked, or who was introduced."""

    id: str
    name: Annotated[str, "as it announces itself, or as the introducer says"]
    pinned: Annotated[bool, "the name was given here, or this id was accepted by it; else only the id says who it is"]
    like: Annotated[str | None, "a name here that it may be taken for"]
    kind: Kind
    text: Annotated[str | None, "the beginning of its first message"]
    time: str
    direction: Annotated[str, ("in", "out")]
    state: Annotated[str, ("pending", "accepted", "rejected", "blocked")]
    introducer: Annotated[Party | None, "whose word it is, where somebody introduced it"]


class Listed(TypedDict):
    """An entry of the allowlist."""

    id: str
    name: Annotated[str | None, "as it announces itself; null where nobody of that id is known"]
    petname: str | None
    trust: Trust
    since: str


class Called(TypedDict):
    """Somebody, by what it is called."""

    id: str
    name: str
    petname: str | None


class TrustEvent(TypedDict):
    """What happened to the trust in somebody."""

    kind: str
    detail: str
    time: str


class Introduced(TypedDict):
    """One half of an introduction."""

    id: Annotated[str, "of the message that carries it"]
    to: Party
    about: Party
    state: str


# --- answers ---


class AgentAnswer(TypedDict):
    agent: Agent


class Created(AgentAnswer):
    created: Annotated[bool, "false where it was there already"]


class Named(TypedDict):
    """An agent by its id and name."""

    id: str
    name: str


class AgentRemoved(TypedDict):
    agent: Named
    owed: Annotated[int, "messages that fail"]
    unread: Annotated[int, "messages that nobody read"]
    other_devices: Annotated[int, "its other installations, which go on"]
    default_agent: Annotated[str | None, "the default agent's name then"]
    emptied: Annotated[bool, "the files hold no word of it any more"]


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
    removed: Annotated[list[str], "the addresses, as they were dialled"]


class Pong(TypedDict):
    to: Party
    rtt_ms: float
    path: Path
    bridge: NotRequired[str | None]
    why: NotRequired[Annotated[str | None, "why no better way is taken"]]


class Contacts(TypedDict):
    contacts: list[Contact]


class ContactAnswer(TypedDict):
    contact: Contact


class ContactRemoved(ContactAnswer):
    failed: Annotated[int, "messages not delivered to it any more"]


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

    address: Annotated[str | None, "P2PA:A/..., to pass on"]
    bridge: str | None
    expires: str | None
    open: Annotated[bool, "the bridge takes requests"]
    why: Annotated[str | None, "why it does not, or whom it cannot answer"]


class ListedAnswer(TypedDict):
    listed: Listed


class Allowlist(TypedDict):
    allowlist: list[Listed]


class Trusted(TypedDict):
    peer: Called
    trust: Trust
    accepts: Annotated[bool | None, "whether it has accepted this agent; null if it is not known"]
    allowed: Annotated[bool, "it stands on the allowlist"]
    frozen: Annotated[str | None, "why nothing is exchanged with it"]
    safety_number: Annotated[str, "60 digits, the same on both sides, for two humans to compare"]
    events: Annotated[list[TrustEvent], "the newest first"]
