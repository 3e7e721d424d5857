"""What accounts without a token hold, together and by network, and what each may still take. No I/O.

Anybody can draw an account's key, and many people have many addresses, so limits per account stop nobody. Beyond half
of what open accounts may hold together, a new account costs work; beyond three quarters, no new ones are taken, and the
rest is shared evenly among the networks that have been here for ten minutes. An attacker who fills a bridge therefore
takes the others' quarter only in proportion to the networks it has, for as long as it has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge import bounds
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.bounds import Quotas


@dataclass(slots=True)
class Held:
    """What is held; `since_ms` is when the first of the accounts was made."""

    accounts: int = 0
    queues: int = 0
    bytes: int = 0
    since_ms: int = 0
    settled: bool = False  # it has a share of the reserve


NOTHING = Held()


class Shares:
    """Asked before something is stored (each `demand` raises Refused), and told what was. Networks are known by
    tags."""

    def __init__(self, quotas: Quotas) -> None:
        self.all = Held()
        self.bytes = quotas.open_bytes  # the total; whoever knows the size of the disk reduces it
        self._quotas = quotas
        self._networks: dict[bytes, Held] = {}
        self._settled = 0
        self._settled_ms = -bounds.SETTLE_EVERY_MS

    def __len__(self) -> int:
        return len(self._networks)

    def of(self, origin: bytes) -> Held:
        return self._networks.get(origin, NOTHING)

    def count(self, held: Iterable[tuple[bytes, int, int, int]]) -> None:
        """Start again from every account's (origin, queues, bytes, made_ms)."""
        self.all, self._networks = Held(), {}
        self._settled_ms = -bounds.SETTLE_EVERY_MS
        for origin, queues, size, made_ms in held:
            self.change(origin, made_ms, accounts=1, queues=queues, size=size)

    def change(self, origin: bytes, now_ms: int, *, accounts: int = 0, queues: int = 0, size: int = 0) -> None:
        """So much more is held, or less."""
        held = self._networks.setdefault(origin, Held(since_ms=now_ms))
        held.since_ms = min(held.since_ms, now_ms) if accounts > 0 else held.since_ms
        for each in (held, self.all):
            each.accounts = max(0, each.accounts + accounts)
            each.queues = max(0, each.queues + queues)
            each.bytes = max(0, each.bytes + size)
        if not (held.accounts or held.queues or held.bytes):
            del self._networks[origin]

    # --- before something is stored ---

    def demand_account(self, origin: bytes, *, worked: bool) -> None:
        """Raises Refused: ACCOUNT, FULL, WORK."""
        quotas, held = self._quotas, self.of(origin)
        if held.accounts >= quotas.network_accounts:
            raise Refused(Refusal.ACCOUNT)
        used = max(
            self.all.accounts / quotas.open_accounts,
            self.all.queues / quotas.open_queues,
            self.all.bytes / max(1, self.bytes),
        )
        if used >= 1 - bounds.RESERVE:
            raise Refused(Refusal.FULL, bounds.RETRY_FULL_MS)
        if used >= bounds.SCARCE and not worked:
            raise Refused(Refusal.WORK)

    def demand_queue(self, origin: bytes, now_ms: int) -> None:
        """Raises Refused: ACCOUNT, FULL."""
        held, most = self.of(origin), self._quotas.network_queues
        if held.queues >= most:
            raise Refused(Refusal.ACCOUNT)
        self._demand(held, held.queues + 1, self.all.queues + 1, self._quotas.open_queues, now_ms)

    def demand_bytes(self, origin: bytes, size: int, now_ms: int) -> None:
        """Raises Refused: ACCOUNT, FULL."""
        held = self.of(origin)
        if held.bytes + size > self._quotas.network_bytes:
            raise Refused(Refusal.ACCOUNT, bounds.RETRY_FULL_MS)
        self._demand(held, held.bytes + size, self.all.bytes + size, self.bytes, now_ms)

    def _demand(self, held: Held, own: int, together: int, most: int, now_ms: int) -> None:
        """Allowed within the total for all, or within a share of the reserve."""
        if together <= most * (1 - bounds.RESERVE):
            return
        self._settle(now_ms)
        share = most * bounds.RESERVE / max(1, self._settled)
        if together > most or not held.settled or own > share:
            raise Refused(Refusal.FULL, bounds.RETRY_FULL_MS)

    def _settle(self, now_ms: int) -> None:
        """From time to time, while little is left: find which networks have been here long enough."""
        if abs(now_ms - self._settled_ms) < bounds.SETTLE_EVERY_MS:
            return
        self._settled_ms = now_ms
        for held in self._networks.values():
            held.settled = now_ms - held.since_ms >= bounds.SETTLED_MS
        self._settled = sum(held.settled for held in self._networks.values())
