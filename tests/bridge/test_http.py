"""Plain HTTP on the TCP port: health, figures, and nothing else unless asked for by name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.datastructures import Headers

from bridge.http import NOT_FOUND, Call, Page, Routes
from p2p_agents.wire.bridge_address import BridgeAddress
from tests.bridge.client import Queue, by_quic, met
from tests.bridge.serving import in_loop, serving, until

QUEUE = Queue("for bob")


async def get(address: BridgeAddress, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower name, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", "Host: bridge", *headers, "", ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status, *lines = head.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(status.split(" ")[1]), {name.lower(): value for name, value in pairs}, body


def figures(body: bytes) -> dict[str, float]:
    """Samples by name and labels."""
    return {
        sample.name + "".join(f"|{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


@in_loop
async def test_health_says_that_it_lives(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=False) as (_, address), met(await by_quic(address), address):
        status, headers, body = await get(address, "/health?probe=1")
        assert (status, json.loads(body)) == (200, {"ok": True, "connections": 1})
        assert headers["content-type"] == "application/json"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@in_loop
async def test_figures_count_and_name_nobody(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, tls=False) as (server, address),
        met(await by_quic(address), address, "bob") as bob,
    ):
        await bob.create(QUEUE)
        await bob.read(QUEUE)
        await bob.put(QUEUE, b"x")
        await bob.put(QUEUE, b"x", b"w" * 32)
        await bob.blobs(QUEUE, 1)
        server.hub._look()
        await until(lambda: not server.hub.under_way)
        status, headers, body = await get(address, "/metrics")
        found = figures(body)
        assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
        assert found["p2p_bridge_messages_total|put"] == 2
        assert found["p2p_bridge_refusals_total|bad_token"] == 1
        assert found["p2p_bridge_connections_total|quic"] == 1
        assert found["p2p_bridge_delivered_blobs_total"] == 1
        assert found["p2p_bridge_connected"] == found["p2p_bridge_read_queues"] == found["p2p_bridge_blobs"] == 1
        assert found["p2p_bridge_received_bytes_total"] > 300
        assert found["p2p_bridge_oldest_blob_timestamp_seconds"] > 1.6e9
        assert QUEUE.name.hex()[:8] not in body.decode()


@in_loop
async def test_figures_are_for_this_machine_unless_shown_to_all(tmp_path: Path) -> None:
    """A proxy on this machine passes on what others ask."""
    async with serving(tmp_path, tls=False) as (_, address):
        assert (await get(address, "/metrics", "X-Forwarded-For: 192.0.2.1"))[0] == 403
    async with serving(tmp_path, tls=False, metrics=True) as (_, address):
        assert (await get(address, "/metrics", "X-Forwarded-For: 192.0.2.1"))[0] == 200


@pytest.mark.parametrize("path", ["/", "/bridge", "/bridge/x", "/../bridge.key", "//health", "/%68ealth", "/x" * 200])
@in_loop
async def test_everything_else_is_not_found(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, tls=False) as (_, address):
        status, _, body = await get(address, path)
        assert (status, body) == (404, b"not found\n")


@in_loop
async def test_a_websocket_elsewhere_is_not_found(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=False) as (_, address):
        asking = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        assert (await get(address, "/health", *asking, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))[0] == 200
        assert (await get(address, "/chat", *asking, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))[0] == 404


def test_a_route_answers_what_lies_below_it():
    routes = Routes()
    asked: list[Call] = []
    routes.add("p", lambda call: asked.append(call) or Page(b"here"))
    assert routes.page("/p/7Q2MX/deeper?x=1", Headers(), local=False) == Page(b"here")
    assert asked[0].rest == "7Q2MX/deeper"
    assert routes.page("/q/7Q2MX", Headers(), local=False) == NOT_FOUND
