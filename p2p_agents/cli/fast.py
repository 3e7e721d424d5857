"""The short way past Typer for hot commands: plain argument lists only, `None` for anything unusual.

Typer then parses the same words, so help and usage errors have one source; a test holds both to one meaning.
"""

from __future__ import annotations

from p2p_agents.limits import PAGE_MAX, WAIT_MAX_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NUMBER_CHARS = 9  # digits of a plain number; more is unusual
READER = {"--reader": ("reader", "text")}
NEW_READER = {**READER, "--new-reader": ("new_reader", "flag")}
LIMIT = {"--limit": ("limit", "count")}
AFTER = {"--after": ("after", "text")}
CHOICE = {"--fields": ("fields", "text"), "--compact": ("compact", "flag")}
TIMEOUT = {"--timeout": ("timeout", "seconds")}

# verb: positional parameters, how many of them are required, options (name: parameter and kind)
HOT: dict[str, tuple[tuple[str, ...], int, dict[str, tuple[str, str]]]] = {
    "send": (
        ("to", "text"),
        2,
        {
            "--id": ("id", "text"),
            "--type": ("type", "body"),
            "--reply-to": ("reply_to", "text"),
            "--wait": ("wait", "state"),
            **TIMEOUT,
        },
    ),
    "inbox": ((), 0, {**AFTER, **LIMIT, **NEW_READER, **CHOICE}),
    "ack": (("cursor",), 0, READER),
    "poll": ((), 0, {**LIMIT, **NEW_READER, **CHOICE, "--claim": ("claim", "flag")}),
    "wait": ((), 0, {"--from": ("from_", "text"), **AFTER, **TIMEOUT, **LIMIT, **NEW_READER, **CHOICE}),
    "history": (("to",), 1, {"--before": ("before", "text"), **AFTER, **LIMIT, **CHOICE}),
    "show": (("id",), 1, CHOICE),
    "peers": ((), 0, CHOICE),
}
COMMON = {"--as": ("as_", "text"), "--json": ("json", "flag"), "--text": ("json", "no")}
CHOICES = {"body": ("text/plain", "text/markdown", "application/json"), "state": ("delivered", "read")}


def parse(argv: list[str]) -> tuple[str, dict[str, Any]] | None:
    """The hot verb and its parameters, or None for Typer to look at."""
    verb, known = "", COMMON
    words: list[str] = []
    found: dict[str, Any] = {}
    rest = iter(argv)
    for word in rest:
        if word[:1] == "-" and word != "-":
            if not _take_option(word, rest, known, found):
                return None
        elif not verb:
            if word not in HOT:
                return None
            verb, known = word, COMMON | HOT[word][2]
        else:
            words.append(word)
    if not verb:
        return None
    names, required, _ = HOT[verb]
    if not required <= len(words) <= len(names):
        return None
    return verb, found | dict(zip(names, words, strict=False))


def _take_option(word: str, rest: Any, known: dict[str, tuple[str, str]], found: dict[str, Any]) -> bool:
    """Whether the option is known and plainly written; its value is then in `found`."""
    option, equals, value = word.partition("=")
    if option not in known:
        return False
    name, kind = known[option]
    if kind in ("flag", "no"):
        found[name] = kind == "flag"
        return not equals
    if not equals:
        value = next(rest, "")
    taken = _value(kind, value)
    found[name] = taken
    return taken is not None


def _value(kind: str, text: str) -> str | int | float | None:
    if not text or text[0] == "-":
        return None
    if kind == "text":
        return text
    if kind in CHOICES:
        return text if text in CHOICES[kind] else None
    if not text.replace(".", "", kind == "seconds").isdecimal() or not text.isascii() or len(text) > NUMBER_CHARS:
        return None
    if kind == "count":
        return int(text) if 1 <= int(text) <= PAGE_MAX else None
    return float(text) if float(text) <= WAIT_MAX_S else None
