"""Reads the log: cursors in and out, inbox, ack, history, search. Each function is one item of a batch."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from p2p_agents.core.api import showing
from p2p_agents.core.contact.directory import resolve
from p2p_agents.core.contact.naming import Names
from p2p_agents.core.delivery import receipts
from p2p_agents.core.identity import talks
from p2p_agents.core.kernel.effects import Answered, PeersChanged, Wake
from p2p_agents.core.links import presence
from p2p_agents.crypto.fingerprint import ID_CHARS, PREFIX_CHARS, id_text
from p2p_agents.errors import BadParams, CursorUnknown, MessageUnknown, ReaderUnknown
from p2p_agents.output import did_you_mean
from p2p_agents.store import entries, log, readers

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Waiter
    from p2p_agents.results import messages
    from p2p_agents.store.log import Logged

Json = dict[str, Any]

INDEX_ROUND = 500
READER_CHARS = 64


def parse_cursor(core: Core, text: str) -> int:
    """A cursor that this store gave. Raises CursorUnknown (PROTOCOL A4)."""
    if text == showing.START:
        return 0
    generation, _, position = text.rpartition("-")
    if not (position.isascii() and position.isdecimal() and len(position) < 17):
        raise CursorUnknown(f"not a cursor: {text[:64]!r}")
    if generation != core.db.generation or int(position) > log.last_cursor(core.db):
        raise CursorUnknown(f"this store never gave the cursor {text[:64]!r}")
    return int(position)


def unread(core: Core, params: Json) -> messages.Unread:
    """What the reader has not acknowledged, or what came after a cursor; the reader's own cursor does not move."""
    hosted = core.acting(params["agent"])
    peer = resolve(core, hosted, params["from"]).agent if params.get("from") else None
    return unread_of(core, hosted, peer, params)


def unread_of(core: Core, hosted: Hosted, peer: bytes | None, params: Json) -> messages.Unread:
    """Like `unread`, for a peer that was already resolved."""
    limit = params["limit"]
    agent, reader = hosted.local.id, known_reader(core, hosted, params)
    talk = None if peer is None else talks.with_peer(hosted, peer).id
    if params["after"] is not None:
        after = parse_cursor(core, params["after"])
        lines, more = log.incoming(core.db, agent, after, limit, talk)
    else:
        after = readers.watermark(core.db, agent, reader)
        lines, more = readers.unread(core.db, agent, reader, limit, talk, held(core, agent, reader))
    readers.show(core.db, agent, reader, [line.cursor for line in lines])
    asked = showing.count_asking(core, agent)
    page = page_of(core, hosted, lines, lines[-1].cursor if lines else after, more=more)
    found: messages.Unread = {
        "messages": page["messages"],
        "cursor": page["cursor"],
        "more": page["more"],
        "requests": asked,
    }
    if hosted.retired:
        found["retired"] = True
    if hosted.behind:
        found["behind"] = True
    return found


def known_reader(core: Core, hosted: Hosted, params: Json) -> str:
    """The requested reader; `new_reader` creates one. Raises ReaderUnknown, with similar names."""
    reader: str = params["reader"]
    if len(reader) > READER_CHARS:
        raise BadParams(f"a reader's name has at most {READER_CHARS} characters")
    if not readers.exists(core.db, hosted.local.id, reader):
        if not params.get("new_reader"):
            near = did_you_mean(reader, [readers.DEFAULT, *readers.names(core.db, hosted.local.id)])
            raise ReaderUnknown(f"no reader has used the name {reader!r}", hint=near + "a new one needs --new-reader")
        readers.start_at(core.db, hosted.local.id, reader, 0)
    return reader


def held(core: Core, agent: int, reader: str) -> frozenset[int]:
    """The messages that other processes have claimed."""
    claims = (claim.cursors for claim in core.claims.values() if (claim.agent, claim.reader) == (agent, reader))
    return frozenset().union(*claims)


def is_shared(core: Core, waiting: Waiter) -> bool:
    """Whether another process waits for the same messages as the same reader: then each gets all of them."""
    return any(
        other.agent == waiting.agent
        and other.params["reader"] == waiting.params["reader"]
        and other.params["after"] is None
        and (other.peer is None or waiting.peer is None or other.peer == waiting.peer)
        for other in core.waiters.values()
        if other is not waiting
    )


def page_of(core: Core, hosted: Hosted, lines: list[Logged], cursor: int, *, more: bool) -> messages.Page:
    names = Names(core, hosted)
    shown = [showing.message(core, hosted, line, names) for line in lines]
    return {"messages": shown, "cursor": showing.cursor_text(core, cursor), "more": more}


def woken(core: Core) -> list[int]:
    """The tickets of waiting readers whose log grew in this batch."""
    agents = {effect.agent for effect in core.effects if isinstance(effect, Wake)}
    return [ticket for ticket, waiter in core.waiters.items() if waiter.agent in agents] if agents else []


def answer(core: Core, ticket: int) -> None:
    """A waiting reader gets what the batch brought in the transaction that brought it: it is woken once, with the page
    ready, and need not look again (PROTOCOL A7)."""
    waiter = core.waiters[ticket]
    found = unread_of(core, core.host(waiter.agent), waiter.peer, waiter.params)
    shared = waiter.shared or (waiter.params["after"] is None and is_shared(core, waiter))
    page = awaited(found, shared=shared)
    if ends_wait(core, waiter, page):
        dismiss(core, ticket, Answered(ticket, page))


def awaited(found: messages.Unread, *, shared: bool) -> messages.Awaited:
    """What is unread, as a `wait` answers it."""
    return cast("messages.Awaited", {**found, "shared": shared})


def ends_wait(core: Core, waiter: Waiter, page: messages.Awaited) -> bool:
    """Whether there is something to show: messages or, if asked for, requests, which are then added to the page."""
    if not page["messages"] and waiter.params.get("requests") and page["requests"]:
        hosted = core.host(waiter.agent)
        page["asking"] = showing.asking(core, hosted, Names(core, hosted), waiter.peer)
    return bool(page["messages"] or page.get("asking"))


def dismiss(core: Core, ticket: int, last_word: Answered) -> None:
    """Stop waiting for this reader, once the batch is committed."""
    core.undo.append(partial(core.waiters.__setitem__, ticket, core.waiters.pop(ticket)))
    core.effect(last_word)


def acknowledge(core: Core, params: Json) -> messages.Acked:
    """Mark what was shown as read. The reader `default` owes receipts to the authors."""
    hosted = core.acting(params["agent"])
    agent, reader = hosted.local.id, known_reader(core, hosted, params)
    if params.get("cursors") is not None:
        return _acknowledge_these(core, hosted, reader, params["cursors"])
    through = None if params["cursor"] is None else parse_cursor(core, params["cursor"])
    before = readers.watermark(core.db, agent, reader)
    shown = readers.conversations_shown(core.db, agent, reader)
    acked = readers.acknowledge(core.db, agent, reader, through)
    _tell_of_reading(core, hosted, reader, shown if acked else set())
    cursor = max(before, readers.watermark(core.db, agent, reader))
    return {"acked": acked, "cursor": showing.cursor_text(core, cursor)}


def _acknowledge_these(core: Core, hosted: Hosted, reader: str, listed: str) -> messages.Acked:
    """Acknowledge exactly the messages at these cursors, for a process that claimed them."""
    cursors = [parse_cursor(core, text) for text in listed.split(",")]
    acked = readers.acknowledge_these(core.db, hosted.local.id, reader, cursors)
    read = readers.conversations_of(core.db, hosted.local.id, cursors) if acked else set()
    _tell_of_reading(core, hosted, reader, read)
    return {"acked": acked, "cursor": showing.cursor_text(core, readers.watermark(core.db, hosted.local.id, reader))}


def _tell_of_reading(core: Core, hosted: Hosted, reader: str, conversations: set[bytes]) -> None:
    if conversations and reader == readers.DEFAULT:
        presence.read_now(core, hosted.local.id)
        receipts.read(core, hosted, conversations)
        core.effect(PeersChanged())


def tail(core: Core, agent: int, after: int, limit: int, peer: bytes | None) -> tuple[list[messages.Message], int]:
    """For a watcher: the next messages after a position, and the position reached."""
    hosted = core.host(agent)
    lines, _ = log.tail(core.db, agent, core.hooks.shown(), after, limit)
    names, talk = Names(core, hosted), None if peer is None else talks.with_peer(hosted, peer).id
    shown = [showing.message(core, hosted, line, names) for line in lines if talk in (None, line.conversation)]
    return shown, lines[-1].cursor if lines else after


def history(core: Core, params: Json) -> messages.Page:
    """The cursor is the edge of the page to continue from: its highest with `after`, otherwise its lowest, for
    `before`."""
    hosted = core.acting(params["agent"])
    talk = talks.with_peer(hosted, resolve(core, hosted, params["to"]).agent).id
    after = parse_cursor(core, params["after"]) if params["after"] is not None else None
    before = parse_cursor(core, params["before"]) if params["before"] is not None else None
    lines, more = log.history(
        core.db, hosted.local.id, core.hooks.shown(), talk, after=after, before=before, limit=params["limit"]
    )
    edge = min if after is None else max
    cursor = edge((line.cursor for line in lines), default=after or before or 0)
    return page_of(core, hosted, lines, cursor, more=more)


def index(core: Core) -> bool:
    """Index one more round of bodies; True if the word index is up to date."""
    return entries.index_words(core.db, INDEX_ROUND)


def search(core: Core, params: Json) -> messages.Found:
    hosted = core.acting(params["agent"])
    words = [word.replace('"', '""') for word in params["text"].replace("\0", " ").split()]
    if not words:
        raise BadParams("the search text has no words")
    query = " ".join(f'"{word}"' for word in words)  # quoted, so that nothing in it is FTS5 syntax
    lines = log.search(core.db, hosted.local.id, core.hooks.shown(), query, params["limit"])
    names = Names(core, hosted)
    return {"messages": [showing.message(core, hosted, line, names) for line in lines]}


def show(core: Core, params: Json) -> messages.Shown:
    hosted = core.acting(params["agent"])
    line, names = find_message(core, hosted, params["id"]), Names(core, hosted)
    return {
        "message": showing.message(core, hosted, line, names),
        "recipients": showing.recipients(core, hosted, line, names),
    }


def find_message(core: Core, hosted: Hosted, word: str) -> Logged:
    """By message id or a prefix of it. Raises MessageUnknown."""
    low, high = _hash_range(word)
    found = log.by_hash_prefix(core.db, hosted.local.id, low, high)
    if len(found) == 1:
        return found[0]
    if not found:
        raise MessageUnknown(f"no message has an id that begins with {word[:64]!r}")
    told = " or ".join(_apart(*(id_text(line.record.hash) for line in found)))
    raise MessageUnknown(f"several messages have ids that begin with {word!r}", hint=f"type more of it, such as {told}")


def _apart(one: str, other: str) -> tuple[str, str]:
    """The shortest prefixes that tell two ids apart."""
    shared = next(place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
    return one[: shared + 1], other[: shared + 1]


def _hash_range(word: str) -> tuple[bytes, bytes]:
    """The lowest and highest 32 bytes whose base32 text begins with `word`."""
    text = word.upper()
    if len(text) > ID_CHARS or not set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
        raise MessageUnknown(f"not a message id: {word[:64]!r}")
    if len(text) < PREFIX_CHARS:
        raise MessageUnknown(
            f"{word!r} is too short for a message id",
            hint=f"type its first {PREFIX_CHARS} characters at least; p2p-agents history NAME shows ten",
        )
    low = base64.b32decode(text.ljust(ID_CHARS, "A") + "====")
    high = base64.b32decode(text.ljust(ID_CHARS, "7") + "====")
    return low, high
