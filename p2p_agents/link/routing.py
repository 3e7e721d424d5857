"""Which nodes to dial and when: candidates, backoff with jitter, ghosts replaced by their next incarnation.

Sans-IO: told what is discovered, wanted, connected and lost, it answers with the dials that are due and when to ask
again. Addresses are opaque strings here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.limits import (
    BACKOFF_MAX_S,
    BACKOFF_MIN_S,
    DIAL_TIMEOUT_S,
    DIALS,
    DIALS_OF_RECORDS,
    DISCOVERED_AGENTS,
    HEARD_ADDRESSES,
    PROVEN_ADDRESSES,
    ROSTER_AGENTS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DIALS_AGAIN = Backoff(BACKOFF_MIN_S, BACKOFF_MAX_S)
CANDIDATES = 12  # addresses dialled in parallel for one target, beside those that are proven
SECOND_DIALER_S = 1.0  # a dial on a LAN takes some 5 ms; after this long without one, the other side cannot reach us


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a dial: a node by its key, or a bare address whose node is not known yet (empty key)."""

    node: bytes
    place: str = ""


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial all `addresses` in parallel; with a key, only a node that proves it will do."""

    target: Target
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """The dials to a node since it was last reached, or was heard of again."""

    under_way: bool = False
    failed: bool = False  # at least once, to the end


@dataclass(slots=True)
class _State:
    links: dict[bytes, list[str]] = field(default_factory=dict)  # peer -> where they came to life, the last first
    heard: list[str] = field(default_factory=list)  # by hearsay: a record, an introducer, the peer itself
    turn: int = 0  # of the next dial: where it begins among `heard`
    incarnation: int = 0  # of the node we are connected to
    rumour: int = 0  # the newest one that a record claims
    attempts: int = 0  # for the backoff; a resume resets them
    dials: int = 0  # since it was last reached, or was said to be elsewhere
    due: float = 0.0
    dialing: int = 0  # dials under way
    over: float = 0.0  # by then they have ended, reported or not
    connections: set[int] = field(default_factory=set)
    claims: set[int] = field(default_factory=set)  # connections whose other end says it is the node
    wanted: bool = False
    announced: bool = False

    def idle(self, missed: bool) -> bool:
        """Worth a dial: somebody asks for it, and no connection to its newest known incarnation stands.

        While a claim stands, the other side does the dialling, unless something is `missed`.
        """
        reached = bool(self.connections) and self.rumour <= self.incarnation
        if reached or self.dialing or not (self.links or self.heard):
            return False
        return (self.wanted and missed) or (not self.claims and (self.wanted or self.announced))

    def hear(self, addresses: Iterable[str]) -> None:
        """The newest first; those beyond the limit have been tried many times."""
        told = list(dict.fromkeys(addresses))
        self.heard = [*told, *(a for a in self.heard if a not in told)][:HEARD_ADDRESSES]

    def reach(self, peer: bytes, addresses: Iterable[str]) -> None:
        """Links to the peer came to life there. That it lives here may be its claim: each peer has its own list."""
        if peer in self.links or len(self.links) < ROSTER_AGENTS:
            self.links[peer] = list(dict.fromkeys(addresses))[:PROVEN_ADDRESSES]

    def proven(self) -> list[str]:
        """The last one of every peer first, so that none pushes out those of another."""
        turns = zip_longest(*self.links.values())
        return list(dict.fromkeys(a for turn in turns for a in turn if a is not None))[:PROVEN_ADDRESSES]

    def candidates(self) -> list[str]:
        """The proven addresses, and some of those heard: each dial takes the next ones, so that all have their turn."""
        proven = self.proven()
        rumours = [address for address in self.heard if address not in proven]
        begin = self.turn % len(rumours) if rumours else 0
        return proven + [*rumours[begin:], *rumours[:begin]][:CANDIDATES]


class Router:
    """`own` is our node key. `now` is seconds of a monotonic clock; `jitter` draws from [0, 1)."""

    def __init__(self, own: bytes, jitter: Callable[[], float]) -> None:
        self._own = own
        self._jitter = jitter
        self._targets: dict[Target, _State] = {}

    # --- what happens ---

    def found(self, node: bytes, incarnation: int, addresses: Iterable[str], now: float) -> None:
        """A record of a node, which proves nothing: a newer incarnation is dialled, but not believed."""
        if node == self._own:
            return
        state = self._target(Target(node))
        state.hear(a for a in addresses if a not in state.heard)
        if incarnation > state.rumour:
            state.rumour, state.attempts = incarnation, 0
        state.due = min(state.due, now + self._patience(node)) if state.announced else now + self._patience(node)
        state.announced = True

    def lost(self, node: bytes) -> None:
        """A goodbye: it is not dialled any more, unless something is owed to it."""
        state = self._targets.get(Target(node))
        if state:
            state.announced = False
            if not (state.wanted or state.connections or state.claims):
                del self._targets[Target(node)]

    def want(
        self, target: Target, addresses: Iterable[str], now: float, *, peer: bytes = b"", proven: Iterable[str] = ()
    ) -> None:
        """Keep trying to reach it, at the addresses and in any case where `peer` was reached before."""
        if target.node == self._own and not target.place:
            return
        state = self._target(target)
        if not state.wanted:
            patience = self._patience(target.node) if target.node else 0.0
            state.wanted, state.due, state.attempts = True, now + patience, 0
        state.heard = [*state.heard, *(a for a in addresses if a not in state.heard)][:HEARD_ADDRESSES]
        if before := list(proven):
            state.reach(peer, [*state.links.get(peer, ()), *before])

    def reached(self, node: bytes, peer: bytes, address: str) -> None:
        """A link to `peer` came to life there: that address is dialled from now on, whatever records say."""
        state = self._targets.get(Target(node))
        if state:
            state.reach(peer, [address, *state.links.get(peer, ())])

    def urge(self, target: Target, addresses: Iterable[str], now: float) -> None:
        """It says that it is there now, and is dialling us at this moment: do not wait."""
        if target.node == self._own:
            return
        state = self._target(target)
        told = list(addresses)
        if not set(told) <= {*state.proven(), *state.heard}:
            state.dialing = state.dials = 0  # none of the dials under way may lead there
        state.hear(told)
        state.wanted, state.attempts, state.due, state.turn = True, 0, now, 0

    def leave(self, target: Target) -> None:
        """It is not wanted any more."""
        state = self._targets.get(target)
        if state:
            state.wanted = False

    def connected(self, target: Target, connection: int, incarnation: int) -> list[int]:
        """A connection to the node is open, as TLS proved. Returns ghosts to close: those to an earlier incarnation."""
        state = self._target(target)
        ghosts = [c for c in state.connections if c != connection] if incarnation > state.incarnation > 0 else []
        state.incarnation = max(incarnation, state.incarnation)
        state.rumour = state.incarnation
        state.connections -= set(ghosts)
        state.connections.add(connection)
        state.attempts = state.dials = 0
        return ghosts

    def claimed(self, node: bytes, connection: int) -> None:
        """Whoever dialled us claims to be `node`: the dialling is left to it as long as nothing is missed there."""
        for target, state in self._targets.items():
            state.claims.discard(connection)
            if target == Target(node):
                state.claims.add(connection)

    def closed(self, connection: int, now: float) -> None:
        """A working connection ended; dial again at once, then with backoff."""
        for state in self._targets.values():
            state.claims.discard(connection)
            if connection in state.connections:
                state.connections.discard(connection)
                if not state.connections:
                    state.due = now + BACKOFF_MIN_S * self._jitter()

    def dialed(self, target: Target) -> None:
        """One of a target's dials ended, in a connection or not."""
        state = self._targets.get(target)
        if state:
            state.dialing = max(0, state.dialing - 1)

    def resumed(self, now: float) -> None:
        """The machine slept, or its interfaces changed: everything is worth a try now."""
        for state in self._targets.values():
            state.attempts, state.due = 0, min(state.due, now)

    # --- what to do ---

    def due(self, now: float, missed: Callable[[bytes], bool] = lambda node: True) -> list[Dial]:
        """The dials to make now. `missed(node)`: something that should be linked to that node is not."""
        dials: list[Dial] = []
        for state in self._targets.values():
            if now >= state.over:
                state.dialing = 0
        under_way = sum(state.dialing for state in self._targets.values())
        due = [(target, state) for target, state in self._targets.items() if state.due <= now]
        due.sort(key=lambda one: (not one[1].wanted, one[1].due))  # wanted nodes come before rumours
        for target, state in due:
            if not state.idle(bool(state.claims) and missed(target.node)):
                continue
            addresses = state.candidates()
            if under_way + len(addresses) > (DIALS if state.wanted else DIALS_OF_RECORDS):
                break
            under_way += len(addresses)
            dials.append(Dial(target, tuple(addresses)))
            state.dialing, state.over = len(addresses), now + 2 * DIAL_TIMEOUT_S
            state.due = now + DIALS_AGAIN.spread(state.attempts, self._jitter())
            state.attempts += 1
            state.dials += 1
            state.turn += CANDIDATES
        return dials

    def announced(self, node: bytes) -> bool:
        """Whether there is a record of it, which proves nothing."""
        state = self._targets.get(Target(node))
        return state is not None and state.announced

    def tried(self, node: bytes, now: float) -> Tried:
        state = self._targets.get(Target(node))
        if state is None:
            return Tried()
        under_way = bool(state.dialing) and now < state.over
        return Tried(under_way, state.dials - under_way > 0)

    def connections(self, node: bytes) -> frozenset[int]:
        state = self._targets.get(Target(node))
        return frozenset(state.connections) if state else frozenset()

    def addresses(self, node: bytes) -> tuple[str, ...]:
        state = self._targets.get(Target(node))
        return tuple(dict.fromkeys((*state.proven(), *state.heard)))[:CANDIDATES] if state else ()

    def _target(self, target: Target) -> _State:
        """Its state, created if new; if there are too many, one that nobody needs makes room."""
        if target not in self._targets and len(self._targets) >= DISCOVERED_AGENTS:
            idle = (t for t, s in self._targets.items() if not (s.wanted or s.connections or s.dialing))
            if (spare := next(idle, None)) is not None:
                del self._targets[spare]
        return self._targets.setdefault(target, _State())

    def _patience(self, node: bytes) -> float:
        """Of two nodes that find each other, the smaller key dials at once, the other only if no connection came."""
        return 0.0 if self._own < node else SECOND_DIALER_S
