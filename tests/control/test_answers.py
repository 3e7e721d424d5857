"""Large answers: bytes in memory are counted, not time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import limits
from p2p_agents.control import answers
from p2p_agents.control import server as server_module
from p2p_agents.control.wire import encode_line
from tests.control.fake import FakeService, message
from tests.control.test_server import Raw, play, until

if TYPE_CHECKING:
    from pathlib import Path

    from p2p_agents.control.server import ControlServer

READ_BYTES = limits.CONTROL_ANSWER_BYTES


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_who_finds_too_little_waits_in_line() -> None:
    async def script() -> None:
        budget = answers.Budget(10)
        order: list[int] = []

        async def hold(number: int, count: int, gate: asyncio.Event) -> None:
            async with budget.held(count):
                order.append(number)
                await gate.wait()

        gates = [asyncio.Event() for _ in range(4)]
        counts = (8, 6, 2, 50)
        tasks = [asyncio.ensure_future(hold(n, count, gates[n])) for n, count in enumerate(counts)]  # noqa: TID251 - ours
        await turns(5)
        assert (order, budget.used) == ([0], 8), "the third would fit, and comes after the second"
        gates[0].set()
        await turns(5)
        assert (order, budget.used) == ([0, 1, 2], 8)
        for gate in gates[1:]:
            gate.set()
        await asyncio.gather(*tasks)
        assert (order, budget.used) == ([0, 1, 2, 3], 0), "more than there is at all, for who is alone"

    asyncio.run(script())


def test_who_leaves_the_line_takes_nothing() -> None:
    async def script() -> None:
        budget = answers.Budget(10)
        async with budget.held(10):
            waiting = asyncio.ensure_future(budget.held(5).__aenter__())  # noqa: TID251 - ours
            await turns(2)
            waiting.cancel()
            await turns(2)
        assert budget.used == 0
        async with budget.held(10) as share:
            share.settle(3)
            assert budget.used == 3
        assert budget.used == 0

    asyncio.run(script())


def page(count: int, text: str = "x" * 60_000) -> dict[str, Any]:
    return {"messages": [message(n, text) for n in range(count)], "cursor": f"c{count}", "more": False}


@pytest.mark.parametrize("text", ["hello", "\u00e9\u2028\x00" * 70_000, ""])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_page_in_pieces_is_the_same_line(count: int, text: str) -> None:
    made = page(count, text)
    whole = encode_line({"id": 7, "ok": True, "result": made})
    parts = list(answers.pieces(7, made))
    assert b"".join(parts) == whole
    assert max(map(len, parts)) < answers.PIECE_BYTES + 100
    alone = {"messages": made["messages"]}
    assert b"".join(answers.pieces(7, alone)) == encode_line({"id": 7, "ok": True, "result": alone})


def test_pages_of_a_crowd_that_does_not_read_hold_no_more_than_their_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty clients ask for all unread messages and do not read: few pages exist at once, and none once they left."""
    monkeypatch.setattr(limits, "ANSWERS_BYTES", 4 * server_module.PAGE_MOST)
    made = 0

    async def inbox(params: dict[str, Any]) -> dict[str, Any]:
        nonlocal made
        made += 1
        return page(12)

    async def script(raw: Raw, server: ControlServer) -> None:
        crowd = [
            Raw(*await asyncio.open_unix_connection(server.path, limit=limits.CONTROL_ANSWER_BYTES)) for _ in range(40)
        ]
        for one in crowd:
            await one.hear()
            one.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
            one.say({"id": 1, "method": "inbox"})
        await until(lambda: made >= 4 and sum(bool(it._calls) for it in server.connections) == 40)
        await turns(1_000)
        assert server.budget.used <= limits.ANSWERS_BYTES
        assert 4 <= made < 10
        unsent = [it._transport.get_write_buffer_size() for it in server.connections if it._transport is not None]
        assert max(unsent) <= 2 * answers.PIECE_BYTES
        for one in crowd[:20]:
            one.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a transport that reads
        heard = [await one.hear() for one in crowd[:20]]
        assert [len(answer["result"]["messages"]) for answer in heard] == [12] * 20
        for one in crowd:
            await one.hang_up()
        await until(lambda: len(server.connections) == 1 and not server.budget.used)

    play(tmp_path, FakeService(inbox=inbox), script)


def test_lines_of_one_client_do_not_mix(tmp_path: Path) -> None:
    """A page is written in pieces; other answers come after it."""

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        raw.say(*({"id": n, "method": "inbox" if n % 2 else "agents"} for n in range(20)))
        await turns(200)
        raw.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a transport that reads
        assert sorted([(await raw.hear())["id"] for _ in range(20)]) == list(range(20))

    play(tmp_path, FakeService(inbox=lambda _: page(12), agents={"agents": []}), script)


def test_a_page_that_cannot_be_finished_ends_its_client(tmp_path: Path) -> None:
    """Continuing after a broken line would be garbage."""

    async def script(raw: Raw, server: ControlServer) -> None:
        await raw.hear()
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        raw.say({"id": 1, "method": "inbox"})
        await until(lambda: server.budget.used)
        await turns(200)
        await server.stop("stopping")
        raw.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a transport that reads
        with suppress(ConnectionResetError):
            assert b"goodbye" not in await raw.end()
        assert server.budget.used == 0

    play(tmp_path, FakeService(inbox=lambda _: page(12)), script)
