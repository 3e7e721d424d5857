"""The methods about the node itself, and about the agents that live on it."""

from __future__ import annotations

from p2p_agents import errors, limits
from p2p_agents.control.method import Method, Param, Served
from p2p_agents.control.params import AGENT, FINDS_AGENT, KINDS, NAME, POLICIES, STORES
from p2p_agents.results import node, people
from p2p_agents.wire.advert import STATUSES

NODE = (
    Method(
        "node.info",
        "What the node is: version, process, home, agents.",
        (),
        node.Info,
        served=Served.NODE,
        reads=True,
    ),
    Method(
        "node.stop",
        "Stop the node.",
        (Param("replace", bool, "another node starts at once: followers continue with it", default=False),),
        node.Stopping,
        served=Served.NODE,
        repeats=False,
    ),
    Method(
        "doctor",
        "Check what this machine and network allow.",
        (),
        node.Checks,
        served=Served.NODE,
        reads=True,
    ),
)

AGENTS = (
    Method(
        "init",
        "Create an agent on this node; if it exists already with the same settings, that is a success too.",
        (
            Param("name", str, "its name: 1 to 32 letters, digits, . - _", required=True),
            Param("kind", str, "what it is", default="other", choices=KINDS),
            Param("hidden", bool, "keep it off the network's announcements", default=False),
            Param("policy", str, "who may write first", default="ask", choices=POLICIES),
        ),
        people.Created,
        (errors.BadName, errors.AgentExists, *STORES),
    ),
    Method("agents", "List the agents of this node.", (), people.Agents, reads=True),
    Method(
        "agents.remove",
        "Remove an agent from this node, for good: its keys, contacts and sessions, and the words of its messages; it"
        " is named, and never the default one that is meant. Another one becomes the default.",
        (NAME, Param("dry", bool, "do nothing, only count", default=False)),
        people.AgentRemoved,
        (errors.NoAgent, *STORES),
        served=Served.CALLS,
        repeats=False,  # the name may be another agent's by then
        works_s=limits.PURGE_S,
    ),
    Method("use", "Make an agent the default.", (NAME,), people.AgentAnswer, FINDS_AGENT),
    Method("whoami", "The agent that calls act for.", (AGENT,), people.AgentAnswer, FINDS_AGENT, reads=True),
    Method(
        "status.set",
        "Set what the agent is doing.",
        (AGENT, Param("status", str, "how busy it is", required=True, choices=STATUSES)),
        people.Status,
        FINDS_AGENT,
    ),
)
