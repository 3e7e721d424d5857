"""The methods about bridges. They belong to the node: all its agents use the same."""

from __future__ import annotations

from p2p_agents import errors, limits
from p2p_agents.control.method import Method, Param, Served
from p2p_agents.control.params import STORES
from p2p_agents.results import node
from p2p_agents.wire.relay_requests import TOKEN_CHARS

ADDRESS_CHARS = 512  # bridge://, the longest host name, a port and a key
_WHICH = "its address, or its host and port"

BRIDGES = (
    Method(
        "bridge.add",
        "Use a bridge, and wait until it admitted this node; one that is known keeps its token where none is given.",
        (
            Param("address", str, "bridge://HOST:PORT#KEY", required=True, at_most=ADDRESS_CHARS),
            Param("token", str, "of admission, from the bridge's operator", at_most=TOKEN_CHARS),
            Param("timeout", float, "seconds to wait for the bridge", default=10.0, at_most=limits.WAIT_MAX_S),
        ),
        node.BridgeAnswer,
        (
            errors.BadBridge,
            errors.BridgeImpostor,
            errors.BridgeRefused,
            errors.BridgesFull,
            errors.BridgeUnreachable,
            *STORES,
        ),
        served=Served.BRIDGES,
    ),
    Method(
        "bridge.remove",
        "Use a bridge no longer. What lies there for this node is read as long as contacts may leave something.",
        (Param("address", str, _WHICH, required=True, at_most=ADDRESS_CHARS),),
        node.BridgeRemoved,
        (errors.BridgeUnknown, *STORES),
        served=Served.BRIDGES,
    ),
    Method(
        "bridge.list",
        "List the bridges this node was told to use.",
        (),
        node.Bridges,
        served=Served.BRIDGES,
    ),
    Method(
        "bridge.status",
        "How bridges do: those this node was told to use, and those its contacts are reached at.",
        (Param("address", str, f"only this one: {_WHICH}", at_most=ADDRESS_CHARS),),
        node.Bridges,
        (errors.BridgeUnknown,),
        served=Served.BRIDGES,
    ),
)
