"""The commands agents run all day. Each is the whole command: `fast` and Typer only parse for it."""

from __future__ import annotations

from p2p_agents import errors, exits, output
from p2p_agents.cli.face import Face, body, run
from p2p_agents.control.client import make_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def send(
    *,
    to: str,
    text: str,
    id: str | None = None,
    type: str = "text/plain",
    reply_to: str | None = None,
    wait: str | None = None,
    timeout: float = 30.0,
    as_: str | None = None,
    json: bool | None = None,
) -> int:
    """Send one message. The exit status is 0 once it is stored, or with `wait` once it has arrived."""

    def act(face: Face) -> int:
        key = make_key() if id is None else id
        said = body(text)
        if not said.strip():
            raise errors.Usage("the message is empty", hint="give it a text; - reads standard input")
        draft = {"to": to, "text": said, "id": key, "type": type, "reply_to": reply_to}
        sent = face.send(**draft)
        if wait is not None:
            try:  # under the same key, so it is only waited for
                sent["state"] = face.send(**draft, wait=wait, timeout=timeout)["state"]
            except KeyboardInterrupt:
                hint = f"run: p2p-agents show {sent['id']}"
                face.show_error(errors.SendUnconfirmed("the message is kept", hint=hint, id=sent["id"], key=key))
                return exits.INTERRUPTED
        face.show(sent, output.sent)
        return exits.OK

    return run(act, as_, json)


def inbox(
    *,
    after: str | None = None,
    limit: int = 50,
    reader: str = "default",
    new_reader: bool = False,
    fields: str | None = None,
    compact: bool = False,
    as_: str | None = None,
    json: bool | None = None,
) -> int:
    """Show unread messages and leave them unread."""

    def act(face: Face) -> None:
        wanted = {"after": after, "limit": limit, "reader": reader, "new_reader": new_reader or None}
        face.show(face.act("inbox", **wanted), output.messages)

    return run(act, as_, json, fields=fields, compact=compact)


def ack(*, cursor: str | None = None, reader: str = "default", as_: str | None = None, json: bool | None = None) -> int:
    """Mark what was shown as read."""
    return run(lambda face: face.show(face.act("ack", cursor=cursor, reader=reader), output.acked), as_, json)


def poll(
    *,
    limit: int = 50,
    reader: str = "default",
    new_reader: bool = False,
    claim: bool = False,
    fields: str | None = None,
    compact: bool = False,
    as_: str | None = None,
    json: bool | None = None,
) -> int:
    """Show unread messages; they are read once stdout has taken them, on the same connection."""

    def act(face: Face) -> None:
        wanted = {"limit": limit, "reader": reader, "new_reader": new_reader or None}
        held = face.follow("claim", **wanted) if claim else None
        page = face.act("inbox", **wanted) if held is None else _claimed(next(held))
        face.show(page, output.messages)
        if page["messages"]:
            these = {"cursors": ",".join(message["cursor"] for message in page["messages"])}
            face.act("ack", **(these if claim else {"cursor": page["cursor"]}), reader=reader)

    return run(act, as_, json, fields=fields, compact=compact)


def _claimed(event: dict[str, Any]) -> dict[str, Any]:
    """The page alone, as `inbox` gives it."""
    return {name: value for name, value in event.items() if name != "type"}


def wait(
    *,
    from_: str | None = None,
    after: str | None = None,
    timeout: float = 60.0,
    limit: int = 50,
    reader: str = "default",
    new_reader: bool = False,
    fields: str | None = None,
    compact: bool = False,
    requests: bool | None = None,
    as_: str | None = None,
    json: bool | None = None,
) -> int:
    """Wait for messages and show them; exit status 4 when none came. People are told of requests too."""

    def act(face: Face) -> None:
        wanted = {"from": from_, "after": after, "timeout": timeout, "limit": limit, "reader": reader}
        asked = requests if requests is not None else not face.json
        page = face.act("wait", **wanted, new_reader=new_reader or None, requests=asked or None)
        face.show(page, output.awaited)
        if page.get("shared"):
            face.warn(f"another process waits as reader {reader}: both get every message; see p2p-agents wait --help")

    return run(act, as_, json, fields=fields, compact=compact)


def history(
    *,
    to: str,
    before: str | None = None,
    after: str | None = None,
    limit: int = 50,
    fields: str | None = None,
    compact: bool = False,
    as_: str | None = None,
    json: bool | None = None,
) -> int:
    """Show the conversation with a peer."""
    onwards = "--before" if after is None else "--after"

    def act(face: Face) -> None:
        result = face.act("history", to=to, before=before, after=after, limit=limit)
        face.show(result, lambda page: output.messages(page, onwards))

    return run(act, as_, json, fields=fields, compact=compact)


def show(
    *, id: str, fields: str | None = None, compact: bool = False, as_: str | None = None, json: bool | None = None
) -> int:
    """Show a message and where it stands with each recipient."""
    return run(lambda face: face.show(face.act("show", id=id), output.shown), as_, json, fields=fields, compact=compact)


def peers(
    *,
    watch: bool = False,
    fields: str | None = None,
    compact: bool = False,
    as_: str | None = None,
    json: bool | None = None,
) -> int:
    """Show peers, or follow them as they change."""

    def act(face: Face) -> None:
        if not watch:
            face.show(face.act("peers"), output.peers)
            return
        if face.json:
            for event in face.follow("peers.watch"):
                face.show_event(event, output.peer_line)
        else:
            _watch_peers(face)

    return run(act, as_, json, fields=fields, compact=compact)


def _watch_peers(face: Face) -> None:
    """For people: a head, then a line whenever a peer's line changes."""
    face.show_event({}, lambda _: output.style(output.peer_line(None), "dim"))
    shown: dict[str, str] = {}
    for event in face.follow("peers.watch"):
        if event["type"] == "peer" and shown.get(event["id"]) != (line := output.peer_line(event)):
            shown[event["id"]] = line
            face.show_event(event, output.peer_line)
