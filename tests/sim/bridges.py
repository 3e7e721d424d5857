"""Bridges in virtual time, as the core sees them: queues that keep blobs, honest or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import ForBridges, Kept, LeaveBridge, Meet, Post, ReadAgain, ReadQueues, TellPlace
from p2p_agents.core.turn import relays
from p2p_agents.crypto.outer import seal_blob
from p2p_agents.link.bridge_news import DOWN
from p2p_agents.wire.bridge_address import BridgeAddress

if TYPE_CHECKING:
    from tests.sim.world import Node, World

Blobs = list[tuple[int, bytes]]
LATENCY_S = 0.01


@dataclass
class Meeting:
    """Two sides, by their tokens, and what waits for one that is not there yet."""

    sides: dict[bool, tuple[bytes, Node]] = field(default_factory=dict)
    waiting: list[tuple[bool, bytes]] = field(default_factory=list)


class Bridge:
    """One bridge. Tests make it lie by replacing `keeps` and `delivers`."""

    def __init__(self, world: World, number: int = 1) -> None:
        self.world = world
        self.address = str(BridgeAddress(f"bridge{number}.example", 4433, bytes([number]) * 32))
        self.queues: dict[bytes, Blobs] = {}
        self.readers: dict[bytes, Node] = {}
        self.nodes: dict[Node, bool] = {}  # who is connected, or would be
        self.up = True
        self.cursor = 0
        self.pushed: dict[bytes, int] = {}  # to the present reader
        self.puts = 0
        self.seen: list[bytes] = []  # every blob ever
        self.full: set[bytes] = set()
        self.places: dict[str, Meeting] = {}
        self.overhears: Callable[[Node, str, bytes], bytes | None] = lambda node, place, message: message
        self.keeps: Callable[[bytes, bytes], Iterable[bytes]] = lambda queue, blob: [blob]
        self.delivers: Callable[[bytes, Blobs], Blobs] = lambda queue, blobs: blobs

    # --- who is there ---

    def serve(self, *nodes: Node, configured: bool = True) -> None:
        """The nodes know this bridge, as `bridge add` makes them."""
        for node in nodes:
            self.nodes[node] = True
            if configured:
                node.bridges = [*node.bridges, self.address]
                node.run(lambda core, b=tuple(node.bridges): relays.restored(core, b))  # type: ignore[misc]
            self._tell_up(node)

    def stop(self) -> None:
        """kill -9."""
        self.up = False
        self.readers.clear()
        for node in self.nodes:
            self._submit(node, lambda core: relays.bridge_down(core, self.address, "bridge_unreachable"))

    def start(self) -> None:
        self.up = True
        for node in self.nodes:
            self._tell_up(node)

    def cut_off(self, node: Node) -> None:
        """The node's way to the bridge is gone."""
        self.nodes[node] = False
        self.readers = {queue: reader for queue, reader in self.readers.items() if reader is not node}
        self._submit(node, lambda core: relays.bridge_down(core, self.address, "bridge_unreachable"))

    def let_in(self, node: Node) -> None:
        self.nodes[node] = True
        self._tell_up(node)

    def _tell_up(self, node: Node) -> None:
        if self.up and self.nodes.get(node) and node.running:
            local = [f"192.0.2.{node.number}:4433"]
            self._submit(node, lambda core: relays.bridge_up(core, self.address, "", local))
            for queue in list(self.queues):
                if node.reads.get(queue) == self.address:
                    self._read(node, queue)

    # --- meeting places ---

    def _meet(self, node: Node, effect: Meet) -> None:
        if not (self.up and self.nodes.get(node)):
            return
        if effect.leave:
            self._part(effect)
            return
        meeting = self.places.setdefault(effect.place, Meeting())
        seat = meeting.sides.setdefault(effect.displayer, (effect.token, node))
        if seat[0] != effect.token or len(meeting.sides) < 2:
            return
        for _, each in meeting.sides.values():
            self._told(each, effect.place, b"")

    def _part(self, effect: Meet) -> None:
        meeting = self.places.get(effect.place)
        if meeting is not None and meeting.sides.get(effect.displayer, (b"",))[0] == effect.token:
            del self.places[effect.place]
            for _, node in meeting.sides.values():
                self._submit(node, lambda core: relays.told(core, self.address, effect.place, b"", True))

    def _tell(self, node: Node, place: str, message: bytes) -> None:
        meeting = self.places.get(place)
        if meeting is None or not (self.up and self.nodes.get(node)):
            return
        heard = self.overhears(node, place, message)
        others = [each for _, each in meeting.sides.values() if each is not node]
        if heard is not None and others:
            self._told(others[0], place, heard)

    def _told(self, node: Node, place: str, message: bytes) -> None:
        self._submit(node, lambda core: relays.told(core, self.address, place, message, False))

    # --- what nodes ask ---

    def carry(self, node: Node, effects: Sequence[ForBridges]) -> None:
        posts: dict[bytes, list[Post]] = {}
        for effect in effects:
            match effect:
                case Post(route=route, public=True) if route.bridge == self.address:
                    self._admit(node)
                    self._later(lambda e=effect: self._put(node, e.route.queue, [e]))  # type: ignore[misc]
                case Post(route=route) if route.bridge == self.address:
                    posts.setdefault(route.queue, []).append(effect)
                case ReadQueues(bridge) | ReadAgain(bridge) if bridge == self.address:
                    self._want(node, effect)
                case Kept(bridge, queue, cursor) if bridge == self.address and self.up:
                    self.queues[queue] = [blob for blob in self.queues.get(queue, []) if blob[0] > cursor]
                case Meet() if self.address in node.bridges:
                    self._later(lambda e=effect: self._meet(node, e))  # type: ignore[misc]
                case TellPlace(bridge, place, message) if bridge == self.address:
                    self._later(lambda p=place, m=message: self._tell(node, p, m))  # type: ignore[misc]
                case LeaveBridge(bridge) if bridge == self.address and self.address not in node.bridges:
                    self.nodes.pop(node, None)
        for queue, each in posts.items():
            self._later(lambda q=queue, p=each: self._put(node, q, p))  # type: ignore[misc]

    def _want(self, node: Node, effect: ReadQueues | ReadAgain) -> None:
        """All its queues here; what is left out is dropped."""
        self._admit(node)
        here = [queue for queue, at in node.reads.items() if at == self.address]
        wanted = dict.fromkeys(here if isinstance(effect, ReadAgain) else [own.queue for own in effect.queues])
        for queue in [q for q, at in node.reads.items() if at == self.address and q not in wanted]:
            del node.reads[queue]
            self.queues.pop(queue, None)
        for queue in wanted:
            node.reads[queue] = self.address
            self.queues.setdefault(queue, [])
            self._read(node, queue)

    def _admit(self, node: Node) -> None:
        if node not in self.nodes:
            self.serve(node, configured=False)

    def _put(self, node: Node, queue: bytes, posts: list[Post]) -> None:
        if not (self.up and self.nodes.get(node)):
            self._submit(node, lambda core: relays.refused(core, posts, DOWN, 0))
            return
        if queue not in self.queues or queue in self.full:
            code = "queue_full" if queue in self.full else "queue_gone"
            self._submit(node, lambda core: relays.refused(core, posts, code, 1_000))
            return
        first = posts[0]
        blob = seal_blob(first.route.key, queue, first.incarnation, [p.frame for p in posts], os.urandom(24))
        self.seen.append(blob)
        self.puts += 1
        for kept in self.keeps(queue, blob):
            self.cursor += 1
            self.queues[queue].append((self.cursor, kept))
        self._submit(node, lambda core: relays.stored(core, posts))
        reader = self.readers.get(queue)
        if reader is not None:
            self._later(lambda: self._push(reader, queue))

    def _read(self, node: Node, queue: bytes) -> None:
        if self.up and self.nodes.get(node):
            self.readers[queue] = node
            self.pushed[queue] = 0
            self._later(lambda: self._push(node, queue))

    def _push(self, node: Node, queue: bytes) -> None:
        found = [blob for blob in self.queues.get(queue, []) if blob[0] > self.pushed.get(queue, 0)]
        self.pushed[queue] = max([self.pushed.get(queue, 0), *(cursor for cursor, _ in found)])
        found = self.delivers(queue, found)
        if found and self.up and self.nodes.get(node):
            self.deliver(queue, found)

    def deliver(self, queue: bytes, blobs: Blobs) -> None:
        """To whoever reads it, whatever it is."""
        if queue in self.readers:
            self._submit(self.readers[queue], lambda core: relays.came(core, self.address, queue, blobs))

    def _submit(self, node: Node, item: Callable[..., None]) -> None:
        if node.running:
            node.writer.submit(item)

    def _later(self, action: Callable[[], None]) -> None:
        self.world.time.at(self.world.time.now + LATENCY_S, action)
