"""A node that answers as a test tells it, behind the real control server, on a real socket, in a thread."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from typing import TYPE_CHECKING, Any

from p2p_agents.control.server import ControlServer
from p2p_agents.paths import Home
from p2p_agents.results.messages import Message
from p2p_agents.results.people import Party
from tests.shapes import make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


class FakeService:
    """`answers` maps a method to its result, to an error to raise, or to a function of the parameters."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.cancelled: list[str] = []

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, params))
        answer = self.answers[method]
        try:
            answer = answer(params) if callable(answer) else answer
            answer = await answer if inspect.isawaitable(answer) else answer
        except asyncio.CancelledError:
            self.cancelled.append(method)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self, method: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        self.calls.append((method, params))
        answer = self.answers[method]
        try:
            async for event in answer(params):
                yield event
        finally:
            self.cancelled.append(method)


class Served:
    """A service on the home's socket while the block runs; `lose` drops every client, as a kill would."""

    def __init__(self, service: Any, home: Home) -> None:
        self.service = service
        self.home = home
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server = ControlServer(service, home)

    def __enter__(self) -> Served:
        self._thread.start()
        self.run(self._server.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def leave(self, goodbye: str) -> None:
        """Say goodbye and hang up, as a node that is told to stop."""
        asyncio.run_coroutine_threadsafe(self._server.stop(goodbye), self._loop)

    def lose(self) -> None:
        def drop() -> None:
            for connection in list(self._server.connections):
                connection.drop()

        self.call_soon(drop)

    def call_soon(self, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(act)


def make_home(directory: Path) -> Home:
    home = Home({"P2P_AGENTS_HOME": os.fspath(directory)})
    home.create()
    return home


def message(number: int, text: str = "hello", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "id": f"m{number}",
        "cursor": f"c{number}",
        "from": make(Party, id="bobid2345678", name="bob", pinned=True),
        "conversation": "direct",
        "type": "text/plain",
        "text": text,
        "time": "2026-11-20T14:02:00Z",
        "state": "delivered",
        "trust": "accepted",
    }
    return make(Message, **given | more)
