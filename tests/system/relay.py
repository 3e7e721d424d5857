"""A UDP relay between two network namespaces, in user space, that delays, drops, doubles and reorders; seeded.

Each node knows the other by the relay's address on its own side: the only way between them.
"""

from __future__ import annotations

import ctypes
import heapq
import os
import random
import select
import socket
import threading
import time
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities are per datagram; each one is late by `delay_s` and up to `jitter_s` more, which reorders."""

    loss: float = 0.0
    double: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0


CLEAR = Faults()
CUT = Faults(loss=1.0)


class Relay:
    """Carries between `ports[0]` in `hosts[0]` and `ports[1]` in `hosts[1]`; `ways[n]` is what host n dials."""

    def __init__(self, hosts: tuple[str, str], ports: tuple[int, int], seed: int = 1) -> None:
        self.faults = CLEAR
        self.carried = self.dropped = self.doubled = self.overtaken = 0
        self._random = random.Random(seed)
        self._nodes = [(LOOPBACK, port) for port in ports]
        self._sockets: list[socket.socket] = []
        self._stop, self._stopping = os.pipe()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(hosts,))
        self._thread.start()
        assert self._ready.wait(10)
        self.ways = tuple(f"{LOOPBACK}:{sock.getsockname()[1]}" for sock in self._sockets)

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopping)
        self._thread.join()

    def aim(self, side: int, port: int) -> None:
        """The node of that side came back on another port."""
        self._nodes[side] = (LOOPBACK, port)

    def _run(self, hosts: tuple[str, str]) -> None:
        for host in hosts:
            enter(host)  # a namespace belongs to the thread, and sockets stay where they were made
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((LOOPBACK, 0))
            self._sockets.append(sock)
        self._ready.set()
        late: list[tuple[float, int, int, bytes]] = []
        while True:
            patience = max(late[0][0] - time.monotonic(), 0) if late else None
            readable, _, _ = select.select([*self._sockets, self._stop], [], [], patience)
            if self._stop in readable:
                break
            for sock in readable:
                side = self._sockets.index(sock)
                self._take(late, 1 - side, sock.recv(2048))
            while late and late[0][0] <= time.monotonic():
                _, _, side, data = heapq.heappop(late)
                self._sockets[side].sendto(data, self._nodes[side])
        for sock in self._sockets:
            sock.close()
        os.close(self._stop)

    def _take(self, late: list[tuple[float, int, int, bytes]], side: int, data: bytes) -> None:
        faults = self.faults
        if self._random.random() < faults.loss:
            self.dropped += 1
            return
        copies = 2 if self._random.random() < faults.double else 1
        self.doubled += copies - 1
        for _ in range(copies):
            due = time.monotonic() + faults.delay_s + faults.jitter_s * self._random.random()
            self.carried += 1
            self.overtaken += any(entry[0] > due and entry[2] == side for entry in late)
            heapq.heappush(late, (due, self.carried, side, data))


def enter(host: str) -> None:
    """Move this thread into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{host}", "rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {host}")
