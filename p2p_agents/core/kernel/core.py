"""The node's single decider: events in, effects out, all durable state through one database in one thread.

The core runs inside transactions that its driver opens. Handlers change the store and append effects; the driver
commits, and only then are the effects carried out. When a batch fails, `forget` drops the memory that was built on it.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from p2p_agents.core.kernel.clock import Lived, Trusted
from p2p_agents.core.kernel.effects import Connect, Hangup, PeersChanged, Post, Transmit
from p2p_agents.core.kernel.state import (
    Bridge,
    BridgedLink,
    Claim,
    Hosted,
    Link,
    Pace,
    Peering,
    Phase,
    Share,
    Sighting,
    Texts,
    Unusable,
    Waiter,
    Wanted,
)
from p2p_agents.core.kernel.tables import HostTable, PairTable
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import KeysBroken, NoAgent, PeerFault
from p2p_agents.limits import LATELY_S
from p2p_agents.link.credit import window_for
from p2p_agents.link.routing import Router
from p2p_agents.output import did_you_mean
from p2p_agents.store import agents, contacts, lived, outbox, sessions
from p2p_agents.store.contacts import Event
from p2p_agents.wire.frame import Close, encode_frame
from p2p_agents.wire.framing import frame_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.clock import Clock
    from p2p_agents.core.kernel.effects import Effect
    from p2p_agents.core.kernel.entropy import Entropy
    from p2p_agents.core.kernel.tables import Side
    from p2p_agents.link.gaps import GapBuffer
    from p2p_agents.store.agents import LocalAgent
    from p2p_agents.store.database import Database
    from p2p_agents.store.sessions import Held
    from p2p_agents.wire.frame import Frame, RosterAgent

log = logging.getLogger(__name__)

State = TypeVar("State")
PairKey = tuple[bytes, bytes]  # our device, the peer's device
Mark = tuple[int, int]  # counts of effects and undos


@dataclass(frozen=True, slots=True)
class Kind:
    """How entries of one kind are handled. Entries of a kind without a row are only stored."""

    name: str  # as written in entries
    arrive: Callable[[Core, Hosted, bytes, Record], None] | None = None  # agent, giver, entry
    unread: bool = False  # counted, and read by readers
    shown: bool = False  # as a message is: in conversations, found by its words, purged on request


@dataclass(frozen=True, slots=True)
class Hooks:
    """One callable for each event in a lower room that a higher room acts on."""

    wanted: Callable[[Core, bytes], None]  # there is something for a peer without a link
    proven: Callable[[Core, Link], None]  # a HELLO was verified: decide how we regard the peer
    regard: Callable[[Core, Hosted, bytes], None]  # how we regard a peer may have changed
    owed: Callable[[Core, Link], None]  # there is something to send on a link, if its peer allows it
    logged: Callable[[Core, Hosted, int, bytes], None]  # an entry came into an agent's log, from a device or b""
    places: Callable[[Core], Sequence[str]]  # meeting places of this node's pairing codes
    kinds: dict[str, Kind]

    def arrived(self, core: Core, hosted: Hosted, giver: bytes, record: Record) -> None:
        """An entry was stored."""
        kind = self.kinds.get(record.kind)
        if kind is not None and kind.arrive is not None:
            kind.arrive(core, hosted, giver, record)

    def is_unread(self, record: Record) -> bool:
        """Whether readers should read it."""
        kind = self.kinds.get(record.kind)
        return kind is not None and kind.unread

    def is_shown(self, record: Record) -> bool:
        """Whether its words are shown."""
        kind = self.kinds.get(record.kind)
        return kind is not None and kind.shown

    def shown(self) -> tuple[str, ...]:
        """The kinds whose words are shown."""
        return tuple(kind.name for kind in self.kinds.values() if kind.shown)


class Core:
    """The state of one node. `node` is its TLS key, `incarnation` the wall time of its start."""

    def __init__(
        self,
        db: Database,
        keys: str,
        node: bytes,
        clock: Clock,
        entropy: Entropy,
        jitter: Callable[[], float],
        hooks: Hooks,
    ) -> None:
        self.hooks = hooks
        self._slots: dict[type, Any] = {}
        self.db = db
        self.keys = keys
        self.node = node
        self.clock = clock
        self.entropy = entropy
        mark = lived.mark(db)
        self.trusted, self.lived = Trusted(clock, mark), Lived(clock, mark)
        self.router = Router(node, jitter)
        self.incarnation = clock.wall_ms()
        self.awake = clock.monotonic()  # peers can have been reached since then
        self.effects: list[Effect] = []
        self.undo: list[Callable[[], object]] = []  # reverts changes in memory, other than caches, until the commit
        self.hosted = HostTable()
        self.unusable: dict[int, Unusable] = {}  # agents of this store whose keys are broken
        self.peerings: dict[int, Peering] = {}
        self.apart: set[tuple[int, bytes]] = set()  # (agent, peer): contacts whose release speaks another version
        self.sightings: dict[bytes, dict[bytes, Sighting]] = {}  # agent -> node -> record
        self.lately: dict[bytes, tuple[float, tuple[RosterAgent, ...]]] = {}  # nodes we dialed: until when, whom
        self.overrun: dict[bytes, float] = {}  # nodes that took us for a flood -> until when we go slowly there
        self.links: PairTable[list[Link]] = PairTable(lambda found: _side(found[0]))  # proven ones, oldest first
        self.ways: PairTable[BridgedLink] = PairTable(_side)  # over bridges, where there is a queue of either side
        self.bridges: dict[str, Bridge] = {}  # by address, the configured ones first
        self.untimely: dict[str, int] = {}  # bridge -> a cursor it sent that is ahead of our clock
        self.ready: dict[PairKey, None] = {}  # pairs with something to pump, in order of arrival
        self.patience = 0.0  # seconds that a frame without entries waits for one to travel with
        self.quiet: dict[PairKey, float] = {}  # pairs with such a frame: when it is sent alone
        self.owed: dict[tuple[int, bytes], int] = {}  # upper bound of what is owed to a peer
        self.waiters: dict[int, Waiter] = {}  # by ticket
        self.claims: dict[int, Claim] = {}  # by ticket
        self.texts = Texts()
        self.is_behind = False  # the store may be ahead of memory: a commit's outcome was unknown
        self.cursors_renewed = False  # since the store was opened
        self.wanted: dict[int, Wanted] = {}  # entries whose bodies the disk damaged and a peer may still have
        self.init_links: dict[bytes, Link] = {}  # sid -> the link our init went out on
        self.paces: dict[PairKey, Pace] = {}
        self.shares: dict[tuple[int, bytes], Share] = {}  # (agent, contact)
        self.gaps: dict[bytes, GapBuffer] = {}  # sid -> frames that arrived early
        self.heard: dict[bytes, int] = {}  # sid -> incarnation of the peer in the last frame opened
        self._sessions: dict[PairKey, list[Held]] = {}
        self._dirty: dict[bytes, Held] = {}

    def of(self, kind: type[State]) -> State:
        """One feature's state in memory, an instance of its own class, made on first use."""
        found: State = self._slots.get(kind) or self._slots.setdefault(kind, kind())
        return found

    # --- time ---

    def now_ms(self) -> int:
        return self.clock.wall_ms()

    def now(self) -> float:
        return self.clock.monotonic()

    # --- agents ---

    def host(self, agent: int) -> Hosted:
        """Raises NoAgent if it was removed meanwhile."""
        found = self.hosted.get(agent)
        if found is None:
            raise NoAgent("the agent was removed from this node")
        return found

    def hosted_id(self, agent_id: bytes) -> Hosted | None:
        return self.hosted.of_agent(agent_id)

    def acting(self, name: str | None) -> Hosted:
        """The local agent a command acts for: the named one, or the default. Raises NoAgent or KeysBroken."""
        for hosted in self.hosted.values():
            if _is_meant(hosted.local, name):
                return hosted
        for broken in self.unusable.values():
            if _is_meant(broken.local, name):
                raise KeysBroken(broken.fault.message)
        if not name:
            raise NoAgent("no agent on this node yet")
        near = did_you_mean(name, [hosted.local.name for hosted in self.hosted.values()])
        raise NoAgent(f"no agent named {name!r} on this node", hint=f"{near}run: p2p-agents agents")

    def reading(self, snapshot: Database) -> Core:
        """This core's memory over another connection, for read-only queries."""
        view = copy.copy(self)
        view.db = snapshot
        view.texts = Texts()  # the other thread needs its own
        return view

    # --- sending ---

    def effect(self, effect: Effect) -> None:
        self.effects.append(effect)

    def send(self, connection: int, frame: Frame) -> None:
        self.effects.append(Transmit(connection, frame_bytes(encode_frame(frame))))

    def send_on(self, link: Link, frame: Frame, place: tuple[bytes, int] = (b"", 0)) -> None:
        """`place` is the session and position of a frame that a bridge should keep."""
        if not isinstance(link, BridgedLink):
            self.send(link.connection, frame)
        elif link.way.using is not None:
            self.effects.append(
                Post(link.way.using, encode_frame(frame), self.incarnation, self.pair_key(link), *place)
            )

    def hang_up(self, connection: int, code: str) -> None:
        """End a connection and everything on it."""
        self.effects.append(Hangup(connection, code))
        self.drop_peering(connection)

    def drop_peering(self, connection: int) -> None:
        peering = self.peerings.pop(connection, None)
        if peering is None:
            return
        for link in list(peering.links.values()):
            self._unlist(link)
        peering.links.clear()
        self.router.closed(connection, self.now())
        if peering.dialed and peering.roster:
            self.lately = self.lately | {peering.node: (self.now() + LATELY_S, peering.roster)}
        self.effects.append(PeersChanged())

    # --- links ---

    def pair_key(self, link: Link) -> PairKey:
        return self.hosted[link.agent].local.device, link.peer_device

    def list_link(self, link: Link) -> None:
        """A link was proven: it becomes the newest of its pair."""
        key = self.pair_key(link)
        if key not in self.links:
            log.info("linked to %s %s", link.name, id_text(link.peer)[:10])
        if key in self.links:
            self.links[key].append(link)
        else:
            self.links[key] = [link]
        link.meter.window = window_for(sum(len(found) for found in self.links.values()))

    def close_link(self, link: Link, code: str) -> None:
        """End one link; the connection stays."""
        peering = self.peerings.get(link.connection)
        if peering and peering.links.pop(link.number, None):
            self.send_on(link, Close(link.number, code))
        self._unlist(link)
        self.effects.append(PeersChanged())

    def forget_link(self, link: Link) -> None:
        """The peer closed it."""
        peering = self.peerings.get(link.connection)
        if peering:
            peering.links.pop(link.number, None)
        self._unlist(link)
        self.effects.append(PeersChanged())

    def seek_links(self) -> None:
        """Contacts, links or what is owed changed: any connection may need a link that it lacks."""
        for peering in self.peerings.values():
            peering.seek = True

    def _unlist(self, link: Link) -> None:
        link.offer = None  # the single-use key is destroyed with its link
        self.seek_links()
        if not link.peer_device or link.agent not in self.hosted:
            return
        key = self.pair_key(link)
        found = self.links.get(key, [])
        if link in found:
            found.remove(link)
        for other in found:
            other.disagrees = True  # frames in flight on the lost link may be missing
        if not found and self.links.remove(key) is not None:
            log.info("unlinked from %s %s", link.name, id_text(link.peer)[:10])
            self._fall_back(key)

    def _fall_back(self, key: PairKey) -> None:
        """The last direct link is gone: frames in flight on it may be missing at the bridge."""
        if (link := self.ways.get(key)) is not None:
            link.way.stale = True
            link.way.sync_at = self.now()
            self.mark_ready(key)

    def pace(self, key: PairKey) -> Pace:
        if key not in self.paces:
            self.paces[key] = Pace()
        return self.paces[key]

    def share(self, agent: int, peer: bytes) -> Share:
        if (agent, peer) not in self.shares:
            self.shares[agent, peer] = Share()
        return self.shares[agent, peer]

    def newest_link(self, key: PairKey) -> Link | None:
        """The link to send on: the newest of the pair on which views were exchanged (PROTOCOL C3), or else the way over
        bridges."""
        direct = next((link for link in reversed(self.links.get(key, [])) if link.phase is Phase.SYNCED), None)
        return direct or self.ways.get(key)

    def links_to(self, agent: int, peer: bytes) -> Iterator[Link]:
        """Proven links between one of our agents and a peer, newest first."""
        for found in self.links.between(agent, peer):
            yield from reversed(found)

    def paths_to(self, agent: int, peer: bytes) -> Iterator[Link]:
        """Links first, then the ways over bridges."""
        yield from self.links_to(agent, peer)
        yield from self.ways.between(agent, peer)

    def mark_ready(self, key: PairKey) -> None:
        self.ready[key] = None

    def due_in(self) -> float | None:
        """Seconds until the pump has work without a new event; None if it has none."""
        if self.ready:
            return 0.0
        return min(self.quiet.values()) - self.now() if self.quiet else None

    # --- sessions ---

    def pair_sessions(self, key: PairKey) -> list[Held]:
        """Sessions of a pair, newest first. This is a cache; a failed batch empties it."""
        found = self._sessions.get(key)
        if found is None:
            found = self._sessions[key] = sessions.load(self.db, *key)
            for sid in sessions.others(self.db, *key, found):
                self.lose(key, sid)
        return found

    def lose(self, key: PairKey, sid: bytes) -> None:
        """The disk damaged the session: what it carried is sealed again in another one."""
        log.error("a session is damaged on the disk: it is given up")
        outbox.unseal(self.db, sid)
        sessions.drop(self.db, sid)
        peer = agents.owner_of(self.db, key[1])
        hosted = self.hosted.of_device(key[0])
        if peer is not None and hosted is not None:
            detail = "a session with it is damaged on this disk; a new one starts and nothing is lost"
            contacts.record(self.db, Event(hosted.local.id, peer, "damaged", detail, self.now_ms()))

    def touch(self, held: Held) -> None:
        """Its state changed: write it before the item ends."""
        self._dirty[held.session.sid] = held

    def add_session(self, key: PairKey, held: Held) -> None:
        self.pair_sessions(key).insert(0, held)
        self.touch(held)

    def drop_session(self, key: PairKey, held: Held) -> None:
        self.pair_sessions(key).remove(held)
        sid = held.session.sid
        self._dirty.pop(sid, None)
        self.init_links.pop(sid, None)
        self.heard.pop(sid, None)
        self.gaps.pop(sid, None)
        sessions.drop(self.db, sid)

    def forget_session(self, sid: bytes) -> None:
        """Its rows were deleted together with its agent."""
        self._sessions.clear()
        for cache in (self._dirty, self.init_links, self.heard, self.gaps):
            cache.pop(sid, None)

    def settle(self) -> None:
        """Write what the item changed. The driver calls this at the end of each item, before it counts as done."""
        for held in self._dirty.values():
            sessions.save(self.db, held)
        self._dirty.clear()

    # --- failure ---

    def mark(self) -> Mark:
        """The state of memory before an item."""
        return len(self.effects), len(self.undo)

    def discard_item(self, mark: Mark) -> None:
        """An item failed and its rows were rolled back: revert its changes in memory too."""
        for connection in self._take_back(mark):
            self.hang_up(connection, "undone")  # it misses a frame that will never be sent

    def forget(self) -> None:
        """A batch failed: drop everything built on it. Links reopen by themselves and compare views."""
        self._take_back((0, 0))
        self.ready.clear()
        self.quiet.clear()
        for connection in list(self.peerings):
            self.hang_up(connection, "store_failed")

    def _take_back(self, mark: Mark) -> set[int]:
        """Revert memory to the mark; returns the connections on which something was to be sent."""
        effects, undo = mark
        for take_back in reversed(self.undo[undo:]):
            take_back()
        undone = self.effects[effects:]
        del self.effects[effects:], self.undo[undo:]
        self._dirty.clear()
        self._sessions.clear()
        for effect in undone:
            if isinstance(effect, Connect):
                for _ in effect.dial.addresses:
                    self.router.dialed(effect.dial.target)
        self.effects += [effect for effect in undone if isinstance(effect, Hangup)]  # its peering is gone already
        return {effect.connection for effect in undone if isinstance(effect, Transmit)} & self.peerings.keys()

    def refuse_peer(self, connection: int, fault: PeerFault) -> None:
        """A peer broke the protocol: close its connection; others are not affected."""
        peering = self.peerings.get(connection)
        proven = peering is not None and any(link.up for link in peering.links.values())
        level = logging.WARNING if proven else logging.DEBUG  # strangers may come again and again
        log.log(level, "connection %d: %s: %s", connection, fault.code, fault.message)
        self.hang_up(connection, fault.code)


def _side(link: Link) -> Side:
    return link.agent, link.peer


def _is_meant(local: LocalAgent, name: str | None) -> bool:
    return local.name.lower() == name.lower() if name else local.chosen
