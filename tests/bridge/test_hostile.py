"""Hostile clients: each is limited, and others are served as before."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from bridge import bounds
from bridge.bounds import Pace, Quotas
from bridge.clock import now_ms
from bridge.server import BridgeServer
from bridge.session import End
from bridge.visit import Visit
from bridge.web_lines import WebLine
from p2p_agents.limits import DATAGRAM_FRAMES, FRAME_BYTES, MEETING_BYTES
from p2p_agents.quic import private
from p2p_agents.quic.admission import Bounds
from p2p_agents.quic.connection import CLOSE_OWNER
from p2p_agents.wire import relay
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.framing import frame_bytes
from p2p_agents.wire.relay_answers import Deliver, Done, Fail, Refusal
from p2p_agents.wire.relay_requests import Knock, Meet, Put, Side
from tests.bridge.client import Client, Queue, by_quic, by_web, key_of, met
from tests.bridge.serving import in_loop, serving, until
from tests.quic import sealed

Way = Callable[[BridgeAddress], Awaitable[Client]]
QUEUE, OTHER = Queue("for bob"), Queue("for eve")


async def works(address: BridgeAddress, name: str = "honest", way: Way = by_quic) -> None:
    """An honest client's whole errand."""
    queue = Queue(os.urandom(8).hex())
    async with met(await way(address), address, name) as client:
        assert isinstance(await client.create(queue), Done)
        assert isinstance(await client.read(queue), Done)
        assert isinstance(await client.put(queue, b"hello"), Done)
        [(cursor, blob)] = await client.blobs(queue, 1)
        assert blob == b"hello"
        assert isinstance(await client.ack(queue, cursor), Done)


@in_loop
async def test_a_half_open_connection_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "KNOCK_S", 0.2)
    async with serving(tmp_path) as (server, address):
        silent = [await by_quic(address), await by_web(address)]
        assert [await client.gone() for client in silent] == ["no KNOCK in time"] * 2
        assert silent[0].end_code == silent[1].end_code == End.LATE
        await until(lambda: len(server.hub) == 0)
        for client in silent:
            await client.close()
        await works(address)


@in_loop
async def test_a_tcp_connection_that_says_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "KNOCK_S", 0.0)
    async with serving(tmp_path, tls=False) as (server, address):
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        assert await reader.read() == b""
        writer.close()
        assert len(server.hub) == 0


@in_loop
async def test_a_huge_frame_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, address):
        for way in (by_quic, by_web):
            async with met(await way(address), address) as eve:
                eve.transport.send((FRAME_BYTES + 1).to_bytes(4, "big") + bytes(100))
                assert "the limit is" in await eve.gone()
        await works(address)


@in_loop
async def test_initial_packets_of_one_byte_frames_cost_a_bridge_one_datagram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 KB of them, from somebody without a handshake, stopped everybody's connections for 15 s."""
    meter, handled = private.BoundedQuicConnection.meter, []
    monkeypatch.setattr(
        private.BoundedQuicConnection, "meter", lambda quic, kind: (handled.append(kind), meter(quic, kind))
    )
    async with serving(tmp_path) as (_, address):
        eve = private.BoundedQuicConnection(private.configuration(is_client=True, alpn="x", certificate=None))
        eve.connect(("127.0.0.1", address.port), now=0.0)
        frames = [sealed.crypto(offset, b"x") for offset in range(10, 30_000, 2)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for datagram in sealed.datagrams(eve, sealed.INITIAL, frames):
                flood.sendto(datagram, ("127.0.0.1", address.port))
        await until(lambda: handled)
        await works(address)
    assert handled[: DATAGRAM_FRAMES + 1] == [0x06] * (DATAGRAM_FRAMES + 1)
    assert handled.count(0x06) < DATAGRAM_FRAMES + 32


@in_loop
async def test_before_a_knock_there_is_little_to_be_held(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, address):
        eve = await by_quic(address)
        eve.transport.send((bounds.KNOCK_BYTES + 1).to_bytes(4, "big"))
        assert "the limit is" in await eve.gone()
        await eve.close()


@in_loop
async def test_frames_that_begin_and_do_not_end_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "ALL_PARTIAL_BYTES", 1_000_000)
    async with serving(tmp_path) as (server, address):
        clients = [await by_quic(address) for _ in range(4)]
        for client in clients:
            await client.knock(address.key)
            client.transport.send(FRAME_BYTES.to_bytes(4, "big") + bytes(400_000))
        ended = [asyncio.get_running_loop().create_task(client.gone()) for client in clients]
        done, _ = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        assert "begun here and not ended" in done.pop().result()
        await until(lambda: server.hub.partial <= 1_000_000)
        await works(address)
        for client in clients:
            await client.close()
        await asyncio.gather(*ended)
        await until(lambda: server.hub.partial == 0)


@in_loop
async def test_garbage_ends_its_own_connection_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, address), met(await by_quic(address), address, "bob") as bob:
        await bob.create(QUEUE)
        garbage = [b"\xff" * 40, encode("text"), encode([4, 1]), encode([4, -1, 0]), encode([{"a": 1}, 1, 1]), b""]
        for rubbish in garbage:
            async with met(await by_quic(address), address) as eve:
                eve.transport.send(frame_bytes(rubbish))
                assert await eve.gone()
        assert isinstance(await bob.put(QUEUE, b"x"), Done)
        assert server.hub.counts.ended["protocol"] == len(garbage)


@in_loop
async def test_another_version_is_told_so_and_ended(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, address):
        eve = await by_quic(address)
        eve.transport.send(frame_bytes(encode([0, 0, 2, b"n" * 32])))
        assert await eve.hear(Fail) == Fail(0, Refusal.VERSION)
        assert "version 1" in await eve.gone()
        assert eve.end_code == CLOSE_OWNER
        await eve.close()


@in_loop
async def test_a_websocket_message_is_binary_and_whole(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=False) as (_, address):
        url = f"ws://127.0.0.1:{address.port}{relay.WEBSOCKET_PATH}"
        knock = frame_bytes(relay.encode_message(Knock(b"n" * 32)))
        for said, why in (("text", "binary"), (knock + b"\0\0", "whole frames")):
            async with connect(url, proxy=None) as eve:
                await eve.send(said)
                await asyncio.wait_for(eve.wait_closed(), 20)
                assert why in (eve.close_reason or "")
        await works(address)


@in_loop
async def test_a_flood_of_requests_is_refused_and_others_are_served(tmp_path: Path) -> None:
    quotas = Quotas(disk_reserve=0, requests=Pace(50, 100))
    async with (
        serving(tmp_path, quotas=quotas) as (server, address),
        met(await by_quic(address), address, "bob") as bob,
        met(await by_quic(address), address) as eve,
    ):
        await bob.create(QUEUE)
        for number in range(2_000):
            eve.say(Put(number + 1, QUEUE.name, OTHER.token, b"x"))
        await bob.put(QUEUE, b"in between")
        answers = [await eve.answer(number + 1) for number in range(2_000)]
        assert all(isinstance(answer, Fail) for answer in answers)
        assert server.hub.counts.refused["rate"] > 1_500
        await works(address)


@in_loop
async def test_a_loop_of_sends_on_this_machine_is_never_too_fast(tmp_path: Path) -> None:
    """Many programs on one machine share an address: it has no pace of its own here."""
    async with serving(tmp_path) as (server, address):
        async with met(await by_quic(address), address, "bob") as bob:
            await bob.create(QUEUE)
        for _ in range(40):
            async with met(await by_quic(address), address) as alice:
                answers = await asyncio.gather(*(alice.put(QUEUE, b"x") for _ in range(50)))
                assert all(isinstance(answer, Done) for answer in answers)
        assert server.hub.counts.refused["rate"] == 0


@in_loop
async def test_a_reader_that_acknowledges_nothing_is_owed_no_more_than_its_window(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as (_, address),
        met(await by_web(address), address, "eve") as eve,
        met(await by_quic(address), address) as alice,
    ):
        await eve.create(OTHER)
        await eve.read(OTHER)
        for _ in range(3):
            answers = await asyncio.gather(*(alice.put(OTHER, bytes(4_096)) for _ in range(100)))
            assert all(isinstance(answer, Done) for answer in answers)
        await eve.ask(lambda n: Put(n, OTHER.name, b"w" * 32, b""))  # what was pushed before came before this
        pushed = sum(len(m.blobs) for m in eve.said if isinstance(m, Deliver))
        assert pushed == bounds.WINDOW_BLOBS


@in_loop
async def test_a_client_that_takes_nothing_of_what_it_asks_for_is_ended() -> None:
    class Stuck:
        async def send(self, data: bytes) -> None:
            await asyncio.get_running_loop().create_future()

        async def close(self, code: int, reason: str) -> None:
            raise AssertionError("nobody would read it")

        def abort(self) -> None:
            self.cut.set()

    stuck = Stuck()
    stuck.transport, stuck.cut = stuck, asyncio.Event()
    line = WebLine(stuck, lambda: None)  # type: ignore[arg-type]
    writing = asyncio.get_running_loop().create_task(line.write())
    line.send(b"first")
    await asyncio.sleep(0)
    for _ in range(100):
        line.send(bytes(bounds.OUTGOING_BYTES // 10))
    assert line._end == (End.SLOW, "the client does not read what it asked for")
    assert sum(map(len, line._out)) <= bounds.OUTGOING_BYTES
    await stuck.cut.wait()
    writing.cancel()


@in_loop
async def test_who_reads_nothing_is_cut_off_and_what_it_was_owed_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: what was being written stayed until pings went unanswered, eight mebibytes a connection."""
    monkeypatch.setattr("bridge.web_lines.PING_S", 1_000.0)
    async with serving(tmp_path, tls=False) as (server, address), met(await by_quic(address), address, "a") as alice:
        url = f"ws://127.0.0.1:{address.port}{relay.WEBSOCKET_PATH}"
        eve = await connect(url, proxy=None, max_size=None, compression=None)
        await eve.send(frame_bytes(relay.encode_message(Knock(b"n" * 32))))
        await eve.recv()
        await alice.meet("7Q2MX", Side.DISPLAYER, b"a" * 32)
        await eve.send(frame_bytes(relay.encode_message(Meet(1, "7Q2MX", Side.JOINER, b"e" * 32))))
        await alice.told()
        eve.transport.pause_reading()
        told = 0
        while len(server.hub) > 1:
            if isinstance(await alice.tell("7Q2MX", bytes(MEETING_BYTES)), Done):
                told += MEETING_BYTES
            assert told < 4 * bounds.OUTGOING_BYTES
        eve.transport.abort()
        await eve.wait_closed()


@in_loop
async def test_ten_thousand_queues_are_one_accounts_quota(tmp_path: Path) -> None:
    quotas = Quotas(disk_reserve=0, account_queues=100, requests=Pace(1e6, 1e6))
    async with serving(tmp_path, quotas=quotas) as (server, address):
        async with met(await by_quic(address), address, "eve") as eve:
            answers = [await eve.create(Queue(f"eve's {n}")) for n in range(150)]
            assert sum(isinstance(answer, Done) for answer in answers) == 100
            assert {answer.code for answer in answers if isinstance(answer, Fail)} == {Refusal.ACCOUNT}
        assert (await server.store.stats()).queues == 100
        await works(address)


@in_loop
async def test_wrong_tokens_write_nothing_and_say_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, address):
        async with met(await by_quic(address), address, "bob") as bob, met(await by_quic(address), address) as eve:
            await bob.create(QUEUE)
            for _ in range(50):
                assert (await eve.put(QUEUE, b"x", os.urandom(32))).code == Refusal.TOKEN
            assert (await eve.put(OTHER, b"x")).code == Refusal.GONE
            assert (await eve.ask(eve.reading(QUEUE, key=key_of("eve")))).code == Refusal.BAD
            assert (await eve.ack(QUEUE, 1)).code == Refusal.BAD
            assert (await eve.drop(QUEUE)).code == Refusal.BAD
        assert (await server.store.stats()).blobs == 0


@in_loop
async def test_guessing_at_meeting_places_is_slow(tmp_path: Path) -> None:
    quotas = Quotas(disk_reserve=0, meets=Pace(0.001, 10))
    async with serving(tmp_path, quotas=quotas) as (server, address):
        async with met(await by_quic(address), address) as eve:
            answers = [await eve.meet(f"AAA{n:02}", Side.JOINER, b"t" * 32) for n in range(30)]
        assert sum(isinstance(answer, Done) for answer in answers) == 10
        assert len(server.meetings) == 10


@in_loop
async def test_connections_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, address):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for way in (by_quic, by_web):
            for number in range(20):
                async with met(await way(address), address, "bob") as client:
                    await client.create(QUEUE)
                    await client.read(QUEUE)
                    if number % 2:
                        client.transport.send(FRAME_BYTES.to_bytes(4, "big") if way is by_quic else b"")
        _, writer = await asyncio.open_connection("127.0.0.1", address.port, ssl=context)
        writer.write(b"GET /bridge HTTP/1.1\r\nHost: x\r\n")
        writer.close()
        hub = server.hub
        await until(lambda: len(hub) == 0)
        assert (hub.watched, hub.partial, hub.pool.bytes, len(hub._strangers)) == (0, 0, 0, 0)


@in_loop
async def test_who_leaves_most_in_our_memory_is_ended_where_it_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        serving(tmp_path) as (server, address),
        met(await by_quic(address), address) as eve,
        met(await by_quic(address), address) as bob,
    ):
        [first, second] = server.hub._visits.values()
        monkeypatch.setattr(first, "backlog", lambda: bounds.ALL_OUTGOING_BYTES)
        monkeypatch.setattr(second, "backlog", lambda: 1_000)
        server.hub._relieve()
        assert "does not read" in await eve.gone()
        assert (await bob.put(QUEUE, b"x")).code == Refusal.GONE


@in_loop
async def test_websockets_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.web_lines.BOUNDS", Bounds(connections=2))
    async with serving(tmp_path) as (_, address):
        one, two = await by_web(address), await by_web(address)
        await one.knock(address.key)
        with pytest.raises(ConnectionError):
            await by_web(address)
        await two.close()
        await one.close()
        await works(address)


class Stranger:
    """By TCP, with a request that has no end."""

    @classmethod
    async def come(cls, address: BridgeAddress, head: bytes = b"GET /bridge HTTP/1.1\r\n") -> Stranger:
        stranger = cls()
        stranger.reader, stranger.writer = await asyncio.open_connection("127.0.0.1", address.port)
        stranger.writer.write(head)
        return stranger

    async def cut(self) -> None:
        """Nothing comes, and the connection ends."""
        try:
            assert await self.reader.read() == b""
        except ConnectionError:
            return
        finally:
            await self.leave()

    async def leave(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@in_loop
async def test_headers_of_unfinished_upgrades_are_few_and_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,200 connections that sent headers for ever took a gigabyte."""
    monkeypatch.setattr(bounds, "UPGRADES", 5)
    async with serving(tmp_path, tls=False) as (server, address):
        long = await Stranger.come(address, b"GET /bridge HTTP/1.1\r\nA: " + b"a" * bounds.UPGRADE_BYTES)
        await long.cut()
        many = [await Stranger.come(address) for _ in range(20)]
        await asyncio.gather(*(stranger.cut() for stranger in many[:15]))
        assert server.web.strangers == 5
        client = await by_web(address, tls=False)
        await client.knock(address.key)  # the newest is let in, for the oldest stranger
        await many[15].cut()
        await client.close()
        for stranger in many[16:]:
            await stranger.leave()


@in_loop
async def test_a_stranger_over_tls_is_counted_before_its_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "UPGRADES", 2)
    async with serving(tmp_path) as (server, address):
        many = [await Stranger.come(address, b"") for _ in range(6)]
        await asyncio.gather(*(stranger.cut() for stranger in many[:4]))
        await works(address, way=by_web)
        assert server.web.strangers <= 2
        for stranger in many[4:]:
            await stranger.leave()


@in_loop
async def test_websocket_frames_that_begin_and_do_not_end_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand could hold a mebibyte each."""
    monkeypatch.setattr(bounds, "ALL_PARTIAL_BYTES", 1_000_000)
    async with serving(tmp_path, tls=False) as (server, address):
        url = f"ws://127.0.0.1:{address.port}{relay.WEBSOCKET_PATH}"
        knock = frame_bytes(relay.encode_message(Knock(b"n" * 32)))
        eves = [await connect(url, proxy=None, max_size=None) for _ in range(4)]
        for eve in eves:
            await eve.send(knock)
            await eve.recv()
            eve.transport.write(b"\x82\xff" + FRAME_BYTES.to_bytes(8, "big") + bytes(4 + 400_000))
        gone = [asyncio.get_running_loop().create_task(eve.wait_closed()) for eve in eves]
        await asyncio.wait(gone, return_when=asyncio.FIRST_COMPLETED)
        await until(lambda: server.hub.partial <= 1_000_000)
        for eve in eves:
            eve.transport.abort()
        await asyncio.gather(*gone)
        await until(lambda: server.hub.partial == 0)
        await works(address)


@in_loop
async def test_before_a_knock_there_is_little_to_be_held_of_a_websocket(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=False) as (_, address):
        url = f"ws://127.0.0.1:{address.port}{relay.WEBSOCKET_PATH}"
        async with connect(url, proxy=None) as eve:
            eve.transport.write(b"\x82\xff" + FRAME_BYTES.to_bytes(8, "big") + bytes(4 + 2_000))
            await asyncio.wait_for(eve.wait_closed(), 20)
            assert "before KNOCK" in (eve.close_reason or "")


@in_loop
async def test_frames_that_bring_nothing_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: pings, each of six bytes, took all of a core at 3 MB a second."""
    quotas = Quotas(disk_reserve=0, requests=Pace(100, 500))
    ping = b"\x89\x80" + bytes(4)
    async with serving(tmp_path, tls=False, quotas=quotas) as (server, address):
        url = f"ws://127.0.0.1:{address.port}{relay.WEBSOCKET_PATH}"
        parsed = 0

        def frame(visit: Visit) -> bool:
            nonlocal parsed
            parsed += 1
            return counted(visit)

        counted = Visit.frame
        monkeypatch.setattr(Visit, "frame", frame)
        async with connect(url, proxy=None) as eve:
            await eve.send(frame_bytes(relay.encode_message(Knock(b"n" * 32))))
            await eve.recv()
            for _ in range(100):
                eve.transport.write(ping * 1_000)
            await asyncio.wait_for(eve.wait_closed(), 20)
        await until(lambda: len(server.hub) == 0)
        assert parsed <= 1_000 + 200 * 20 + bounds.PIECE_BYTES // len(ping)
        await works(address)


def from_afar(server: BridgeServer, host: str) -> Client:
    """A client of another machine: its bytes go to the hub as a transport would hand them over."""

    class Line:
        def send(self, data: bytes) -> None:
            client.received(data)

        def close(self, end: End, reason: str) -> None:
            client.closed(reason, end)

        def backlog(self) -> int:
            return 0

        def vouch(self) -> None:
            client.vouched = True

    class Ear:
        def send(self, data: bytes) -> None:
            visit.received(data)

        async def close(self) -> None:
            visit.ended()

    client = Client(Ear())
    client.vouched = False
    visit = server.hub.arrived(Line(), "quic", host, f"[{host}]:4433")
    return client


@in_loop
async def test_a_fresh_account_for_every_login_evades_no_quota(tmp_path: Path) -> None:
    """16 accounts, each of another address of one /64, filled 509 MB in 53 s."""
    network = 10 * (100_000 + bounds.BLOB_COST)
    quotas = Quotas(disk_reserve=0, network_bytes=network, blob_bytes=100_000)
    async with serving(tmp_path, quotas=quotas) as (server, address):
        kept = 0
        for number in range(16):
            queue = Queue(f"eve's {number}")
            async with met(from_afar(server, f"2001:db8::{number:x}"), address, f"eve {number}") as eve:
                assert isinstance(await eve.create(queue), Done)
                answers = [await eve.put(queue, bytes(100_000)) for _ in range(10)]
                kept += sum(isinstance(answer, Done) for answer in answers)
        assert kept == 10
        assert (await server.store.stats()).bytes == 1_000_000
        async with met(from_afar(server, "2001:db8:0:1::1"), address, "bob") as bob:
            assert isinstance(await bob.create(QUEUE), Done)
            assert isinstance(await bob.put(QUEUE, bytes(100_000)), Done)


@in_loop
async def test_logins_leave_no_rows(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, address):
        async with met(await by_quic(address), address) as eve:
            for number in range(100):
                assert isinstance(await eve.login(f"eve {number}"), Done)
        assert (await server.store.stats()).accounts == 0


@in_loop
async def test_one_network_does_not_take_every_meeting_place(tmp_path: Path) -> None:
    """10,000 were taken in 4 s from one /64, without a login, and held after hanging up."""
    quotas = Quotas(disk_reserve=0, meets=Pace(1e6, 1e6))
    async with serving(tmp_path, quotas=quotas) as (server, address):
        async with met(from_afar(server, "2001:db8::1"), address) as eve:
            assert await eve.meet("AAAAA", Side.DISPLAYER, b"t" * 32) == Fail(1, Refusal.ADMISSION)
        for number in range(4):
            async with met(from_afar(server, f"2001:db8::{number:x}"), address, f"eve {number}") as eve:
                for place in range(bounds.PLACES_OF_ONE):
                    await eve.meet(f"{number}{place:04}", Side.DISPLAYER, b"t" * 32)
        assert len(server.meetings) == bounds.PLACES_OF_NETWORK
        async with met(from_afar(server, "2001:db8:0:1::1"), address, "alice") as alice:
            assert isinstance(await alice.meet("7Q2MX", Side.DISPLAYER, b"a" * 32), Done)
            server.meetings.expire(now_ms() + bounds.ABANDONED_PLACE_MS)
            assert len(server.meetings) == 1


@in_loop
async def test_connections_of_strangers_make_room_and_those_of_accounts_with_queues_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 networks held all connections without an account; the pace is that of hand-shaken ones."""
    monkeypatch.setattr("bridge.web_lines.BOUNDS", Bounds(connections=3, patience_s=0.0))
    monkeypatch.setattr("bridge.quic_lines.BOUNDS", Bounds(connections=3, patience_s=0.0))
    async with serving(tmp_path) as (_, address):
        for way in (by_web, by_quic):
            async with met(await way(address), address, "bob") as bob:
                await bob.create(QUEUE)
                eves = [await way(address) for _ in range(5)]
                for eve in eves[:3]:
                    await eve.gone()
                assert isinstance(await bob.put(QUEUE, b"x"), Done)
                for eve in eves:
                    await eve.close()


@in_loop
async def test_one_account_keeps_a_few_connections_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, address):
        async with met(from_afar(server, "2001:db8::1"), address, "eve") as eve:
            await eve.create(QUEUE)
            assert eve.vouched
            others = [from_afar(server, "2001:db8::1") for _ in range(bounds.VOUCHED_OF_ACCOUNT)]
            for other in others:
                await other.knock(address.key)
                await other.login("eve")
            assert [other.vouched for other in others] == [True] * (bounds.VOUCHED_OF_ACCOUNT - 1) + [False]
            for other in others:
                await other.close()
        assert server.hub._vouched_of == {}


@in_loop
async def test_who_leaves_before_it_is_let_in_keeps_no_place(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, address):
        async with met(from_afar(server, "2001:db8::1"), address, "eve") as eve:
            await eve.create(QUEUE)
        for _ in range(bounds.VOUCHED_OF_ACCOUNT):
            gone = from_afar(server, "2001:db8::1")
            await gone.knock(address.key)
            logging_in = asyncio.get_running_loop().create_task(gone.login("eve"))
            await asyncio.sleep(0)
            await gone.close()
            await asyncio.gather(until(lambda: server.hub.under_way == 0))
            logging_in.cancel()
        assert server.hub._vouched_of == {}


@in_loop
async def test_what_one_network_reads_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SUBSCRIPTIONS_OF_NETWORK", 3)
    async with serving(tmp_path) as (server, address):
        queues = [Queue(f"eve's {n}") for n in range(2)]
        clients = [from_afar(server, f"2001:db8::{n:x}") for n in range(2)]
        answers = []
        for client in clients:
            await client.knock(address.key)
            await client.login("eve")
            for queue in queues:
                await client.create(queue)
                answers.append(await client.read(queue))
        assert [type(answer) for answer in answers] == [Done, Done, Done, Fail]
        await clients[0].close()
        assert isinstance(await clients[1].read(queues[1]), Done)
        await clients[1].close()
        assert server.hub.pool.reads == 0
