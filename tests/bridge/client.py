"""A small client for tests: one connection, requests by number, and everything that arrives, in order."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from p2p_agents.crypto.outer import queue_name, token_hash
from p2p_agents.crypto.signing import SigningKey, verify
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import Closed, Connection
from p2p_agents.quic.endpoint import Endpoint
from p2p_agents.wire import relay
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.framing import Framer, frame_bytes
from p2p_agents.wire.relay_answers import Deliver, Done, Fail, Notice, Told, Welcome
from p2p_agents.wire.relay_requests import Ack, Create, Drop, Knock, Leave, Login, Meet, Put, Read, Side, Tell

PATIENCE_S = 20.0
M = TypeVar("M")


def key_of(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


class Queue:
    """A queue as its reader knows it."""

    def __init__(self, name: str, *, public: bool = False) -> None:
        self.key = key_of(name)
        self.name = queue_name(self.key.public)
        self.token = hashlib.sha256(b"token of " + name.encode()).digest()
        self.public = public


class Transport(Protocol):
    def send(self, data: bytes) -> Any: ...

    async def close(self) -> None: ...


class Client:
    """`said` is everything the bridge said and nobody took yet; `ended` why it closed the connection."""

    def __init__(self, transport: Transport | None = None) -> None:
        self.transport = transport
        self.said: list[Any] = []
        self.ended: str | None = None
        self.end_code = 0
        self.news = asyncio.Event()
        self.numbers = itertools.count(1)
        self.bytes = 0
        self._framer = Framer()

    # --- what the transport tells ---

    def received(self, data: bytes) -> None:
        self.bytes += len(data)
        self.said += [relay.decode_message(frame) for frame in self._framer.feed(data)]
        self.news.set()

    def closed(self, reason: str, code: int) -> None:
        self.ended, self.end_code = reason, code
        self.news.set()

    # --- saying and hearing ---

    def say(self, message: Any) -> None:
        assert self.transport is not None
        self.transport.send(frame_bytes(relay.encode_message(message)))

    async def until(self, holds: Callable[[], Any]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := holds()):
                if self.ended is not None:
                    raise ConnectionError(self.ended)
                self.news.clear()
                await self.news.wait()
        return found

    async def hear(self, kind: type[M], matches: Callable[[M], bool] = lambda message: True) -> M:
        """The first message of that kind; it is taken, and others stay."""
        found = await self.until(lambda: [m for m in self.said if isinstance(m, kind) and matches(m)])
        self.said.remove(found[0])
        return found[0]

    async def answer(self, request: int) -> Done | Fail:
        return await self.hear(Done | Fail, lambda message: message.request == request)  # type: ignore[arg-type]

    async def ask(self, make: Callable[[int], Any]) -> Done | Fail:
        number = next(self.numbers)
        self.say(make(number))
        return await self.answer(number)

    async def gone(self) -> str:
        """Why the bridge ended the connection."""
        async with asyncio.timeout(PATIENCE_S):
            while self.ended is None:
                self.news.clear()
                await self.news.wait()
        return self.ended

    # --- the protocol ---

    async def knock(self, bridge: bytes) -> Welcome:
        nonce = os.urandom(32)
        self.say(Knock(nonce))
        self.welcome = await self.hear(Welcome)
        assert self.welcome.key == bridge
        claim = relay.welcome_claim(bridge, nonce, self.welcome.challenge)
        assert verify(bridge, self.welcome.proof, relay.WELCOME_LABEL) == claim
        return self.welcome

    async def login(self, name: str, token: str = "") -> Done | Fail:
        key = key_of("account " + name)
        claim = relay.login_claim(self.welcome.key, self.welcome.challenge, key.public)
        return await self.ask(lambda n: Login(n, key.public, key.sign(claim, relay.LOGIN_LABEL), token))

    def creating(self, queue: Queue) -> Callable[[int], Create]:
        hashed = token_hash(queue.token)
        claim = relay.create_claim(self.welcome.key, self.welcome.challenge, hashed, queue.public)
        proof = queue.key.sign(claim, relay.CREATE_LABEL)
        return lambda n: Create(n, queue.key.public, proof, hashed, queue.public)

    async def create(self, queue: Queue) -> Done | Fail:
        return await self.ask(self.creating(queue))

    def reading(self, queue: Queue, after: int = 0, key: SigningKey | None = None) -> Callable[[int], Read]:
        key = key or queue.key
        claim = relay.read_claim(self.welcome.key, self.welcome.challenge, queue.name)
        return lambda n: Read(n, queue.name, key.public, key.sign(claim, relay.READ_LABEL), after)

    async def read(self, queue: Queue, after: int = 0) -> Done | Fail:
        return await self.ask(self.reading(queue, after))

    async def put(self, queue: Queue, blob: bytes, token: bytes | None = None) -> Done | Fail:
        return await self.ask(lambda n: Put(n, queue.name, token or queue.token, blob))

    async def ack(self, queue: Queue, cursor: int) -> Done | Fail:
        return await self.ask(lambda n: Ack(n, queue.name, cursor))

    async def drop(self, queue: Queue) -> Done | Fail:
        return await self.ask(lambda n: Drop(n, queue.name))

    async def meet(self, place: str, side: Side, token: bytes) -> Done | Fail:
        return await self.ask(lambda n: Meet(n, place, side, token))

    async def tell(self, place: str, message: bytes) -> Done | Fail:
        return await self.ask(lambda n: Tell(n, place, message))

    async def leave(self, place: str) -> Done | Fail:
        return await self.ask(lambda n: Leave(n, place))

    async def blobs(self, queue: Queue, count: int) -> list[tuple[int, bytes]]:
        """The next `count` blobs of the queue, none acknowledged."""

        def found() -> list[tuple[int, bytes]]:
            delivered = [m for m in self.said if isinstance(m, Deliver) and m.queue == queue.name]
            return [pair for message in delivered for pair in message.blobs]

        await self.until(lambda: len(found()) >= count)
        taken = found()
        self.said = [m for m in self.said if not (isinstance(m, Deliver) and m.queue == queue.name)]
        return taken

    async def told(self) -> Told:
        return await self.hear(Told)

    async def notice(self) -> Notice:
        return await self.hear(Notice)

    async def close(self) -> None:
        assert self.transport is not None
        await self.transport.close()


# --- by QUIC ---


class _Quic:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.up = asyncio.Event()

    def connected(self, connection: Connection) -> None:
        self.up.set()

    def received(self, connection: Connection, data: bytes) -> None:
        self.client.received(data)

    def closed(self, connection: Connection, reason: Closed) -> None:
        self.client.closed(reason.reason, reason.code)
        self.up.set()

    def send(self, data: bytes) -> None:
        self.connection.send(data)

    async def close(self) -> None:
        await self.endpoint.close()


async def by_quic(address: BridgeAddress, *, pin: bytes | None = None, host: str = "127.0.0.1") -> Client:
    """Connected, and nothing said. Raises ConnectionError."""
    client = Client()
    quic = _Quic(client)
    client.transport = quic
    quic.endpoint = await Endpoint.open(NodeCertificate.from_seed(os.urandom(32)), quic, host=host, alpn=relay.ALPN)
    quic.connection = quic.endpoint.dial((host, address.port), pin=address.key if pin is None else pin)
    async with asyncio.timeout(PATIENCE_S):
        await quic.up.wait()
    if client.ended is not None:
        await quic.endpoint.close()
        raise ConnectionError(client.ended)
    return client


# --- by WebSocket ---


class _Web:
    def __init__(self, socket: ClientConnection, client: Client) -> None:
        self.socket = socket
        self.out: asyncio.Queue[bytes | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(self._read(client)), loop.create_task(self._write())]

    async def _read(self, client: Client) -> None:
        try:
            async for data in self.socket:
                assert isinstance(data, bytes)
                client.received(data)
        except ConnectionClosed:
            pass
        client.closed(self.socket.close_reason or "", (self.socket.close_code or 4_000) - 4_000)

    async def _write(self) -> None:
        while (data := await self.out.get()) is not None:
            try:
                await self.socket.send(data)
            except ConnectionClosed:
                return

    def send(self, data: bytes) -> None:
        self.out.put_nowait(data)

    async def close(self) -> None:
        self.out.put_nowait(None)
        await self.socket.close()
        await asyncio.gather(*self.tasks)


async def by_web(address: BridgeAddress, *, tls: bool = True, headers: Sequence[tuple[str, str]] = ()) -> Client:
    """The same over a WebSocket, whose certificate proves nothing."""
    context = ssl.create_default_context() if tls else None
    if context is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    url = f"{'wss' if tls else 'ws'}://127.0.0.1:{address.port}{relay.WEBSOCKET_PATH}"
    client = Client()
    socket = await connect(url, ssl=context, compression=None, max_size=None, proxy=None, additional_headers=headers)
    client.transport = _Web(socket, client)
    return client


@asynccontextmanager
async def met(client: Client, address: BridgeAddress, name: str = "") -> AsyncIterator[Client]:
    """Knocked, logged in if it has a name, and closed in the end."""
    try:
        await client.knock(address.key)
        if name:
            assert await client.login(name) == Done(1)
        yield client
    finally:
        await client.close()
