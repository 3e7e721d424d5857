"""An agent's own identity: its log, its devices, what is kept elsewhere."""

from typing import Annotated, TypedDict

from p2p_agents.results.people import Agent, Named

NextRoot = Annotated[str, ("here", "exported", "elsewhere")]


class LogEntry(TypedDict):
    n: int
    kind: Annotated[str, "inception, rotate, add-device, revoke-device"]
    device: str | None
    time: Annotated[str | None, "of the first alone: the others say none"]


class IdentityLog(TypedDict):
    agent: Named
    next_root: Annotated[NextRoot, "where the next root key is; elsewhere: with the root key"]
    entries: Annotated[list[LogEntry], "the oldest first"]


class Exported(IdentityLog):
    path: str


class Device(TypedDict):
    """An installation of the agent."""

    id: str
    name: str
    state: Annotated[str, ("live", "revoked")]
    here: Annotated[bool, "it is this one"]
    root: Annotated[bool | None, "whether the root key is here; null of others"]
    n: Annotated[int, "the entry of the log that added it"]


class Devices(TypedDict):
    devices: list[Device]


class Saved(TypedDict):
    path: str
    bytes: int
    contacts: int
    next_root: Annotated[NextRoot, "exported: the file lacks that key"]


class Restored(TypedDict):
    agent: Agent
    contacts: Annotated[int, "how many came back"]
    entries: Annotated[int, "how many came back"]
