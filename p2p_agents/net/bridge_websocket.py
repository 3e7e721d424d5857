"""A WebSocket over TLS to a bridge, for networks where UDP does not pass.

The TLS certificate matters less than elsewhere: the bridge proves its key by WELCOME. But a WELCOME could be
fetched from the real bridge by somebody in between, so TLS must lead to the same place. Two things show that: the
certificate is the bridge's own, or, where a proxy ends TLS for it, one that this system trusts for that name.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

from p2p_agents.errors import BridgeImpostor, BridgeUnreachable
from p2p_agents.limits import BRIDGE_KNOCK_S, BRIDGE_MESSAGE_BYTES, BRIDGE_PING_S
from p2p_agents.link.approach import Failure, Transport
from p2p_agents.quic.certificate import certificate_key
from p2p_agents.wire.relay import WEBSOCKET_PATH

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from p2p_agents.net.bridge_client import BridgeClient
    from p2p_agents.wire.bridge_address import BridgeAddress

QUEUE_MESSAGES = 4  # received and not processed: beyond this, TCP holds the bridge back
CLOSE_S = 0.5  # for the goodbye of a connection that is hung up
WHY_CHARS = 160


class _Foreign(Exception):
    """The TLS certificate is not the bridge's own."""


class WebSocketWire:
    """One attempt, and the connection that it leads to."""

    way = Transport.WEBSOCKET

    def __init__(self, client: BridgeClient, address: BridgeAddress) -> None:
        self._client = client
        self._address = address
        self._outgoing: deque[bytes] = deque()
        self._due = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        self._task = asyncio.current_task()
        self._client.closed(self, await self._live())

    def send(self, frames: tuple[bytes, ...]) -> None:
        self._outgoing += frames
        self._due.set()

    def hold(self, held: bool) -> None:
        if held:
            self._flowing.clear()
        else:
            self._flowing.set()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _live(self) -> Failure:
        """Run until it ends; returns why."""
        # A third of a second's import, which only such networks pay; off the loop, which must not wait for a disk.
        client = await asyncio.to_thread(importlib.import_module, "websockets.asyncio.client")
        faults = await asyncio.to_thread(importlib.import_module, "websockets.exceptions")
        try:
            async with asyncio.timeout(BRIDGE_KNOCK_S):
                connection = await self._connect(client.connect)
        except ssl.SSLCertVerificationError as fault:
            return Failure(BridgeImpostor.code, f"WebSocket: a foreign certificate: {fault.verify_message}"[:WHY_CHARS])
        except TimeoutError:
            return Failure(BridgeUnreachable.code, "WebSocket: no answer")
        except (OSError, EOFError, ValueError, ImportError, faults.WebSocketException) as fault:
            return Failure(BridgeUnreachable.code, f"WebSocket: {_said(fault)}")
        try:
            self._client.opened(self)
            return await self._exchange(connection, faults.ConnectionClosed)
        finally:
            await _hang_up(connection)

    async def _connect(self, connect: Any) -> ClientConnection:
        """Connect, accepting the bridge's own certificate, or one that the system trusts."""
        try:
            return await self._open(connect, _unverified(), own=True)
        except _Foreign:
            return await self._open(connect, await asyncio.to_thread(ssl.create_default_context), own=False)

    async def _open(self, connect: Any, context: ssl.SSLContext, *, own: bool) -> ClientConnection:
        host, port = self._address.host, self._address.port
        connection: ClientConnection = await connect(
            f"wss://{f'[{host}]' if ':' in host else host}:{port}{WEBSOCKET_PATH}",
            ssl=context,
            server_hostname=host.partition("%")[0],
            compression=None,  # sealed blobs do not compress
            user_agent_header=None,
            max_size=BRIDGE_MESSAGE_BYTES,
            max_queue=QUEUE_MESSAGES,
            ping_interval=BRIDGE_PING_S,
            ping_timeout=BRIDGE_PING_S,
            close_timeout=CLOSE_S,
        )
        shown = connection.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if own and certificate_key(shown or b"") != self._address.key:
            await _hang_up(connection)
            raise _Foreign
        return connection

    async def _exchange(self, connection: ClientConnection, ended: type[Exception]) -> Failure:
        loop = asyncio.get_running_loop()
        writing = loop.create_task(self._write(connection, ended))
        try:
            while True:
                await self._flowing.wait()
                data = await connection.recv(decode=False)
                self._client.received(self, bytes(data))
        except ended:
            code, reason = connection.close_code, connection.close_reason
            return Failure(BridgeUnreachable.code, f"WebSocket: it closed: {code} {reason}".rstrip()[:WHY_CHARS])
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, connection: ClientConnection, ended: type[Exception]) -> None:
        """Messages of whole frames, each within the bound of the other side."""
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                while self._outgoing:
                    await connection.send(self._message())
        except ended:
            return  # the reader reports why

    def _message(self) -> bytes:
        frames, size = [self._outgoing.popleft()], 0
        while self._outgoing and (size := size + len(frames[-1])) + len(self._outgoing[0]) <= BRIDGE_MESSAGE_BYTES // 4:
            frames.append(self._outgoing.popleft())
        return b"".join(frames)


def _unverified() -> ssl.SSLContext:
    """A context for a certificate that is compared, not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _hang_up(connection: ClientConnection) -> None:
    """Say goodbye, and wait only so long for the answer."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await connection.close()
    except TimeoutError:
        connection.transport.abort()


def _said(fault: BaseException) -> str:
    if isinstance(fault, OSError) and fault.errno:  # asyncio's own text shows calls and tuples
        return os.strerror(fault.errno)
    text = str(fault) or type(fault).__name__
    return text[:WHY_CHARS]
