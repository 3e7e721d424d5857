"""Meeting places: two sides, each bound to the token it came with. Nothing of them is written to a disk.

A place lives ten minutes from its first MEET, and one minute while only a joiner has come: whoever guesses a place that
is yet to be shown cannot hold it for long. It ends a minute after its displayer hung up and did not come back. Messages
to a side that is away are kept, within limits, until it comes back with its token. Nobody else can
take a side over.

Places are counted by the network that made them. Once half of all are shown, clients without queues here have to
work for one, and the last quarter is for clients that have queues.
"""

from __future__ import annotations

import hmac
from collections import Counter
from dataclasses import dataclass, field

from bridge import bounds
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal, Told
from p2p_agents.wire.relay_requests import Side

Visitor = int  # a connection
News = list[tuple[Visitor, Told]]  # who is to be told what


@dataclass(frozen=True, slots=True)
class Standing:
    """Of who asks for a place: its network's tag, b"" where it has none; whether it has queues here, or a token; and
    whether it worked."""

    network: bytes = b""
    known: bool = False
    worked: bool = False


STRANGER = Standing()


def demand_place(side: Side, standing: Standing, together: int, of_network: int) -> None:
    """Before one is made: so many are shown, or wait for a displayer where a joiner asks. Raises Refused."""
    shown = side is Side.DISPLAYER
    own = bounds.PLACES_OF_NETWORK if shown else bounds.LONELY_PLACES_OF_NETWORK
    most: float = bounds.PLACES if shown else bounds.LONELY_PLACES
    if standing.network and of_network >= own:
        raise Refused(Refusal.RATE, bounds.LONELY_PLACE_MS)
    if together >= (most if standing.known or not shown else most * (1 - bounds.RESERVE)):
        raise Refused(Refusal.FULL, bounds.LONELY_PLACE_MS)
    if shown and together >= most * bounds.SCARCE and not (standing.known or standing.worked):
        raise Refused(Refusal.WORK)


@dataclass(slots=True)
class _Chair:
    """One side of a place."""

    token_hash: bytes = field(repr=False)
    visitor: Visitor | None


@dataclass(slots=True)
class _Place:
    began_ms: int
    network: bytes  # of its displayer, or of the joiner who waits for one
    left_ms: int | None = None  # when its displayer hung up
    chairs: dict[Side, _Chair] = field(default_factory=dict)
    waiting: dict[Side, list[bytes]] = field(default_factory=lambda: {side: [] for side in Side}, repr=False)

    def keep(self, side: Side, message: bytes) -> None:
        kept = self.waiting[side]
        if len(kept) >= bounds.PLACE_MESSAGES or sum(map(len, kept)) + len(message) > bounds.PLACE_BYTES:
            raise Refused(Refusal.QUOTA)
        kept.append(message)

    @property
    def kind(self) -> Side:
        """Whose coming began its time."""
        return Side.DISPLAYER if Side.DISPLAYER in self.chairs else Side.JOINER

    @property
    def bytes(self) -> int:
        return sum(len(message) for kept in self.waiting.values() for message in kept)

    def ends_ms(self) -> int:
        if self.kind is Side.JOINER:
            return self.began_ms + bounds.LONELY_PLACE_MS
        ends = self.began_ms + bounds.PLACE_MS
        return ends if self.left_ms is None else min(ends, self.left_ms + bounds.ABANDONED_PLACE_MS)


class Places:
    """All meeting places of one bridge process."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._visits: dict[Visitor, dict[str, Side]] = {}
        self._counts: dict[Side, Counter[bytes]] = {side: Counter() for side in Side}  # by kind and network
        self._bytes: Counter[bytes] = Counter()  # that wait, by network

    def __len__(self) -> int:
        return len(self._places)

    def meet(
        self,
        name: str,
        side: Side,
        token_hash: bytes,
        visitor: Visitor,
        now_ms: int,
        standing: Standing = STRANGER,
    ) -> News:
        """Take a side, or take it again; of one place a visitor has one. Raises Refused: CROWDED, FULL, RATE, WORK,
        BAD."""
        place, news = self._found(name, side, now_ms, standing)
        if self._visits.get(visitor, {}).get(name, side) is not side:
            raise Refused(Refusal.BAD)
        chair = place.chairs.get(side)
        if chair is None:
            chair = self._sit(place, side, token_hash, now_ms, standing)
        elif not hmac.compare_digest(chair.token_hash, token_hash):
            raise Refused(Refusal.CROWDED)
        if side is Side.DISPLAYER:
            place.left_ms = None
        if chair.visitor not in (None, visitor):
            self._rise(name, chair)
        chair.visitor = visitor
        self._visits.setdefault(visitor, {})[name] = side
        other = place.chairs.get(_other(side))
        if other is not None and other.visitor is not None:
            news += [(visitor, Told(name, b"")), (other.visitor, Told(name, b""))]
        news += [(visitor, Told(name, message)) for message in place.waiting[side]]
        self._keep(place.network, -sum(map(len, place.waiting[side])))
        place.waiting[side].clear()
        return news

    def tell(self, name: str, message: bytes, visitor: Visitor, now_ms: int) -> News:
        """A message for the other side. Raises Refused: AWAY (no such place, or not the visitor's), QUOTA,
        RATE, FULL."""
        place, side = self._of(name, visitor, now_ms)
        other = place.chairs.get(_other(side))
        if other is not None and other.visitor is not None:
            return [(other.visitor, Told(name, message))]
        if self._bytes.total() + len(message) > bounds.ALL_PLACE_BYTES:
            raise Refused(Refusal.FULL, bounds.LONELY_PLACE_MS)
        if place.network and self._bytes[place.network] + len(message) > bounds.PLACE_BYTES_OF_NETWORK:
            raise Refused(Refusal.RATE, bounds.LONELY_PLACE_MS)
        place.keep(_other(side), message)
        self._keep(place.network, len(message))
        return []

    def leave(self, name: str, visitor: Visitor, now_ms: int) -> News:
        """The place ends for both. Raises Refused: AWAY."""
        self._of(name, visitor, now_ms)
        return [(sitter, told) for sitter, told in self._end(name) if sitter != visitor]

    def lost(self, visitor: Visitor, now_ms: int) -> None:
        """A connection ended: its sides are kept for its tokens, a displayer's for a short time."""
        for name, side in self._visits.pop(visitor, {}).items():
            place = self._places[name]
            place.chairs[side].visitor = None
            if side is Side.DISPLAYER:
                place.left_ms = now_ms

    def expire(self, now_ms: int) -> News:
        """Forget places whose time is over."""
        over = [name for name, place in self._places.items() if place.ends_ms() <= now_ms]
        return [news for name in over for news in self._end(name)]

    # --- private ---

    def _found(self, name: str, side: Side, now_ms: int, standing: Standing) -> tuple[_Place, News]:
        """The place of that name, a new one if there is none that is still valid. Raises Refused."""
        news: News = []
        place = self._places.get(name)
        if place is not None and place.ends_ms() <= now_ms:
            news, place = self._end(name), None
        if place is None:
            self._demand(side, standing)
            place = self._places[name] = _Place(now_ms, standing.network)
            self._counts[Side.JOINER][standing.network] += 1
        elif side is Side.DISPLAYER and place.kind is Side.JOINER:
            self._demand(side, standing)
        return place, news

    def _demand(self, side: Side, standing: Standing) -> None:
        counts = self._counts[side]
        demand_place(side, standing, counts.total(), counts[standing.network])

    def _sit(self, place: _Place, side: Side, token_hash: bytes, now_ms: int, standing: Standing) -> _Chair:
        """Take a side that nobody has taken."""
        self._count(place, -1)
        if side is Side.DISPLAYER:
            self._keep(place.network, -place.bytes)
            place.began_ms, place.network = now_ms, standing.network
            self._keep(place.network, place.bytes)
        chair = place.chairs[side] = _Chair(token_hash, None)
        self._count(place, 1)
        return chair

    def _keep(self, network: bytes, more: int) -> None:
        self._bytes[network] += more
        if not self._bytes[network]:
            del self._bytes[network]

    def _count(self, place: _Place, more: int) -> None:
        counts = self._counts[place.kind]
        counts[place.network] += more
        if not counts[place.network]:
            del counts[place.network]

    def _of(self, name: str, visitor: Visitor, now_ms: int) -> tuple[_Place, Side]:
        place, side = self._places.get(name), self._visits.get(visitor, {}).get(name)
        if place is None or side is None or place.ends_ms() <= now_ms:
            raise Refused(Refusal.AWAY)
        return place, side

    def _end(self, name: str) -> News:
        place = self._places.pop(name)
        self._count(place, -1)
        self._keep(place.network, -place.bytes)
        sitters = [chair.visitor for chair in place.chairs.values() if chair.visitor is not None]
        for chair in place.chairs.values():
            self._rise(name, chair)
        return [(sitter, Told(name, b"", gone=True)) for sitter in sitters]

    def _rise(self, name: str, chair: _Chair) -> None:
        if chair.visitor is not None:
            visits = self._visits[chair.visitor]
            del visits[name]
            if not visits:
                del self._visits[chair.visitor]
            chair.visitor = None


def _other(side: Side) -> Side:
    return Side.JOINER if side is Side.DISPLAYER else Side.DISPLAYER
