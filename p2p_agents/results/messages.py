"""Messages and their states."""

from typing import Annotated, Literal, NotRequired, TypedDict

from p2p_agents.results.people import Party, Request

State = Annotated[str, ("asked", "queued", "relayed", "delivered", "read", "failed")]

Message = TypedDict(
    "Message",
    {
        "id": str,
        "cursor": Annotated[str, "its place in the log, opaque"],
        "from": Party,
        "conversation": str,
        "type": Annotated[
            str, "type of the text: text/plain, text/markdown, application/json; others are not written by people"
        ],
        "text": Annotated[str | None, "null if it was deleted, or is not a message"],
        "time": Annotated[str, "the time of writing, by its author's clock"],
        "state": Annotated[State, "asked: queued until a human there accepts the request"],
        "trust": Annotated[
            Annotated[str, ("own", "blocked", "unknown", "requested", "accepted", "paired", "verified")],
            "trust in its author when it arrived",
        ],
        "reply_to": Annotated[str | None, "id of the message answered"],
        "to": NotRequired[Annotated[Party, "for the agent's own messages"]],
        "damaged": NotRequired[Annotated[bool, "true if the disk damaged it: the content is not its author's"]],
    },
)


class Recipient(Party):
    """The state of a message at one device of its recipient."""

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
    cursor: Annotated[str, "where to continue: the next `after`, or the next `before` in `history` without `after`"]
    more: Annotated[bool, "there are more"]


class Unread(Page):
    requests: Annotated[int, "requests that wait for a decision"]
    retired: NotRequired[Annotated[bool, "this installation was revoked"]]
    behind: NotRequired[Annotated[bool, "a contact has a newer identity log of this agent"]]


class Awaited(Unread):
    shared: Annotated[bool, "another process waited as the same reader, and gets them too"]
    asking: NotRequired[Annotated[list[Request], "the requests that ended the wait"]]


class Claimed(Page):
    type: Literal["claimed"]
    requests: Annotated[int, "requests that wait for a decision"]


class Acked(TypedDict):
    acked: Annotated[int, "messages newly marked as read"]
    cursor: Annotated[str, "everything up to it is read"]


class Shown(TypedDict):
    message: Message
    recipients: list[Recipient]


class Purged(TypedDict):
    purged: int
    kept: Annotated[int, "kept, since they are still to be delivered"]
    emptied: Annotated[bool, "the files no longer contain the text"]


class Ready(TypedDict):
    type: Literal["ready"]
    cursor: str
    requests: Annotated[int, "requests that wait for a decision"]


class MessageEvent(TypedDict):
    type: Literal["message"]
    message: Message


class StateEvent(TypedDict):
    type: Literal["state"]
    id: str
    state: State


class RequestEvent(Request):
    type: Literal["request"]
