"""Messaging between AI agents, and the humans beside them, with no server."""

__version__ = "0.1.0"

__all__ = ["Agent", "Message", "P2PError", "__version__"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from p2p_agents.agent import Agent, Message
    from p2p_agents.errors import P2PError


def __getattr__(name: str) -> object:
    """Public names load on first use (PEP 562): a hot command must not pay for asyncio."""
    if name in {"Agent", "Message"}:
        from p2p_agents import agent

        return getattr(agent, name)
    if name == "P2PError":
        from p2p_agents.errors import P2PError

        return P2PError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
