"""What the node holds in memory. All of it is a cache of the store or belongs to connections that are alive."""

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
    conversations: dict[bytes, Conversation] = field(default_factory=dict)  # by id, as far as looked up
    outdated: int = -1  # the number of our log's last entry when a contact knew a newer log

    @property
    def party(self) -> Party:
        return Party(self.local.agent, self.local.device)

    @property
    def retired(self) -> bool:
        """Whether the agent's own log says that this installation is no longer one of it."""
        return self.local.device in self.speaker.identity.revoked

    @property
    def behind(self) -> bool:
        """Whether a contact knows a newer log of this agent: it may live elsewhere. A contact can also lie."""
        return self.outdated == self.speaker.identity.n

    def unseal(self, sealed: bytes, info: bytes) -> bytes:
        """What was sealed to any of our prekeys that still exist. Raises BadSeal."""
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
    """A link's life. DATA, INIT and SYNC are accepted from UP on; what is owed flows from SYNCED on."""

    OPENING = "OPEN sent"
    ANSWERED = "HELLO sent in answer to OPEN"
    UP = "both proved"
    SYNCED = "views exchanged"


@dataclass(slots=True)
class Heal:
    """What the next session of a pair inherits from the one given up (PROTOCOL D3)."""

    dead: bytes = b""
    heals: tuple[tuple[int, bytes], ...] = ()
    common: int | None = None
    required: bool = False  # the peer said that it holds it too


@dataclass(frozen=True, slots=True)
class Floor:
    """Where a session stood when we drew the challenge of a SYNC: an answer to it was written later than this."""

    acked: int
    received: int
    sent: int
    stored: int  # frames the bridge had said it keeps


@dataclass(slots=True)
class Way:
    """What a link over bridges has beyond a lane: where its frames are put, and what is known of them there."""

    routes: tuple[Route, ...]  # to the peer's queues, one per bridge
    using: Route | None = None
    avoid: dict[str, tuple[float, str]] = field(default_factory=dict)  # bridge -> (not before, why)
    refusals: int = 0  # in a row, without a word when to come again
    stale: bool = True  # frames may be missing at the bridge: another path, or nobody, had them
    inits: set[bytes] = field(default_factory=set)  # sids whose init was put
    floors: dict[bytes, Floor] = field(default_factory=dict)
    sync_at: float = 0.0  # the next SYNC that asks for an answer
    patience: float = 0.0  # seconds to the one after
    asked: float = -math.inf  # when the last one went
    heard: float = -math.inf  # when something last came
    places: int | None = None  # addresses that the peer's last greeting named
    bucket: Bucket = field(default_factory=lambda: Bucket(QUEUE_FRAMES_BURST, QUEUE_FRAMES_PER_S))
    told_places: Bucket = field(default_factory=lambda: Bucket(TOLD_PLACES_BURST, TOLD_PLACES_PER_S))
    told_routes: Bucket = field(default_factory=lambda: Bucket(TOLD_ROUTES_BURST, TOLD_ROUTES_PER_S))
    told: dict[str, float] = field(default_factory=dict)  # what a human was told of the bridge, and until when it holds


@dataclass(frozen=True, slots=True)
class Stall:
    """Since when the peer acknowledged nothing of what is under way, and how often it was asked since."""

    progress: tuple[object, ...] = ()  # what was granted, and each session with what is acknowledged of it
    since: float = 0.0
    asked: int = 0


@dataclass(slots=True)
class Pace:
    """What one device of a contact may make us do, over all its links."""

    syncs: Bucket = field(default_factory=lambda: Bucket(SYNCS_BURST, SYNCS_PER_S))
    epochs: Bucket = field(default_factory=lambda: Bucket(EPOCHS_PER_DAY, EPOCHS_PER_DAY / DAY_S))
    paused: float = 0.0  # it has no room: nothing is offered before
    patience: float = 0.0  # seconds that the last pause took


@dataclass(slots=True)
class Wanted:
    """An entry that a peer is to give again, as our own views do not name it: until a time after the first of them."""

    record: Record
    until: float = math.inf


@dataclass(slots=True)
class Share:
    """What a contact made one of our agents store."""

    bytes: Bucket = field(default_factory=lambda: Bucket(CONTACT_BYTES_PER_DAY, CONTACT_BYTES_PER_DAY / DAY_S))
    unread: int | None = None  # bytes, at most; None: not counted yet
    count_at: float = 0.0  # not counted again before
    full: bool = False


@dataclass(slots=True)
class Link:
    """A lane of a connection, or a pair of queues: one agent of ours and one of the peer's."""

    connection: int
    number: int
    agent: int
    peer: bytes
    phase: Phase
    own_challenge: bytes
    peer_challenge: bytes = b""
    peer_device: bytes = b""
    held_by_peer: int = 0  # identity entries of ours
    held_head: bytes = b""  # and the hash of the last of them
    offer: KemKey | None = None  # single-use: destroyed on use or close
    peer_offer: bytes | None = None
    reset_asked: bool = False  # the offer went out in a RESET
    identity: Identity | None = None  # of the peer
    bundle: Bundle | None = None
    name: str = ""
    kind: str = ""
    features: tuple[str, ...] = ()  # that the peer announced, under its signature
    opened: float = 0.0
    node: bytes = b""  # the peer's node, as its device signed it
    incarnation: int = 0
    standing: Standing = Standing.ASK  # how we regard the peer
    peer_standing: Standing = Standing.ASK
    allowance: Allowance = field(default_factory=Allowance)
    meter: Meter = field(default_factory=Meter)
    sync_sent: bool = False
    awaits_view: bool = False  # the next SYNC answers ours
    stamp_seen: int = 0  # of the peer's newest SYNC here
    sync_due: float = 0.0  # no other SYNC for a disagreement before this
    disagrees: bool = False  # one is to be sent then
    stall: Stall = field(default_factory=Stall)
    behind: bool = False  # the peer's last SYNC was overtaken by frames on another path
    request_due: float = 0.0  # no other REQUEST before this
    requests: int = 0  # that went out
    reads_due: dict[bytes, None] = field(default_factory=dict)  # conversations in which something was read
    asks: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    marks: dict[tuple[bytes, bytes], tuple[bytes, int]] = field(default_factory=dict)  # (conversation, device) -> read
    resend: dict[bytes, int] = field(default_factory=dict)  # sid -> position to send again from
    heal: Heal = field(default_factory=Heal)
    status: str = "online"
    attending: bool | None = None
    last_read_ms: int = 0
    presence_due: bool = False
    way: Way | None = None  # over bridges; then there is no connection

    @property
    def up(self) -> bool:
        return self.phase in (Phase.UP, Phase.SYNCED)


@dataclass(slots=True)
class Peering:
    """One QUIC connection to another node."""

    id: int
    dialed: bool
    address: str
    server_key: bytes
    target: Target | None
    opened: float
    own_challenge: bytes  # told in NODE; OPENs to us sign it
    framer: Framer = field(default_factory=lambda: Framer(UNPROVEN_FRAME_BYTES))
    strays: Bucket = field(default_factory=lambda: Bucket(CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_S))  # of no link
    opens: Bucket = field(default_factory=lambda: Bucket(OPENS_BURST, OPENS_PER_S))
    node: bytes = b""  # the peer node's key: proven when dialed, else a claim
    challenge: bytes = b""  # of the peer's NODE; our OPENs sign it
    incarnation: int = 0
    program: str = ""
    roster: tuple[RosterAgent, ...] = ()
    places: tuple[str, ...] = ()  # where pairing codes that are shown there are met
    links: dict[int, Link] = field(default_factory=dict)
    also: set[str] = field(default_factory=set)  # other addresses that led to this node
    declined: dict[tuple[int, bytes], float] = field(default_factory=dict)  # (agent, peer) -> not before
    near: bool = False  # it is of this machine, or of a node where a contact lives
    slow: bool = False  # crowds do not hurry there all the same
    busy: set[tuple[int, bytes]] = field(default_factory=set)  # (agent, peer) of links that its crowd left no room for
    seek: bool = True  # a link may be wanted here that was not asked for yet
    waiting: deque[tuple[int, bytes]] = field(
        default_factory=deque
    )  # (agent, peer): for links that are asked for first
    seek_at: float = math.inf  # one that was declined may be asked for again
    next_number: int = 0
    carried: float = 0.0  # when a link was last up on it, or it began
    vouched: bool = False  # the endpoint knows that it carries a contact's link

    def pairs(self) -> set[tuple[int, bytes]]:
        """(agent, peer) whose link was asked for here, or is up."""
        return {(link.agent, link.peer) for link in self.links.values()}

    def come_near(self) -> None:
        """It is of this machine, or a contact lives there that accepts us too: crowds of agents may meet on it."""
        if not self.near and not self.slow:
            self.opens = Bucket(OPENS_NEAR_BURST, OPENS_NEAR_PER_S)
        self.near = True

    def slow_down(self) -> None:
        """That node took our crowd for a flood a while ago: others use up what it lets all contacts ask."""
        self.slow, self.opens = True, Bucket(OPENS_BURST, OPENS_PER_S)

    def claim_number(self) -> int:
        """A free link number of our parity: even when we dialed, odd when not."""
        self.next_number += 2
        return self.next_number if self.dialed else self.next_number + 1


@dataclass(slots=True)
class Bridge:
    """A bridge as far as the core must know."""

    up: bool = False
    why: str = "not tried yet"  # it is not up
    way: str = ""  # by which it is reached: "quic" or "websocket"
    observed: str = ""  # where it sees our UDP socket
    local: tuple[str, ...] = ()
    configured: bool = False


@dataclass(frozen=True, slots=True)
class Waiter:
    """A reader that waits for something unread, and how it asked."""

    agent: int
    peer: bytes | None  # whose messages alone it waits for
    params: dict[str, Any]
    shared: bool = False  # another process waited for the same reader when it came


@dataclass(frozen=True, slots=True)
class Claim:
    """Unread messages in the hands of one process."""

    agent: int
    reader: str
    cursors: frozenset[int]


class Texts:
    """Bodies as text, those shown last: many readers of one message share one copy."""

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
    sources: set[str]  # who told: "mdns", "hints"
