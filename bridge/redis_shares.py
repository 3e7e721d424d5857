"""What open accounts hold, as one of several processes knows it: counted in Redis every few seconds, plus what this
process answered since. A limit over several keys can therefore be exceeded by what the other processes let in
meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge import bounds
from bridge.shares import Shares
from bridge.store import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.bounds import Quotas

UNCOUNTED = b""  # the origin of an account admitted by a token or the list


class Ledger:
    """Accounts are known by their names, as in redis_keys.py."""

    def __init__(self, quotas: Quotas, memory: int) -> None:
        """`memory` is the memory that Redis may use; 0 if unlimited."""
        self.shares = Shares(quotas)
        if memory:
            self.shares.bytes = min(quotas.open_bytes, int(memory * bounds.OPEN_DISK))
        self._origins: dict[str, bytes] = {}

    def count(self, accounts: Iterable[tuple[str, bytes, int, int, int]]) -> None:
        """Start again from every account's (name, origin, queues, bytes, made_ms)."""
        found = list(accounts)
        self._origins = {account: origin for account, origin, *_ in found}
        self.shares.count((origin, n, size, made) for _, origin, n, size, made in found if origin != UNCOUNTED)

    def knows(self, account: str) -> bool:
        return account in self._origins

    def learn(self, account: str, origin: bytes) -> None:
        self._origins[account] = origin

    # --- queues ---

    def begin(self, account: str, origin: bytes, now_ms: int, *, worked: bool) -> tuple[str, str]:
        """A queue is requested: the refusals of a new account and of a queue, "" for none. Counted until `made`."""
        if origin == UNCOUNTED:
            return "", ""
        refusals = (
            _refusal(lambda: self.shares.demand_account(origin, worked=worked)),
            _refusal(lambda: self.shares.demand_queue(origin, now_ms)),
        )
        self._move(origin, now_ms, accounts=account not in self._origins, queues=1)
        return refusals

    def made(self, account: str, asked: bytes, known: bool, now_ms: int, found: tuple[int, int, bytes] | None) -> None:
        """The result: accounts and queues made, and the account's origin. `known` is the value at `begin`."""
        if asked != UNCOUNTED:
            self._move(asked, now_ms, accounts=-(not known), queues=-1)
        if found is not None:
            accounts, queues, origin = found
            self.learn(account, origin)
            self._move(origin, now_ms, accounts=accounts, queues=queues)

    def dropped(self, account: str, blobs: int, size: int, *, gone: bool) -> None:
        """One of its queues is gone, with its blobs, and perhaps the account with it."""
        origin = self._origins.get(account, UNCOUNTED)
        self._move(origin, 0, accounts=-gone, queues=-1, size=-size - blobs * bounds.BLOB_COST)
        if gone:
            self._origins.pop(account, None)

    # --- blobs ---

    def put(self, account: str, size: int, now_ms: int) -> None:
        """A blob is about to be stored. Raises Refused."""
        origin = self._origins.get(account, UNCOUNTED)
        if origin != UNCOUNTED:
            size += bounds.BLOB_COST
            self.shares.demand_bytes(origin, size, now_ms)
            self._move(origin, now_ms, size=size)

    def freed(self, account: str, blobs: int, size: int) -> None:
        """Blobs were not stored after all, or were deleted."""
        self._move(self._origins.get(account, UNCOUNTED), 0, size=-size - blobs * bounds.BLOB_COST)

    def _move(self, origin: bytes, now_ms: int, accounts: int = 0, queues: int = 0, size: int = 0) -> None:
        if origin != UNCOUNTED:
            self.shares.change(origin, now_ms, accounts=accounts, queues=queues, size=size)


def _refusal(demand: Callable[[], None]) -> str:
    try:
        demand()
    except Refused as refused:
        return str(refused.refusal)
    return ""
