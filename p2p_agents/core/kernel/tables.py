"""Tables that the decider looks up for every message, indexed so that nothing is scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p2p_agents.core.kernel.state import Hosted

T = TypeVar("T")
Pair = tuple[bytes, bytes]  # our device, the peer's device
Side = tuple[int, bytes]  # one of our agents, the peer agent


class PairTable(dict[Pair, T], Generic[T]):
    """One thing for each pair of devices, also indexed by their agents. `side` gives the agents of a thing."""

    def __init__(self, side: Callable[[T], Side]) -> None:
        super().__init__()
        self._side = side
        self._sides: dict[Pair, Side] = {}
        self._pairs: dict[Side, dict[Pair, None]] = {}

    def __setitem__(self, pair: Pair, thing: T) -> None:
        self._forget(pair)
        super().__setitem__(pair, thing)
        self._sides[pair] = side = self._side(thing)
        self._pairs.setdefault(side, {})[pair] = None

    def remove(self, pair: Pair) -> T | None:
        """Returns what the pair had, if anything."""
        self._forget(pair)
        return super().pop(pair, None)

    def only(self, stays: Callable[[Pair], bool]) -> PairTable[T]:
        """A new table with the pairs for which `stays` is true."""
        left = PairTable(self._side)
        for pair, thing in self.items():
            if stays(pair):
                left[pair] = thing
        return left

    def clear(self) -> None:
        super().clear()
        self._sides.clear()
        self._pairs.clear()

    def between(self, agent: int, peer: bytes) -> Iterator[T]:
        """The things of two agents, oldest first."""
        for pair in tuple(self._pairs.get((agent, peer), ())):
            if pair in self:
                yield self[pair]

    def _forget(self, pair: Pair) -> None:
        side = self._sides.pop(pair, None)
        if side is not None:
            pairs = self._pairs[side]
            del pairs[pair]
            if not pairs:
                del self._pairs[side]


class HostTable(dict[int, "Hosted"]):
    """The agents of this node by number, also indexed by agent id and device; neither ever changes."""

    def __init__(self) -> None:
        super().__init__()
        self._by_agent: dict[bytes, Hosted] = {}
        self._by_device: dict[bytes, Hosted] = {}

    def __setitem__(self, number: int, hosted: Hosted) -> None:
        self.remove(number)
        super().__setitem__(number, hosted)
        self._by_agent[hosted.local.agent] = self._by_device[hosted.local.device] = hosted

    def remove(self, number: int) -> Hosted | None:
        """Returns the agent that had the number, if any."""
        hosted = super().pop(number, None)
        if hosted is not None:
            del self._by_agent[hosted.local.agent], self._by_device[hosted.local.device]
        return hosted

    def without(self, number: int) -> HostTable:
        """A new table without that agent."""
        left = HostTable()
        for each, hosted in self.items():
            if each != number:
                left[each] = hosted
        return left

    def of_agent(self, agent: bytes) -> Hosted | None:
        return self._by_agent.get(agent)

    def of_device(self, device: bytes) -> Hosted | None:
        return self._by_device.get(device)
