"""A node of bytes: a greeting, an answer to each line, and whatever else a test makes of it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import p2p_agents
from p2p_agents.control.wire import encode_line

if TYPE_CHECKING:
    from p2p_agents.paths import Home

GREETING = encode_line({"node": p2p_agents.__version__, "protocol": 1, "pid": 7})
PATIENCE_S = 20.0


class ByteNode:
    """Says `greeting` to whoever connects, then one of `answers` after each line; after the last it hangs up."""

    def __init__(self, home: Home, *answers: bytes, greeting: bytes = GREETING) -> None:
        self.greeting, self.answers = greeting, answers
        self.heard: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(home.socket)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> ByteNode:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._listener.close()

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.heard]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE_S)
                self._speak(connection)

    def _speak(self, connection: socket.socket) -> None:
        connection.sendall(self.greeting)
        lines = connection.makefile("rb")
        for answer in self.answers:
            line = lines.readline()
            if not line:
                return
            self.heard.append(line)
            connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        self.heard += filter(None, [lines.read()])
