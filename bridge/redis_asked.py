"""A request for one queue, on its way to Redis: which script, with which words, and how its answer reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge import bounds
from bridge.redis_keys import keys_of
from bridge.redis_link import Command, call
from bridge.redis_shares import UNCOUNTED
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable


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
    account: str = ""  # of CREATE: who asks, from where
    origin: bytes = UNCOUNTED
    worked: bool = False
    known: bool = False
    barred: str = ""  # why it may make none
    refusals: tuple[str, str] = ("", "")  # of its account, were it new, and of its queue

    @property
    def refusal(self) -> str:
        """Of a queue that is not there yet; "" where it may be made."""
        return self.refusals[0] or self.refusals[1]

    def command(self, holder: str) -> Command:
        words = self.words
        if self.script == "create":  # only its holder makes a queue
            words = (*words[:4], int(self.account == holder), *words[4:], self.origin.hex(), *self.refusals)
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
        full = refusal in (Refusal.QUOTA, Refusal.ACCOUNT) and self.script == "put"
        return Refused(refusal, bounds.RETRY_FULL_MS if full or refusal is Refusal.FULL else 0)
