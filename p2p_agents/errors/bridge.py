"""What can go wrong with a bridge. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import LocalFault


class BadBridge(LocalFault):
    """That is not a bridge's address."""

    code = "bad_bridge"
    exit = exits.USAGE
    hint = "copy all of it, as the bridge printed it: bridge://HOST:PORT#KEY"


class BridgeUnknown(LocalFault):
    """This node uses no bridge with that address."""

    code = "bridge_unknown"
    exit = exits.NOT_FOUND
    hint = "run: p2p-agents bridge list"


class BridgeUnreachable(LocalFault):
    """The bridge does not answer; messages stay queued until it does."""

    code = "bridge_unreachable"
    retryable = True
    hint = "check the address and the network: p2p-agents bridge status"


class BridgeImpostor(LocalFault):
    """The server at that address does not hold the bridge's key."""

    code = "bridge_impostor"
    exit = exits.REFUSED
    hint = "nothing was sent; ask the bridge's operator for its current address"


class BridgeRefused(LocalFault):
    """The bridge does not admit this node, or accepts no more from it."""

    code = "bridge_refused"
    exit = exits.REFUSED
    hint = "ask the bridge's operator for a token: p2p-agents bridge add ADDRESS --token-file FILE"


class BridgesFull(LocalFault):
    """This node already uses as many bridges as it may."""

    code = "bridges_full"
    exit = exits.REFUSED
    hint = "remove one: p2p-agents bridge remove ADDRESS"


class BridgeFailed(LocalFault):
    """A bridge, or the tunnel to it, could not be started here."""

    code = "bridge_failed"
    hint = "run: p2p-agents bridge run, which says why"


class TunnelMissing(LocalFault):
    """Neither cloudflared nor tailscale is installed here, and nothing is downloaded."""

    code = "tunnel_missing"
    hint = "install one of them, or say how this machine is reached: p2p-agents host --public-host NAME"
