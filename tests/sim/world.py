"""Whole nodes in virtual time: real cores on real stores, no threads, no sockets, no waiting.

world = World(tmp_path)
alice, bob = world.friends("alice", "bob")
alice.sends(bob, "hello")
world.settle()
assert bob.inbox() == ["hello"]
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from p2p_agents.conversation.direct import direct
from p2p_agents.conversation.record import Record
from p2p_agents.conversation.states import MOVES, State
from p2p_agents.core.agents import hosting
from p2p_agents.core.api import commands, reading
from p2p_agents.core.contact import consent, directory
from p2p_agents.core.delivery import bulk
from p2p_agents.core.kernel.core import Core
from p2p_agents.core.kernel.effects import DropBulk, ForBridges, ForCallers, ForEndpoint, ForLane, Outward
from p2p_agents.core.kernel.state import Hosted, Link
from p2p_agents.core.links import seeking
from p2p_agents.core.turn import relays, schedule
from p2p_agents.core.turn.batch import Outcome, run_batch
from p2p_agents.core.turn.router import route
from p2p_agents.core.turn.wiring import assemble
from p2p_agents.crypto.kem import SEED_BYTES, KemKey
from p2p_agents.errors import StoreUncertain
from p2p_agents.node.lines import Lines
from p2p_agents.quic.address import format_address
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.store import contacts, entries, outbox
from p2p_agents.store.contacts import Event, Trust
from p2p_agents.store.database import Database
from p2p_agents.wire.advert import Advert
from p2p_agents.wire.bulk import BulkEnd
from tests.shapes import check_answer_of, declared_errors
from tests.sim.bridges import Bridge
from tests.sim.pipes import Pipes
from tests.sim.time import Clock, Time

Item = Callable[[Core], Any]

BATCH_S = 0.0005  # from the first queued item to its commit
TICKS_A_MINUTE = 60


class Crashed(BaseException):
    """The process died here."""


class Entropy:
    """Seeded, so that a run can be repeated."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def draw(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def kem_key(self) -> KemKey:
        return KemKey.from_seed(self.draw(SEED_BYTES))

    def refill(self) -> bool:
        return False


_LEGAL = ", ".join(f"'{old} {new}'" for old, following in MOVES.items() for new in following)
_STATES = ", ".join(f"'{state}'" for state in State)  # a damaged one is mended
NO_OTHER_MOVE = f"""CREATE TEMP TRIGGER no_other_move BEFORE UPDATE OF state ON outbox
WHEN OLD.state <> NEW.state AND OLD.state IN ({_STATES}) AND OLD.state || ' ' || NEW.state NOT IN ({_LEGAL})
BEGIN SELECT RAISE(ABORT, 'a message went from one state to another that may not follow it'); END"""


class Disk(Database):
    """A store that dies, on request, right before or right after one of its commits, fails in one, taking effect or
    not, or is full for one statement."""

    commits = 0
    die_before: int | None = None
    die_after: int | None = None
    fail_at: int | None = None
    takes_effect = False
    statements = 0
    full_at: int | None = None

    def _adopt(self, connection: sqlite3.Connection) -> None:
        super()._adopt(connection)
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'outbox'").fetchone():
            connection.execute(NO_OTHER_MOVE)

    def _execute(self, sql: str, parameters: Sequence[object]) -> sqlite3.Cursor:
        self.statements += 1
        if self.statements == self.full_at and "ROLLBACK" not in sql:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return super()._execute(sql, parameters)

    def commit(self) -> None:
        self.commits += 1
        if self.commits == self.die_before:
            raise Crashed
        if self.commits == self.fail_at and not self.takes_effect:
            self.rollback()
        else:
            super().commit()
        if self.commits == self.fail_at:
            self.is_lost = True
            raise StoreUncertain
        if self.commits == self.die_after:
            raise Crashed


class Writer:
    """What Lines takes for the writer thread: a queue, and one batch a little later."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.queue: list[tuple[Item, Callable[[Outcome], None] | None]] = []

    def submit(self, item: Item, done: Callable[[Outcome], None] | None = None) -> None:
        if not self.queue:
            time = self._node.world.time
            time.at(time.now + BATCH_S, self._node.flush)
        self.queue.append((item, done))


class NoLane:
    """Pipes carry message streams alone."""

    def closed(self, connection: int) -> None:
        """No transfer was on it."""


class Node:
    """A machine: its disk outlives its process."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.home = world.home / f"node{number}"
        self.home.mkdir(mode=0o700)
        self.keys = self.home / "keys"
        self.keys.mkdir(mode=0o700)
        self.store = str(self.home / "store.db")
        self.address = (f"192.0.2.{number}", 4433)
        self.clock = Clock(world.time)
        self.certificate = NodeCertificate.from_seed(bytes([number]) * 32)
        self.effects: list[Outward] = []  # all that ever happened, for tests to look at
        self.starts = 0
        self.running = False
        self.bridges: list[str] = []  # configured ones
        self.reads: dict[bytes, str] = {}  # queues of ours, and the bridge they are at
        self.start()

    # --- life ---

    def start(self) -> None:
        """Open the store and go on from there."""
        self.starts += 1
        seed = f"{self.world.seed}/{self.number}/{self.starts}"
        self.db = Disk.open(self.store)
        self.db.run("PRAGMA synchronous = OFF")  # processes die here, the machine below does not
        jitter = random.Random(f"jitter {seed}").random
        self.core = assemble(self.db, str(self.keys), self.certificate.public, self.clock, Entropy(seed), jitter)  # type: ignore[arg-type]
        self.writer = Writer(self)
        self.lines = Lines(self.writer, lambda: self.world.time.now)  # type: ignore[arg-type]
        self.lines.lane = NoLane()  # type: ignore[assignment]
        self.lines.endpoint = self.world.net.host(self.address, self.certificate, self.lines)  # type: ignore[arg-type]
        self.running = True
        self.run(hosting.load_all)
        self.run(seeking.remember_places)
        self.run(lambda core: relays.restored(core, self.bridges))
        self._tick(self.core, 0)
        self.world.introduce(self)
        for bridge in self.world.bridges:
            if self in bridge.nodes:
                bridge.let_in(self)

    def crash(self) -> None:
        """kill -9: what was not committed is gone, and nobody is told."""
        self.running = False
        self.world.net.hosts[self.address].vanish()
        self.writer.queue.clear()
        self.db.rollback()
        self.db.close()

    def restart(self) -> None:
        if self.running:
            self.crash()
        self.start()

    def snapshot(self) -> Path:
        """A copy of the store as it is now."""
        self.db.truncate()
        copy = self.home / f"snapshot{len(list(self.home.iterdir()))}"
        shutil.copy(self.store, copy)
        return copy

    def restore(self, copy: Path) -> None:
        """The disk goes back in time."""
        self.crash()
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.store + suffix):
                os.unlink(self.store + suffix)
        shutil.copy(copy, self.store)
        self.start()

    def _tick(self, core: Core, ticks: int) -> None:
        def tick() -> None:
            if self.core is core and self.running:
                self._attempt([schedule.second, schedule.minute] if ticks % TICKS_A_MINUTE == 59 else [schedule.second])
                self._tick(core, ticks + 1)

        self.world.time.at(self.world.time.now + 1.0, tick, routine=True)

    # --- work ---

    def run(self, item: Item) -> Any:
        """One item in a batch of its own, at once. Raises what the item raised."""
        outcomes = self._attempt([item])
        if not outcomes:
            raise Crashed
        outcome = outcomes[0]
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def flush(self) -> None:
        """What came from the network, as one batch."""
        queued, self.writer.queue = self.writer.queue, []
        if not (self.running and queued):
            return
        outcomes = self._attempt([item for item, _ in queued])
        for (_, done), outcome in zip(queued, outcomes, strict=False):
            if done is not None:
                done(outcome)

    def _attempt(self, items: list[Item]) -> list[Outcome]:
        try:
            outcomes, effects = run_batch(self.core, items)
        except Crashed:
            self.crash()
            self.world.time.at(self.world.time.now + 1.0, self.start)
            return []
        self.world.check(self, outcomes)
        self.effects += effects
        route(effects, self)
        if self.core.ready:  # more to pump: the writer's next batch does
            self.writer.submit(lambda core: None)
        return outcomes

    # --- effects ---

    def to_endpoint(self, effect: ForEndpoint) -> None:
        self.lines.carry(effect)

    def to_callers(self, effect: ForCallers) -> None:
        """Nobody waits here; tests look at `effects`."""

    def to_bridges(self, effects: Sequence[ForBridges]) -> None:
        for bridge in self.world.bridges:
            bridge.carry(self, effects)

    def to_lane(self, effect: ForLane) -> None:
        """Pipes carry message streams alone: each transfer fails at once."""
        if not isinstance(effect, DropBulk):
            self.writer.submit(lambda core: bulk.news(core, effect.transfer, bulk.Failed(BulkEnd.GONE)))

    def announce(self) -> None:
        self.world.introduce(self)

    def hears(self, other: Node) -> None:
        """Multicast DNS brings the other's records."""
        addresses = [format_address(other.address)]
        for hosted in other.core.hosted.values():
            local = hosted.local
            if not local.hidden:
                advert = Advert(
                    local.agent, local.name, local.kind, local.status, other.core.node, other.core.incarnation, 4433
                )
                self.writer.submit(lambda core, a=advert: directory.found(core, "mdns", a, addresses))  # type: ignore[misc]

    def events(self, kind: str) -> list[Event]:
        """What a human would be told."""
        return [event for event in contacts.events(self.db, 1000) if event.kind == kind]


class Agent:
    """One participant, as a person at its command line sees it."""

    def __init__(self, node: Node, name: str, policy: str, hidden: bool = False) -> None:
        self.node, self.name = node, name
        hosted = node.run(lambda core: hosting.create(core, name=name, kind="other", policy=policy, hidden=hidden))
        self.id: bytes = hosted.local.agent
        self.device: bytes = hosted.local.device

    @property
    def core(self) -> Core:
        return self.node.core

    @property
    def hosted(self) -> Hosted:
        found = self.core.hosted_id(self.id)
        assert found is not None
        return found

    def call(self, command: Callable[[Core, dict[str, Any]], Any], **params: Any) -> Any:
        with declared_errors(command):
            answer = self.node.run(lambda core: command(core, {"agent": self.name, **params}))
        check_answer_of(command, answer)
        return answer

    # --- writing ---

    def sends(self, to: Agent | str, text: str, *, id: str | None = None, type: str = "text/plain") -> str:
        """The accepted message's id."""
        return str(self.answer(to, text, id=id, type=type)["id"])

    def answer(self, to: Agent | str, text: str, *, id: str | None = None, type: str = "text/plain") -> dict[str, Any]:
        name = to if isinstance(to, str) else to.name
        answer: dict[str, Any] = self.call(commands.send, to=name, text=text, type=type, id=id, reply_to=None)
        return answer

    def state(self, message: str) -> str:
        return str(self.call(reading.show, id=message)["message"]["state"])

    def why(self, message: str) -> str | None:
        recipients = self.call(reading.show, id=message)["recipients"]
        return next((r["why"] for r in recipients), None)

    def states(self, peer: Agent) -> list[str]:
        """Of all messages to a peer, in order."""
        return [m["state"] for m in self.history(peer) if m["from"]["name"] == self.name]

    def sends_or_dies(self, to: Agent, text: str, *, id: str | None = None) -> None:
        """As a client whose node may die under it."""
        with contextlib.suppress(Crashed):
            self.sends(to, text, id=id)

    # --- reading ---

    def page(self, *, reader: str = "default", after: str | None = None, limit: int = 1000, frm: Any = None) -> Any:
        asked = {"reader": reader, "new_reader": True, "after": after, "limit": limit, "from": frm and frm.name}
        return self.call(reading.unread, **asked)

    def inbox(self, **how: Any) -> list[str]:
        return [message["text"] for message in self.page(**how)["messages"]]

    def acks(self, cursor: str | None = None, reader: str = "default") -> int:
        return int(self.call(reading.acknowledge, cursor=cursor, reader=reader)["acked"])

    def reads(self) -> list[str]:
        """Read everything and acknowledge it."""
        texts = self.inbox()
        self.acks()
        return texts

    def reads_or_dies(self) -> None:
        with contextlib.suppress(Crashed):
            self.reads()

    def heard(self, peer: Agent) -> list[str]:
        """All that came from a peer, ever, in log order."""
        return [(record.content or b"").decode() for record in self.held_from(peer)]

    def held_from(self, peer: Agent) -> list[Record]:
        rows = self.core.db.all(
            "SELECT entry FROM log WHERE agent = ? AND conversation = ? AND incoming = 1 ORDER BY cursor",
            (self.hosted.local.id, self.conversation(peer)),
        )
        return [entries.load(self.core.db, row[0]) for row in rows]

    def history(self, peer: Agent) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.call(reading.history, to=peer.name, after=None, before=None, limit=1000)[
            "messages"
        ]
        return messages

    # --- consent ---

    def requests(self) -> list[str]:
        """Texts of pending requests of others."""
        found = self.call(commands.requests)["requests"]
        return [r["text"] for r in found if r["direction"] == "in"]

    def accepts(self, peer: Agent) -> None:
        self.node.run(lambda core: consent.accept(core, self.hosted, peer.id))

    def rejects(self, peer: Agent) -> None:
        self.node.run(lambda core: consent.reject(core, self.hosted, peer.id))

    def blocks(self, peer: Agent) -> None:
        self.call(commands.block, peer=peer.name)

    def befriends(self, peer: Agent) -> None:
        """Accept without having been asked, as pairing will."""

        def item(core: Core) -> None:
            local = self.hosted.local.id
            contacts.save_contact(
                core.db, local, peer.id, name=peer.name, kind="other", trust=Trust.ACCEPTED, now_ms=core.now_ms()
            )
            consent.regard(core, self.hosted, peer.id)

        self.node.run(item)

    # --- what the wires look like ---

    def links(self, peer: Agent) -> list[Link]:
        return [link for link in self.core.links_to(self.hosted.local.id, peer.id) if link.up]

    def sees(self, peer: Agent) -> dict[str, Any]:
        """The peer as a list of peers shows it."""
        shown = self.call(commands.peers)["peers"]
        return next(each for each in shown if each["name"] == peer.name)

    def conversation(self, peer: Agent) -> bytes:
        return direct(self.id, peer.id).id

    def owes(self, peer: Agent) -> int:
        return outbox.count_owed(self.core.db, self.hosted.local.id, peer.id)


class World:
    """All machines, their network, and time."""

    def __init__(self, home: Path, seed: int = 1, net: Callable[[Time], Any] = Pipes) -> None:
        self.home, self.seed = home, seed
        self.time = Time()
        self.net = net(self.time)
        self.nodes: list[Node] = []
        self.agents: list[Agent] = []
        self.bugs: list[Exception] = []
        self.bridges: list[Bridge] = []

    # --- who is there ---

    def node(self) -> Node:
        node = Node(self, len(self.nodes) + 1)
        self.nodes.append(node)
        return node

    def agent(self, name: str, node: Node | None = None, policy: str = "ask", *, hidden: bool = False) -> Agent:
        agent = Agent(node or self.node(), name, policy, hidden)
        self.agents.append(agent)
        return agent

    def bridge(self, *nodes: Node) -> Bridge:
        """A bridge that these nodes were told of."""
        bridge = Bridge(self, len(self.bridges) + 1)
        self.bridges.append(bridge)
        bridge.serve(*nodes)
        return bridge

    def friends(self, *names: str) -> list[Agent]:
        """Agents on a machine each, that accept each other and have met."""
        agents = [self.agent(name) for name in names]
        for one, other in itertools.permutations(agents, 2):
            one.befriends(other)
        self.settle()
        return agents

    def introduce(self, node: Node) -> None:
        """Records of a node reach all others, and theirs reach it."""
        for other in self.nodes:
            if other is not node and other.running and not self.net.are_parted(node.address, other.address):
                other.hears(node)
                node.hears(other)

    def check(self, node: Node, outcomes: list[Outcome]) -> None:
        """No item may fail for a reason that is a bug."""
        self.bugs += [outcome.error for outcome in outcomes if outcome.error and outcome.error.code == "internal"]
        assert not self.bugs

    # --- what happens ---

    def run(self, seconds: float) -> None:
        self.time.run(seconds)

    def settle(self, at_most: float = 120.0) -> None:
        """Let time pass until nothing has been going on for three seconds."""
        end, quiet = self.time.now + at_most, 0.0
        while self.time.now < end and quiet < 3.0:
            self.run(0.5)
            quiet = 0.0 if self.time.busy else quiet + 0.5

    def part(self, a: Agent, b: Agent) -> None:
        self.net.part(a.node.address, b.node.address)

    def join(self, a: Agent, b: Agent) -> None:
        self.net.join(a.node.address, b.node.address)
        self.introduce(a.node)


def settled(states: list[str]) -> bool:
    return all(state in (State.DELIVERED, State.READ) for state in states)
