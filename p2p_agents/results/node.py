"""The node itself, and the bridges it uses."""

from typing import Annotated, Literal, TypedDict


class Info(TypedDict):
    version: str
    protocol: Annotated[int, "that peers are spoken to in"]
    pid: int
    home: str
    port: Annotated[int, "UDP; 0 while the node only reads"]
    incarnation: Annotated[int, "of this run: the later, the greater"]
    uptime_s: float
    agents: Annotated[int, "how many"]
    connections: Annotated[int, "how many"]


class Stopping(TypedDict):
    stopping: Literal[True]


class Check(TypedDict):
    """One thing that was looked at."""

    name: str
    ok: Annotated[bool | None, "null: worth knowing, neither good nor bad"]
    detail: str
    hint: Annotated[str | None, "what to do"]
    time: Annotated[str | None, "of what happened once"]


class Checks(TypedDict):
    checks: list[Check]


class Bridge(TypedDict):
    """A bridge that this node was told to use, or that its contacts are reached at."""

    address: str
    configured: Annotated[bool, "this node was told to use it"]
    token: Annotated[bool, "a token of admission is kept for it"]
    added: str | None
    state: Annotated[str, ("up", "connecting", "down", "not admitted")]
    why: Annotated[str | None, "why it is not up"]
    way: Annotated[str | None, "quic or websocket"]
    account: Annotated[str, "who this node is there"]
    observed: Annotated[str | None, "the address that the bridge sees this node at"]
    queues: Annotated[int, "that are read there"]
    unread: Annotated[int, "queues that the bridge does not let us read"]
    waiting: Annotated[int, "messages that are to be put there"]
    rtt_ms: float | None
    heard: Annotated[str | None, "when it was last heard"]
    failures: Annotated[int, "attempts in a row that failed"]
    refusal: Annotated[str | None, "the code with which it refused something last"]
    refusal_why: Annotated[str | None, "the same in words"]
    refused: Annotated[str | None, "when"]
    next_try_s: float | None


class BridgeAnswer(TypedDict):
    bridge: Bridge


class Bridges(TypedDict):
    bridges: list[Bridge]


class BridgeRemoved(TypedDict):
    address: str
    removed: Literal[True]
