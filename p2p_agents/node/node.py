"""The node: the core behind its writer, joined to the endpoint, discovery and the control service."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import p2p_agents
from p2p_agents.control.methods import METHODS, Method, Served
from p2p_agents.control.wire import REPLACED, STOPPING
from p2p_agents.core.agents import hosting
from p2p_agents.core.api import commands
from p2p_agents.core.contact import directory
from p2p_agents.core.links import seeking
from p2p_agents.core.turn import relays, schedule
from p2p_agents.core.turn.router import route
from p2p_agents.core.turn.wiring import assemble
from p2p_agents.crypto.kem import require_post_quantum
from p2p_agents.errors import EnvironmentFault, NoSocket, StoreFull, StoreReadOnly
from p2p_agents.limits import ACK_PATIENCE_S
from p2p_agents.net.hints import Hints
from p2p_agents.net.interfaces import InterfaceWatch, local_addresses
from p2p_agents.net.mdns import Mdns
from p2p_agents.net.probing import Probe
from p2p_agents.node import doctor
from p2p_agents.node.lane import Lane
from p2p_agents.node.lines import BOUNDS, Lines
from p2p_agents.node.machine import SystemClock, SystemEntropy
from p2p_agents.node.service import Calls
from p2p_agents.node.writer import Writer
from p2p_agents.quic.address import format_address
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.endpoint import Endpoint
from p2p_agents.store import bridges, keyring
from p2p_agents.store.database import Database, translated
from p2p_agents.wire.advert import Advert
from p2p_agents.wire.frame import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.effects import ForBridges, ForCallers, ForEndpoint, ForLane, Outward
    from p2p_agents.node.bridge_desk import BridgeDesk
    from p2p_agents.node.bridges import Bridges
    from p2p_agents.paths import Home
    from p2p_agents.quic.address import Address
    from p2p_agents.store.bridges import Configured

log = logging.getLogger(__name__)

Json = dict[str, Any]
TICK_S = 1.0
TICKS_A_MINUTE = 60
KEYS_A_SECOND = 4  # made ahead until the pool is full: soon after the start, without holding up messages
TRUNCATE_TICKS = 5  # seconds between checkpoints that remove used keys from the WAL


class Node:
    """One per OS user and home. All decisions are made in the writer; this only moves bytes and calls."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.stopping = asyncio.Event()
        self.goodbye: str | None = None  # set by whoever stops the node on purpose
        self._started = time.monotonic()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bridges: Bridges | None = None  # None as long as no bridge is used
        self._blocked = False  # a reader kept the WAL from being emptied
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._own = {"node.info": self._info, "node.stop": self._stop, "doctor": self._doctor}
        self._resting: Resting | None = None  # set while the disk cannot be written: then the node only reads

    # --- lifecycle ---

    async def start(self) -> None:
        """Raises an EnvironmentFault that says why the node cannot run here."""
        require_post_quantum()
        try:
            await self._open()
        except (StoreFull, StoreReadOnly) as fault:
            await self._rest(fault)
            log.warning("only reading: %s", fault.message)
            self._spawn(self._until_writable(), "until_writable")
        else:
            await self._go_online()

    async def _open(self) -> None:
        """Open the store, its writer and its agents. Raises an EnvironmentFault, with everything closed again."""
        loop = asyncio.get_running_loop()
        try:
            await self._off_loop(self._open_store)
            self._writer = Writer(self._core, loop, self._happen, self.stopping.set)
            self._calls = Calls(self._writer, self._read)
            self._writer.start()
            await self._writer.call(hosting.load_all, long=True)
        except EnvironmentFault:
            await self._close_store()
            raise

    async def _rest(self, fault: EnvironmentFault) -> None:
        """Only read the store. Raises the fault if even that is not possible."""
        try:
            self._resting = await self._off_loop(lambda: Resting(fault, self._resting_core()))
        except EnvironmentFault as deeper:
            log.error("the store cannot be read either: %s", deeper.message)
            raise fault from deeper

    def _resting_core(self) -> Core:
        snapshot = Database.rest(self.home.store)
        try:
            with translated():
                core = self._make_core(snapshot)
                hosting.load_resting(core)
        finally:
            snapshot.close()
        return core

    async def _until_writable(self) -> None:
        """Try repeatedly to write; then the node continues as after a normal start."""
        opened = False
        while not opened:
            await asyncio.sleep(TICK_S)
            with suppress(StoreFull, StoreReadOnly):
                await self._open()
                opened = True
        try:
            await self._go_online()
        except EnvironmentFault as fault:  # the next command starts a node, or learns why there is none
            log.error("cannot go on: %s", fault.message)
            self.stopping.set()
            raise
        self._resting = None
        log.info("the store can be written again")

    async def _off_loop(self, work: Callable[[], Any]) -> Any:
        """Runs in the readers' thread, so that nobody reads meanwhile from a file that may change."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    async def _go_online(self) -> None:
        self._lines = Lines(self._writer)
        self._lane = self._lines.lane = Lane(self._writer, asyncio.get_running_loop(), self._lines.find)
        self._endpoint = await self._open_endpoint()
        self._lines.endpoint = self._endpoint
        self._mdns = Mdns(self._found("mdns"), self._lost("mdns"), node=self._certificate.public)
        self._hints = Hints(self._found("hints"), self._lost("hints"))
        self._interfaces = InterfaceWatch(self._networks_changed)
        await self._hints.start()
        await self._publish()
        await self._start_bridges()
        await self._writer.call(seeking.remember_places)
        await self._interfaces.start()
        self._spawn(self._mdns.start(), "mdns")
        self._spawn(self._tick(), "tick")

    def _open_store(self) -> None:
        self._db = Database.open(self.home.store)
        self._core = self._make_core(self._db)
        self._core.patience = ACK_PATIENCE_S

    def _make_core(self, db: Database) -> Core:
        entropy = SystemEntropy()
        self._seed = keyring.node_seed(self.home.keys, entropy.draw(keyring.SEED_BYTES))
        self._certificate = NodeCertificate.from_seed(self._seed)
        jitter = random.SystemRandom().random
        return assemble(db, self.home.keys, self._certificate.public, SystemClock(), entropy, jitter)

    async def _open_endpoint(self) -> Endpoint:
        """On the previous port if it is free, so that addresses which peers remember stay valid."""
        last = await self._writer.call(lambda core: core.db.remembered("port"))
        endpoint = None
        if last:
            try:
                endpoint = await Endpoint.open(self._certificate, self._lines, port=last, bounds=BOUNDS)
            except NoSocket:
                log.info("port %d is taken; using another", last)
        endpoint = endpoint or await Endpoint.open(self._certificate, self._lines, bounds=BOUNDS)
        port = endpoint.port
        await self._writer.call(lambda core: core.db.remember("port", port))
        return endpoint

    async def stop(self) -> None:
        """Say goodbye everywhere, finish what is queued, close the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "_mdns"):
            await asyncio.gather(self._mdns.stop(), self._hints.stop(), self._interfaces.stop())
            if self._bridges is not None:
                await self._bridges.close()
            await self._lane.close()
            await self._endpoint.close()
        await self._close_store()
        self._reading.shutdown()

    async def _close_store(self) -> None:
        if hasattr(self, "_writer"):
            await self._writer.stop()
            del self._writer
        await self._off_loop(self._close_database)

    def _close_database(self) -> None:
        if hasattr(self, "_db"):
            with suppress(EnvironmentFault):  # what is committed stays so; the next start empties the WAL
                self._db.truncate()
            self._db.close()
            del self._db

    def _spawn(self, work: Any, name: str) -> None:
        """A background task of the node: kept until it ends, with failures logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task %s failed", task.get_name(), exc_info=error)

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            self._writer.submit(_second)
            if self._blocked or ticks % TRUNCATE_TICKS == 0:
                self._writer.maintain(self._truncate)
            if ticks % TICKS_A_MINUTE == 0:
                self._writer.submit(schedule.minute)

    def _truncate(self, core: Core) -> None:
        """Outside any transaction: removes used keys from the files (PROTOCOL A5)."""
        self._blocked = core.db.changed() and not core.db.truncate()

    # --- effects ---

    def _happen(self, effects: list[Outward]) -> None:
        """Carry out what a committed batch asked for, in the loop's thread."""
        route(effects, self)

    def to_endpoint(self, effect: ForEndpoint) -> None:
        self._lines.carry(effect)

    def to_callers(self, effect: ForCallers) -> None:
        self._calls.happened(effect)

    def to_bridges(self, effects: Sequence[ForBridges]) -> None:
        self._use_bridges().carry(effects)

    def to_lane(self, effect: ForLane) -> None:
        self._lane.carry(effect)

    def announce(self) -> None:
        self._spawn(self._publish(), "publish")

    async def _publish(self) -> None:
        adverts: list[Advert] = await self._writer.call(self._adverts)
        await self._hints.publish(adverts)
        await self._mdns.advertise(adverts)

    def _adverts(self, core: Core) -> list[Advert]:
        visible = [hosted.local for hosted in core.hosted.values() if not hosted.local.hidden]
        return [
            Advert(a.agent, a.name, a.kind, a.status, core.node, core.incarnation, self._endpoint.port) for a in visible
        ]

    # --- bridges ---

    async def _start_bridges(self) -> None:
        def item(core: Core) -> tuple[list[Configured], set[str]]:
            configured = bridges.everything(core.db)
            relays.restored(core, [one.address for one in configured])
            return configured, set(core.bridges)

        configured, needed = await self._writer.call(item)
        if configured:
            self._use_bridges().configure(configured, needed)

    def _use_bridges(self) -> Bridges:
        if self._bridges is None:
            from p2p_agents.node.bridges import Bridges

            self._bridges = Bridges(self._writer, self._endpoint, self._seed, self._spawn)
        return self._bridges

    def _bridge_desk(self) -> BridgeDesk:
        from p2p_agents.node.bridge_desk import BridgeDesk

        return BridgeDesk(self._use_bridges(), self._writer)

    def _networks_changed(self) -> None:
        self._writer.submit(schedule.resumed)
        if self._bridges is not None:
            self._bridges.resumed()

    # --- discovery ---

    def _found(self, source: str) -> Callable[[Advert, tuple[Address, ...]], None]:
        def found(advert: Advert, addresses: tuple[Address, ...]) -> None:
            texts = [format_address(address) for address in addresses]
            self._writer.submit(lambda core: directory.found(core, source, advert, texts))

        return found

    def _lost(self, source: str) -> Callable[[bytes, int], None]:
        def lost(agent: bytes, incarnation: int) -> None:
            self._writer.submit(lambda core: directory.lost(core, source, agent, incarnation))

        return lost

    # --- control ---

    async def call(self, method: str, params: Json) -> Json:
        known = METHODS[method]
        if known.served is Served.NODE:
            return await self._own[method](params)
        if self._resting is not None:
            return await self._answer_resting(self._resting, known, params)
        if known.served is Served.BRIDGES:
            return await self._bridge_desk().call(method, params)
        if known.addresses:
            params = params | {"addresses": await asyncio.to_thread(self._shown_addresses)}
        return await self._calls.call(method, params)

    async def _answer_resting(self, resting: Resting, method: Method, params: Json) -> Json:
        """Answer a method that only reads. For all others, raises what keeps the node from writing."""
        if not method.reads:
            raise resting.refusal()
        query = commands.HANDLERS[method.name]
        found: Json = await self._read(lambda core: query(core, params))
        return found | resting.why

    def stream(self, method: str, params: Json) -> AsyncIterator[Json]:
        if self._resting is not None:
            raise self._resting.refusal()
        return self._calls.stream(method, params)

    async def _info(self, params: Json) -> Json:
        if (resting := self._resting) is not None:
            return self._described(resting.core, 0, 0) | resting.why
        return self._described(self._core, self._endpoint.port, len(self._endpoint.connections))

    def _described(self, core: Core, port: int, connections: int) -> Json:
        return {
            "version": p2p_agents.__version__,
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "home": self.home.path,
            "port": port,
            "incarnation": core.incarnation,
            "uptime_s": round(time.monotonic() - self._started, 3),
            "agents": len(core.hosted),
            "connections": connections,
        }

    def _shown_addresses(self) -> list[Address]:
        """For a picture that must fit a small terminal: the addresses where most peers reach this node."""
        plain = [host for host in local_addresses() if "%" not in host]
        return [(host, self._endpoint.port) for host in plain[:1]]

    async def _stop(self, params: Json) -> Json:
        self.goodbye = REPLACED if params["replace"] else STOPPING
        self.stopping.set()
        return {"stopping": True}

    async def _doctor(self, params: Json) -> Json:
        if (resting := self._resting) is not None:
            checks = await asyncio.to_thread(doctor.run_checks, self.home, resting=resting.fault)
            return {"checks": checks + await self._read(doctor.what_the_store_tells)} | resting.why
        live = doctor.Live(self._endpoint.port, self._mdns.problem, self._hints.problem, Probe())
        told = await self._writer.call(doctor.what_the_store_tells, long=True)
        self._lines.probes.add(live.probe)
        try:
            checks = await asyncio.to_thread(doctor.run_checks, self.home, live)
        finally:
            self._lines.probes.discard(live.probe)
        if self._bridges is not None:
            checks += await self._bridge_desk().checks()
        return {"checks": checks + told}

    async def _read(self, query: Callable[[Core], Any]) -> Any:
        """Run a long query outside the writer: it sees committed rows only."""
        return await self._off_loop(lambda: self._query(query))

    def _query(self, query: Callable[[Core], Any]) -> Any:
        resting = self._resting
        snapshot = Database.rest(self.home.store) if resting else Database.read(self.home.store)
        try:
            with translated():
                return query((resting.core if resting else self._core).reading(snapshot))
        finally:
            snapshot.close()


@dataclass(frozen=True, slots=True)
class Resting:
    """A node whose disk cannot be written: why, and its agents. The core's own connection is closed; it is used for
    views only."""

    fault: EnvironmentFault
    core: Core

    @property
    def why(self) -> Json:
        """Added to every answer."""
        return {"reads_only": self.fault.message}

    def refusal(self) -> EnvironmentFault:
        return type(self.fault)(self.fault.message)


def _second(core: Core) -> None:
    schedule.second(core)
    for _ in range(KEYS_A_SECOND):
        core.entropy.refill()
