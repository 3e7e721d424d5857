"""The node itself, and the bridges it uses."""

from typing import Annotated, Literal, TypedDict


class Info(TypedDict):
    version: str
    protocol: Annotated[int, "of the protocol between nodes"]
    pid: int
    home: str
    port: Annotated[int, "UDP; 0 while the node only reads"]
    incarnation: Annotated[int, "of this run: rises with every start"]
    uptime_s: float
    agents: Annotated[int, "how many"]
    connections: Annotated[int, "how many"]


class Stopping(TypedDict):
    stopping: Literal[True]


class Check(TypedDict):
    """One check."""

    name: str
    ok: Annotated[bool | None, "null: information, neither good nor bad"]
    detail: str
    hint: Annotated[str | None, "what to do"]
    time: Annotated[str | None, "for past events"]


class Checks(TypedDict):
    checks: list[Check]


class Bridge(TypedDict):
    """A configured bridge, or one at which contacts are reached."""

    address: str
    configured: Annotated[bool, "configured on this node"]
    token: Annotated[bool, "an admission token is stored for it"]
    added: str | None
    state: Annotated[str, ("up", "connecting", "down", "not admitted")]
    why: Annotated[str | None, "why it is not up"]
    way: Annotated[str | None, "quic or websocket"]
    account: Annotated[str, "this node's account there"]
    observed: Annotated[str | None, "this node's address as the bridge sees it"]
    queues: Annotated[int, "queues of ours that are read there"]
    unread: Annotated[int, "queues that the bridge does not let us read"]
    waiting: Annotated[int, "messages waiting to be put there"]
    rtt_ms: float | None
    heard: Annotated[str | None, "when it was last heard"]
    failures: Annotated[int, "attempts in a row that failed"]
    refusal: Annotated[str | None, "the code of its last refusal"]
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
