"""Meeting places: two sides, each bound to the token it came with. Nothing of them is written to a disk.

A place lives ten minutes from its first MEET, and one minute while only a joiner has come: whoever guesses a place that
is yet to be shown does not hold it for long. What one side says while the other is away is kept, within bounds, until
that one comes back with its token. Nobody else can take a side over.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from bridge import bounds
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal, Told
from p2p_agents.wire.relay_requests import Side

Visitor = int  # a connection
News = list[tuple[Visitor, Told]]  # who is to be told what


@dataclass(slots=True)
class _Chair:
    """One side of a place."""

    token_hash: bytes = field(repr=False)
    visitor: Visitor | None


@dataclass(slots=True)
class _Place:
    began_ms: int
    chairs: dict[Side, _Chair] = field(default_factory=dict)
    waiting: dict[Side, list[bytes]] = field(default_factory=lambda: {side: [] for side in Side}, repr=False)

    def keep(self, side: Side, message: bytes) -> None:
        kept = self.waiting[side]
        if len(kept) >= bounds.PLACE_MESSAGES or sum(map(len, kept)) + len(message) > bounds.PLACE_BYTES:
            raise Refused(Refusal.QUOTA)
        kept.append(message)

    def ends_ms(self) -> int:
        lonely = Side.DISPLAYER not in self.chairs
        return self.began_ms + (bounds.LONELY_PLACE_MS if lonely else bounds.PLACE_MS)


class Places:
    """All meeting places of one bridge process."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._visits: dict[Visitor, dict[str, Side]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def meet(self, name: str, side: Side, token_hash: bytes, visitor: Visitor, now_ms: int) -> News:
        """Take a side, or take it again; of one place a visitor has one. Raises Refused: CROWDED, FULL, BAD."""
        place, news = self._found(name, now_ms)
        if self._visits.get(visitor, {}).get(name, side) is not side:
            raise Refused(Refusal.BAD)
        chair = place.chairs.get(side)
        if chair is None:
            if side is Side.DISPLAYER:
                place.began_ms = now_ms
            chair = place.chairs[side] = _Chair(token_hash, visitor)
        elif not hmac.compare_digest(chair.token_hash, token_hash):
            raise Refused(Refusal.CROWDED)
        if chair.visitor not in (None, visitor):
            self._rise(name, chair)
        chair.visitor = visitor
        self._visits.setdefault(visitor, {})[name] = side
        other = place.chairs.get(_other(side))
        if other is not None and other.visitor is not None:
            news += [(visitor, Told(name, b"")), (other.visitor, Told(name, b""))]
        news += [(visitor, Told(name, message)) for message in place.waiting[side]]
        place.waiting[side].clear()
        return news

    def tell(self, name: str, message: bytes, visitor: Visitor, now_ms: int) -> News:
        """A message for the other side. Raises Refused: AWAY (no such place, or not the visitor's), QUOTA."""
        place, side = self._of(name, visitor, now_ms)
        other = place.chairs.get(_other(side))
        if other is not None and other.visitor is not None:
            return [(other.visitor, Told(name, message))]
        place.keep(_other(side), message)
        return []

    def leave(self, name: str, visitor: Visitor, now_ms: int) -> News:
        """The place ends for both. Raises Refused: AWAY."""
        self._of(name, visitor, now_ms)
        return [(sitter, told) for sitter, told in self._end(name) if sitter != visitor]

    def lost(self, visitor: Visitor) -> None:
        """A connection ended: its sides are kept for its tokens."""
        for name, side in self._visits.pop(visitor, {}).items():
            self._places[name].chairs[side].visitor = None

    def expire(self, now_ms: int) -> News:
        """Forget places whose time is over."""
        over = [name for name, place in self._places.items() if place.ends_ms() <= now_ms]
        return [news for name in over for news in self._end(name)]

    # --- private ---

    def _found(self, name: str, now_ms: int) -> tuple[_Place, News]:
        """The place of that name, new where there is none whose time is not over."""
        news: News = []
        place = self._places.get(name)
        if place is not None and place.ends_ms() <= now_ms:
            news, place = self._end(name), None
        if place is None:
            if len(self._places) >= bounds.PLACES:
                raise Refused(Refusal.FULL, bounds.LONELY_PLACE_MS)
            place = self._places[name] = _Place(now_ms)
        return place, news

    def _of(self, name: str, visitor: Visitor, now_ms: int) -> tuple[_Place, Side]:
        place, side = self._places.get(name), self._visits.get(visitor, {}).get(name)
        if place is None or side is None or place.ends_ms() <= now_ms:
            raise Refused(Refusal.AWAY)
        return place, side

    def _end(self, name: str) -> News:
        place = self._places.pop(name)
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
