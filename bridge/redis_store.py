"""The store of several bridge processes: Redis. What is durable there, its own settings say (docs/operations.md).

Keys, Q and A being the names of a queue and of its account in base64:

    p2pb:r:{Q}      which account holds the queue: its route
    p2pb:a:{A}      hash: the account's bytes and blobs, when it was seen
    p2pb:l:{A}      sorted set: its queues by when each was last read
    p2pb:h:{A}      sorted set: its queues that hold blobs by the time of the oldest
    p2pb:q:{A}:Q    hash: write token's hash, public, blobs, bytes, last cursor
    p2pb:b:{A}:Q    stream: the blobs, each under the id CURSOR-0
    p2pb:s:{A}:Q    list: "size:time" of each blob, so that forgetting them reads none
    p2pb:due        sorted set: the accounts by when something of theirs may expire
    p2pb:{admit}:…  tokens, and which accounts hold them
    p2pb:listed     hash: the list of accounts

All keys of an account, and so of a queue, lie in one slot of a cluster: every limit is checked and counted in the
script that puts. A queue's route is written before the queue and outlives it.

Requests that came while a batch was on its way are the next batch: one round trip for the routes that are not known,
one for the scripts. So puts of a queue are kept in the order of the calls.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge import bounds, redis_upkeep
from bridge.redis_ears import Ears
from bridge.redis_keys import bytes_of, keys_of, name_of, route_key
from bridge.redis_link import Command, Link, call, parse_store
from bridge.store import Allowed, Placed, Refused, Stats, Token, Usage
from p2p_agents.wire.relay_answers import Admission, Refusal

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Coroutine

    from bridge.bounds import Quotas

HOUR_MS = 3_600_000
ROUTE_S = (bounds.QUEUE_IDLE_DAYS + 1) * bounds.DAY_S  # renewed by whoever reads: a route outlives its queue
ASIDE = 16  # logins and the like under way at once, each on a connection: all clients may come back together
ROUTES = 131_072  # remembered by this process, 200 bytes each

_GROWN = "p2pb:grown:"


@dataclass(slots=True)
class Asked:
    """A request for one queue: its script and its words, how its answer reads, and what it answers of no queue."""

    queue: str
    script: str
    words: tuple[str | bytes | int, ...]
    answer: Callable[[list[Any]], Any]
    future: Future[Any]
    gone: Any = Refusal.GONE
    size: int = 0
    account: str = ""  # of CREATE: who asks

    def command(self, holder: str) -> Command:
        words = self.words
        if self.script == "create":  # only its holder makes a queue
            words = (*words[:4], int(self.account == holder), *words[4:])
        return call(self.script, keys_of(holder, self.queue), *words)

    def read(self, answer: Any) -> Any:
        """A value or an exception."""
        if isinstance(answer, Refused):
            return answer
        code, *rest = answer
        if not code:
            return self.answer(rest)
        refusal = Refusal(code.decode())
        if refusal is Refusal.GONE and self.gone is not Refusal.GONE:
            return self.gone
        retry = bounds.RETRY_FULL_MS if refusal in (Refusal.QUOTA, Refusal.ACCOUNT) and self.script == "put" else 0
        return Refused(refusal, retry)


class RedisStore:
    """A `bridge.store.Store` in a Redis that several processes share."""

    def __init__(self, link: Link, quotas: Quotas) -> None:
        self.grown: Callable[[bytes], None] = lambda queue: None
        self.link = link
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
        self._writer = self._loop.create_task(self._write())

    @classmethod
    async def open_url(cls, url: str, quotas: Quotas) -> RedisStore:
        """Raises BadStore, StoreAway or StoreUnfit."""
        return cls(await Link.open(parse_store(url)), quotas)

    async def close(self) -> None:
        self._ending = True
        self._wake.set()
        await self._writer
        await asyncio.gather(*self._aside)
        await self._ears.close()
        await self.link.close()

    # --- Store: queues ---

    def create(self, queue: bytes, account: bytes, token_hash: bytes, public: bool, now_ms: int) -> Future[None]:
        words = (name_of(queue), token_hash, int(public), now_ms, self._quotas.account_queues)
        return self._ask(queue, "create", words, _nothing, account=name_of(account))

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

    # --- Store: who is admitted, upkeep, the operator's ---

    def admit(self, account: bytes, admission: Admission, token: str, now_ms: int) -> Future[None]:
        return self._do(redis_upkeep.admit(self.link, name_of(account), admission, token, now_ms))

    def expire(self, now_ms: int) -> Future[int]:
        return self._do(redis_upkeep.expire(self.link, self._quotas, now_ms))

    def stats(self) -> Future[Stats]:
        return self._do(redis_upkeep.stats(self.link))

    def accounts(self, most: int) -> Future[list[Usage]]:
        return self._do(redis_upkeep.usages(self.link, most))

    def add_token(self, token_hash: bytes, label: str, accounts: int, now_ms: int) -> Future[None]:
        return self._do(redis_upkeep.add_token(self.link, token_hash, label, accounts, now_ms))

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
        """Beside the batches: what concerns no single queue."""
        future: Future[Any] = self._loop.create_future()

        async def run() -> None:
            async with self._room:
                try:
                    _settle(future, await work)
                except Exception as error:  # whose it is hears of it
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
            except Exception as error:  # of a batch that failed as a whole each request hears
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

    # --- carrying out ---

    async def _carry_out(self, batch: list[Asked]) -> list[Any]:
        await self._note(batch)
        known = await self._find(batch)
        answers = await self._run(batch)
        stale = [n for n, answer in enumerate(answers) if _is_gone(answer) and (n in known or batch[n].account)]
        if stale:  # another process dropped the queue, or another account made it since
            again = [batch[n] for n in stale]
            await self._find(again, anew=True)
            for n, answer in zip(stale, await self._run(again), strict=True):
                answers[n] = answer
        return [asked.read(answer) for asked, answer in zip(batch, answers, strict=True)]

    async def _note(self, batch: list[Asked]) -> None:
        """Whoever makes a queue is looked after, also an account that was purged meanwhile."""
        makers = {asked.account: int(asked.words[3]) for asked in batch if asked.account}
        await self.link.run([redis_upkeep.noted(account, now_ms) for account, now_ms in makers.items()])

    async def _find(self, batch: list[Asked], *, anew: bool = False) -> set[int]:
        """Learn who holds each queue; the positions of those that were known already."""
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
        if asked.account:  # the holder that has no such queue any more gives way
            return call("claim", (key,), asked.account, ROUTE_S, self._routes.get(asked.queue, "") if anew else "")
        return Command(("GETEX", key, "EX", ROUTE_S)) if asked.script == "open" else Command(("GET", key))

    async def _run(self, batch: list[Asked]) -> list[Any]:
        """The scripts' answers; a queue without a route is gone."""
        held = [(asked, self._routes.get(asked.queue)) for asked in batch]
        answers = iter(await self.link.run([asked.command(holder) for asked, holder in held if holder]))
        return [next(answers) if holder else [Refusal.GONE.encode()] for _, holder in held]

    # --- hearing ---

    def _heard(self, channel: str, speaker: bytes) -> None:
        if speaker.decode() != self._self:
            self._missed(channel)

    def _missed(self, channel: str) -> None:
        self.grown(bytes_of(channel.removeprefix(_GROWN)))


def _renews(asked: Asked) -> bool:
    return asked.script in ("create", "open")


def _is_gone(answer: Any) -> bool:
    return isinstance(answer, list) and bool(answer) and answer[0] == Refusal.GONE.encode()


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
