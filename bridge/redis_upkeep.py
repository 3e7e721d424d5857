"""Everything in the Redis store that concerns no single queue: admission, expiry, figures, the operator's commands.

Accounts are in DUE by the time when something of theirs may expire; whoever checks one writes when to check it again.
Several processes may check at once: what one deleted, another does not count again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bridge import bounds
from bridge.redis_keys import DUE, HOLDERS, LISTED, TOKENS, account_key, bytes_of, heads_key, keys_of, list_key, name_of
from bridge.redis_link import Command, call
from bridge.store import Allowed, Crowd, Guest, Refused, Stats, Token, Usage
from p2p_agents.wire.relay_answers import Admission, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.bounds import Quotas
    from bridge.redis_link import Link
    from bridge.redis_shares import Ledger

HOUR_MS = 3_600_000
DAY_MS = bounds.DAY_S * 1_000
ACCOUNTS_AT_ONCE = 1_024  # checked in one round trip


# --- admission ---


async def admit(link: Link, guest: Guest, now_ms: int) -> Guest:
    account = name_of(guest.account)
    admission = guest.admission
    if guest.token and admission is not Admission.LIST:
        try:
            await demand(link, account, replace(guest, admission=Admission.TOKEN), now_ms, bind=False)
            admission = Admission.TOKEN
        except Refused as refused:
            if admission is Admission.TOKEN or refused.refusal is not Refusal.ADMISSION:
                raise
    else:
        await demand(link, account, guest, now_ms, bind=False)
    known = await link.one(call("seen", (account_key(account),), now_ms, int(admission is not Admission.OPEN)))
    if known:
        await link.one(noted(account, now_ms))
        if admission is Admission.TOKEN:
            await demand(link, account, replace(guest, admission=admission), now_ms, bind=True)
    return replace(guest, admission=admission, known=bool(known))


async def demand(link: Link, account: str, guest: Guest, now_ms: int, *, bind: bool) -> None:
    """Check that it is admitted in that way; `bind` lets its token count it. Raises Refused: ADMISSION."""
    if guest.admission is Admission.LIST and not await link.one(Command(("HEXISTS", LISTED, account))):
        raise Refused(Refusal.ADMISSION)
    if guest.admission is Admission.TOKEN:
        hashed = guest.token.hex()
        names = (TOKENS, HOLDERS, _holders(hashed))
        (code,) = await link.one(call("admit", names, account, hashed, int(bind), now_ms))
        if code:
            raise Refused(Refusal(code.decode()))


def noted(account: str, now_ms: int) -> Command:
    """Check the account from now on, if it was not scheduled already."""
    return Command(("ZADD", DUE, "NX", now_ms, account))


async def add_token(link: Link, hashed: bytes, label: str, accounts: int, now_ms: int, until_ms: int) -> None:
    most = f"{accounts}:{until_ms}" if until_ms else str(accounts)
    await link.one(Command(("HSET", TOKENS, hashed.hex(), f"{most} {now_ms} {label}")))


async def tokens(link: Link) -> list[Token]:
    found = await link.one(Command(("HGETALL", TOKENS)))
    used = await _all(link, [Command(("SCARD", _holders(hashed.decode()))) for hashed in found])
    listed = [_token(hashed, row, count) for (hashed, row), count in zip(found.items(), used, strict=True)]
    return sorted(listed, key=lambda token: (token.made_ms, token.hash))


def _token(hashed: bytes, row: bytes, used: int) -> Token:
    """The token as written by `add_token`."""
    most, made_ms, label = row.decode().split(" ", 2)
    accounts, _, until_ms = most.partition(":")
    return Token(bytes.fromhex(hashed.decode()), label, int(accounts), used, int(made_ms), int(until_ms or 0))


async def remove_token(link: Link, hashed: bytes) -> bool:
    return bool(await link.one(Command(("HDEL", TOKENS, hashed.hex()))))


async def allow(link: Link, account: str, label: str, now_ms: int) -> None:
    await link.one(Command(("HSET", LISTED, account, json.dumps([label, now_ms]))))


async def allowed(link: Link) -> list[Allowed]:
    found = await link.one(Command(("HGETALL", LISTED)))
    listed = [Allowed(bytes_of(account.decode()), *json.loads(row)) for account, row in found.items()]
    return sorted(listed, key=lambda one: (one.made_ms, one.account))


async def disallow(link: Link, account: str) -> bool:
    return bool(await link.one(Command(("HDEL", LISTED, account))))


# --- upkeep ---


@dataclass(frozen=True, slots=True)
class _Look:
    """What is too old at an account."""

    account: str
    aged: Sequence[str]  # queues with blobs that were kept long enough
    idle: Sequence[str]  # queues that nobody read


async def expire(link: Link, quotas: Quotas, now_ms: int) -> int:
    """The number of blobs deleted, at no more than ACCOUNTS_AT_ONCE accounts; the others follow in the next call."""
    old, idle = now_ms - quotas.kept_s * 1_000, now_ms - bounds.QUEUE_IDLE_DAYS * DAY_MS
    due = await link.one(Command(("ZRANGEBYSCORE", DUE, "-inf", now_ms, "LIMIT", 0, ACCOUNTS_AT_ONCE)))
    looks = await _look(link, [account.decode() for account in due], old, idle)
    commands = [
        call("age", keys_of(look.account, queue), queue, old, bounds.EXPIRE_BLOBS)
        for look in looks
        for queue in look.aged
    ]
    commands += [call("drop", keys_of(look.account, queue), queue, idle) for look in looks for queue in look.idle]
    forgotten = sum(_count(answer) for answer in await _all(link, commands))
    await _look_again(link, [look.account for look in looks], quotas, now_ms)
    for token in await tokens(link):
        if 0 < token.until_ms <= now_ms and not token.used:
            await remove_token(link, token.hash)
    return forgotten


async def _look(link: Link, accounts: Sequence[str], old: int, idle: int) -> list[_Look]:
    most = ("LIMIT", 0, bounds.EXPIRE_BLOBS)
    answers = await _all(
        link,
        [
            Command(("ZRANGEBYSCORE", key, "-inf", bound, *most))
            for account in accounts
            for key, bound in ((heads_key(account), old), (list_key(account), f"({idle}"))
        ],
    )
    names = [[queue.decode() for queue in answer] for answer in answers]
    return [_Look(*found) for found in zip(accounts, names[::2], names[1::2], strict=True)]


async def _look_again(link: Link, accounts: Sequence[str], quotas: Quotas, now_ms: int) -> None:
    """Each account's next time: when its oldest blob or its longest unread queue expires, and within an hour."""
    kept, idle = quotas.kept_s * 1_000, bounds.QUEUE_IDLE_DAYS * DAY_MS
    firsts = await _all(
        link,
        [
            Command(("ZRANGE", key, 0, 0, "WITHSCORES"))
            for account in accounts
            for key in (heads_key(account), list_key(account))
        ],
    )
    commands = []
    for account, head, queue in zip(accounts, firsts[::2], firsts[1::2], strict=True):
        times = [now_ms + HOUR_MS, now_ms + kept]
        times += [int(float(score)) + kept for score in head[1:]]
        times += [int(float(score)) + idle + 1 for score in queue[1:]]
        commands.append(call("again", (DUE,), max(now_ms + 1, min(times)), account))
    await _all(link, commands)
    empty = [account for account, queue in zip(accounts, firsts[1::2], strict=True) if not queue]
    gone = await _all(link, [call("forget", (account_key(a), list_key(a)), now_ms - idle) for a in empty])
    await _forget(link, [account for account, forgotten in zip(empty, gone, strict=True) if forgotten])


async def purge(link: Link, account: str) -> int:
    """Delete an account and all its queues; returns the number of blobs."""
    queues = await link.one(Command(("ZRANGE", list_key(account), 0, -1)))
    dropped = await _all(link, [call("drop", keys_of(account, q.decode()), q, "") for q in queues])
    await _all(link, [Command(("UNLINK", account_key(account)))])
    await _forget(link, [account])
    return sum(map(_count, dropped))


@dataclass(frozen=True, slots=True)
class _Holding:
    """What one account holds."""

    usage: Usage
    blobs: int
    oldest_ms: int
    origin: bytes  # of an open account; otherwise empty
    made_ms: int

    @property
    def cost(self) -> int:
        return self.usage.bytes + self.blobs * bounds.BLOB_COST


async def stats(link: Link, ledger: Ledger) -> Stats:
    found = await _holdings(link)
    ledger.count((name_of(a.usage.account), a.origin, a.usage.queues, a.cost, a.made_ms) for a in found)
    return Stats(
        queues=sum(one.usage.queues for one in found),
        blobs=sum(one.blobs for one in found),
        bytes=sum(one.usage.bytes for one in found),
        accounts=len(found),
        oldest_ms=min((one.oldest_ms for one in found if one.oldest_ms), default=0),
    )


async def usages(link: Link, most: int) -> list[Usage]:
    found = [one.usage for one in await _holdings(link)]
    return sorted(found, key=lambda one: (-one.bytes, -one.queues, one.account))[:most]


async def networks(link: Link, most: int) -> list[Crowd]:
    held: defaultdict[bytes, list[Usage]] = defaultdict(list)
    for one in await _holdings(link):
        if one.origin:
            held[one.origin].append(one.usage)
    found = [
        Crowd(origin, len(some), sum(one.queues for one in some), sum(one.bytes for one in some))
        for origin, some in held.items()
    ]
    return sorted(found, key=lambda one: (-one.bytes, -one.queues, one.origin))[:most]


async def _holdings(link: Link) -> list[_Holding]:
    """Of every account, with three commands each."""
    accounts = [account.decode() for account in await link.one(Command(("ZRANGE", DUE, 0, -1)))]
    found = []
    for some in _chunks(accounts):
        commands = [
            command
            for account in some
            for command in (
                Command(("HMGET", account_key(account), "blobs", "bytes", "seen", "origin", "made")),
                Command(("ZCARD", list_key(account))),
                Command(("ZRANGE", heads_key(account), 0, 0, "WITHSCORES")),
            )
        ]
        answers = await _all(link, commands)
        for account, row, queues, head in zip(some, answers[::3], answers[1::3], answers[2::3], strict=True):
            if any(row):  # otherwise it is gone, and stays in DUE until it is checked
                found.append(_holding(account, row, queues, head))
    return found


def _holding(account: str, row: Sequence[bytes | None], queues: int, head: Sequence[bytes]) -> _Holding:
    blobs, size, seen, origin, made = row
    usage = Usage(bytes_of(account), queues, int(size or 0), int(seen or 0))
    oldest = int(float(head[1])) if head else 0
    return _Holding(usage, int(blobs or 0), oldest, bytes.fromhex((origin or b"").decode()), int(made or 0))


# --- private ---


async def _forget(link: Link, accounts: Sequence[str]) -> None:
    """They are not checked any more, and use no place of a token."""
    for account in accounts:
        token = await link.one(Command(("HGET", HOLDERS, account)))
        held = [Command(("SREM", _holders(token.decode()), account))] if token else []
        await _all(link, [Command(("ZREM", DUE, account)), Command(("HDEL", HOLDERS, account)), *held])


async def _all(link: Link, commands: Sequence[Command]) -> list[Any]:
    """Their answers; raises the first refusal."""
    answers = await link.run(commands) if commands else []
    for answer in answers:
        if isinstance(answer, Refused):
            raise answer
    return answers


def _holders(hashed: str) -> str:
    return f"{HOLDERS}:{hashed}"


def _count(answer: list[Any]) -> int:
    """The count returned by a script that deletes; a queue that is gone held none."""
    return int(answer[1]) if not answer[0] else 0


def _chunks(accounts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (accounts[n : n + ACCOUNTS_AT_ONCE] for n in range(0, len(accounts), ACCOUNTS_AT_ONCE))
