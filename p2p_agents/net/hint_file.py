"""The file that one node leaves for others on its host: where it belongs, who wrote it, what it announces.

Every file is hostile until parsed, and even then proves nothing: it says which loopback port to ask.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import HINT_BYTES, ROSTER_AGENTS
from p2p_agents.wire.advert import Advert

VERSION = 1
HINT_FIELDS = {"v", "boot_id", "netns", "pid", "incarnation", "port", "node", "agents"}
AGENT_FIELDS = {"agent", "name", "kind", "status"}


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a hint, which must be this host: one boot, one network namespace."""

    boot_id: str
    netns: int

    @classmethod
    def here(cls) -> Place:
        boot_id, netns = "", 0
        with contextlib.suppress(OSError):  # not Linux: hints then hold for any boot, and the pid decides
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                boot_id = file.read(64).strip()
            netns = os.stat("/proc/self/ns/net").st_ino
        return cls(boot_id, netns)


@dataclass(frozen=True, slots=True)
class Hint:
    """One node's file: where it belongs, which process wrote it, what it announces."""

    place: Place
    pid: int
    adverts: tuple[Advert, ...]


def encode_hint(hint: Hint) -> bytes:
    """The file of a node with at least one advert; all adverts are of one node."""
    first = hint.adverts[0]
    return json.dumps(
        {
            "v": VERSION,
            "boot_id": hint.place.boot_id,
            "netns": hint.place.netns,
            "pid": hint.pid,
            "incarnation": first.incarnation,
            "port": first.port,
            "node": first.node.hex(),
            "agents": [
                {"agent": a.agent.hex(), "name": a.name, "kind": a.kind, "status": a.status} for a in hint.adverts
            ],
        }
    ).encode()


def decode_hint(data: bytes) -> Hint:
    """Raises Malformed for anything that `encode_hint` would not write."""
    if len(data) > HINT_BYTES:
        raise Malformed("the hint is too large")
    try:
        value = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise Malformed("the hint is not JSON") from None
    fields = _exactly(value, HINT_FIELDS)
    if _int(fields["v"]) != VERSION:
        raise Malformed("the hint has another version")
    agents = fields["agents"]
    if not isinstance(agents, list) or not 0 < len(agents) <= ROSTER_AGENTS:
        raise Malformed("the hint's agents are not a list, or are too many")
    node, port, incarnation = _id(fields["node"]), _int(fields["port"]), _int(fields["incarnation"])
    adverts = tuple(_advert(agent, node, incarnation, port) for agent in agents)
    place = Place(_str(fields["boot_id"]), _int(fields["netns"]))
    return Hint(place, _int(fields["pid"]), adverts)


def _advert(value: Any, node: bytes, incarnation: int, port: int) -> Advert:
    fields = _exactly(value, AGENT_FIELDS)
    return Advert(
        agent=_id(fields["agent"]),
        name=_str(fields["name"]),
        kind=_str(fields["kind"]),
        status=_str(fields["status"]),
        node=node,
        incarnation=incarnation,
        port=port,
    )


def _exactly(value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise Malformed("the hint's fields are not the expected ones")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed("a field of the hint is not text")
    return value


def _int(value: Any) -> int:
    """A non-negative integer: negative process ids would name groups."""
    if type(value) is not int or value < 0:
        raise Malformed("a field of the hint is not a non-negative integer")
    return value


def _id(value: Any) -> bytes:
    try:
        return bytes.fromhex(_str(value))
    except ValueError:
        raise Malformed("an id in the hint is not hexadecimal") from None
