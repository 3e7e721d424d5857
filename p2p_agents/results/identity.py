"""An agent's own identity: its log, its devices, and what is stored elsewhere."""

from typing import Annotated, TypedDict

from p2p_agents.results.people import Agent, Named

NextRoot = Annotated[str, ("here", "exported", "elsewhere")]


class LogEntry(TypedDict):
    n: int
    kind: Annotated[str, "inception, rotate, add-device, revoke-device"]
    device: str | None
    time: Annotated[str | None, "of the first entry; the others have none"]


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
    here: Annotated[bool, "this installation"]
    root: Annotated[bool | None, "whether the root key is here; null for other devices"]
    n: Annotated[int, "number of the log entry that added it"]


class Devices(TypedDict):
    devices: list[Device]


class Saved(TypedDict):
    path: str
    bytes: int
    contacts: int
    next_root: Annotated[NextRoot, "exported: the file lacks that key"]


class Restored(TypedDict):
    agent: Agent
    contacts: Annotated[int, "how many were restored"]
    entries: Annotated[int, "how many were restored"]
