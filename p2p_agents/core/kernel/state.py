"""The node's state in memory. It is either a cache of the store or belongs to a live connection."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from sys import getsizeof
from typing import TYPE_CHECKING, Any

from p2p_agents.crypto.ratchet import Party
from p2p_agents.errors import BadSeal
from p2p_agents.limits import (
    CONTACT_BYTES_PER_DAY,
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_S,
    DAY_S,
    EPOCHS_PER_DAY,
    OPENS_BURST,
    OPENS_NEAR_BURST,
    OPENS_NEAR_PER_S,
    OPENS_PER_S,
    QUEUE_FRAMES_BURST,
    QUEUE_FRAMES_PER_S,
    SYNCS_BURST,
    SYNCS_PER_S,
    TEXTS_BYTES,
    TOLD_PLACES_BURST,
    TOLD_PLACES_PER_S,
    TOLD_ROUTES_BURST,
    TOLD_ROUTES_PER_S,
    UNPROVEN_FRAME_BYTES,
)
from p2p_agents.link.admission import Bucket, RequestDesk
from p2p_agents.link.credit import Allowance, Meter
from p2p_agents.wire.frame import RosterAgent, Standing
from p2p_agents.wire.framing import Framer

if TYPE_CHECKING:
    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.conversation.record import Record
    from p2p_agents.crypto.bundle import Bundle
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.crypto.kem import KemKey
    from p2p_agents.errors import KeysBroken
    from p2p_agents.link.hello import Speaker
    from p2p_agents.link.routing import Target
    from p2p_agents.store.agents import LocalAgent
    from p2p_agents.wire.route import Route


@dataclass(slots=True)
class Hosted:
    """One local agent, ready to speak."""

    local: LocalAgent
    speaker: Speaker
    prekeys: list[KemKey]  # newest first
    root: bool = True  # the agent's root key is here
    desk: RequestDesk = field(default_factory=RequestDesk)
    readers: int = 0  # waiting right now
    attending_until: float = 0.0
    last_read_ms: int = 0
    conversations: dict[bytes, Conversation] = field(default_factory=dict)  # by id, those looked up so far
    outdated: int = -1  # number of our log's last entry when a contact had a newer log

    @property
    def party(self) -> Party:
        return Party(self.local.agent, self.local.device)

    @property
    def retired(self) -> bool:
        """Whether the agent's own log revoked this installation."""
        return self.local.device in self.speaker.identity.revoked

    @property
    def behind(self) -> bool:
        """Whether a contact has a newer log of this agent, which may then live elsewhere. A contact can also lie."""
        return self.outdated == self.speaker.identity.n

    def unseal(self, sealed: bytes, info: bytes) -> bytes:
        """Open a box sealed to any of our remaining prekeys. Raises BadSeal."""
        for prekey in self.prekeys:
            try:
                return prekey.open(sealed, info)
            except BadSeal:
                continue
        raise BadSeal("it is sealed to no key of ours")


@dataclass(frozen=True, slots=True)
class Unusable:
    """A local agent that cannot act, and why."""

    local: LocalAgent
    fault: KeysBroken


class Phase(Enum):
    """The phases of a link. DATA, INIT and SYNC are accepted from UP on; what is owed is sent from SYNCED on."""

    OPENING = "OPEN sent"
    ANSWERED = "HELLO sent in answer to OPEN"
    UP = "both proved"
    SYNCED = "views exchanged"


@dataclass(slots=True)
class Heal:
    """What the next session of a pair inherits from the abandoned one (PROTOCOL D3)."""

    dead: bytes = b""
    heals: tuple[tuple[int, bytes], ...] = ()
    common: int | None = None
    required: bool = False  # the peer said that it holds it too


@dataclass(frozen=True, slots=True)
class Floor:
    """The state of a session when we drew the challenge of a SYNC: any answer to it was written later."""

    acked: int
    received: int
    sent: int
    stored: int  # frames that the bridge had confirmed


@dataclass(slots=True)
class Way:
    """What a link over bridges has in addition to a lane: where its frames are put, and their known state there."""

    routes: tuple[Route, ...]  # to the peer's queues, one per bridge
    using: Route | None = None
    avoid: dict[str, tuple[float, str]] = field(default_factory=dict)  # bridge -> (not before, why)
    refusals: int = 0  # in a row, without being told when to retry
    stale: bool = True  # frames may be missing at the bridge: they went another way, or nowhere
    inits: set[bytes] = field(default_factory=set)  # sids whose init was put there
    floors: dict[bytes, Floor] = field(default_factory=dict)
    sync_at: float = 0.0  # when the next SYNC that asks for an answer is due
    patience: float = 0.0  # seconds until the one after it
    asked: float = -math.inf  # when the last one was sent
    heard: float = -math.inf  # when something last arrived
    places: int | None = None  # addresses in the peer's last greeting
    bucket: Bucket = field(default_factory=lambda: Bucket(QUEUE_FRAMES_BURST, QUEUE_FRAMES_PER_S))
    told_places: Bucket = field(default_factory=lambda: Bucket(TOLD_PLACES_BURST, TOLD_PLACES_PER_S))
    told_routes: Bucket = field(default_factory=lambda: Bucket(TOLD_ROUTES_BURST, TOLD_ROUTES_PER_S))
    told: dict[str, float] = field(default_factory=dict)  # what a human was told of the bridge, and until when it holds


@dataclass(frozen=True, slots=True)
class Stall:
    """Since when the peer has acknowledged nothing in flight, and how often it was asked since."""

    progress: tuple[object, ...] = ()  # credit granted, and what is acknowledged in each session
    since: float = 0.0
    asked: int = 0


@dataclass(slots=True)
class Pace:
    """What one device of a contact may make us do, over all its links."""

    syncs: Bucket = field(default_factory=lambda: Bucket(SYNCS_BURST, SYNCS_PER_S))
    epochs: Bucket = field(default_factory=lambda: Bucket(EPOCHS_PER_DAY, EPOCHS_PER_DAY / DAY_S))
    paused: float = 0.0  # it has no room: offer nothing before this time
    patience: float = 0.0  # length of the last pause in seconds


@dataclass(slots=True)
class Wanted:
    """An entry that a peer should send again, since our own views no longer name it; `until` is set with the first
    view."""

    record: Record
    until: float = math.inf


@dataclass(slots=True)
class Share:
    """How much a contact made one of our agents store."""

    bytes: Bucket = field(default_factory=lambda: Bucket(CONTACT_BYTES_PER_DAY, CONTACT_BYTES_PER_DAY / DAY_S))
    unread: int | None = None  # bytes, upper bound; None: not counted yet
    count_at: float = 0.0  # do not count again before
    full: bool = False


@dataclass(slots=True)
class Link:
    """A lane of a connection, or a pair of queues, between one of our agents and one of the peer's."""

    connection: int
    number: int
    agent: int
    peer: bytes
    phase: Phase
    own_challenge: bytes
    peer_challenge: bytes = b""
    peer_device: bytes = b""
    held_by_peer: int = 0  # number of our identity entries that the peer has
    held_head: bytes = b""  # hash of the last of them
    offer: KemKey | None = None  # single-use: destroyed on use or close
    peer_offer: bytes | None = None
    reset_asked: bool = False  # the offer was sent in a RESET
    identity: Identity | None = None  # the peer's
    bundle: Bundle | None = None
    name: str = ""
    kind: str = ""
    features: tuple[str, ...] = ()  # that the peer announced, under its signature
    opened: float = 0.0
    node: bytes = b""  # the peer's node, signed by its device
    incarnation: int = 0
    standing: Standing = Standing.ASK  # how we regard the peer
    peer_standing: Standing = Standing.ASK
    allowance: Allowance = field(default_factory=Allowance)
    meter: Meter = field(default_factory=Meter)
    sync_sent: bool = False
    awaits_view: bool = False  # the next SYNC answers ours
    stamp_seen: int = 0  # stamp of the peer's newest SYNC here
    sync_due: float = 0.0  # earliest time of the next SYNC for a disagreement
    disagrees: bool = False  # send one then
    stall: Stall = field(default_factory=Stall)
    behind: bool = False  # frames on another path overtook the peer's last SYNC
    request_due: float = 0.0  # earliest time of the next REQUEST
    requests: int = 0  # sent so far
    reads_due: dict[bytes, None] = field(default_factory=dict)  # conversations with new read marks
    asks: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    marks: dict[tuple[bytes, bytes], tuple[bytes, int]] = field(default_factory=dict)  # (conversation, device) -> read
    resend: dict[bytes, int] = field(default_factory=dict)  # sid -> position to resend from
    heal: Heal = field(default_factory=Heal)
    status: str = "online"
    attending: bool | None = None
    last_read_ms: int = 0
    presence_due: bool = False

    @property
    def up(self) -> bool:
        return self.phase in (Phase.UP, Phase.SYNCED)


@dataclass(slots=True)
class BridgedLink(Link):
    """A pair of queues at bridges in place of a lane: there is no connection, and what comes may be old."""

    way: Way = field(default_factory=lambda: Way(()))


@dataclass(slots=True)
class Peering:
    """One QUIC connection to another node."""

    id: int
    dialed: bool
    address: str
    server_key: bytes
    target: Target | None
    opened: float
    own_challenge: bytes  # sent in NODE; OPENs to us sign it
    framer: Framer = field(default_factory=lambda: Framer(UNPROVEN_FRAME_BYTES))
    strays: Bucket = field(default_factory=lambda: Bucket(CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_S))  # of no link
    opens: Bucket = field(default_factory=lambda: Bucket(OPENS_BURST, OPENS_PER_S))
    node: bytes = b""  # the peer node's key: proven when dialed, else a claim
    challenge: bytes = b""  # of the peer's NODE; our OPENs sign it
    incarnation: int = 0
    program: str = ""
    roster: tuple[RosterAgent, ...] = ()
    places: tuple[str, ...] = ()  # meeting places of pairing codes shown there
    links: dict[int, Link] = field(default_factory=dict)
    also: set[str] = field(default_factory=set)  # other addresses that led to this node
    declined: dict[tuple[int, bytes], float] = field(default_factory=dict)  # (agent, peer) -> not before
    near: bool = False  # on this machine, or a node where a contact lives
    slow: bool = False  # large groups of agents go slowly there even so
    busy: set[tuple[int, bytes]] = field(default_factory=set)  # (agent, peer) of links refused for lack of room
    seek: bool = True  # a link may be wanted here that was not asked for yet
    waiting: deque[tuple[int, bytes]] = field(default_factory=deque)  # (agent, peer) whose links are asked for next
    seek_at: float = math.inf  # when a declined link may be asked for again
    next_number: int = 0
    carried: float = 0.0  # when it last had a link up, or when it began
    vouched: bool = False  # the endpoint knows that it carries a contact's link

    def pairs(self) -> set[tuple[int, bytes]]:
        """(agent, peer) whose link is up or was asked for here."""
        return {(link.agent, link.peer) for link in self.links.values()}

    def come_near(self) -> None:
        """It is on this machine, or a contact that accepts us lives there: many agents may open links at once."""
        if not self.near and not self.slow:
            self.opens = Bucket(OPENS_NEAR_BURST, OPENS_NEAR_PER_S)
        self.near = True

    def slow_down(self) -> None:
        """That node recently took our many OPENs for a flood: others use up what it grants to all contacts."""
        self.slow, self.opens = True, Bucket(OPENS_BURST, OPENS_PER_S)

    def claim_number(self) -> int:
        """A free link number of our parity: even if we dialed, else odd."""
        self.next_number += 2
        return self.next_number if self.dialed else self.next_number + 1


@dataclass(slots=True)
class Bridge:
    """What the core needs to know about a bridge."""

    up: bool = False
    why: str = "not tried yet"  # why it is not up
    way: str = ""  # transport: "quic" or "websocket"
    observed: str = ""  # our UDP socket's address as it sees it
    local: tuple[str, ...] = ()
    configured: bool = False


@dataclass(frozen=True, slots=True)
class Waiter:
    """A reader that waits for unread messages, and the parameters of its call."""

    agent: int
    peer: bytes | None  # None: anyone's messages
    params: dict[str, Any]
    shared: bool = False  # another process already waited for this reader


@dataclass(frozen=True, slots=True)
class Claim:
    """Unread messages handed to one process."""

    agent: int
    reader: str
    cursors: frozenset[int]


class Texts:
    """Bodies as text, a cache of the last ones shown: all readers of a message share one copy."""

    def __init__(self) -> None:
        self._kept: dict[bytes, str] = {}  # by the entry's hash, the latest last
        self._bytes = 0

    def of(self, entry: bytes, body: bytes) -> str:
        """The text of that entry's body."""
        text = self._kept.get(entry)
        if text is None:
            text = self._kept[entry] = body.decode("utf-8", errors="replace")
            self._bytes += getsizeof(text)
            while self._bytes > TEXTS_BYTES and len(self._kept) > 1:
                self._bytes -= getsizeof(self._kept.pop(next(iter(self._kept))))
        return text


@dataclass(slots=True)
class Sighting:
    """A record that says an agent lives at a node: a claim until a HELLO proves it."""

    name: str
    kind: str
    status: str
    incarnation: int
    sources: set[str]  # "mdns", "hints"
