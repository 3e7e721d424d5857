"""A bridge reached over real sockets: by the node's own socket, by a WebSocket, and by nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from p2p_agents.crypto.outer import token_hash
from p2p_agents.errors import BridgeImpostor, BridgeUnreachable
from p2p_agents.limits import BLOB_BYTES
from p2p_agents.link.approach import Transport
from p2p_agents.link.bridge_news import BridgeDown, BridgeUp, Came, News, Stored
from p2p_agents.link.bridge_queues import Inbox
from p2p_agents.link.bridging import Bridging
from p2p_agents.net.bridge_client import BridgeClient
from p2p_agents.net.bridge_websocket import QUEUE_MESSAGES
from p2p_agents.quic.certificate import VALID_FROM, VALID_TO, NodeCertificate
from p2p_agents.quic.connection import Closed, Connection
from p2p_agents.quic.endpoint import Endpoint
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.relay_requests import Put
from tests.link.bridges import OBSERVED, TOKEN, FakeBridge, Kept, key
from tests.net.bridge_server import LOOPBACK, Server

BRIDGE, OTHER, NODE = (NodeCertificate.from_seed(key(name).seed) for name in ("bridge", "other", "node"))
WRITE = b"w" * 32


def certificate_for(host: str) -> tuple[bytes, bytes]:
    """A self-signed certificate of a web server, and its key, in PEM."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_TO)
        .add_extension(names, critical=False)
        .sign(secret, SHA256())
    )
    pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


class NobodysLines:
    """The node's own handler: nothing of a bridge must arrive here."""

    def connected(self, connection: Connection) -> None:
        raise AssertionError

    def received(self, connection: Connection, data: bytes) -> None:
        raise AssertionError

    def closed(self, connection: Connection, reason: Closed) -> None:
        raise AssertionError


class Visitor:
    """A client, and the news it delivered."""

    def __init__(self, address: BridgeAddress, endpoint: Endpoint) -> None:
        self.news: list[News] = []
        self._wake = asyncio.Event()
        machine = Bridging(address, key("account"), TOKEN, member=True, draw=os.urandom, jitter=lambda: 0.0)
        self.client = BridgeClient(machine, endpoint, self._report)
        self.on_news: Callable[[News], None] = lambda news: None

    @property
    def way(self) -> Transport | None:
        line = self.client.machine.line
        return line.way if line else None

    def put(self, ticket: int, queue: bytes, blob: bytes) -> None:
        self.client.ask(lambda machine, now: machine.put(ticket, queue, WRITE, blob, now))

    async def until(self, news: News | type) -> News:
        """The news, once it has come; earlier news is dropped."""
        async with asyncio.timeout(20):
            while True:
                while self.news:
                    found = self.news.pop(0)
                    if found == news or (isinstance(news, type) and isinstance(found, news)):
                        return found
                self._wake.clear()
                await self._wake.wait()

    def _report(self, news: News) -> None:
        self.news.append(news)
        self._wake.set()
        self.on_news(news)


@contextlib.asynccontextmanager
async def visiting(address: BridgeAddress) -> AsyncIterator[Visitor]:
    endpoint = await Endpoint.open(NODE, NobodysLines())
    visitor = Visitor(address, endpoint)
    visitor.client.start()
    try:
        yield visitor
    finally:
        await visitor.client.close()
        await endpoint.close()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(FakeBridge(), BRIDGE, tmp_path)


def run(story: Coroutine[None, None, None]) -> None:
    """Run with every blocking call in the loop an error."""
    with blockbuster_ctx("p2p_agents"):
        asyncio.run(story)


@pytest.mark.parametrize("udp", [True, False], ids=["quic", "websocket"])
def test_blobs_there_and_back(server, udp):
    async def story() -> None:
        mine = Inbox(key("mine"), WRITE)
        async with server.serve(udp=udp), visiting(server.address) as visitor:
            await visitor.until(BridgeUp(OBSERVED if udp else "", admitted=True))
            assert visitor.way is (Transport.QUIC if udp else Transport.WEBSOCKET)
            visitor.client.ask(lambda machine, now: machine.want([mine], now))
            visitor.put(1, mine.queue, b"blob")
            await visitor.until(Stored(1))
        async with server.serve(udp=udp), visiting(server.address) as visitor:
            visitor.client.ask(lambda machine, now: machine.want([mine], now))
            assert await visitor.until(Came) == Came(mine.queue, ((1, b"blob"),))

    run(story())


@pytest.mark.parametrize("udp", [True, False], ids=["quic", "websocket"])
def test_the_largest_blobs_pass(server, udp):
    async def story() -> None:
        queue = Inbox(key("theirs"), WRITE).queue
        server.bridge.queues[queue] = Kept(token_hash(WRITE))
        blobs = [bytes([n]) * (BLOB_BYTES - 1) for n in range(12)]
        async with server.serve(udp=udp), visiting(server.address) as visitor:
            for n, blob in enumerate(blobs):
                visitor.put(n, queue, blob)
            await visitor.until(Stored(11))
        assert [blob for _, blob in server.bridge.queues[queue].blobs] == blobs

    run(story())


def test_a_name_is_resolved(server):
    async def story() -> None:
        async with server.serve():
            address = BridgeAddress("localhost", server.port, key("bridge").public)
            async with visiting(address) as visitor:
                await visitor.until(BridgeUp)

    run(story())


def test_a_name_that_does_not_resolve_is_told(server):
    async def story() -> None:
        async with visiting(BridgeAddress("nowhere.invalid", 4433, key("bridge").public)) as visitor:
            await visitor.until(BridgeDown(BridgeUnreachable.code))
            failure = visitor.client.machine.health.failure
            assert "QUIC: the host name nowhere.invalid does not resolve" in failure.why

    run(story())


def test_where_nobody_listens_that_is_told(server):
    async def story() -> None:
        async with server.serve(tcp=False, udp=False):
            address = server.address
        async with visiting(address) as visitor:
            await visitor.until(BridgeDown(BridgeUnreachable.code))
            assert "WebSocket" in visitor.client.machine.health.failure.why
            assert "QUIC: no answer" in visitor.client.machine.health.failure.why

    run(story())


def test_another_key_is_told_nothing(tmp_path):
    """Attack: somebody who took over the address shows a certificate of their own, over QUIC and over TLS."""

    async def story() -> None:
        server = Server(FakeBridge(), OTHER, tmp_path)
        async with server.serve(), visiting(server.address) as visitor:
            await visitor.until(BridgeDown(BridgeImpostor.code))
            why = visitor.client.machine.health.failure.why
            assert "QUIC: another key answered" in why
            assert "WebSocket: a foreign certificate" in why
        assert server.bridge.requests == []
        assert server.accepted == 0

    run(story())


def test_behind_a_proxy_a_certificate_that_the_system_trusts_will_do(tmp_path, monkeypatch):
    """An operator's web server terminates TLS; the bridge is recognized by its WELCOME."""
    chain, secret = certificate_for(LOOPBACK)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(chain)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    async def story() -> None:
        server = Server(FakeBridge(), BRIDGE, tmp_path, web=(chain, secret))
        async with server.serve(udp=False), visiting(server.address) as visitor:
            await visitor.until(BridgeUp("", admitted=True))

    run(story())


def test_the_networks_proxy_is_used(server, monkeypatch):
    """Where UDP does not pass, TCP often passes only through a proxy."""
    asked: list[bytes] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, server.port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(forward(reader, far_writer), forward(far_reader, writer), return_exceptions=True)

    async def story() -> None:
        async with server.serve(udp=False), await asyncio.start_server(proxy, LOOPBACK) as listening:
            monkeypatch.setenv("https_proxy", f"http://{LOOPBACK}:{listening.sockets[0].getsockname()[1]}")
            monkeypatch.setenv("no_proxy", "")
            async with visiting(server.address) as visitor:
                await visitor.until(BridgeUp)
        assert asked == [f"CONNECT {LOOPBACK}:{server.port} HTTP/1.1".encode()]

    run(story())


def test_a_certificate_that_nobody_vouches_for_is_told_nothing(tmp_path):
    """Attack: somebody in between could fetch a valid WELCOME from the real bridge, and read tokens in passing."""
    chain, secret = certificate_for(LOOPBACK)

    async def story() -> None:
        server = Server(FakeBridge(), BRIDGE, tmp_path, web=(chain, secret))
        async with server.serve(udp=False), visiting(server.address) as visitor:
            await visitor.until(BridgeDown(BridgeImpostor.code))
        assert server.bridge.requests == []

    run(story())


def test_a_bridge_that_comes_back_is_found_again(server):
    async def story() -> None:
        mine = Inbox(key("mine"), WRITE)
        async with contextlib.AsyncExitStack() as stack:
            async with server.serve():
                visitor = await stack.enter_async_context(visiting(server.address))
                visitor.client.ask(lambda machine, now: machine.want([mine], now))
                await visitor.until(BridgeUp)
            await visitor.until(BridgeDown)
            async with server.serve(port=server.port):
                await visitor.until(BridgeUp)
                visitor.put(1, mine.queue, b"blob")
                await visitor.until(Stored(1))
                assert visitor.client.machine.reading == 1

    run(story())


@pytest.mark.parametrize("udp", [True, False], ids=["quic", "websocket"])
def test_a_bridge_that_is_held_is_read_no_further(server, udp):
    """Backpressure: what the node cannot take yet stays at the bridge, or in its buffers."""

    async def story() -> None:
        mine = Inbox(key("mine"), WRITE)
        blobs = tuple((n + 1, bytes([n]) * (BLOB_BYTES - 1)) for n in range(15))
        async with server.serve(udp=udp), visiting(server.address) as visitor:
            visitor.client.ask(lambda machine, now: machine.want([mine], now))
            await visitor.until(BridgeUp)
            visitor.client.hold(True)
            delivery = asyncio.get_running_loop().create_task(server.deliver(mine.queue, blobs))
            visitor.put(1, b"q" * 32, b"one")
            await server.until_asked(Put)
            came = len([news for news in visitor.news if isinstance(news, Came)])
            assert came * BLOB_BYTES <= (QUEUE_MESSAGES + 2) * BLOB_BYTES
            visitor.client.hold(False)
            await delivery
            for pair in blobs:
                assert await visitor.until(Came) == Came(mine.queue, (pair,))

    run(story())


def test_what_follows_from_news_goes_after_what_went_before(server):
    """A put made while its predecessor is being answered keeps its place."""

    async def story() -> None:
        queue = Inbox(key("theirs"), WRITE).queue
        server.bridge.queues[queue] = Kept(token_hash(WRITE))
        async with server.serve(), visiting(server.address) as visitor:
            await visitor.until(BridgeUp)
            visitor.on_news = lambda news: (
                visitor.put(news.ticket + 1, queue, b"next") if isinstance(news, Stored) and news.ticket < 20 else None
            )
            visitor.put(1, queue, b"first")
            await visitor.until(Stored(20))
        assert len(server.bridge.queues[queue].blobs) == 20

    run(story())
