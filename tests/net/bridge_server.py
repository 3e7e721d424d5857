"""The bridge of tests/link on real sockets: QUIC on UDP, WebSocket over TLS on the same TCP port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import Closed, Connection
from p2p_agents.quic.endpoint import Endpoint
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.framing import Framer, frame_bytes
from p2p_agents.wire.relay import ALPN, WEBSOCKET_PATH, decode_message, encode_message
from p2p_agents.wire.relay_answers import Deliver
from p2p_agents.wire.relay_requests import Knock
from tests.link.bridges import FakeBridge, key

LOOPBACK = "127.0.0.1"


class Talk:
    """One connection: bytes in, bytes out."""

    def __init__(self, bridge: FakeBridge) -> None:
        self._bridge = bridge
        self._framer = Framer()
        self._challenge = b""

    def hear(self, data: bytes) -> bytes:
        answers: list[object] = []
        for frame in self._framer.feed(data):
            message = decode_message(frame)
            if isinstance(message, Knock):
                welcome = self._bridge.welcome(message.nonce)
                self._challenge = welcome.challenge
                answers.append(welcome)
            else:
                answers += self._bridge.answer(message, self._challenge)
        return b"".join(frame_bytes(encode_message(answer)) for answer in answers)


class Server:
    """`quic` and `websockets` are its present connections."""

    def __init__(
        self, bridge: FakeBridge, tls: NodeCertificate, folder: Path, *, web: tuple[bytes, bytes] | None = None
    ) -> None:
        self.bridge = bridge
        self._web = web or (
            tls.tls_certificate.public_bytes(Encoding.PEM),
            tls.tls_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        self.quic: dict[Connection, Talk] = {}
        self.websockets: set[ServerConnection] = set()
        self.accepted = 0
        self.heard = asyncio.Event()
        self.tls = tls
        self._folder = folder

    @property
    def address(self) -> BridgeAddress:
        return BridgeAddress(LOOPBACK, self.port, key("bridge").public)

    @contextlib.asynccontextmanager
    async def serve(self, *, udp: bool = True, tcp: bool = True, port: int = 0) -> AsyncIterator[Server]:
        """If UDP is not served, something else holds the port: datagrams to it vanish."""
        endpoint, listening = await self._open(port, ALPN if udp else "other/1")
        self.port = endpoint.port
        try:
            async with contextlib.AsyncExitStack() as stack:
                if tcp:
                    web = serve(self._talk, sock=listening, ssl=self._context(), compression=None)
                    await stack.enter_async_context(web)
                else:
                    listening.close()
                yield self
        finally:
            await endpoint.close()

    async def _open(self, port: int, alpn: str) -> tuple[Endpoint, socket.socket]:
        """One port for UDP and TCP: if none is given, the second may be taken although the first is free."""
        while True:
            endpoint = await Endpoint.open(self.tls, self, host=LOOPBACK, port=port, alpn=alpn)
            try:
                return endpoint, socket.create_server((LOOPBACK, endpoint.port))
            except OSError:
                await endpoint.close()
                if port:
                    raise

    async def say(self, message: object) -> None:
        """Send to every client."""
        data = frame_bytes(encode_message(message))
        for connection in self.quic:
            connection.send(data)
        for websocket in self.websockets:
            await websocket.send(data)

    async def deliver(self, queue: bytes, blobs: Sequence[tuple[int, bytes]]) -> None:
        """Push blobs to every client, as fast as it takes them."""
        for pair in blobs:
            await self.say(Deliver(queue, (pair,)))

    async def until_asked(self, kind: type) -> None:
        await self.until(lambda: self.bridge.asked(kind))

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.heard.clear()
                await self.heard.wait()

    def connected(self, connection: Connection) -> None:
        self.accepted += 1
        self.quic[connection] = Talk(self.bridge)

    def received(self, connection: Connection, data: bytes) -> None:
        if answers := self.quic[connection].hear(data):
            connection.send(answers)
        self.heard.set()

    def closed(self, connection: Connection, reason: Closed) -> None:
        self.quic.pop(connection, None)
        self.heard.set()

    async def _talk(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        assert websocket.request.path == WEBSOCKET_PATH
        self.websockets.add(websocket)
        talk = Talk(self.bridge)
        with contextlib.suppress(ConnectionClosed):
            while True:
                if answers := talk.hear(await websocket.recv(decode=False)):
                    await websocket.send(answers)
                self.heard.set()
        self.websockets.discard(websocket)

    def _context(self) -> ssl.SSLContext:
        chain, secret = self._folder / "cert.pem", self._folder / "key.pem"
        chain.write_bytes(self._web[0])
        secret.write_bytes(self._web[1])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, secret)
        return context
