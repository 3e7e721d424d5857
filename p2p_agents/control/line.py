"""The asyncio client of the control socket: many calls in flight on one connection, reopened when lost."""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import p2p_agents
from p2p_agents import errors, limits
from p2p_agents.control.client import RECONNECTS, Client, described, stopped
from p2p_agents.control.wire import STOPPING, decode_error, decode_line, encode_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p2p_agents.paths import Home

IN_FLIGHT = 512  # unanswered calls at once; more wait their turn. Well under what the node allows


class Line:
    """A connection to the node of a home, opened on first use and again when it is lost."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._wire: _Wire | None = None
        self._opening = asyncio.Lock()
        self._turns = asyncio.Semaphore(IN_FLIGHT)

    async def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one method. Raises P2PError. After a lost node it is asked again where it may be."""
        given = {name: value for name, value in params.items() if value is not None}
        began = time.monotonic()
        async with self._turns:
            for _ in range(RECONNECTS + 1):
                wire = self._wire or await self._open()
                try:
                    return await wire.ask(method, given)
                except _Lost:
                    self._wire = None if self._wire is wire else self._wire
                    known = described(method)
                    if not known.may_repeat(given):
                        raise errors.NodeUnreachable("the node went away before it answered") from None
                    if waits := known.waits(params):
                        if wire.goodbye == STOPPING:
                            raise stopped() from None
                        given["timeout"] = max(waits - (time.monotonic() - began), 0.0)
        raise errors.NodeUnreachable("the connection to the node was lost again and again")

    async def close(self) -> None:
        """Hang up; the node cancels calls that are still unanswered."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            await wire.close()

    async def _open(self) -> _Wire:
        """Start or replace the node as a command would, in a thread, then take the connection over."""
        async with self._opening:
            if self._wire is None:
                client, loop = Client(self._home), asyncio.get_running_loop()
                connecting = loop.run_in_executor(None, client.connect)
                try:
                    await asyncio.shield(connecting)
                except asyncio.CancelledError:  # the thread goes on: what it comes by is nobody's
                    connecting.add_done_callback(partial(_hang_up, client))
                    raise
                _, wire = await loop.create_unix_connection(_Wire, sock=socket.socket(fileno=client.detach()))
                self._wire = wire
            return self._wire


def _hang_up(client: Client, connecting: asyncio.Future[None]) -> None:
    if connecting.exception() is None:
        client.close()


class _Lost(Exception):
    """The connection ended before the answer."""


class _Wire(asyncio.Protocol):
    """Requests out, answers in, matched by number."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._unread = bytearray()
        self._unsent: list[bytes] = []
        self._closed = self._loop.create_future()
        self.goodbye = ""  # what the node said before it hung up

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of one request. Raises its error, or _Lost."""
        self._number += 1
        number = self._number
        line = encode_line({"id": number, "method": method, "params": params, "client": p2p_agents.__version__})
        if len(line) > limits.CONTROL_LINE_BYTES:
            raise errors.TooLarge(f"a request has at most {limits.CONTROL_LINE_BYTES} bytes, not {len(line)}")
        if self._closed.done():
            raise _Lost
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._waiting[number] = answer
        self._send(line)
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._closed.set_result(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_Lost())

    def data_received(self, data: bytes) -> None:
        first, *more = data.split(b"\n")
        self._unread += first
        if more:
            self._settle(bytes(self._unread))
            self._unread = bytearray(more.pop())
            for line in more:
                self._settle(line)
        if len(self._unread) > limits.CONTROL_ANSWER_BYTES and self._transport is not None:
            self._transport.abort()

    def _settle(self, line: bytes) -> None:
        answer = decode_line(line)
        self.goodbye = answer.get("goodbye", self.goodbye)
        waiting = self._waiting.get(answer.get("id", 0))
        if waiting is None or waiting.done():  # its caller gave up
            return
        if answer.get("ok") is True:
            waiting.set_result(answer["result"])
        else:
            waiting.set_exception(decode_error(answer.get("error")))

    def _send(self, line: bytes) -> None:
        """At once if it is alone; else with everything that this turn of the loop sends."""
        if len(self._waiting) == 1 and not self._unsent and self._transport is not None:
            self._transport.write(line)
            return
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(line)

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()
