"""One stream of aioquic as it comes, between two processes: what a transfer cannot be much faster than.

`python -m bench.bare BYTES` receives: it prints its port, and then the seconds from the first byte to the last.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import subprocess
import sys
import time

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import HandshakeCompleted, QuicEvent, StreamDataReceived

from p2p_agents.limits import BULK_WINDOW_BYTES, SOCKET_BUFFER_BYTES
from p2p_agents.quic.certificate import NodeCertificate

AHEAD_BYTES = BULK_WINDOW_BYTES  # written and not acknowledged: with more it loses packets, and is slower
CHUNK = bytes(1 << 16)


class _Side(QuicConnectionProtocol):
    """One that says nothing more once its socket is closed."""

    def transmit(self) -> None:
        if not self._transport.is_closing():
            super().transmit()


class _Taker(_Side):
    wanted = 0
    done: asyncio.Future[float]
    began = 0.0
    got = 0

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived):
            if not self.got:
                type(self).began = time.perf_counter()
            type(self).got += len(event.data)
            if self.got >= self.wanted and not self.done.done():
                self.done.set_result(time.perf_counter() - self.began)


class _Giver(_Side):
    left = 0

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            self._fill()

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:  # type: ignore[override]  # as aioquic
        super().datagram_received(data, addr)
        if self._quic._handshake_complete:
            self._fill()

    def _fill(self) -> None:
        stream = self._quic._streams.get(0)
        while self.left and (stream is None or stream.sender._buffer_stop - stream.sender._buffer_start < AHEAD_BYTES):
            chunk = CHUNK[: self.left]
            type(self).left -= len(chunk)
            self._quic.send_stream_data(0, chunk)
            stream = self._quic._streams[0]
        self.transmit()


def measure(size: int) -> tuple[float, float]:
    """Of one stream of so many bytes, over loopback: MB/s, and processor milliseconds a MB of both sides together."""
    before = _processor_s()
    command = [sys.executable, "-m", "bench.bare", str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as taker:
        assert taker.stdout is not None
        port = int(taker.stdout.readline())
        asyncio.run(_give(port, size, taker))
        seconds = float(taker.stdout.readline())
    return size / 1e6 / seconds, 1e9 * (_processor_s() - before) / size


def _processor_s() -> float:
    """Of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


async def _give(port: int, size: int, taker: subprocess.Popen[str]) -> None:
    config = QuicConfiguration(is_client=True, alpn_protocols=["bare"], verify_mode=ssl.CERT_NONE)
    quic = QuicConnection(configuration=config)
    _Giver.left = size
    loop = asyncio.get_running_loop()
    transport, giver = await loop.create_datagram_endpoint(lambda: _Giver(quic), local_addr=("127.0.0.1", 0))
    _enlarge(transport)
    giver.connect(("127.0.0.1", port))
    await loop.run_in_executor(None, taker.wait)
    transport.close()


async def _take(size: int) -> None:
    certificate = NodeCertificate.from_seed(bytes(32))
    config = QuicConfiguration(is_client=False, alpn_protocols=["bare"])
    config.certificate, config.private_key = certificate.tls_certificate, certificate.tls_key
    loop = asyncio.get_running_loop()
    _Taker.wanted, _Taker.done = size, loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: QuicServer(configuration=config, create_protocol=_Taker), local_addr=("127.0.0.1", 0)
    )
    _enlarge(transport)
    sys.stdout.write(f"{transport.get_extra_info('sockname')[1]}\n")
    sys.stdout.flush()
    sys.stdout.write(f"{await _Taker.done}\n")
    sys.stdout.flush()
    transport.close()


def _enlarge(transport: asyncio.BaseTransport) -> None:
    """As our endpoint does: a full buffer is a lost packet."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)


if __name__ == "__main__":
    asyncio.run(_take(int(sys.argv[1])))
