"""The Python API: an agent as an async context manager, over one connection to the node.

async with Agent("alice") as alice:
    await alice.send("bob", "hello")
    async for message in alice.messages():
        ...                                  # acknowledged once the body has moved on
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from p2p_agents import errors, limits
from p2p_agents.control.client import make_key
from p2p_agents.control.line import Line
from p2p_agents.paths import Home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

MESSAGES_WAIT_S = 300.0  # one wait of `messages`; it only limits how often an idle agent asks


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the node gives it. `sender` is what the author is called here, `sender_id` its id; `text` is data.

    `sender_pinned` is False if the name is only the author's own claim: then only the id says who it is.
    """

    id: str
    cursor: str
    sender: str
    sender_id: str
    sender_pinned: bool
    conversation: str
    type: str
    text: str
    time: str
    state: str | None
    trust: str | None
    reply_to: str | None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        author = raw["from"]
        return cls(
            id=raw["id"],
            cursor=raw["cursor"],
            sender=author.get("petname") or author["name"],
            sender_id=author["id"],
            sender_pinned=author.get("pinned") is True,
            conversation=raw["conversation"],
            type=raw["type"],
            text=raw["text"],
            time=raw["time"],
            state=raw.get("state"),
            trust=raw.get("trust"),
            reply_to=raw.get("reply_to"),
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to `send`: the message is stored. `duplicate` means that its key was used before."""

    id: str
    cursor: str
    state: str
    duplicate: bool
    key: str


@dataclass(frozen=True, slots=True)
class Peer:
    """A known or discovered peer."""

    id: str
    name: str
    petname: str | None
    pinned: bool  # the name was given here, or is the one this id was accepted by
    like: str | None  # a name here that it may be mistaken for
    kind: str
    trust: str
    accepts: bool | None  # whether it has accepted us; None while there is no link to it
    status: str | None
    reachable: bool
    local: bool

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        known: dict[str, Any] = {name: raw.get(name) for name in cls.__slots__}
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Request:
    """A peer that wants to write (`direction` "in"), or that has yet to accept us ("out"). `id` is the peer's."""

    id: str
    name: str
    kind: str
    text: str | None
    time: str
    direction: str
    state: str
    introducer: Mapping[str, Any] | None = None  # id and name of the contact that made the introduction
    like: str | None = None  # a name here that its own may be mistaken for

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        known: dict[str, Any] = {name: raw.get(name) for name in cls.__slots__}
        return cls(**known)


class Agent:
    """One local agent, created with `create`; without a name the default one."""

    def __init__(
        self, name: str | None = None, *, create: bool = False, kind: str = "other", home: Home | None = None
    ) -> None:
        self.name = name
        self._create = create
        self._kind = kind
        self._acks: dict[str, _Acks] = {}
        self._line = Line(home or Home())

    async def __aenter__(self) -> Self:
        if self._create:
            with suppress(errors.AgentExists):  # made by an earlier run
                await self._line.call("init", {"name": self.name, "kind": self._kind})
        who = await self._act("whoami")
        self.name = str(who["agent"]["name"])
        self.id = str(who["agent"]["id"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for acks in self._acks.values():
                await acks.settle()
        finally:
            await self._line.close()

    async def send(
        self,
        to: str,
        text: str,
        *,
        type: str = "text/plain",
        id: str | None = None,
        reply_to: str | None = None,
        wait: str | None = None,
        timeout: float = 30.0,
    ) -> Sent:
        """Send one message; any number may be in flight. Raises P2PError, its key in `details`."""
        key = id or make_key()
        params = {"to": to, "text": text, "type": type, "id": key, "reply_to": reply_to}
        try:
            raw = await self._act("send", params | ({"wait": wait, "timeout": timeout} if wait else {}))
        except errors.P2PError as error:
            error.details.setdefault("key", key)
            raise
        return Sent(raw["id"], raw["cursor"], raw["state"], raw["duplicate"], key)

    async def messages(self, *, reader: str = "default", sender: str | None = None) -> AsyncIterator[Message]:
        """Unread messages without end, each acknowledged when the next is asked for: at-least-once delivery."""
        after: str | None = None
        acks = self._acks.setdefault(reader, _Acks(self, reader))
        await acks.settle()  # an earlier loop's last one decides what is still unread
        try:
            while True:
                try:
                    page = await self._wait(sender, after, reader, MESSAGES_WAIT_S, limits.PAGE)
                except errors.WaitTimeout:
                    continue
                for raw in page["messages"]:
                    yield Message.parse(raw)
                    acks.add(raw["cursor"])
                after = page["cursor"]
        finally:
            await acks.settle()

    async def wait(
        self,
        *,
        sender: str | None = None,
        after: str | None = None,
        timeout: float = 60.0,
        reader: str = "default",
    ) -> list[Message]:
        """Unread messages, waiting for the first. Raises WaitTimeout."""
        page = await self._wait(sender, after, reader, timeout, limits.PAGE)
        return [Message.parse(raw) for raw in page["messages"]]

    async def inbox(
        self, *, after: str | None = None, limit: int = limits.PAGE, reader: str = "default"
    ) -> list[Message]:
        """Unread messages, or those after a cursor."""
        page = await self._act("inbox", {"after": after, "limit": limit, "reader": reader, "new_reader": True})
        return [Message.parse(raw) for raw in page["messages"]]

    async def ack(self, cursor: str | None = None, *, reader: str = "default") -> int:
        """Mark what was shown to the reader as read, up to a cursor; how many were."""
        answer = await self._act("ack", {"cursor": cursor, "reader": reader})
        return int(answer["acked"])

    async def history(
        self, to: str, *, before: str | None = None, after: str | None = None, limit: int = limits.PAGE
    ) -> list[Message]:
        """The conversation with a peer, oldest first."""
        page = await self._act("history", {"to": to, "before": before, "after": after, "limit": limit})
        return [Message.parse(raw) for raw in page["messages"]]

    async def peers(self) -> list[Peer]:
        """Known and discovered peers."""
        return [Peer.parse(raw) for raw in (await self._act("peers"))["peers"]]

    async def requests(self) -> list[Request]:
        """Requests, both ways."""
        return [Request.parse(raw) for raw in (await self._act("requests.list"))["requests"]]

    async def accept(self, peer: str) -> None:
        """Accept a peer: its messages arrive from now on."""
        await self._act("requests.accept", {"peer": peer})

    async def reject(self, peer: str) -> None:
        """Reject a peer's request."""
        await self._act("requests.reject", {"peer": peer})

    async def set_status(self, status: str) -> None:
        """The line peers see beside the name."""
        await self._act("status.set", {"status": status})

    async def _wait(
        self, sender: str | None, after: str | None, reader: str, timeout: float, limit: int
    ) -> dict[str, Any]:
        params = {"from": sender, "after": after, "reader": reader, "timeout": timeout, "limit": limit}
        return await self._act("wait", params | {"new_reader": True})

    async def _act(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self._line.call(method, {"agent": self.name, **(params or {})})


class _Acks:
    """Acknowledgements on their way: one in flight, the newest cursor next; reading never waits for them."""

    def __init__(self, agent: Agent, reader: str) -> None:
        self._agent = agent
        self._reader = reader
        self._next: str | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, cursor: str) -> None:
        """Acknowledge up to here, soon. Raises the error of an earlier one that failed."""
        self._next = cursor
        if self._task is not None and self._task.done():
            ended, self._task = self._task, None
            ended.result()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())  # held here until settled

    async def settle(self) -> None:
        """Wait for those under way. Raises the error of one that failed."""
        if self._task is not None:
            last, self._task = self._task, None
            await last

    async def _run(self) -> None:
        while self._next is not None:
            cursor, self._next = self._next, None
            await self._agent.ack(cursor, reader=self._reader)
