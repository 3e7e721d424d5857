"""Tests what this machine can send to itself, in the ways that peers use: questions to the multicast group, datagrams
to a node's port. That a socket can be opened proves nothing.

Every function blocks for at most PROBE_S, and returns for each place why nothing came through, or None. What other
machines, or a switch between them, drop cannot be seen from here.
"""

from __future__ import annotations

import secrets
import select
import socket
import struct
import sys
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import ifaddr

from p2p_agents.limits import PROBE_AGAIN_S, PROBE_BYTES, PROBE_S, PROBED_PLACES
from p2p_agents.quic.address import to_sockaddr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROUP_V4, GROUP_V6 = "224.0.0.251", "ff02::fb"  # RFC 6762, section 3
MDNS_PORT = 5353
SERVICE = (b"_p2p-agents", b"_udp", b"local")
MARK = b"\0p2pa probe "  # its first byte is never that of a QUIC packet
SECRET_BYTES = 16
ECHO = b"echo "
QUESTION = struct.Struct("!HH")  # type, class
TYPE_PTR, CLASS_IN = 12, 1
DROPPED = "what was sent did not come back: a firewall drops it"

Found = dict[str, str | None]


class Probe:
    """A secret that one check of this machine sends to itself and recognises. No other is answered."""

    def __init__(self) -> None:
        self.token = MARK + secrets.token_hex(SECRET_BYTES).encode()

    def answer(self, data: bytes) -> bytes | None:
        """A node's answer to it, as long as the question."""
        return ECHO + data[len(ECHO) :] if data.startswith(self.token) and len(data) <= PROBE_BYTES else None


class StandIn:
    """Answers the probe if no node runs, on a port of its own."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._socket = _bound()
        self._thread = threading.Thread(target=self._serve, name="probe", daemon=True)
        self._ended = threading.Event()
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with suppress(OSError):  # nothing came: see whether that was all
                data, sender = self._socket.recvfrom(PROBE_BYTES)
                if answer := self._probe.answer(data):
                    self._socket.sendto(answer, sender)


def multicast(hosts: Sequence[str]) -> Found:
    """Whether a question of multicast DNS, sent from each IPv4 address to the group, is heard here."""
    with ExitStack() as stack:
        found: Found = {}
        waiting: dict[socket.socket, tuple[str, bytes]] = {}
        for host in hosts[:PROBED_PLACES]:
            try:
                sock = stack.enter_context(_member(host))
            except OSError as fault:
                found[host] = f"the group cannot be joined: {fault.strerror}"
                continue
            waiting[sock] = host, secrets.token_hex(SECRET_BYTES).encode()

        def ask(sock: socket.socket) -> None:
            sock.sendto(_question(waiting[sock][1]), (GROUP_V4, MDNS_PORT))

        def is_heard(sock: socket.socket, data: bytes) -> bool:
            return waiting[sock][1] in data

        heard = _exchange(list(waiting), ask, is_heard)
        return found | {waiting[sock][0]: why for sock, why in heard.items()}


def round_trips(hosts: Sequence[str], port: int, probe: Probe) -> Found:
    """Whether a datagram to each address of this machine reaches the answering probe at `port`, and is answered."""
    return _told_and_answered({host: (host, port) for host in hosts[:PROBED_PLACES]}, probe, _plain)


def arrivals(port: int, probe: Probe) -> Found:
    """Whether datagrams that come in by each network interface reach `port`: what is sent to a group comes back by the
    interface, past the firewall's rules for it, where what is sent to an own address does not. Of interfaces without
    IPv6 nothing is known, nor where a group's datagrams reach its members' sockets only, as beside Linux."""
    if sys.platform != "linux":
        return {}
    places = {name: (f"{GROUP_V6}%{index}", port) for name, index in _interfaces().items()}
    return _told_and_answered(dict(list(places.items())[:PROBED_PLACES]), probe, _grouped)


def down() -> list[str]:
    """Network interfaces that exist and have no address."""
    up = {str(adapter.name) for adapter in ifaddr.get_adapters() if adapter.ips}
    with suppress(OSError):
        return [name for _, name in socket.if_nameindex() if name not in up]
    return []


# --- sending and hearing ---


def _told_and_answered(
    places: dict[str, tuple[str, int]], probe: Probe, make: Callable[[tuple[str, int]], socket.socket]
) -> Found:
    with ExitStack() as stack:
        found: Found = {}
        waiting: dict[socket.socket, str] = {}
        for name, place in places.items():
            try:
                waiting[stack.enter_context(make(place))] = name
            except OSError as fault:
                found[name] = fault.strerror or str(fault)

        def tell(sock: socket.socket) -> None:
            sock.sendto(probe.token, to_sockaddr(places[waiting[sock]], sock.family))

        heard = _exchange(list(waiting), tell, lambda _, data: data == probe.answer(probe.token))
        return found | {waiting[sock]: why for sock, why in heard.items()}


def _exchange(
    socks: list[socket.socket],
    send: Callable[[socket.socket], None],
    is_answer: Callable[[socket.socket, bytes], bool],
) -> dict[socket.socket, str | None]:
    """Send on each, and again now and then, until each got its answer or time is up."""
    open_: dict[socket.socket, str] = dict.fromkeys(socks, DROPPED)
    found: dict[socket.socket, str | None] = {}
    end, again = time.monotonic() + PROBE_S, 0.0
    while open_ and (now := time.monotonic()) < end:
        if now >= again:
            again = now + PROBE_AGAIN_S
            for sock in open_:
                try:
                    send(sock)
                except OSError as fault:  # EPERM: a rule on the way out
                    open_[sock] = f"it cannot be sent: {fault.strerror}"
        readable, _, _ = select.select(list(open_), [], [], max(0.0, min(again, end) - now))
        for sock in readable:
            if _hears(sock, is_answer):
                del open_[sock]
                found[sock] = None
    return found | dict(open_)


def _hears(sock: socket.socket, is_answer: Callable[[socket.socket, bytes], bool]) -> bool:
    try:
        return is_answer(sock, sock.recv(PROBE_BYTES))
    except OSError:  # an ICMP error of an earlier datagram
        return False


# --- sockets ---


def _member(host: str) -> socket.socket:
    """A member of the multicast DNS group, on the interface with that address. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("", MDNS_PORT))
        interface = socket.inet_aton(host)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP_V4) + interface)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    except OSError:
        sock.close()
        raise
    return sock


def _bound() -> socket.socket:
    """A socket on every address of both IP versions, or of IPv4 alone. Raises OSError."""
    if socket.has_dualstack_ipv6():
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    else:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.settimeout(PROBE_AGAIN_S)
        sock.bind(("", 0))
    except OSError:
        sock.close()
        raise
    return sock


def _plain(place: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


def _grouped(place: tuple[str, int]) -> socket.socket:
    """Sends to the group on one interface and not beyond this machine; a member, so that it comes back."""
    index = int(place[0].partition("%")[2])
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        group = socket.inet_pton(socket.AF_INET6, GROUP_V6) + struct.pack("@I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 0)
    except OSError:
        sock.close()
        raise
    return sock


def _interfaces() -> dict[str, int]:
    """Name and index of those with an IPv6 address of the link, but for loopback."""
    found: dict[str, int] = {}
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            if isinstance(entry.ip, tuple) and entry.ip[0].lower().startswith("fe80") and entry.ip[2]:
                found[str(adapter.nice_name)] = entry.ip[2]
    return found


def _question(token: bytes) -> bytes:
    """A question for a name that nobody has."""
    labels = b"".join(bytes([len(label)]) + label for label in (token, *SERVICE))
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + labels + b"\0" + QUESTION.pack(TYPE_PTR, CLASS_IN)
