"""The changes of one transaction to the rows of a bridge's store: every check before the first write.

Queue and account rows are read once in a transaction and written once at its end, however many blobs came meanwhile.
What open accounts hold together is kept in memory, in `Shares`; a transaction's changes there are undone with it.
"""

from __future__ import annotations

import hmac
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bridge import bounds
from bridge.shares import Shares
from bridge.store import Guest, Placed, Refused
from p2p_agents.wire.relay_answers import Admission, Refusal

if TYPE_CHECKING:
    import sqlite3

    from bridge.bounds import Quotas

HOUR_MS = 3_600_000
DAY_MS = bounds.DAY_S * 1_000


@dataclass(slots=True)
class Account:
    """A row of accounts; `queues` and `bytes` change. `origin` is None if it is not counted among the open ones."""

    id: int
    origin: bytes | None
    queues: int
    bytes: int


@dataclass(slots=True)
class Queue:
    """A row of queues; all but the first two columns change."""

    id: int
    account: int
    token_hash: bytes
    public: bool
    blobs: int
    bytes: int
    last: int
    read_ms: int


class Rows:
    """One transaction's view; `flush` writes what changed, before the commit."""

    def __init__(self, connection: sqlite3.Connection, quotas: Quotas) -> None:
        self._run = connection.execute
        self._many = connection.executemany
        self._quotas = quotas
        self._queues: dict[bytes, Queue] = {}
        self._accounts: dict[int, Account] = {}
        self._changed: dict[int, Queue] = {}
        self._moves: list[tuple[bytes, int, int, int, int]] = []
        self.shares = Shares(quotas)
        self.shares.count(
            self._run(
                "SELECT a.origin, a.queues, a.bytes + ? * coalesce(sum(q.blobs), 0), a.made_ms"
                " FROM accounts a LEFT JOIN queues q ON q.account = a.id WHERE a.origin IS NOT NULL GROUP BY a.id",
                (bounds.BLOB_COST,),
            )
        )

    def flush(self) -> None:
        """Write the rows that changed."""
        self._many(
            "UPDATE queues SET token_hash = ?, public = ?, blobs = ?, bytes = ?, last = ?, read_ms = ? WHERE id = ?",
            [(q.token_hash, q.public, q.blobs, q.bytes, q.last, q.read_ms, q.id) for q in self._changed.values()],
        )
        self._many(
            "UPDATE accounts SET queues = ?, bytes = ? WHERE id = ?",
            [(a.queues, a.bytes, a.id) for a in self._accounts.values()],
        )
        self.forget()

    def forget(self) -> None:
        """Call before statements that change rows behind this view, and after those that were undone."""
        self._queues.clear()
        self._accounts.clear()
        self._changed.clear()

    def kept(self) -> None:
        """The transaction was committed."""
        self._moves.clear()

    def undone(self) -> None:
        """The transaction was undone."""
        self.forget()
        for origin, now_ms, *change in self._moves:
            accounts, queues, size = change
            self.shares.change(origin, now_ms, accounts=-accounts, queues=-queues, size=-size)
        self._moves.clear()

    # --- admission ---

    def admit(self, guest: Guest, now_ms: int) -> Guest:
        known = self._one("SELECT id, token FROM accounts WHERE key = ?", (guest.account,))
        admission = self._admission(guest, known[1] if known else None, now_ms)
        guest = replace(guest, admission=admission, known=known is not None)
        if known is not None:
            self._run("UPDATE accounts SET seen_ms = ? WHERE id = ?", (now_ms, known[0]))
            if admission is not Admission.OPEN:
                self._let_in(known[0], guest, now_ms)
        return guest

    def _admission(self, guest: Guest, bound: bytes | None, now_ms: int) -> Admission:
        """How it is admitted; `bound` is the token that admitted it before. Raises Refused: ADMISSION."""
        if guest.admission is Admission.LIST:
            if self._one("SELECT 1 FROM allowed WHERE account = ?", (guest.account,)) is None:
                raise Refused(Refusal.ADMISSION)
            return Admission.LIST
        if guest.token and self._opens(guest.token, bound, now_ms):
            return Admission.TOKEN
        if guest.admission is Admission.TOKEN:
            raise Refused(Refusal.ADMISSION)
        return Admission.OPEN

    def _opens(self, token: bytes, bound: bytes | None, now_ms: int) -> bool:
        """Whether the token admits an account: one that it admitted before, or a further one while it may."""
        row = self._one("SELECT accounts, until_ms FROM tokens WHERE hash = ?", (token,))
        if row is None or bound == token:
            return row is not None
        accounts, until_ms = row
        (used,) = self._sure("SELECT count(*) FROM accounts WHERE token = ?", (token,))
        return bool(used < accounts and (not until_ms or now_ms < until_ms))

    def _let_in(self, number: int, guest: Guest, now_ms: int) -> None:
        """By a token, or the list: it is not counted among the open accounts."""
        self.flush()
        account = self._account(number)
        if account.origin is not None:
            (blobs,) = self._sure("SELECT coalesce(sum(blobs), 0) FROM queues WHERE account = ?", (number,))
            size = account.bytes + blobs * bounds.BLOB_COST
            self._share(account.origin, now_ms, accounts=-1, queues=-account.queues, size=-size)
            account.origin = None
        token = guest.token if guest.admission is Admission.TOKEN else None
        self._run("UPDATE accounts SET origin = NULL, token = coalesce(?, token) WHERE id = ?", (token, number))

    # --- queues ---

    def create(self, name: bytes, guest: Guest, token_hash: bytes, public: bool, now_ms: int, worked: bool) -> None:
        queue = self._queue(name)
        if queue is not None:
            queue.token_hash, queue.public = token_hash, public
            self._changed[queue.id] = queue
            return
        owner = self._owner(guest, now_ms, worked)
        if owner.queues >= self._quotas.account_queues:
            raise Refused(Refusal.ACCOUNT)
        if owner.origin is not None:
            self.shares.demand_queue(owner.origin, now_ms)
            self._share(owner.origin, now_ms, accounts=0 if owner.id else 1, queues=1)
        if not owner.id:
            owner = self._make(guest, owner, now_ms)
        owner.queues += 1
        self._run(
            "INSERT INTO queues (name, account, token_hash, public, read_ms) VALUES (?, ?, ?, ?, ?)",
            (name, owner.id, token_hash, public, now_ms),
        )

    def _owner(self, guest: Guest, now_ms: int, worked: bool) -> Account:
        """The account for which a queue is made, with the id 0 if nothing of it is stored yet. Raises Refused."""
        row = self._one("SELECT id, token FROM accounts WHERE key = ?", (guest.account,))
        if guest.admission is not Admission.OPEN:  # a token may have been revoked since
            self._admission(guest, row[1] if row else None, now_ms)
        if row is not None:
            return self._account(row[0])
        if guest.admission is not Admission.OPEN:
            return Account(0, None, 0, 0)
        self.shares.demand_account(guest.origin, worked=worked)
        return Account(0, guest.origin, 0, 0)

    def _make(self, guest: Guest, account: Account, now_ms: int) -> Account:
        token = guest.token if guest.admission is Admission.TOKEN else None
        made = self._run(
            "INSERT INTO accounts (key, token, origin, made_ms, seen_ms) VALUES (?, ?, ?, ?, ?)",
            (guest.account, token, account.origin, now_ms, now_ms),
        )
        assert made.lastrowid is not None
        return self._account(made.lastrowid)

    def put(self, name: bytes, token_hash: bytes, blob: bytes, now_ms: int, worked: bool) -> Placed:
        queue = self._queue(name)
        if queue is None:
            raise Refused(Refusal.GONE)
        if queue.public:
            if not worked:
                raise Refused(Refusal.WORK)
        elif not hmac.compare_digest(queue.token_hash, token_hash):
            raise Refused(Refusal.TOKEN)
        quotas, size = self._quotas, len(blob)
        if queue.blobs >= quotas.queue_blobs or queue.bytes + size > quotas.queue_bytes:
            raise Refused(Refusal.QUOTA, bounds.RETRY_FULL_MS)
        owner = self._account(queue.account)
        if owner.bytes + size > quotas.account_bytes:
            raise Refused(Refusal.ACCOUNT, bounds.RETRY_FULL_MS)
        if owner.origin is not None:
            self.shares.demand_bytes(owner.origin, size + bounds.BLOB_COST, now_ms)
        placed = Placed(max(queue.last + 1, now_ms * 1_000), queue.last)
        self._run(
            "INSERT INTO blobs (queue, cursor, time_ms, size, content) VALUES (?, ?, ?, ?, ?)",
            (queue.id, placed.cursor, now_ms, size, blob),
        )
        queue.last = placed.cursor
        self._count(queue, 1, size, now_ms)
        return placed

    def open(self, name: bytes, after: int, now_ms: int) -> int:
        queue = self._queue(name)
        if queue is None:
            raise Refused(Refusal.GONE)
        if after > max(queue.last, now_ms * 1_000 + bounds.CURSOR_SLACK_US):
            raise Refused(Refusal.BAD)
        if after > queue.last or now_ms - queue.read_ms > HOUR_MS:
            queue.last, queue.read_ms = max(queue.last, after), now_ms
            self._changed[queue.id] = queue
        return queue.last

    def ack(self, name: bytes, cursor: int, now_ms: int) -> int:
        queue = self._queue(name)
        if queue is None:
            return 0
        where, chosen = "FROM blobs WHERE queue = ? AND cursor <= ?", (queue.id, cursor)
        blobs, size = self._sure(f"SELECT count(*), coalesce(sum(size), 0) {where}", chosen)
        if blobs:
            self._run(f"DELETE {where}", chosen)
            self._count(queue, -blobs, -size, now_ms)
        if now_ms - queue.read_ms > HOUR_MS:
            queue.read_ms = now_ms
            self._changed[queue.id] = queue
        return int(blobs)

    def drop(self, name: bytes) -> int:
        """Returns the number of blobs it held. An open account is deleted with its last queue."""
        queue = self._queue(name)
        if queue is None:
            return 0
        owner = self._account(queue.account)
        owner.queues -= 1
        owner.bytes -= queue.bytes
        self._run("DELETE FROM blobs WHERE queue = ?", (queue.id,))
        self._run("DELETE FROM queues WHERE id = ?", (queue.id,))
        del self._queues[name]
        self._changed.pop(queue.id, None)
        if owner.origin is not None:
            gone = owner.queues == 0
            size = queue.bytes + queue.blobs * bounds.BLOB_COST
            self._share(owner.origin, 0, accounts=-gone, queues=-1, size=-size)
            if gone:
                self._run("DELETE FROM accounts WHERE id = ?", (owner.id,))
                del self._accounts[owner.id]
        return queue.blobs

    # --- upkeep ---

    def expire(self, now_ms: int) -> int:
        """At most EXPIRE_BLOBS blobs and as many idle queues; call again as long as it finds some."""
        old = self._run(
            "SELECT b.id, q.name, b.size FROM blobs b JOIN queues q ON q.id = b.queue"
            " WHERE b.time_ms <= ? ORDER BY b.time_ms LIMIT ?",
            (now_ms - self._quotas.kept_s * 1_000, bounds.EXPIRE_BLOBS),
        ).fetchall()
        for _, name, size in old:
            queue = self._queue(name)
            assert queue is not None
            self._count(queue, -1, -size, now_ms)
        self._many("DELETE FROM blobs WHERE id = ?", [(row[0],) for row in old])
        before = now_ms - bounds.QUEUE_IDLE_DAYS * DAY_MS
        idle = self._run("SELECT name FROM queues WHERE read_ms < ? LIMIT ?", (before, bounds.EXPIRE_BLOBS)).fetchall()
        dropped = sum(self.drop(name) for (name,) in idle)
        self.flush()
        self._run("DELETE FROM accounts WHERE queues = 0 AND seen_ms < ?", (before,))
        self._run(
            "DELETE FROM tokens WHERE until_ms BETWEEN 1 AND ? AND hash NOT IN"
            " (SELECT token FROM accounts WHERE token IS NOT NULL)",
            (now_ms,),
        )
        return len(old) + dropped

    def purge(self, account: bytes) -> int:
        row = self._one("SELECT id FROM accounts WHERE key = ?", (account,))
        if row is None:
            return 0
        names = self._run("SELECT name FROM queues WHERE account = ?", row).fetchall()
        blobs = sum(self.drop(name) for (name,) in names)
        self.flush()
        self._run("DELETE FROM accounts WHERE id = ?", row)
        return blobs

    # --- the operator's ---

    def add_token(self, token_hash: bytes, label: str, accounts: int, now_ms: int, until_ms: int) -> None:
        self._run(
            "INSERT OR REPLACE INTO tokens (hash, label, accounts, made_ms, until_ms) VALUES (?, ?, ?, ?, ?)",
            (token_hash, label, accounts, now_ms, until_ms),
        )

    def remove_token(self, token_hash: bytes) -> bool:
        return bool(self._run("DELETE FROM tokens WHERE hash = ?", (token_hash,)).rowcount)

    def allow(self, account: bytes, label: str, now_ms: int) -> None:
        self._run("INSERT OR REPLACE INTO allowed VALUES (?, ?, ?)", (account, label, now_ms))

    def disallow(self, account: bytes) -> bool:
        return bool(self._run("DELETE FROM allowed WHERE account = ?", (account,)).rowcount)

    # --- private ---

    def _queue(self, name: bytes) -> Queue | None:
        queue = self._queues.get(name)
        if queue is None:
            row = self._one(
                "SELECT id, account, token_hash, public, blobs, bytes, last, read_ms FROM queues WHERE name = ?",
                (name,),
            )
            if row is None:
                return None
            queue = self._queues[name] = Queue(*row)
        return queue

    def _account(self, number: int) -> Account:
        account = self._accounts.get(number)
        if account is None:
            row = self._sure("SELECT id, origin, queues, bytes FROM accounts WHERE id = ?", (number,))
            account = self._accounts[number] = Account(*row)
        return account

    def _count(self, queue: Queue, blobs: int, size: int, now_ms: int) -> None:
        queue.blobs += blobs
        queue.bytes += size
        owner = self._account(queue.account)
        owner.bytes += size
        if owner.origin is not None:
            self._share(owner.origin, now_ms, size=size + blobs * bounds.BLOB_COST)
        self._changed[queue.id] = queue

    def _share(self, origin: bytes, now_ms: int, accounts: int = 0, queues: int = 0, size: int = 0) -> None:
        self.shares.change(origin, now_ms, accounts=accounts, queues=queues, size=size)
        self._moves.append((origin, now_ms, accounts, queues, size))

    def _one(self, sql: str, parameters: tuple[object, ...]) -> tuple[Any, ...] | None:
        with closing(self._run(sql, parameters)) as found:
            row: tuple[Any, ...] | None = found.fetchone()
            return row

    def _sure(self, sql: str, parameters: tuple[object, ...]) -> tuple[Any, ...]:
        row = self._one(sql, parameters)
        assert row is not None
        return row
