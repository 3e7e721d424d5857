"""Raw bytes against the control server: what a well-behaved client never sends."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import p2p_agents
from p2p_agents import errors, limits
from p2p_agents.control import peer
from p2p_agents.control import server as server_module
from p2p_agents.control.server import ControlServer
from tests.control.fake import FakeService, make_home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


TURNS = 100_000
KERNEL_BYTES = 512 * 1024  # what the kernel takes of a stream that nobody reads


class Raw:
    """One client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, *lines: bytes | dict[str, Any]) -> None:
        for line in lines:
            self.writer.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        return dict(json.loads(await self.reader.readline()))

    async def end(self) -> bytes:
        return await self.reader.read()

    async def hang_up(self) -> None:
        self.writer.close()
        with suppress(ConnectionResetError):  # the server left first, with something of ours unread
            await self.writer.wait_closed()


async def until(told: Callable[[], object]) -> None:
    """Let the loop turn until it holds."""
    for _ in range(TURNS):
        if told():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came about")


def play(tmp_path: Path, service: FakeService, script: Callable[[Raw, ControlServer], Awaitable[None]]) -> None:
    """Run a conversation between one client and a server of its own."""

    async def scene() -> None:
        server = ControlServer(service, make_home(tmp_path))
        await server.start()
        raw = Raw(*await asyncio.open_unix_connection(server.path, limit=limits.CONTROL_ANSWER_BYTES))
        try:
            await script(raw, server)
        finally:
            await raw.hang_up()
            await server.stop()

    asyncio.run(asyncio.wait_for(scene(), 20))


def mode(path: str) -> int | None:
    return stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else None


AGENTS = {"id": 1, "method": "agents", "params": {}}


def test_the_node_greets_then_answers(tmp_path: Path) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        assert await raw.hear() == {"node": p2p_agents.__version__, "protocol": 1, "pid": os.getpid()}
        raw.say(AGENTS)
        assert await raw.hear() == {"id": 1, "ok": True, "result": {"agents": []}}

    play(tmp_path, FakeService(agents={"agents": []}), script)


def test_the_socket_is_for_this_user_alone_and_leaves_with_the_server(tmp_path: Path) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        assert mode(server.path) == 0o600
        await server.stop()
        assert mode(server.path) is None

    play(tmp_path, FakeService(), script)


def test_a_quiet_server_keeps_its_clients_until_the_node_is_done(tmp_path: Path) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        server.quiesce()
        raw.say(AGENTS)  # no answer: hung up on, its client asks the next node
        await server.stop()
        with suppress(ConnectionResetError):  # it was not even read
            assert await raw.end() == b""

    play(tmp_path, FakeService(), script)


def test_a_stale_socket_is_replaced_and_a_strangers_is_left(tmp_path: Path) -> None:
    async def scene() -> None:
        first, second = (ControlServer(FakeService(), make_home(tmp_path)) for _ in range(2))
        await first.start()
        await second.start()
        await first.stop()
        assert mode(second.path) == 0o600
        await second.stop()

    asyncio.run(scene())


def test_a_path_that_cannot_be_bound_is_told(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    os.mkdir(home.socket)
    with pytest.raises(errors.NodeUnreachable, match="cannot listen on"):
        asyncio.run(ControlServer(FakeService(), home).start())


def test_a_request_in_pieces_and_two_in_one_are_the_same(tmp_path: Path) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        line = json.dumps(AGENTS).encode() + b"\n"
        for byte in line:
            raw.say(bytes([byte]))
            await asyncio.sleep(0)
        assert (await raw.hear())["ok"]
        raw.say(line + line)
        assert (await raw.hear())["ok"]
        assert (await raw.hear())["ok"]

    play(tmp_path, FakeService(agents={"agents": []}), script)


@pytest.mark.parametrize(
    "line",
    [b"GET / HTTP/1.1\r\n", b"\n", b"[]\n", b"{}\n", b'{"id": -1, "method": "agents"}\n', b'{"id": true}\n'],
)
def test_garbage_is_answered_with_bad_params_and_hung_up_on(tmp_path: Path, line: bytes) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say(line, AGENTS)
        answer = await raw.hear()
        assert (answer["id"], answer["error"]["code"]) == (None, "bad_params")
        assert await raw.end() == b""
        assert server.service.calls == []  # type: ignore[attr-defined]  # a FakeService here

    play(tmp_path, FakeService(agents={"agents": []}), script)


def test_an_endless_line_is_cut_off_at_its_bound(tmp_path: Path) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say(b"x" * (limits.CONTROL_LINE_BYTES + 1))
        answer = await raw.hear()
        assert answer["error"]["code"] == "bad_params"
        assert str(limits.CONTROL_LINE_BYTES) in answer["error"]["message"]

    play(tmp_path, FakeService(), script)


def test_params_are_checked_before_the_service_sees_them(tmp_path: Path) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say({"id": 5, "method": "send", "params": {"to": "bob"}})
        answer = await raw.hear()
        assert (answer["id"], answer["error"]["code"]) == (5, "bad_params")
        assert answer["error"]["details"] == {"param": "text"}
        raw.say({"id": 6, "method": ["send"]})
        assert (await raw.hear())["error"]["code"] == "unknown_method"

    play(tmp_path, FakeService(), script)


def test_an_unforeseen_error_is_logged_and_its_words_stay_inside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say(AGENTS)
        answer = await raw.hear()
        assert answer["error"]["code"] == "internal"
        assert "hunter2" not in json.dumps(answer)
        raw.say({"id": 2, "method": "node.info"})
        assert (await raw.hear())["ok"]

    play(tmp_path, FakeService(agents=RuntimeError("hunter2"), node__info={"pid": 1}), script)
    assert "hunter2" in caplog.text


def test_calls_of_one_client_run_side_by_side(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def slow(params: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"messages": [], "cursor": "0"}

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say({"id": 1, "method": "wait"}, {"id": 2, "method": "agents"})
        assert (await raw.hear())["id"] == 2
        gate.set()
        assert (await raw.hear())["id"] == 1

    play(tmp_path, FakeService(wait=lambda params: slow(params), agents={"agents": []}), script)


def test_a_client_that_goes_cancels_its_calls(tmp_path: Path) -> None:
    async def forever(params: dict[str, Any]) -> dict[str, Any]:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    started, ended = asyncio.Event(), asyncio.Event()

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say({"id": 1, "method": "wait"})
        await started.wait()
        await raw.hang_up()
        await ended.wait()
        assert not server.connections

    play(tmp_path, FakeService(wait=forever), script)


def test_a_stream_goes_on_until_the_client_hangs_up(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def events(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            yield {"type": "ready", "cursor": params["after"]}
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say({"id": 9, "method": "watch", "params": {"after": "c1"}})
        assert await raw.hear() == {"id": 9, "event": {"type": "ready", "cursor": "c1"}}
        await raw.hang_up()
        await ended.wait()

    play(tmp_path, FakeService(watch=events), script)


def test_a_stream_that_ends_or_fails_says_so(tmp_path: Path) -> None:
    async def events(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        yield {"type": "ready", "cursor": "0"}
        if params["from"]:
            raise errors.PeerUnknown

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say({"id": 1, "method": "watch"})
        await raw.hear()
        assert await raw.hear() == {"id": 1, "ok": True, "result": {}}
        raw.say({"id": 2, "method": "watch", "params": {"from": "nobody"}})
        await raw.hear()
        assert (await raw.hear())["error"]["code"] == "peer_unknown"

    play(tmp_path, FakeService(watch=events), script)


def test_a_reader_that_stops_reading_pauses_its_stream_and_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONTROL_SILENCE_S", 0.05)
    ended = asyncio.Event()
    made = 0

    async def events(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        nonlocal made
        try:
            while True:
                made += 1
                yield {"type": "message", "text": "x" * 65_536}
        finally:
            ended.set()

    async def script(raw: Raw, server: ControlServer) -> None:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        raw.say({"id": 1, "method": "watch"})
        await ended.wait()
        assert made * 65_536 < server_module.PENDING_BYTES + KERNEL_BYTES

    play(tmp_path, FakeService(watch=events), script)


def test_a_line_begun_must_be_finished_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_SILENCE_S", 0.05)

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say(b'{"id": 1, ')
        assert await raw.end() == b""

    play(tmp_path, FakeService(), script)


def test_a_silent_client_between_lines_may_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_SILENCE_S", 0.01)

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say(b'{"id": 1, "method"', b': "agents"}\n')
        await raw.hear()
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, later.set)
        await later.wait()
        raw.say(AGENTS)
        assert (await raw.hear())["ok"]

    play(tmp_path, FakeService(agents={"agents": []}), script)


def test_one_client_too_many_is_told_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_CLIENTS", 1)

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        other = Raw(*await asyncio.open_unix_connection(server.path))
        await other.hear()
        assert (await other.hear())["error"]["code"] == "busy"
        assert await other.end() == b""
        await other.hang_up()

    play(tmp_path, FakeService(), script)


@pytest.mark.parametrize(("files", "served"), [(1024, 512), (64, 16), (resource.RLIM_INFINITY, 2048), (10**6, 2048)])
def test_as_many_clients_are_served_as_files_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, served: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert ControlServer(FakeService(), make_home(tmp_path)).most == served


def test_requests_begun_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be long, and all of them together are not: what a client leaves behind is free again."""
    monkeypatch.setattr(limits, "CONTROL_LINES_BYTES", 10_000)

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say(b"x" * 9_000)
        await until(lambda: server.begun_bytes == 9_000)
        other = Raw(*await asyncio.open_unix_connection(server.path))
        await other.hear()
        other.say(b"x" * 2_000)
        assert (await other.hear())["error"]["code"] == "busy"
        await other.hang_up()
        await until(lambda: server.begun_bytes == 9_000)
        raw.say(b"\n")
        assert (await raw.hear())["error"]["code"] == "bad_params"
        assert server.begun_bytes == 0

    play(tmp_path, FakeService(), script)


def test_one_call_too_many_is_told_busy_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_CALLS", 1)
    gate = asyncio.Event()

    async def slow(params: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"messages": [], "cursor": "0"}

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say({"id": 1, "method": "wait"}, {"id": 2, "method": "agents"})
        refused = await raw.hear()
        assert (refused["id"], refused["error"]["code"]) == (2, "busy")
        gate.set()
        assert (await raw.hear())["id"] == 1

    play(tmp_path, FakeService(wait=slow), script)


def test_an_answer_beyond_its_bound_becomes_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_ANSWER_BYTES", 1_000)

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.say(AGENTS)
        answer = await raw.hear()
        assert answer["error"]["code"] == "too_large"
        assert "--limit" in answer["error"]["hint"]

    play(tmp_path, FakeService(agents={"agents": ["x" * 2_000]}), script)


def test_another_user_is_hung_up_on_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's mode keeps others out; the kernel's word about who connected does so again."""

    async def script(raw: Raw, server: ControlServer) -> None:
        assert (await raw.hear())["protocol"] == 1
        monkeypatch.setattr(peer, "peer_uid", lambda connected: os.getuid() + 1)
        reader, writer = await asyncio.open_unix_connection(server.path)
        assert await reader.read() == b""
        writer.close()
        assert len(server.connections) == 1

    play(tmp_path, FakeService(), script)
