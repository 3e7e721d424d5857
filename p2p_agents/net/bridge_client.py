"""A node's connection to one bridge: carries out the machine's decisions, on the node's UDP socket or a WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from p2p_agents.link.approach import Dial, Hangup, Send, Transport
from p2p_agents.net.bridge_quic import QuicWire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Protocol

    from p2p_agents.link.approach import Failure
    from p2p_agents.link.bridge_news import News
    from p2p_agents.link.bridging import Action, Bridging
    from p2p_agents.quic.endpoint import Endpoint

    class Wire(Protocol):
        """One connection attempt, from the dial on. It tells its client `opened`, `received` and, once, `closed`."""

        way: Transport

        async def run(self) -> None:
            """Dial. Faults are reported, not raised."""

        def send(self, frames: tuple[bytes, ...]) -> None: ...

        def hold(self, held: bool) -> None: ...

        def close(self) -> None: ...


log = logging.getLogger(__name__)

STOP_S = 1.0  # for goodbyes, when the node stops


class BridgeClient:
    """Runs in the loop that made it. `report` is given the machine's news, in order."""

    def __init__(self, machine: Bridging, endpoint: Endpoint, report: Callable[[News], None]) -> None:
        self.machine = machine
        self._endpoint = endpoint
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._wires: dict[Transport, Wire] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._actions: deque[Action] = deque()
        self._busy = False
        self._held = False
        self._closed = False

    def ask(self, event: Callable[[Bridging, float], list[Action]]) -> None:
        """Give the machine an event at this time, and carry out its answer."""
        if not self._closed:
            self._do(event(self.machine, self._loop.time()))

    def start(self) -> None:
        self.ask(lambda machine, now: machine.tick(now))

    def hold(self, held: bool) -> None:
        """While held, no more is read from the bridge than is already on its way."""
        if held is not self._held:
            self._held = held
            for wire in self._wires.values():
                wire.hold(held)

    async def close(self) -> None:
        """Close every connection; nothing is reported any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=STOP_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    # --- from the wires ---

    def opened(self, wire: Wire) -> None:
        if self._wires.get(wire.way) is wire:
            wire.hold(self._held)
            self.ask(lambda machine, now: machine.opened(wire.way, now))

    def received(self, wire: Wire, data: bytes) -> None:
        if self._wires.get(wire.way) is wire:
            self.ask(lambda machine, now: machine.received(wire.way, data, now))

    def closed(self, wire: Wire, failure: Failure) -> None:
        if self._wires.get(wire.way) is wire:
            del self._wires[wire.way]
            log.debug("bridge %s: %s: %s", self.machine.address.host, wire.way, failure.why)
            self.ask(lambda machine, now: machine.closed(wire.way, failure, now))

    # --- to the wires ---

    def _do(self, actions: list[Action]) -> None:
        """In order: what follows from one waits for those before it."""
        self._actions += actions
        if self._busy:
            return
        self._busy = True
        try:
            while self._actions:
                self._carry_out(self._actions.popleft())
        finally:
            self._busy = False
        self._arm()

    def _carry_out(self, action: Action) -> None:
        match action:
            case Dial(way):
                wire = self._wires[way] = self._wire(way)
                self._spawn(wire.run())
            case Send(way, frames):
                if way in self._wires:
                    self._wires[way].send(frames)
            case Hangup(way):
                if way in self._wires:
                    self._wires.pop(way).close()
            case _:
                self._report(action)

    def _wire(self, way: Transport) -> Wire:
        if way is Transport.QUIC:
            return QuicWire(self, self._endpoint, self.machine.address)
        from p2p_agents.net.bridge_websocket import WebSocketWire  # TLS and more, for networks without UDP

        return WebSocketWire(self, self.machine.address)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work, name=f"bridge {self.machine.address.host}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

    def _arm(self) -> None:
        """Wake the machine at its deadline."""
        due = self.machine.deadline()
        if self._timer is not None:
            if not self._timer.cancelled() and self._timer.when() == due:
                return
            self._timer.cancel()
        self._timer = None if due is None or self._closed else self._loop.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.start()
