"""Pairing codes, shown and tried."""

from typing import Annotated, NotRequired, TypedDict

from p2p_agents.results.identity import Device
from p2p_agents.results.people import Agent, Contact, Named, Trust


class Code(TypedDict):
    """A code that is shown."""

    id: str
    code: Annotated[str, "the code, to say or type"]
    uri: Annotated[str, "the text in the picture"]
    link: Annotated[str | None, "a page at a bridge; null if no bridge is used"]
    expires: str
    agent: Annotated[Named, "whose code it is"]
    purpose: Annotated[str, ("contact", "link")]
    withdrew: Annotated[str | None, "the end of the previous code, if one was withdrawn"]


WrongTry = TypedDict(
    "WrongTry",
    {
        "time": str,
        "from": Annotated[str, "the address it came from"],
        "left": Annotated[int, "tries that remain"],
    },
)


class CodeState(TypedDict):
    """The state of a code."""

    id: str
    state: Annotated[Annotated[str, ("waiting", "paired", "dead", "expired", "cancelled")], "dead: tried too often"]
    tries: Annotated[int, "wrong tries left"]
    wrong: Annotated[list[WrongTry], "tries with other words"]
    expires: str
    contact: NotRequired[Annotated[Contact, "once paired"]]
    trust: NotRequired[Annotated[Trust, "in that contact"]]
    device: NotRequired[Annotated[Device, "once linked"]]


class Joined(TypedDict):
    contact: Contact
    trust: Annotated[Trust, "in that contact"]


class Linked(TypedDict):
    agent: Agent
