"""One UDP socket: datagrams in and out, each with both addresses.

A socket that listens on every address of a host answers, by default, from whichever address the kernel prefers. Whoever
dialled another one drops that answer. So each datagram comes with the local address it was sent to, and an answer
leaves from there (RFC 3542 section 6, ip(7) IP_PKTINFO).
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import TYPE_CHECKING

from p2p_agents.errors import NoSocket
from p2p_agents.limits import DATAGRAM_READ_BYTES, SOCKET_BUFFER_BYTES
from p2p_agents.quic.address import canonical_host, from_sockaddr, to_sockaddr

if TYPE_CHECKING:
    from p2p_agents.quic.address import Address, SockAddr

ANY = b""  # the kernel chooses the local address

_ANCILLARY_BYTES = 128  # room for the one control message asked for
_IP_PKTINFO = 8  # linux/in.h; the socket module names it from 3.14 on
_V4 = struct.Struct("@i4s4s")  # interface, address to answer from, address in the header
_V6 = struct.Struct("@16sI")  # address, interface


class Datagrams:
    """A bound, non-blocking UDP socket; one on [::] takes IPv4 too."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.family: int = sock.family
        self.port: int = sock.getsockname()[1]

    @classmethod
    def bind(cls, host: str | None, port: int) -> Datagrams:
        """Bind `host`, or every address of both IP versions. Raises NoSocket."""
        return cls(_bind(host, port))

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> tuple[bytes, Address, bytes]:
        """(datagram, who sent it, the local address it came to). Raises BlockingIOError, or OSError for an ICMP error
        of an earlier one."""
        data, ancillary, _, sockaddr = self._socket.recvmsg(DATAGRAM_READ_BYTES, _ANCILLARY_BYTES)
        return data, from_sockaddr(sockaddr), _local(ancillary)

    def send(self, data: bytes, address: Address, local: bytes = ANY) -> None:
        """Raises OSError if there is no route, permission or buffer."""
        sockaddr = to_sockaddr(address, self.family)
        if local == ANY:
            self._socket.sendto(data, sockaddr)
        else:
            self._socket.sendmsg([data], [_source(local)], 0, sockaddr)

    def close(self) -> None:
        self._socket.close()


def _local(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """4 or 16 bytes; ANY where the kernel did not say."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(value) >= _V4.size:
            return bytes(_V4.unpack_from(value)[1])
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(value) >= _V6.size:
            return bytes(_V6.unpack_from(value)[0])
    return ANY


def _source(local: bytes) -> tuple[int, int, bytes]:
    """The control message that makes a datagram leave from that address, by whatever interface the route takes."""
    if len(local) == 4:
        return socket.IPPROTO_IP, _IP_PKTINFO, _V4.pack(0, local, bytes(4))
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.pack(local, 0)


def _bind(host: str | None, port: int) -> socket.socket:
    if host is not None:
        host = canonical_host(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return _bind_one(family, host, port)
    try:
        return _bind_one(socket.AF_INET6, "::", port)
    except NoSocket as fault:
        if fault.details.get("errno") == errno.EADDRINUSE:
            raise
        return _bind_one(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - peers on every network are the purpose


def _bind_one(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """Raises NoSocket."""
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as fault:
        raise NoSocket(f"cannot make a UDP socket: {fault.strerror}", errno=fault.errno) from fault
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        sockaddr: SockAddr = (host, port)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            literal, _, scope = host.partition("%")
            sockaddr = (literal, port, 0, int(scope or 0))
        if host in ("::", "0.0.0.0") and sys.platform == "linux":  # noqa: S104 - asked for above
            _tell_local_addresses(sock, family)
        sock.bind(sockaddr)
    except (OSError, OverflowError) as fault:
        sock.close()
        code = getattr(fault, "errno", None)
        raise NoSocket(f"cannot bind UDP {host} port {port}: {fault}", errno=code) from fault
    return sock


def _tell_local_addresses(sock: socket.socket, family: socket.AddressFamily) -> None:
    """Linux alone: elsewhere the two IP versions of one socket differ in more than a name."""
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
