"""Codes that are shown and tried."""

from typing import Annotated, NotRequired, TypedDict

from p2p_agents.results.identity import Device
from p2p_agents.results.people import Agent, Contact, Named, Trust


class Code(TypedDict):
    """A code that is shown."""

    id: str
    code: Annotated[str, "three words and letters, to be said or typed"]
    uri: Annotated[str, "what the picture holds"]
    link: Annotated[str | None, "a page at a bridge; null where none is used"]
    expires: str
    agent: Annotated[Named, "whose code it is"]
    purpose: Annotated[str, ("contact", "link")]
    withdrew: Annotated[str | None, "the last characters of the code before"]


WrongTry = TypedDict(
    "WrongTry",
    {
        "time": str,
        "from": Annotated[str, "the address it came from"],
        "left": Annotated[int, "tries that remain"],
    },
)


class CodeState(TypedDict):
    """How a code stands."""

    id: str
    state: Annotated[Annotated[str, ("waiting", "paired", "dead", "expired", "cancelled")], "dead: tried too often"]
    tries: Annotated[int, "wrong ones that are left"]
    wrong: Annotated[list[WrongTry], "tries that were made with other words"]
    expires: str
    contact: NotRequired[Annotated[Contact, "once paired"]]
    trust: NotRequired[Annotated[Trust, "in that contact"]]
    device: NotRequired[Annotated[Device, "once linked"]]


class Joined(TypedDict):
    contact: Contact
    trust: Annotated[Trust, "in that contact"]


class Linked(TypedDict):
    agent: Agent
