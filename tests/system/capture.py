"""Every packet that a host sends or receives on its wire."""

from __future__ import annotations

import os
import select
import socket
import threading

from tests.system.relay import enter

ALL_PROTOCOLS = 0x0003  # ETH_P_ALL of linux/if_ether.h
FRAME_BYTES = 65_536


class Capture:
    """Of one network namespace, while it is entered; `bytes` afterwards."""

    def __init__(self, host: str) -> None:
        self.bytes = b""
        self._frames: list[bytes] = []
        self._stop, self._stopping = os.pipe()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(host,))

    def __enter__(self) -> Capture:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopping)
        self._thread.join()
        self.bytes = b"".join(self._frames)

    def _run(self, host: str) -> None:
        enter(host)  # a namespace belongs to the thread
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
            self._ready.set()
            while True:
                readable, _, _ = select.select([wire, self._stop], [], [])
                if wire in readable:
                    self._frames.append(wire.recv(FRAME_BYTES))
                elif self._stop in readable:
                    break
        os.close(self._stop)
