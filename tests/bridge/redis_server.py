"""A redis-server of the tests' own, on a Unix socket in a directory of its own; nothing is installed or kept."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

START_S = 10.0


def need_redis() -> None:
    """Skip without a redis-server; in CI its absence is a failure."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs redis-server (Debian: apt install redis-server)")
        pytest.skip("no redis-server here")


class RedisServer:
    """One server. `stop`, `kill` and `start` again keep its data."""

    def __init__(self, *options: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="p2pb-"))  # a socket's path is short
        self.socket = self.directory / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", "always", *self._options]
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(["redis-server", *words], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((self.directory / "log").read_text()[-2_000:])
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """It holds its connections and answers nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def serving(*options: str) -> Iterator[RedisServer]:
    """For a fixture: a server while the tests last."""
    need_redis()
    server = RedisServer(*options)
    try:
        server.start()
        yield server
    finally:
        server.close()


class RedisCluster:
    """Three servers that share the slots, on ports of the loopback."""

    def __init__(self) -> None:
        self.ports = [_free_port() for _ in range(3)]
        self.url = f"redis+cluster://127.0.0.1:{self.ports[0]}"
        self.servers = [
            RedisServer("--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes") for port in self.ports
        ]

    def start(self) -> None:
        for server in self.servers:
            server.start()
        words = ["--cluster", "create", *(f"127.0.0.1:{port}" for port in self.ports), "--cluster-yes"]
        subprocess.run(["redis-cli", *words], check=True, capture_output=True, timeout=START_S * 3)
        deadline = time.monotonic() + START_S
        while not all(self._whole(server) for server in self.servers):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _whole(self, server: RedisServer) -> bool:
        with server.client() as client:
            return client.cluster("info")["cluster_state"] == "ok"

    def empty(self) -> None:
        for server in self.servers:
            with server.client() as client:
                client.flushall()

    def close(self) -> None:
        for server in self.servers:
            server.close()


def _free_port() -> int:
    """One whose cluster bus, 10,000 above it, is a port too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port
