from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import Agent, Message, errors
from tests.cli.world import ALICE, PARTY, make_world
from tests.control.fake import FakeService, Served, make_home, message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def play(tmp_path: Path, service: FakeService, script: Callable[[Agent], Awaitable[None]], **settings: Any) -> None:
    """Run a script as an agent, over a real socket."""
    home = make_home(tmp_path)

    async def scene() -> None:
        async with Agent(settings.pop("name", "alice"), home=home, **settings) as agent:
            await script(agent)

    with Served(service, home) as node:
        service.node = node  # type: ignore[attr-defined]  # for scripts that lose it
        asyncio.run(asyncio.wait_for(scene(), 20))


class Log(FakeService):
    """The reading side of a node with a log of messages and a watermark."""

    def __init__(self, count: int) -> None:
        super().__init__(whoami={"agent": ALICE})
        self.messages = [message(number) for number in range(1, count + 1)]
        self.read = 0
        self.answers |= {"wait": self._wait, "ack": self._ack}

    async def _wait(self, params: dict[str, Any]) -> dict[str, Any]:
        start = self.read if params["after"] is None else int(params["after"][1:])
        page = self.messages[start : start + params["limit"]]
        if not page:
            await asyncio.Event().wait()
        return {"messages": page, "cursor": page[-1]["cursor"]}

    def _ack(self, params: dict[str, Any]) -> dict[str, Any]:
        self.read = max(self.read, int(params["cursor"][1:]))
        return {"acked": 1, "cursor": params["cursor"]}


def test_it_acts_for_the_named_agent_and_knows_its_id(tmp_path: Path) -> None:
    async def script(agent: Agent) -> None:
        assert (agent.name, agent.id) == ("alice", ALICE["id"])

    play(tmp_path, make_world(), script, name=None)


def test_create_makes_it_or_finds_it_made(tmp_path: Path) -> None:
    async def script(agent: Agent) -> None:
        assert agent.name == "alice"

    service = make_world()
    play(tmp_path, service, script, create=True, kind="codex")
    assert service.calls[0][0] == "init"
    assert service.calls[0][1]["kind"] == "codex"


def test_many_sends_are_in_flight_at_once(tmp_path: Path) -> None:
    arrived = 0
    everybody = asyncio.Event()
    service = make_world()

    async def together(params: dict[str, Any]) -> dict[str, Any]:
        nonlocal arrived
        arrived += 1
        if arrived == 100:
            everybody.set()
        await everybody.wait()
        return {
            "id": params["text"],
            "cursor": "c",
            "state": "queued",
            "why": None,
            "duplicate": False,
            "key": "k",
            "to": PARTY,
        }

    async def script(agent: Agent) -> None:
        sent = await asyncio.gather(*(agent.send("bob", str(number)) for number in range(100)))
        assert [one.id for one in sent] == [str(number) for number in range(100)]
        assert len({one.key for one in sent}) == 100

    service.answers["send"] = together
    play(tmp_path, service, script)


def test_a_failed_send_names_its_key(tmp_path: Path) -> None:
    """B10: the client names the key in every error."""

    async def script(agent: Agent) -> None:
        with pytest.raises(errors.PeerUnknown) as caught:
            await agent.send("nobody", "hi")
        assert len(str(caught.value.details["key"])) == 32

    play(tmp_path, make_world(), script)


def test_messages_come_in_order_and_are_acknowledged_when_the_body_moved_on(tmp_path: Path) -> None:
    service = Log(120)

    async def script(agent: Agent) -> None:
        seen: list[str] = []
        stream = agent.messages()
        async for item in stream:
            assert service.read < len(seen) + 1
            seen.append(item.id)
            if len(seen) == 120:
                break
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator
        assert seen == [f"m{number}" for number in range(1, 121)]

    play(tmp_path, service, script)
    assert service.read == 119


def test_a_body_that_fails_sees_its_message_again(tmp_path: Path) -> None:
    service = Log(3)

    async def script(agent: Agent) -> None:
        async def fail_at(id: str) -> None:
            async for item in agent.messages():
                if item.id == id:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail_at("m2")
        async for item in agent.messages():
            assert item.id == "m2"
            break

    play(tmp_path, service, script)


def test_messages_go_on_after_a_lost_node(tmp_path: Path) -> None:
    """H1: waits reconnect with their cursor."""
    service = Log(2)

    async def script(agent: Agent) -> None:
        seen = []
        async for item in agent.messages():
            seen.append(item.id)
            service.node.lose()  # type: ignore[attr-defined]  # set by play
            if item.id == "m1":
                service.messages.append(message(3))
            if item.id == "m3":
                break
        assert seen == ["m1", "m2", "m3"]

    play(tmp_path, service, script)


def test_an_acknowledgement_that_fails_is_raised(tmp_path: Path) -> None:
    service = Log(60)
    service.answers["ack"] = errors.StoreFull()

    async def script(agent: Agent) -> None:
        async def read() -> None:
            async for _ in agent.messages():
                await asyncio.sleep(0)

        with pytest.raises(errors.StoreFull):
            await read()

    play(tmp_path, service, script)


def test_waiting_has_an_end(tmp_path: Path) -> None:
    async def script(agent: Agent) -> None:
        assert [item.text for item in await agent.wait(sender="bob")] == ["hello\nworld"]
        with pytest.raises(errors.WaitTimeout):
            await agent.wait(timeout=0)

    play(tmp_path, make_world(), script)


def test_what_it_reads_is_typed(tmp_path: Path) -> None:
    async def script(agent: Agent) -> None:
        first = (await agent.inbox())[0]
        assert isinstance(first, Message)
        assert (first.sender, first.text, first.trust) == ("bob", "hello\nworld", "accepted")
        assert await agent.ack(first.cursor) == 2
        assert [item.id for item in await agent.history("bob")] == ["m1", "m3"]
        assert (await agent.peers())[0].reachable is True
        assert (await agent.requests())[0].direction == "in"
        await agent.accept("mallory")
        await agent.reject("mallory")
        await agent.set_status("busy")

    play(tmp_path, make_world(), script)
