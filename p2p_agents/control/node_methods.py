"""The methods about the node itself, and about the agents that live on it."""

from __future__ import annotations

from p2p_agents import errors
from p2p_agents.control.method import Method, Param, Served
from p2p_agents.control.params import AGENT, AGENT_FIELDS, FINDS_AGENT, KINDS, NAME, POLICIES, STORES
from p2p_agents.wire.advert import STATUSES

NODE = (
    Method(
        "node.info",
        "What runs here.",
        (),
        "{version, protocol, pid, home, port, incarnation, uptime_s, agents, connections}",
        served=Served.NODE,
        reads=True,
    ),
    Method(
        "node.stop",
        "Stop the node.",
        (Param("replace", bool, "another one comes at once: who follows goes on with it", default=False),),
        "{stopping: true}",
        served=Served.NODE,
        repeats=False,
    ),
    Method(
        "doctor",
        "Check what this machine and network allow.",
        (),
        "{checks: [{name, ok, detail, hint, time}]}",
        served=Served.NODE,
        reads=True,
    ),
)

AGENTS = (
    Method(
        "init",
        "Create an agent on this node; one that is there already, and is as it is wanted, is a success too.",
        (
            Param("name", str, "its name: 1 to 32 letters, digits, . - _", required=True),
            Param("kind", str, "what it is", default="other", choices=KINDS),
            Param("hidden", bool, "keep it off the network's announcements", default=False),
            Param("policy", str, "who may write first", default="ask", choices=POLICIES),
        ),
        f"{{agent: {AGENT_FIELDS}, created}}",
        (errors.BadName, errors.AgentExists, *STORES),
    ),
    Method("agents", "List the agents of this node.", (), f"{{agents: [{AGENT_FIELDS}]}}", reads=True),
    Method("use", "Make an agent the default one.", (NAME,), f"{{agent: {AGENT_FIELDS}}}", FINDS_AGENT),
    Method("whoami", "The agent acted for.", (AGENT,), f"{{agent: {AGENT_FIELDS}}}", FINDS_AGENT, reads=True),
    Method(
        "status.set",
        "Say what the agent is doing.",
        (AGENT, Param("status", str, "how busy it is", required=True, choices=STATUSES)),
        "{status}",
        FINDS_AGENT,
    ),
)
