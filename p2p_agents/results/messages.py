"""Messages and where they stand."""

from typing import Annotated, Literal, NotRequired, TypedDict

from p2p_agents.results.people import Party, Request

State = Annotated[str, ("asked", "queued", "relayed", "delivered", "read", "failed")]

Message = TypedDict(
    "Message",
    {
        "id": str,
        "cursor": Annotated[str, "its place in the log: opaque"],
        "from": Party,
        "conversation": str,
        "type": Annotated[
            str, "what the text is: text/plain, text/markdown, application/json; else what no person wrote"
        ],
        "text": Annotated[str | None, "null where it was deleted, or is no message"],
        "time": Annotated[str, "when its author says it was written"],
        "state": Annotated[State, "asked: queued until a human there accepts the request"],
        "trust": Annotated[
            Annotated[str, ("own", "blocked", "unknown", "requested", "accepted", "paired", "verified")],
            "in its author when it came",
        ],
        "reply_to": Annotated[str | None, "id of the message answered"],
        "to": NotRequired[Annotated[Party, "of an agent's own messages"]],
        "damaged": NotRequired[Annotated[bool, "true where the disk changed it: it is nobody's words"]],
    },
)


class Recipient(Party):
    """Where a message stands with one device of its recipient."""

    device: str | None
    state: State
    why: Annotated[str | None, "why it failed, or what it waits for"]
    time: str


class Sent(TypedDict):
    id: str
    cursor: str
    state: Annotated[State, "asked: queued until a human there accepts the request"]
    why: Annotated[str | None, "why it failed, or what it waits for"]
    duplicate: Annotated[bool, "the key was used before, and nothing was sent now"]
    key: Annotated[str, "the idempotency key"]
    to: Party


class Found(TypedDict):
    messages: list[Message]


class Page(Found):
    cursor: Annotated[str, "to go on from: the next `after`, or in `history` without it the next `before`"]
    more: Annotated[bool, "there are further ones"]


class Unread(Page):
    requests: Annotated[int, "how many wait for a decision"]
    retired: NotRequired[Annotated[bool, "this installation was revoked"]]
    behind: NotRequired[Annotated[bool, "a contact knows a newer identity log of this agent"]]


class Awaited(Unread):
    shared: Annotated[bool, "another process waited as this reader, and gets them too"]
    asking: NotRequired[Annotated[list[Request], "the requests that ended the wait"]]


class Claimed(Page):
    type: Literal["claimed"]
    requests: Annotated[int, "how many wait for a decision"]


class Acked(TypedDict):
    acked: Annotated[int, "messages that are read now"]
    cursor: Annotated[str, "up to which all are read"]


class Shown(TypedDict):
    message: Message
    recipients: list[Recipient]


class Purged(TypedDict):
    purged: int
    kept: Annotated[int, "still to be delivered"]
    emptied: Annotated[bool, "the files hold nothing of it any more"]


class Ready(TypedDict):
    type: Literal["ready"]
    cursor: str
    requests: Annotated[int, "how many wait for a decision"]


class MessageEvent(TypedDict):
    type: Literal["message"]
    message: Message


class StateEvent(TypedDict):
    type: Literal["state"]
    id: str
    state: State


class RequestEvent(Request):
    type: Literal["request"]
