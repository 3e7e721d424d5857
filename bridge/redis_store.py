"""The store of several bridge processes: Redis. Its own settings decide what is durable (docs/operations.md).

Keys, where Q and A are the names of a queue and of its account in base64:

    p2pb:r:{Q}      which account holds the queue: its route
    p2pb:a:{A}      hash: the account's bytes and blobs, when it was made and seen, its origin if it is an open one
    p2pb:l:{A}      sorted set: its queues by when each was last read
    p2pb:h:{A}      sorted set: its queues that hold blobs by the time of the oldest
    p2pb:q:{A}:Q    hash: write token's hash, public, blobs, bytes, last cursor
    p2pb:b:{A}:Q    stream: the blobs, each under the id CURSOR-0
    p2pb:s:{A}:Q    list: "size:time" of each blob, so that deleting them reads none
    p2pb:due        sorted set: the accounts by when something of theirs may expire
    p2pb:{admit}:…  tokens, and which accounts hold them
    p2pb:listed     hash: the list of accounts

All keys of an account, and so of a queue, lie in one slot of a cluster: every limit is checked and counted in the
script that puts. A queue's route is written before the queue and outlives it. What open accounts hold together is
counted separately by each process: redis_shares.py.

Requests that arrive while a batch is in flight form the next batch: one round trip for unknown routes, one for the
scripts. Puts of a queue are therefore stored in the order of the calls.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

from bridge import bounds, redis_upkeep
from bridge.redis_asked import Asked
from bridge.redis_ears import Ears
from bridge.redis_keys import account_key, bytes_of, name_of, route_key
from bridge.redis_link import Command, Link, call, parse_store
from bridge.redis_shares import UNCOUNTED, Ledger
from bridge.store import Allowed, Crowd, Guest, Placed, Refused, Stats, Token, Usage
from p2p_agents.wire.relay_answers import Admission, Refusal

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Coroutine

    from bridge.bounds import Quotas

HOUR_MS = 3_600_000
ROUTE_S = (bounds.QUEUE_IDLE_DAYS + 1) * bounds.DAY_S  # renewed by every reader: a route outlives its queue
ASIDE = 16  # logins and the like in progress at once, each on a connection: all clients may come back together
ROUTES = 131_072  # cached by this process, 200 bytes each
COUNTED = ("put", "ack", "drop")  # scripts that change what an account holds

_GROWN = "p2pb:grown:"


class RedisStore:
    """A `bridge.store.Store` in a Redis that several processes share."""

    def __init__(self, link: Link, quotas: Quotas, memory: int = 0) -> None:
        self.grown: Callable[[bytes], None] = lambda queue: None
        self.link = link
        self.ledger = Ledger(quotas, memory)
        self._quotas = quotas
        self._loop = asyncio.get_running_loop()
        self._self = secrets.token_hex(8)
        self._routes: dict[str, str] = {}
        self._waiting: deque[Asked] = deque()
        self._wake = asyncio.Event()
        self._ending = False
        self._room = asyncio.Semaphore(ASIDE)
        self._aside: set[asyncio.Task[None]] = set()
        self._ears = Ears(link, self._heard, self._missed)
        self._counted = False
        self._writer = self._loop.create_task(self._write())

    @classmethod
    async def open_url(cls, url: str, quotas: Quotas) -> RedisStore:
        """Raises BadStore, StoreAway or StoreUnfit."""
        link = await Link.open(parse_store(url))
        return cls(link, quotas, sum(int(node.get("maxmemory", 0)) for node in await link.info()))

    async def close(self) -> None:
        self._ending = True
        self._wake.set()
        await self._writer
        await asyncio.gather(*self._aside)
        await self._ears.close()
        await self.link.close()

    # --- Store: queues ---

    def create(
        self, queue: bytes, guest: Guest, token_hash: bytes, public: bool, now_ms: int, *, worked: bool = False
    ) -> Future[None]:
        words = (name_of(queue), token_hash, int(public), now_ms, self._quotas.account_queues)
        account = name_of(guest.account)
        if guest.admission is Admission.OPEN:
            return self._ask(queue, "create", words, _nothing, account=account, origin=guest.origin, worked=worked)

        async def admitted() -> None:
            try:
                await redis_upkeep.demand(self.link, account, guest, now_ms, bind=True)
                barred = ""
            except Refused as refused:  # a token may have been revoked since: what was made with it stays
                barred = str(refused.refusal)
            await self._ask(queue, "create", words, _nothing, account=account, barred=barred)

        return self._do(admitted())

    def put(self, queue: bytes, token_hash: bytes, blob: bytes, now_ms: int, *, worked: bool = False) -> Future[Placed]:
        quotas, name = self._quotas, name_of(queue)
        most = (quotas.queue_blobs, quotas.queue_bytes, quotas.account_bytes)
        words = (name, token_hash, int(worked), blob, now_ms, *most, _GROWN + name, self._self)
        return self._ask(queue, "put", words, lambda found: Placed(int(found[0]), int(found[1])), size=len(blob))

    def open(self, queue: bytes, after: int, now_ms: int) -> Future[int]:
        words = (name_of(queue), after, now_ms, now_ms * 1_000 + bounds.CURSOR_SLACK_US, HOUR_MS)
        return self._ask(queue, "open", words, _number)

    def read(self, queue: bytes, after: int, blobs: int, size: int) -> Future[list[tuple[int, bytes]]]:
        return self._ask(queue, "read", (after, blobs, size), _pairs, gone=[], size=size)

    def ack(self, queue: bytes, cursor: int, now_ms: int) -> Future[int]:
        return self._ask(queue, "ack", (name_of(queue), cursor + 1, now_ms, HOUR_MS), _number, gone=0)

    def drop(self, queue: bytes) -> Future[None]:
        return self._ask(queue, "drop", (name_of(queue), ""), _nothing, gone=None)

    def listen(self, queue: bytes) -> None:
        self._ears.listen(_GROWN + name_of(queue))

    def unlisten(self, queue: bytes) -> None:
        self._ears.unlisten(_GROWN + name_of(queue))

    # --- Store: admission, upkeep, the operator's ---

    def admit(self, guest: Guest, now_ms: int) -> Future[Guest]:
        async def admitted() -> Guest:
            found = await redis_upkeep.admit(self.link, guest, now_ms)
            if found.known and found.admission is not Admission.OPEN:
                self.ledger.learn(name_of(guest.account), UNCOUNTED)
            return found

        return self._do(admitted())

    def expire(self, now_ms: int) -> Future[int]:
        return self._do(redis_upkeep.expire(self.link, self._quotas, now_ms))

    def stats(self) -> Future[Stats]:
        """Also counts again what open accounts hold."""
        return self._do(redis_upkeep.stats(self.link, self.ledger))

    def accounts(self, most: int) -> Future[list[Usage]]:
        return self._do(redis_upkeep.usages(self.link, most))

    def networks(self, most: int) -> Future[list[Crowd]]:
        return self._do(redis_upkeep.networks(self.link, most))

    def add_token(self, token_hash: bytes, label: str, accounts: int, now_ms: int, until_ms: int = 0) -> Future[None]:
        return self._do(redis_upkeep.add_token(self.link, token_hash, label, accounts, now_ms, until_ms))

    def tokens(self) -> Future[list[Token]]:
        return self._do(redis_upkeep.tokens(self.link))

    def remove_token(self, token_hash: bytes) -> Future[bool]:
        return self._do(redis_upkeep.remove_token(self.link, token_hash))

    def allow(self, account: bytes, label: str, now_ms: int) -> Future[None]:
        return self._do(redis_upkeep.allow(self.link, name_of(account), label, now_ms))

    def allowed(self) -> Future[list[Allowed]]:
        return self._do(redis_upkeep.allowed(self.link))

    def disallow(self, account: bytes) -> Future[bool]:
        return self._do(redis_upkeep.disallow(self.link, name_of(account)))

    def purge(self, account: bytes) -> Future[int]:
        return self._do(redis_upkeep.purge(self.link, name_of(account)))

    # --- asking ---

    def _ask(
        self,
        queue: bytes,
        script: str,
        words: tuple[str | bytes | int, ...],
        answer: Callable[[list[Any]], Any],
        **more: Any,
    ) -> Future[Any]:
        future: Future[Any] = self._loop.create_future()
        self._waiting.append(Asked(name_of(queue), script, words, answer, future, **more))
        self._wake.set()
        return future

    def _do(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Outside the batches: work that concerns no single queue."""
        future: Future[Any] = self._loop.create_future()

        async def run() -> None:
            async with self._room:
                try:
                    _settle(future, await work)
                except Exception as error:  # reported to whoever asked
                    _settle(future, error)

        task = self._loop.create_task(run())
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return future

    async def _write(self) -> None:
        while self._waiting or not self._ending:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._take()
            try:
                answers = await self._carry_out(batch)
            except Exception as error:  # if a batch fails as a whole, each request gets the error
                answers = [error] * len(batch)
            for asked, answer in zip(batch, answers, strict=True):
                _settle(asked.future, answer)

    def _take(self) -> list[Asked]:
        batch: list[Asked] = []
        size = 0
        while self._waiting and len(batch) < bounds.BATCH_ITEMS and size < bounds.BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        return batch

    # --- execution ---

    async def _carry_out(self, batch: list[Asked]) -> list[Any]:
        if not self._counted:
            await redis_upkeep.stats(self.link, self.ledger)
            self._counted = True
        creates = [(n, asked) for n, asked in enumerate(batch) if asked.account]
        for _, asked in creates:
            asked.known = self.ledger.knows(asked.account)
            now_ms = int(asked.words[3])
            account, queue = self.ledger.begin(asked.account, asked.origin, now_ms, worked=asked.worked)
            asked.refusals = (asked.barred or account * (not asked.known), asked.barred or queue)
        answers: list[Any] = [None] * len(batch)
        try:
            answers = await self._answers(batch)
        finally:
            for n, asked in creates:
                self._count_made(asked, answers[n])
        await self._release([asked for n, asked in creates if not _is_done(answers[n])])
        return [asked.read(answer) for asked, answer in zip(batch, answers, strict=True)]

    def _count_made(self, asked: Asked, answer: Any) -> None:
        made = None
        if _is_done(answer):
            made = int(answer[1]), int(answer[2]), bytes.fromhex(answer[3].decode())
        now_ms = int(asked.words[3])
        self.ledger.made(asked.account, asked.origin, asked.known, now_ms, made)

    async def _release(self, creates: list[Asked]) -> None:
        """Refused creates leave no route behind."""
        held = [asked for asked in creates if self._routes.get(asked.queue) == asked.account]
        await self.link.run([call("release", (route_key(asked.queue),), asked.account) for asked in held])
        for asked in held:
            self._routes.pop(asked.queue, None)

    async def _answers(self, batch: list[Asked]) -> list[Any]:
        await self._note(batch)
        known = await self._find(batch)
        answers = await self._run(batch)
        stale = [n for n, answer in enumerate(answers) if _is_gone(answer) and (n in known or batch[n].account)]
        if stale:  # another process dropped the queue, or another account made it since
            again = [batch[n] for n in stale]
            await self._find(again, anew=True)
            for n, answer in zip(stale, await self._run(again), strict=True):
                answers[n] = answer
        return answers

    async def _note(self, batch: list[Asked]) -> None:
        """Whoever makes a queue is scheduled for upkeep, also an account that was purged meanwhile."""
        makers = {asked.account: int(asked.words[3]) for asked in batch if asked.account and not asked.refusal}
        await self.link.run([redis_upkeep.noted(account, now_ms) for account, now_ms in makers.items()])

    async def _find(self, batch: list[Asked], *, anew: bool = False) -> set[int]:
        """Look up who holds each queue; returns the positions of those that were in the cache."""
        known = {n for n, asked in enumerate(batch) if not anew and not _renews(asked) and asked.queue in self._routes}
        unknown = [asked for n, asked in enumerate(batch) if n not in known]
        if len(self._routes) > ROUTES:
            self._routes.clear()
            return await self._find(batch, anew=True)
        for asked, holder in zip(unknown, await self.link.run([self._route(a, anew) for a in unknown]), strict=True):
            if isinstance(holder, Refused):
                raise holder
            if holder is None:
                self._routes.pop(asked.queue, None)
            else:
                self._routes[asked.queue] = holder.decode()
        return known

    def _route(self, asked: Asked, anew: bool) -> Command:
        key = route_key(asked.queue)
        if asked.refusal:
            return Command(("GET", key))
        if asked.account:  # a holder that no longer has such a queue gives way
            return call("claim", (key,), asked.account, ROUTE_S, self._routes.get(asked.queue, "") if anew else "")
        return Command(("GETEX", key, "EX", ROUTE_S)) if asked.script == "open" else Command(("GET", key))

    async def _run(self, batch: list[Asked]) -> list[Any]:
        """The scripts' answers; a queue without a route is gone."""
        held = [(asked, self._routes.get(asked.queue)) for asked in batch]
        await self._learn({holder for asked, holder in held if holder and asked.script in COUNTED})
        answers: list[Any] = [self._weigh(asked, holder) for asked, holder in held]
        left = [n for n, answer in enumerate(answers) if answer is None]
        found: list[Any] = [None] * len(left)
        try:
            found = await self.link.run([held[n][0].command(held[n][1] or "") for n in left])
        finally:
            for n, answer in zip(left, found, strict=True):
                answers[n] = answer
                self._count(*held[n], answer)
        return answers

    async def _learn(self, holders: set[str]) -> None:
        """Learn which of these accounts are counted."""
        unknown = [holder for holder in holders if not self.ledger.knows(holder)]
        origins = await self.link.run([Command(("HGET", account_key(holder), "origin")) for holder in unknown])
        for holder, origin in zip(unknown, origins, strict=True):
            if isinstance(origin, Refused):
                raise origin
            self.ledger.learn(holder, bytes.fromhex(origin.decode()) if origin else UNCOUNTED)

    def _weigh(self, asked: Asked, holder: str | None) -> Any:
        """The answer if no script is needed; else None."""
        if holder is None:
            return [(asked.refusal or Refusal.GONE).encode()]
        if asked.script == "put":
            try:
                self.ledger.put(holder, asked.size, int(asked.words[4]))
            except Refused as refused:
                return refused
        return None

    def _count(self, asked: Asked, holder: str | None, answer: Any) -> None:
        """Record the change in the ledger."""
        assert holder is not None
        done = _is_done(answer)
        if asked.script == "put" and not done:
            self.ledger.freed(holder, 1, asked.size)
        elif asked.script == "ack" and done:
            self.ledger.freed(holder, int(answer[1]), int(answer[2]))
        elif asked.script == "drop" and done:
            self.ledger.dropped(holder, int(answer[1]), int(answer[2]), gone=bool(answer[3]))

    # --- notifications ---

    def _heard(self, channel: str, speaker: bytes) -> None:
        if speaker.decode() != self._self:
            self._missed(channel)

    def _missed(self, channel: str) -> None:
        self.grown(bytes_of(channel.removeprefix(_GROWN)))


def _renews(asked: Asked) -> bool:
    return asked.script in ("create", "open")


def _is_gone(answer: Any) -> bool:
    return isinstance(answer, list) and bool(answer) and answer[0] == Refusal.GONE.encode()


def _is_done(answer: Any) -> bool:
    return isinstance(answer, list) and not answer[0]


def _settle(future: Future[Any], answer: Any) -> None:
    if future.cancelled():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _nothing(_: list[Any]) -> None:
    return None


def _number(found: list[Any]) -> int:
    return int(found[0])


def _pairs(found: list[Any]) -> list[tuple[int, bytes]]:
    return [(int(cursor), blob) for cursor, blob in zip(found[::2], found[1::2], strict=True)]
