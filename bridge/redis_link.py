"""One process's connection to Redis: many commands in one round trip, scripts, and errors translated once.

redis:// is one server or a primary with replicas, redis+cluster:// a cluster; rediss likewise over TLS, unix:// a
socket. A cluster takes each account's commands in their order and those of different accounts side by side.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError

from bridge import bounds
from bridge.faults import BadStore, StoreAway, StoreUnfit
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
CONNECT_S = 2.0  # on one's own network; beyond it Redis is away
ANSWER_S = 5.0  # for one batch: a script of ours takes milliseconds
SIDE_BY_SIDE = 32  # commands of one batch that a cluster has under way
COMPLAIN_S = 10.0  # an outage is a few lines in a log
OLDEST_REDIS = 7  # scripts with flags

_MARKED = re.compile(r"\{(.+?)\}")
_LOST = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `keys` of a script, which lie in one slot. `script` is a file of lua/, or None."""

    words: tuple[str | bytes | int, ...]
    keys: tuple[str, ...] = ()
    script: str | None = None

    def spoken(self) -> tuple[str | bytes | int, ...]:
        """The command as it is sent."""
        if self.script is None:
            return self.words
        return ("EVALSHA", SCRIPTS[self.script][0], len(self.keys), *self.keys, *self.words)

    def slot(self) -> str:
        """The same for all commands that must stay in order."""
        key = self.keys[0] if self.keys else str(self.words[1] if len(self.words) > 1 else "")
        found = _MARKED.search(key)
        return found.group(1) if found else key


def call(script: str, keys: tuple[str, ...], *words: str | bytes | int) -> Command:
    """A script's call."""
    return Command(words, keys, script)


def _scripts() -> dict[str, tuple[str, str]]:
    """Name: (its hash by Redis' measure, its text)."""
    found = {}
    for item in (files("bridge") / "lua").iterdir():
        if item.name.endswith(".lua"):
            text = item.read_text(encoding="utf-8")
            found[item.name.removesuffix(".lua")] = (sha1(text.encode(), usedforsecurity=False).hexdigest(), text)
    return found


SCRIPTS = _scripts()


@dataclass(frozen=True, slots=True)
class Where:
    """Which Redis. `url` may hold a password: `shown` does not."""

    url: str
    cluster: bool
    shown: str

    def __repr__(self) -> str:
        return f"Where({self.shown})"


def parse_store(text: str) -> Where:
    """The address of a Redis as its operator gave it; ?password_file=FILE names a file. Raises BadStore."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise BadStore(f"not the address of a store: {error}") from None
    if parts.scheme not in SCHEMES:
        raise BadStore(f"a store's address begins with one of {', '.join(s + '://' for s in SCHEMES)}")
    options = dict(parse_qsl(parts.query))
    place = parts.netloc.rpartition("@")[2]
    path, user, password = options.pop("password_file", None), parts.username or "", parts.password
    if path is not None:
        password = quote(_secret(path), safe="")
    login = f"{user}:{password}@" if password else f"{user}@" * bool(user)
    scheme = parts.scheme.removesuffix("+cluster")
    url = urlunsplit((scheme, login + place, parts.path, urlencode(options), ""))
    return Where(url, scheme != parts.scheme, f"{parts.scheme}://{place}{parts.path}")


def _secret(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(4_096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadStore(f"cannot read the password file of the store, {path}: {error}") from None


class Link:
    """Connections to one Redis. Opened in the loop's thread."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.client = _client(where)
        self._complained = -COMPLAIN_S

    @classmethod
    async def open(cls, where: Where) -> Link:
        """Connected, its scripts loaded. Raises StoreAway, or StoreUnfit for a Redis that must not be used."""
        link = cls(where)
        try:
            await link._check()
            await link._load()
        except _LOST as error:
            await link.close()
            raise StoreAway(f"Redis at {where.shown} does not answer: {_said(error)}") from None
        except StoreUnfit:
            await link.close()
            raise
        return link

    async def close(self) -> None:
        await self.client.aclose()

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answer to each command: a value, or Refused if Redis refused it. Raises Refused if Redis is away."""
        if not commands:
            return []
        try:
            answers = await self._ask(commands)
            again = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if again:  # it was restarted, or is another one than before
                await self._load()
                for n, answer in zip(again, await self._ask([commands[n] for n in again]), strict=True):
                    answers[n] = answer
        except _LOST as error:
            raise self._refused(error) from error
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            await self._leave()
        return [self._refused(answer) if isinstance(answer, Exception) else answer for answer in answers]

    async def one(self, command: Command) -> Any:
        """What it answered. Raises Refused."""
        (answer,) = await self.run([command])
        if isinstance(answer, Refused):
            raise answer
        return answer

    # --- private ---

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        if isinstance(self.client, RedisCluster):
            return await self._ask_cluster(self.client, commands)
        async with asyncio.timeout(ANSWER_S):
            pipeline = self.client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command.spoken())
            return list(await pipeline.execute(raise_on_error=False))

    async def _ask_cluster(self, client: RedisCluster, commands: Sequence[Command]) -> list[Any]:
        answers: list[Any] = [None] * len(commands)
        chains: dict[str, list[int]] = {}
        for n, command in enumerate(commands):
            chains.setdefault(command.slot(), []).append(n)
        room = asyncio.Semaphore(SIDE_BY_SIDE)

        async def follow(chain: list[int]) -> None:
            async with room:
                for n in chain:
                    try:
                        answers[n] = await client.execute_command(*commands[n].spoken())
                    except _LOST as error:
                        answers[n] = error

        async with asyncio.timeout(ANSWER_S):
            await asyncio.gather(*map(follow, chains.values()))
        return answers

    def _refused(self, error: Exception) -> Refused:
        """What a client is told of it; the operator is told now and then, not for each."""
        now = asyncio.get_running_loop().time()
        if now - self._complained >= COMPLAIN_S:
            self._complained = now
            log.warning("Redis at %s refused, or is away: %s", self.where.shown, _said(error))
        full = isinstance(error, OutOfMemoryError) or "MISCONF" in str(error)
        return Refused(Refusal.FULL, bounds.RETRY_FULL_MS if full else bounds.RETRY_AWAY_MS)

    async def _leave(self) -> None:
        """It is a replica by now: its name may lead elsewhere, to whoever is asked next."""
        if isinstance(self.client, Redis):
            await self.client.connection_pool.disconnect(inuse_connections=False)

    async def _load(self) -> None:
        for _, text in SCRIPTS.values():
            await self.client.script_load(text)

    async def _check(self) -> None:
        async with asyncio.timeout(CONNECT_S + ANSWER_S):
            for node in await self.info():
                version, policy = str(node["redis_version"]), str(node["maxmemory_policy"])
                if int(version.partition(".")[0]) < OLDEST_REDIS:
                    raise StoreUnfit(
                        f"Redis {version} at {self.where.shown} is too old: {OLDEST_REDIS} or newer is needed"
                    )
                if policy != "noeviction":
                    raise StoreUnfit(
                        f"Redis at {self.where.shown} evicts keys when its memory is full: {policy}",
                        hint="set its maxmemory-policy to noeviction: a full bridge refuses, it does not forget",
                    )

    async def info(self) -> list[dict[str, Any]]:
        """INFO of each server that holds keys."""
        if isinstance(self.client, RedisCluster):
            found = await self.client.info(target_nodes=RedisCluster.PRIMARIES)
            return list(found.values())
        return [await self.client.info()]


def _said(error: BaseException) -> str:
    """Its reason in one line; Redis' own words hold no password."""
    if isinstance(error, TimeoutError) or not str(error):
        return f"nothing within {CONNECT_S + ANSWER_S:.0f} s"
    return str(error).splitlines()[0][:200]


def _client(where: Where) -> Redis | RedisCluster:
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "protocol": 2,  # answers read the same from every server
        "client_name": f"p2p-bridge-{os.getpid()}",
    }
    if where.url.startswith("unix:"):
        del options["socket_keepalive"]
    if where.cluster:
        return RedisCluster.from_url(where.url, retry=Retry(NoBackoff(), 1), **options)
    # a batch that was lost on the way is answered with FAIL, never silently sent twice
    return Redis.from_url(where.url, retry=Retry(NoBackoff(), 0), **options)
