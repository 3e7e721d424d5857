"""`watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2p_agents import output
from p2p_agents.cli.face import Face, run
from p2p_agents.cli.options import After, As, Compact, Fields, From, Json, application, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

app = application()


@app.command(
    epilog=examples(
        "p2p-agents watch", "p2p-agents watch --from bob --json", "p2p-agents watch --after 0 | jq -c .message.text"
    )
)
def watch(
    after: After = None,
    from_: From = None,
    fields: Fields = None,
    compact: Compact = False,
    as_: As = None,
    json: Json = None,
) -> int:
    """Follow messages as they come.

    One line per event: {"type": "ready", "cursor", "requests"}, then {"type": "message", "message"}; for your own
    messages {"type": "state", "id", "state"}; and {"type": "request"} with the fields of `requests list` when
    somebody asks to be accepted. Nothing is marked as read. Ends with Ctrl-C.
    """

    def act(face: Face) -> None:
        for event in face.follow("watch", **{"after": after, "from": from_}):
            if face.json or event["type"] in HUMAN:
                face.show_event(event, lambda event: HUMAN[event["type"]](event))

    return run(act, as_, json, fields=fields, compact=compact)


def _state(event: Mapping[str, Any]) -> str:
    return output.style(f"{output.short(event['id'])} is {output.escape(event['state'])}", "dim")


def _request(event: Mapping[str, Any]) -> str:
    return f"request {output.request(event)}"


HUMAN: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "message": lambda event: output.message(event["message"]),
    "state": _state,
    "request": _request,
}
