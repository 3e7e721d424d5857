"""A bridge on real sockets: QUIC and WebSocket over TLS on one port, its store on a disk."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import inspect
import shutil
import sqlite3
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bridge import bounds
from bridge.bounds import Quotas
from bridge.keeping import STORE_NAME
from bridge.operator import Operator
from bridge.session import End
from p2p_agents.crypto.work import work_claim
from p2p_agents.errors import NoSocket, StoreBroken
from p2p_agents.limits import BLOB_BYTES
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.wire.relay_answers import Admission, Deliver, Done, Fail, Refusal
from p2p_agents.wire.relay_requests import Put, Side
from tests.bridge.client import Queue, by_quic, by_web, met
from tests.bridge.failing_commit import FailingCommit
from tests.bridge.serving import in_loop, serving, until
from tests.stamps import find_stamp

Way = Callable[..., Any]
QUEUE, OTHER = Queue("for bob"), Queue("for carol")


@pytest.fixture(params=[by_quic, by_web], ids=["quic", "websocket"])
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


@in_loop
async def test_a_blob_goes_from_a_writer_to_a_reader(tmp_path: Path, way: Way) -> None:
    async with serving(tmp_path) as (_, address):
        async with met(await way(address), address, "bob") as bob, met(await way(address), address) as alice:
            assert isinstance(await bob.create(QUEUE), Done)
            stored = await alice.put(QUEUE, b"before")
            assert isinstance(stored, Done)
            assert isinstance(await bob.read(QUEUE), Done)
            assert await bob.blobs(QUEUE, 1) == [(stored.cursor, b"before")]
            live = await alice.put(QUEUE, b"live")
            assert await bob.blobs(QUEUE, 1) == [(live.cursor, b"live")]
            assert isinstance(await bob.ack(QUEUE, live.cursor), Done)
        async with met(await way(address), address) as bob:
            await bob.read(QUEUE)
            assert isinstance(await bob.drop(QUEUE), Done)
            assert await bob.put(QUEUE, b"late") == Fail(3, Refusal.GONE)


@in_loop
async def test_who_writes_by_quic_is_read_by_websocket(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as (_, address),
        met(await by_web(address), address, "bob") as bob,
        met(await by_quic(address), address) as alice,
    ):
        await bob.create(QUEUE)
        await bob.read(QUEUE)
        await asyncio.gather(*(alice.put(QUEUE, b"%d" % n) for n in range(200)))
        found: list[bytes] = []
        while len(found) < 200:
            blobs = await bob.blobs(QUEUE, 1)
            found += [blob for _, blob in blobs]
            await bob.ack(QUEUE, blobs[-1][0])
        assert found == [b"%d" % n for n in range(200)]


@in_loop
async def test_large_blobs_come_whole(tmp_path: Path, way: Way) -> None:
    async with (
        serving(tmp_path) as (_, address),
        met(await way(address), address, "bob") as bob,
        met(await way(address), address) as alice,
    ):
        await bob.create(QUEUE)
        await bob.read(QUEUE)
        sent = [bytes([n]) * BLOB_BYTES for n in range(6)]
        for blob in sent:
            assert isinstance(await alice.put(QUEUE, blob), Done)
        found: list[bytes] = []
        while len(found) < len(sent):
            blobs = await bob.blobs(QUEUE, 1)
            found += [blob for _, blob in blobs]
            await bob.ack(QUEUE, blobs[-1][0])
        assert found == sent


@in_loop
async def test_what_was_not_acknowledged_comes_again(tmp_path: Path, way: Way) -> None:
    """B7: recipients acknowledge to the bridge after their commit; a reader that died before loses nothing."""
    async with serving(tmp_path) as (_, address):
        async with met(await way(address), address, "bob") as bob:
            await bob.create(QUEUE)
            cursors = [(await bob.put(QUEUE, b"%d" % n)).cursor for n in range(3)]
            await bob.read(QUEUE)
            await bob.blobs(QUEUE, 3)
            await bob.ack(QUEUE, cursors[0])
        async with met(await way(address), address) as bob:
            await bob.read(QUEUE)
            assert await bob.blobs(QUEUE, 2) == [(cursors[1], b"1"), (cursors[2], b"2")]
        async with met(await way(address), address) as bob:
            await bob.read(QUEUE, after=cursors[1])
            assert await bob.blobs(QUEUE, 1) == [(cursors[2], b"2")]


@in_loop
async def test_two_connections_read_one_queue(tmp_path: Path) -> None:
    """A ghost that has not timed out yet keeps nobody from reading."""
    async with serving(tmp_path) as (_, address), AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(met(await by_quic(address), address, "bob")) for _ in range(2)]
        await one.create(QUEUE)
        await one.read(QUEUE)
        await two.read(QUEUE)
        await one.put(QUEUE, b"x")
        assert [blob for _, blob in await one.blobs(QUEUE, 1)] == [b"x"]
        assert [blob for _, blob in await two.blobs(QUEUE, 1)] == [b"x"]


@in_loop
async def test_the_oldest_of_too_many_readers_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "READERS", 2)
    async with serving(tmp_path) as (_, address), AsyncExitStack() as stack:
        three = [await stack.enter_async_context(met(await by_quic(address), address, "bob")) for _ in range(3)]
        await three[0].create(QUEUE)
        for client in three:
            await client.read(QUEUE)
        assert "newer connections" in await three[0].gone()
        await three[1].put(QUEUE, b"x")
        assert await three[2].blobs(QUEUE, 1)


@in_loop
async def test_one_connection_reads_many_queues(tmp_path: Path, way: Way) -> None:
    queues = [Queue(f"queue {n}") for n in range(100)]
    async with serving(tmp_path) as (_, address), met(await way(address), address, "bob") as bob:
        for queue in queues:
            await bob.create(queue)
            await bob.put(queue, b"waiting")
        for queue in queues:
            await bob.read(queue)
        for queue in queues:
            assert [blob for _, blob in await bob.blobs(queue, 1)] == [b"waiting"]


@in_loop
async def test_a_client_knows_where_it_comes_from(tmp_path: Path, way: Way) -> None:
    async with serving(tmp_path) as (_, address), met(await way(address), address) as alice:
        assert alice.welcome.observed.startswith("127.0.0.1:")


@in_loop
async def test_another_key_is_not_connected_to(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, address):
        with pytest.raises(ConnectionError, match="not the expected server key"):
            await by_quic(address, pin=b"x" * 32)


@in_loop
async def test_a_public_queue_takes_work(tmp_path: Path) -> None:
    public = Queue("requests", public=True)
    async with (
        serving(tmp_path, quotas=Quotas(disk_reserve=0, work_bits=10)) as (_, address),
        met(await by_quic(address), address, "bob") as bob,
        met(await by_quic(address), address) as stranger,
    ):
        await bob.create(public)
        await bob.read(public)
        assert (await stranger.put(public, b"hello", b"0" * 32)).code == Refusal.WORK
        claim = work_claim(address.key, stranger.welcome.challenge, public.name, b"hello")
        assert isinstance(await stranger.put(public, b"hello", find_stamp(claim, 10)), Done)
        assert [blob for _, blob in await bob.blobs(public, 1)] == [b"hello"]


# --- meeting ---


@in_loop
async def test_two_sides_meet(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as (_, address),
        met(await by_quic(address), address, "alice") as alice,
        met(await by_web(address), address) as bob,
    ):
        assert isinstance(await alice.meet("7Q2MX", Side.DISPLAYER, b"1" * 32), Done)
        assert isinstance(await bob.meet("7Q2MX", Side.JOINER, b"2" * 32), Done)
        assert [(await side.told()).message for side in (alice, bob)] == [b"", b""]
        assert isinstance(await bob.tell("7Q2MX", b"ask"), Done)
        assert (await alice.told()).message == b"ask"
        await bob.close()
        assert isinstance(await alice.tell("7Q2MX", b"offer"), Done)
        async with met(await by_quic(address), address) as again:
            await again.meet("7Q2MX", Side.JOINER, b"2" * 32)
            assert [(await again.told()).message for _ in range(2)] == [b"", b"offer"]
            async with met(await by_quic(address), address) as eve:
                assert (await eve.meet("7Q2MX", Side.JOINER, b"3" * 32)).code == Refusal.CROWDED
            await alice.leave("7Q2MX")
            assert (await again.told()).gone


# --- who is admitted ---


@in_loop
async def test_tokens_are_made_and_revoked_while_it_runs(tmp_path: Path) -> None:
    operator = Operator(str(tmp_path))
    async with serving(tmp_path, admission=Admission.TOKEN) as (_, address):
        made = await asyncio.to_thread(operator.create_token, "team", 1)
        async with met(await by_quic(address), address) as alice:
            assert alice.welcome.terms.admission is Admission.TOKEN
            assert (await alice.login("alice", "guess")).code == Refusal.ADMISSION
            assert (await alice.create(QUEUE)).code == Refusal.ADMISSION
            assert isinstance(await alice.login("alice", made["token"]), Done)
            assert isinstance(await alice.create(QUEUE), Done)
            assert (await alice.login("bob", made["token"])).code == Refusal.ADMISSION
        await asyncio.to_thread(operator.revoke_token, made["id"])
        async with met(await by_quic(address), address) as alice:
            assert (await alice.login("alice", made["token"])).code == Refusal.ADMISSION
            assert isinstance(await alice.read(QUEUE), Done)


# --- the end and what comes after it ---


@in_loop
async def test_a_stop_is_announced_and_what_was_begun_is_answered(tmp_path: Path, way: Way) -> None:
    async with serving(tmp_path) as (server, address), met(await way(address), address, "bob") as bob:
        await bob.create(QUEUE)
        for number in range(100, 200):
            bob.say(Put(number, QUEUE.name, QUEUE.token, b"x"))
        await until(lambda: server.hub.counts.heard["put"] == 100)
        await server.hub.stop()
        notice = await bob.notice()
        assert notice.code == Refusal.RESTARTING
        assert bounds.STOP_NOTICE_MS[0] <= notice.after_ms <= bounds.STOP_NOTICE_MS[1]
        answers = [await bob.answer(number) for number in range(100, 200)]
        assert all(isinstance(answer, Done) for answer in answers)
        assert await bob.gone() == "the bridge restarts"
        assert bob.end_code == End.RESTARTING
    async with serving(tmp_path) as (_, address), met(await way(address), address) as bob:
        await bob.read(QUEUE)
        assert len(await bob.blobs(QUEUE, 64)) == 64


@in_loop
async def test_a_store_brought_back_from_a_copy_loses_nothing_that_comes_later(tmp_path: Path) -> None:
    """A reader's cursor is ahead of such a store; what is put now still comes after it."""
    async with serving(tmp_path) as (_, address), met(await by_quic(address), address, "bob") as bob:
        await bob.create(QUEUE)
        await bob.put(QUEUE, b"old")
    copy = tmp_path / "copy.db"
    shutil.copy(tmp_path / STORE_NAME, copy)
    async with serving(tmp_path) as (_, address), met(await by_quic(address), address) as bob:
        last = (await bob.put(QUEUE, b"newer")).cursor
    shutil.move(copy, tmp_path / STORE_NAME)
    async with serving(tmp_path) as (_, address), met(await by_quic(address), address) as bob:
        await bob.read(QUEUE, after=last)
        stored = await bob.put(QUEUE, b"after the rollback")
        assert stored.cursor > last
        assert await bob.blobs(QUEUE, 1) == [(stored.cursor, b"after the rollback")]


@in_loop
async def test_a_broken_store_is_refused_and_the_bridge_lives_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, address), met(await by_quic(address), address, "bob") as bob:
        await bob.create(QUEUE)
        store = sqlite3.connect(tmp_path / STORE_NAME)
        store.execute("ALTER TABLE blobs RENAME TO elsewhere")
        assert (await bob.put(QUEUE, b"x")).code == Refusal.FULL
        store.execute("ALTER TABLE elsewhere RENAME TO blobs")
        store.close()
        assert isinstance(await bob.put(QUEUE, b"x"), Done)


@pytest.mark.parametrize("takes_effect", [True, False])
def test_who_asked_for_what_may_or_may_not_be_kept_is_told_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    """Its connection ends: its client puts unanswered requests again, and duplicates are absorbed."""
    disk = FailingCommit(monkeypatch)

    @in_loop
    async def run() -> None:
        async with serving(tmp_path) as (_, address):
            async with met(await by_quic(address), address, "bob") as bob:
                await bob.create(QUEUE)
                disk.next(takes_effect=takes_effect)
                bob.say(Put(next(bob.numbers), QUEUE.name, QUEUE.token, b"x"))
                await bob.gone()
                assert bob.end_code == End.UNCERTAIN
                assert not [said for said in bob.said if isinstance(said, Done | Fail)]
            async with met(await by_quic(address), address, "bob") as bob:
                await bob.put(QUEUE, b"y")
                await bob.read(QUEUE)
                wanted = [b"x", b"y"] if takes_effect else [b"y"]
                assert [blob for _, blob in await bob.blobs(QUEUE, len(wanted))] == wanted

    run()


@in_loop
async def test_reading_that_failed_is_tried_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, address), met(await by_quic(address), address, "bob") as bob:
        await bob.create(QUEUE)
        await bob.put(QUEUE, b"x")
        store = sqlite3.connect(tmp_path / STORE_NAME)
        store.execute("ALTER TABLE blobs RENAME TO elsewhere")
        await bob.read(QUEUE)
        store.execute("ALTER TABLE elsewhere RENAME TO blobs")
        store.close()
        assert [blob for _, blob in await bob.blobs(QUEUE, 1)] == [b"x"]


@in_loop
async def test_the_key_is_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, first):
        pass
    async with serving(tmp_path) as (_, second):
        assert second.key == first.key


@in_loop
async def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bridge.key").write_bytes(b"nonsense")
    with pytest.raises(StoreBroken, match=r"bridge\.key"):
        async with serving(tmp_path):
            pass


@in_loop
async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path / "one") as (_, address):
        with pytest.raises(NoSocket, match=str(address.port)):
            async with serving(tmp_path / "two", port=address.port):
                pass


# --- TLS and proxies ---


@in_loop
async def test_behind_a_proxy_there_is_no_tls_and_no_address(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, tls=False) as (_, address),
        met(await by_web(address, tls=False), address, "bob") as bob,
    ):
        assert bob.welcome.observed == ""
        assert isinstance(await bob.create(QUEUE), Done)


@in_loop
async def test_a_certificate_of_the_operators(tmp_path: Path) -> None:
    other = NodeCertificate.from_seed(b"7" * 32)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(other.tls_certificate.public_bytes(Encoding.PEM))
    key.write_bytes(other.tls_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    async with serving(tmp_path, certificate=(str(chain), str(key))) as (_, address):
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", address.port))
        assert shown.encode() == chain.read_bytes()
        async with met(await by_web(address), address):
            pass
    with pytest.raises(StoreBroken, match=r"chain\.pem"):
        async with serving(tmp_path, certificate=(str(chain), str(chain))):
            pass


def test_the_buffer_of_a_tls_connection_can_be_had_smaller() -> None:
    """Of asyncio, and not promised by it."""
    assert "max_size" in vars(asyncio.sslproto.SSLProtocol)
    assert "self.max_size" in inspect.getsource(asyncio.sslproto.SSLProtocol.__init__)


# --- what is kept of whom ---


@in_loop
async def test_delivered_and_acknowledged_blobs_leave_the_store(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, address), met(await by_quic(address), address, "bob") as bob:
        await bob.create(QUEUE)
        await bob.read(QUEUE)
        stored = await bob.put(QUEUE, b"content of a blob")
        await bob.blobs(QUEUE, 1)
        await bob.ack(QUEUE, stored.cursor)
        assert (await server.store.stats()).blobs == 0
        assert not [m for m in bob.said if isinstance(m, Deliver)]
