from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import errors, limits
from p2p_agents.control import line as line_module
from p2p_agents.control.client import Client
from p2p_agents.control.line import Line
from tests.control.fake import FakeService, Served, make_home

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def play(tmp_path: Path, service: FakeService, script: Callable[[Line, Served], Awaitable[None]]) -> None:
    home = make_home(tmp_path)

    async def scene(node: Served) -> None:
        line = Line(home)
        try:
            await script(line, node)
        finally:
            await line.close()

    with Served(service, home) as node:
        asyncio.run(asyncio.wait_for(scene(node), 20))


def test_many_calls_in_flight_each_get_their_own_answer(tmp_path: Path) -> None:
    async def script(line: Line, node: Served) -> None:
        asked = [line.call("search", {"text": str(number)}) for number in range(2 * line_module.IN_FLIGHT)]
        answers = await asyncio.gather(*asked)
        assert [answer["messages"] for answer in answers] == [[{"text": str(n)}] for n in range(len(asked))]

    async def echo(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"messages": [{"text": params["text"]}]}

    play(tmp_path, FakeService(search=echo), script)


def test_an_error_reaches_its_caller_alone(tmp_path: Path) -> None:
    async def script(line: Line, node: Served) -> None:
        results = await asyncio.gather(line.call("show", {"id": "m1"}), line.call("agents", {}), return_exceptions=True)
        assert isinstance(results[0], errors.MessageUnknown)
        assert results[1] == {"agents": []}

    play(tmp_path, FakeService(show=errors.MessageUnknown(), agents={"agents": []}), script)


def test_a_call_given_up_does_not_disturb_the_next(tmp_path: Path) -> None:
    async def script(line: Line, node: Served) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.call("wait", {}), 0.02)
        assert await line.call("agents", {}) == {"agents": []}

    async def never(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    play(tmp_path, FakeService(wait=never, agents={"agents": []}), script)


def test_a_caller_that_gives_up_while_the_line_opens_leaves_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, close = Client.connect, Client.close
    begun, gone, closed = threading.Event(), threading.Event(), asyncio.Event()

    def slowly(client: Client) -> None:
        begun.set()
        assert gone.wait(10)
        connect(client)

    monkeypatch.setattr(Client, "connect", slowly)

    def hangs_up(client: Client) -> None:
        close(client)
        closed.set()

    monkeypatch.setattr(Client, "close", hangs_up)

    async def script(line: Line, node: Served) -> None:
        async with asyncio.TaskGroup() as group:
            call = group.create_task(line.call("agents", {}))
            await asyncio.to_thread(begun.wait)
            call.cancel()
        gone.set()
        assert await line.call("agents", {}) == {"agents": []}
        await closed.wait()

    play(tmp_path, FakeService(agents={"agents": []}), script)


def test_a_lost_node_is_met_again_by_every_call(tmp_path: Path) -> None:
    service = FakeService()
    asked = 0

    async def script(line: Line, node: Served) -> None:
        async def reply(params: dict[str, Any]) -> dict[str, Any]:
            nonlocal asked
            asked += 1
            if asked <= 2:
                if asked == 2:
                    node.lose()
                await asyncio.Event().wait()
            return {"agents": []}

        service.answers["agents"] = reply
        both = await asyncio.gather(line.call("agents", {}), line.call("agents", {}))
        assert both == [{"agents": []}] * 2

    play(tmp_path, service, script)


def test_a_wait_ends_with_a_node_that_was_stopped(tmp_path: Path) -> None:
    """H1: a node that was stopped on purpose is not started again by a caller that only waits."""
    service = FakeService()

    async def script(line: Line, node: Served) -> None:
        async def leave(params: dict[str, Any]) -> dict[str, Any]:
            node.leave("stopping")
            await asyncio.Event().wait()
            return {}

        service.answers["wait"] = leave
        with pytest.raises(errors.NodeUnreachable, match="the node was stopped"):
            await line.call("wait", {"timeout": 60.0})

    play(tmp_path, service, script)


def test_what_would_do_it_twice_is_not_repeated(tmp_path: Path) -> None:
    service = FakeService()

    async def script(line: Line, node: Served) -> None:
        async def lose(params: dict[str, Any]) -> dict[str, Any]:
            node.lose()
            await asyncio.Event().wait()
            return {}

        service.answers["pair.start"] = lose
        with pytest.raises(errors.NodeUnreachable, match="went away before"):
            await line.call("pair.start", {})

    play(tmp_path, service, script)


def test_what_cannot_fit_a_line_is_refused_here(tmp_path: Path) -> None:
    async def script(line: Line, node: Served) -> None:
        with pytest.raises(errors.TooLarge):
            await line.call("send", {"to": "bob", "text": "x" * limits.CONTROL_LINE_BYTES})

    play(tmp_path, FakeService(), script)
