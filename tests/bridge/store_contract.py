"""What every store of a bridge must do. A module of tests provides the fixture `shelf` and imports `*` from here.

`shelf` is an async context manager factory: `async with shelf(quotas) as store` gives an empty store; entered a second
time in one test it gives the same store, opened again.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Any

import pytest

from bridge import bounds
from bridge.bounds import Quotas
from bridge.store import Crowd, Guest, Refused, Stats, Store, Usage
from p2p_agents.limits import BLOB_BYTES
from p2p_agents.wire.relay_answers import Admission, Refusal

Shelf = Callable[..., AbstractAsyncContextManager[Store]]

ALICE, BOB = b"alice".ljust(32), b"bob".ljust(32)
QUEUE, OTHER, THIRD = b"queue".ljust(32), b"other".ljust(32), b"third".ljust(32)
TOKEN, WRONG = b"token".ljust(32), b"wrong".ljust(32)
NOW = 1_700_000_000_000  # ms
DAY = 86_400_000  # ms
COST = bounds.BLOB_COST
KILO = bytes(1_000 - COST)  # what counts as 1,000 bytes of an open account
ALL = (1_000, 2**30)  # blobs and bytes of a read that takes everything


def in_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """Run an async test, within a bound."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 50))

    return run


async def refusal(answer: Any) -> Refusal:
    with pytest.raises(Refused) as found:
        await answer
    return found.value.refusal


async def texts(store: Store, queue: bytes = QUEUE, after: int = 0) -> list[bytes]:
    return [blob for _, blob in await store.read(queue, after, *ALL)]


def open_(account: bytes, network: str = "", *, admission: Admission = Admission.OPEN, token: str = "") -> Guest:
    """A guest; without a network each account has one of its own."""
    hashed = sha256(token.encode()).digest() if token else b""
    return Guest(account, sha256(network.encode() or account).digest()[:8], admission, hashed)


def holder(account: bytes, token: str) -> Guest:
    """The holder of a token, if one is required."""
    return open_(account, admission=Admission.TOKEN, token=token)


async def made(
    store: Store, queue: bytes = QUEUE, account: bytes = ALICE, network: str = "", *, public: bool = False
) -> None:
    guest = await store.admit(open_(account, network), NOW)
    await store.create(queue, guest, TOKEN, public, NOW)


# --- queues ---


@in_loop
async def test_what_was_put_is_read_in_order(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        placed = await asyncio.gather(*(store.put(QUEUE, TOKEN, b"%d" % n, NOW) for n in range(100)))
        assert await texts(store) == [b"%d" % n for n in range(100)]
        cursors = [one.cursor for one in placed]
        assert cursors == sorted(set(cursors))
        assert [one.previous for one in placed] == [0, *cursors[:-1]]
        assert await texts(store, after=cursors[96]) == [b"97", b"98", b"99"]
        assert await texts(store, after=cursors[99]) == []


@in_loop
async def test_what_was_answered_is_there_after_opening_again(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        before = await store.put(QUEUE, TOKEN, b"kept", NOW)
    async with shelf() as store:
        assert await store.read(QUEUE, 0, *ALL) == [(before.cursor, b"kept")]
        after = await store.put(QUEUE, TOKEN, b"more", NOW)
        assert after.previous == before.cursor
        assert await texts(store) == [b"kept", b"more"]


@in_loop
async def test_a_read_is_bounded_and_gives_one_blob_at_least(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        for n in range(4):
            await store.put(QUEUE, TOKEN, b"%d" % n * 100, NOW)
        assert [len(blob) for _, blob in await store.read(QUEUE, 0, 3, 2**30)] == [100] * 3
        assert [len(blob) for _, blob in await store.read(QUEUE, 0, 9, 250)] == [100] * 2
        assert [len(blob) for _, blob in await store.read(QUEUE, 0, 9, 1)] == [100]


@in_loop
async def test_the_largest_blob_and_the_empty_one(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        await store.put(QUEUE, TOKEN, bytes(BLOB_BYTES), NOW)
        await store.put(QUEUE, TOKEN, b"", NOW)
        assert await texts(store) == [bytes(BLOB_BYTES), b""]


@in_loop
async def test_only_the_token_opens_a_queue_for_writing(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        assert await refusal(store.put(QUEUE, WRONG, b"x", NOW)) is Refusal.TOKEN
        assert await refusal(store.put(QUEUE, WRONG, b"x", NOW, worked=True)) is Refusal.TOKEN
        assert await refusal(store.put(OTHER, TOKEN, b"x", NOW)) is Refusal.GONE
        assert await texts(store) == []


@in_loop
async def test_a_public_queue_takes_work_instead(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store, public=True)
        assert await refusal(store.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.WORK
        await store.put(QUEUE, WRONG, b"worked", NOW, worked=True)
        assert await texts(store) == [b"worked"]


@in_loop
async def test_creating_again_keeps_the_blobs_and_renews_the_token(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        await store.put(QUEUE, TOKEN, b"kept", NOW)
        await store.create(QUEUE, open_(ALICE), WRONG, False, NOW)
        assert await refusal(store.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.TOKEN
        await store.put(QUEUE, WRONG, b"new", NOW)
        assert await texts(store) == [b"kept", b"new"]
        assert (await store.stats()).queues == 1


@in_loop
async def test_what_is_acknowledged_is_forgotten(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        await made(store, OTHER)
        placed = [await store.put(QUEUE, TOKEN, b"%d" % n, NOW) for n in range(5)]
        await store.put(OTHER, TOKEN, b"other", NOW)
        assert await store.ack(QUEUE, placed[2].cursor, NOW) == 3
        assert await store.ack(QUEUE, placed[2].cursor, NOW) == 0
        assert await store.ack(THIRD, placed[2].cursor, NOW) == 0
        assert await texts(store) == [b"3", b"4"]
        assert await texts(store, OTHER) == [b"other"]
        assert (await store.stats()).blobs == 3


@in_loop
async def test_a_dropped_queue_is_gone(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        await store.put(QUEUE, TOKEN, b"x", NOW)
        await store.drop(QUEUE)
        await store.drop(QUEUE)
        assert await texts(store) == []
        assert await refusal(store.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.GONE
        assert await refusal(store.open(QUEUE, 0, NOW)) is Refusal.GONE
        found = await store.stats()
        assert (found.queues, found.blobs, found.bytes) == (0, 0, 0)


# --- cursors ---


@in_loop
async def test_cursors_follow_the_clock_and_rise_without_it(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store)
        first = await store.put(QUEUE, TOKEN, b"1", NOW)
        assert first.cursor == NOW * 1_000
        second = await store.put(QUEUE, TOKEN, b"2", NOW - DAY)
        assert second.cursor == first.cursor + 1
        await store.ack(QUEUE, second.cursor, NOW)
        assert (await store.put(QUEUE, TOKEN, b"3", NOW - DAY)).cursor == second.cursor + 1


@in_loop
async def test_a_reader_ahead_of_the_store_misses_nothing(shelf: Shelf) -> None:
    """A store brought back from an older copy: the reader's cursor is one it no longer knows."""
    async with shelf() as store:
        await made(store)
        last = (await store.put(QUEUE, TOKEN, b"old", NOW)).cursor
        ahead = last + 5_000_000
        assert await store.open(QUEUE, ahead, NOW) == ahead
        later = await store.put(QUEUE, TOKEN, b"new", NOW)
        assert later.cursor > ahead
        assert await texts(store, after=ahead) == [b"new"]


@in_loop
async def test_a_reader_beyond_all_reason_is_refused(shelf: Shelf) -> None:
    """It could make its queue's cursors run out."""
    async with shelf() as store:
        await made(store)
        assert await store.open(QUEUE, 0, NOW) == 0
        assert await refusal(store.open(QUEUE, 2**53 - 1, NOW)) is Refusal.BAD
        assert await refusal(store.open(OTHER, 0, NOW)) is Refusal.GONE
        assert (await store.put(QUEUE, TOKEN, b"x", NOW)).cursor == NOW * 1_000


# --- quotas ---


@in_loop
async def test_a_queue_holds_so_many_blobs(shelf: Shelf) -> None:
    async with shelf(Quotas(queue_blobs=3)) as store:
        await made(store)
        placed = [await store.put(QUEUE, TOKEN, b"x", NOW) for _ in range(3)]
        assert await refusal(store.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.QUOTA
        await store.ack(QUEUE, placed[0].cursor, NOW)
        await store.put(QUEUE, TOKEN, b"x", NOW)
        assert await refusal(store.put(QUEUE, TOKEN, b"x", NOW)) is Refusal.QUOTA


@in_loop
async def test_a_queue_holds_so_many_bytes(shelf: Shelf) -> None:
    async with shelf(Quotas(queue_bytes=BLOB_BYTES)) as store:
        await made(store)
        await store.put(QUEUE, TOKEN, bytes(BLOB_BYTES - 1), NOW)
        assert await refusal(store.put(QUEUE, TOKEN, b"xx", NOW)) is Refusal.QUOTA
        await store.put(QUEUE, TOKEN, b"x", NOW)


@in_loop
async def test_quotas_hold_among_puts_at_once(shelf: Shelf) -> None:
    async with shelf(Quotas(queue_blobs=10)) as store:
        await made(store)
        answers = await asyncio.gather(*(store.put(QUEUE, TOKEN, b"x", NOW) for _ in range(50)), return_exceptions=True)
        assert sum(isinstance(answer, Refused) for answer in answers) == 40
        assert len(await texts(store)) == 10


@in_loop
async def test_an_account_holds_so_many_bytes_over_all_its_queues(shelf: Shelf) -> None:
    async with shelf(Quotas(account_bytes=1_000)) as store:
        await made(store)
        await made(store, OTHER)
        await made(store, THIRD, BOB)
        placed = await store.put(QUEUE, TOKEN, bytes(600), NOW)
        assert await refusal(store.put(OTHER, TOKEN, bytes(600), NOW)) is Refusal.ACCOUNT
        await store.put(THIRD, TOKEN, bytes(600), NOW)
        await store.ack(QUEUE, placed.cursor, NOW)
        await store.put(OTHER, TOKEN, bytes(600), NOW)


@in_loop
async def test_an_account_has_so_many_queues(shelf: Shelf) -> None:
    async with shelf(Quotas(account_queues=2)) as store:
        await made(store, QUEUE)
        await made(store, OTHER)
        assert await refusal(store.create(THIRD, open_(ALICE), TOKEN, False, NOW)) is Refusal.ACCOUNT
        await store.create(OTHER, open_(ALICE), TOKEN, False, NOW)
        await made(store, THIRD, BOB)
        await store.drop(QUEUE)
        await store.create(QUEUE, open_(ALICE), TOKEN, False, NOW)


# --- time ---


@in_loop
async def test_what_nobody_took_expires(shelf: Shelf) -> None:
    async with shelf(Quotas(kept_s=14 * 86_400)) as store:
        await made(store)
        await store.put(QUEUE, TOKEN, b"old", NOW)
        await store.put(QUEUE, TOKEN, b"newer", NOW + DAY)
        assert await store.expire(NOW + 14 * DAY - 1) == 0
        assert await store.expire(NOW + 14 * DAY) == 1
        assert await texts(store) == [b"newer"]
        found = await store.stats()
        assert (found.blobs, found.bytes) == (1, 5)


@in_loop
async def test_a_queue_nobody_reads_is_forgotten(shelf: Shelf) -> None:
    later = NOW + (bounds.QUEUE_IDLE_DAYS + 1) * DAY
    async with shelf() as store:
        await made(store, QUEUE)
        await made(store, OTHER)
        await store.open(OTHER, 0, later - DAY)
        await store.expire(later)
        assert await refusal(store.open(QUEUE, 0, later)) is Refusal.GONE
        assert await store.open(OTHER, 0, later) == 0


# --- admission ---


@in_loop
async def test_a_token_admits_so_many_accounts(shelf: Shelf) -> None:
    async with shelf() as store:
        hashed = sha256(b"let me in").digest()
        await store.add_token(hashed, "team", 1, NOW)
        assert await refusal(store.admit(holder(ALICE, "wrong"), NOW)) is Refusal.ADMISSION
        assert await refusal(store.admit(holder(ALICE, ""), NOW)) is Refusal.ADMISSION
        alice = await store.admit(holder(ALICE, "let me in"), NOW)
        bob = await store.admit(holder(BOB, "let me in"), NOW)
        assert (await store.tokens())[0].used == 0  # nothing is kept of who has no queue
        await store.create(QUEUE, alice, TOKEN, False, NOW)
        await store.create(OTHER, alice, TOKEN, False, NOW)
        assert await refusal(store.create(THIRD, bob, TOKEN, False, NOW)) is Refusal.ADMISSION
        assert (await store.admit(holder(ALICE, "let me in"), NOW)).known
        assert await refusal(store.admit(holder(BOB, "let me in"), NOW)) is Refusal.ADMISSION
        assert [(t.hash, t.label, t.accounts, t.used) for t in await store.tokens()] == [(hashed, "team", 1, 1)]
        assert await store.remove_token(hashed) is True
        assert await store.remove_token(hashed) is False
        assert await refusal(store.create(THIRD, alice, TOKEN, False, NOW)) is Refusal.ADMISSION
        await store.create(QUEUE, alice, TOKEN, False, NOW)  # what it has stays
        assert await refusal(store.admit(holder(ALICE, "let me in"), NOW)) is Refusal.ADMISSION


@in_loop
async def test_a_token_whose_time_is_over_admits_nobody_new_and_is_forgotten_where_it_admitted_nobody(
    shelf: Shelf,
) -> None:
    async with shelf() as store:
        used, unused, lasting = (sha256(name).digest() for name in (b"used", b"unused", b"lasting"))
        for hashed, until in ((used, NOW + 1_000), (unused, NOW + 1_000), (lasting, 0)):
            await store.add_token(hashed, "a link", 2, NOW, until)
        alice = await store.admit(holder(ALICE, "used"), NOW + 999)
        bob = await store.admit(holder(BOB, "used"), NOW + 999)
        await store.create(QUEUE, alice, TOKEN, False, NOW + 999)
        assert await refusal(store.create(OTHER, bob, TOKEN, False, NOW + 1_000)) is Refusal.ADMISSION
        assert await refusal(store.admit(holder(BOB, "used"), NOW + 1_000)) is Refusal.ADMISSION
        alice = await store.admit(holder(ALICE, "used"), NOW + DAY)  # who came in time stays
        await store.create(THIRD, alice, TOKEN, False, NOW + DAY)
        assert {(t.hash, t.until_ms) for t in await store.tokens()} >= {(used, NOW + 1_000), (unused, NOW + 1_000)}
        await store.expire(NOW + DAY)
        assert {token.hash for token in await store.tokens()} == {used, lasting}


@in_loop
async def test_a_list_admits_whom_it_names(shelf: Shelf) -> None:
    alice, bob = (open_(account, admission=Admission.LIST) for account in (ALICE, BOB))
    async with shelf() as store:
        await store.allow(ALICE, "alice", NOW)
        listed = await store.admit(alice, NOW)
        assert await refusal(store.admit(bob, NOW)) is Refusal.ADMISSION
        assert [(one.account, one.label) for one in await store.allowed()] == [(ALICE, "alice")]
        assert await store.disallow(ALICE) is True
        assert await store.disallow(ALICE) is False
        assert await refusal(store.admit(alice, NOW)) is Refusal.ADMISSION
        assert await refusal(store.create(QUEUE, listed, TOKEN, False, NOW)) is Refusal.ADMISSION


# --- open accounts ---


@in_loop
async def test_a_login_leaves_nothing_behind(shelf: Shelf) -> None:
    async with shelf() as store:
        for number in range(50):
            assert not (await store.admit(open_(b"%032d" % number), NOW)).known
        assert (await store.stats()).accounts == 0
        await made(store)
        assert (await store.admit(open_(ALICE), NOW)).known
        await store.drop(QUEUE)
        assert (await store.stats()).accounts == 0  # an open account goes with its last queue
        assert not (await store.admit(open_(ALICE), NOW)).known


@in_loop
async def test_fresh_accounts_of_one_network_share_its_bounds(shelf: Shelf) -> None:
    async with shelf(Quotas(network_bytes=BLOB_BYTES)) as store:
        await made(store, QUEUE, ALICE, "192.0.2.1")
        await made(store, OTHER, BOB, "192.0.2.1")
        await made(store, THIRD, b"eve".ljust(32), "192.0.2.2")
        placed = await store.put(QUEUE, TOKEN, bytes(BLOB_BYTES - 100 - 2 * COST), NOW)
        assert await refusal(store.put(OTHER, TOKEN, bytes(101), NOW)) is Refusal.ACCOUNT
        await store.put(THIRD, TOKEN, bytes(101), NOW)
        await store.ack(QUEUE, placed.cursor, NOW)
        await store.put(OTHER, TOKEN, bytes(101), NOW)
        await store.drop(OTHER)
        await store.put(QUEUE, TOKEN, bytes(BLOB_BYTES - COST), NOW)


@in_loop
async def test_blobs_of_nothing_fill_a_network_too(shelf: Shelf) -> None:
    """A blob of one byte took a hundred on the disk, and counted as one."""
    async with shelf(Quotas(network_bytes=10_000)) as store:
        await made(store)
        answers = await asyncio.gather(*(store.put(QUEUE, TOKEN, b"", NOW) for _ in range(50)), return_exceptions=True)
        assert sum(not isinstance(answer, Refused) for answer in answers) == 10_000 // COST


@in_loop
async def test_a_network_makes_so_many_accounts_and_queues(shelf: Shelf) -> None:
    async with shelf(Quotas(network_accounts=2, network_queues=3)) as store:
        await made(store, QUEUE, ALICE, "a")
        await made(store, OTHER, BOB, "a")
        assert await refusal(made(store, THIRD, b"eve".ljust(32), "a")) is Refusal.ACCOUNT
        await made(store, THIRD, ALICE, "a")
        assert await refusal(made(store, b"4" * 32, ALICE, "a")) is Refusal.ACCOUNT
        await made(store, QUEUE, ALICE, "a")  # one that is there
        await made(store, b"5" * 32, b"eve".ljust(32), "b")
        assert (await store.stats()).queues == 4


@in_loop
async def test_bounds_of_networks_hold_after_opening_again(shelf: Shelf) -> None:
    quotas = Quotas(network_bytes=2_000, network_accounts=1)
    async with shelf(quotas) as store:
        await made(store, QUEUE, ALICE, "a")
        await store.put(QUEUE, TOKEN, bytes(600), NOW)
    async with shelf(quotas) as store:
        assert await refusal(store.put(QUEUE, TOKEN, bytes(600), NOW)) is Refusal.ACCOUNT
        assert await refusal(made(store, OTHER, BOB, "a")) is Refusal.ACCOUNT
        await made(store, OTHER, BOB, "b")


@in_loop
async def test_a_flood_from_many_networks_leaves_room_for_those_that_are_here(shelf: Shelf) -> None:
    """16 accounts filled a bridge's disk in a minute, and everybody else was refused."""
    async with shelf(Quotas(open_bytes=100_000)) as store:
        await made(store, QUEUE, ALICE, "alice's")
        later = NOW + bounds.SETTLED_MS
        for number in range(4):
            guest = await store.admit(open_(b"%032d" % number, f"eve's {number}"), later)
            await store.create(b"%032d" % number, guest, TOKEN, False, later)
        for number in range(200):
            await asyncio.gather(store.put(b"%032d" % (number % 4), TOKEN, KILO, later), return_exceptions=True)
        held = (await store.stats()).bytes
        assert held == 75 * len(KILO)
        newcomer = await store.admit(open_(BOB, "bob's"), later)
        assert await refusal(store.create(OTHER, newcomer, TOKEN, False, later)) is Refusal.FULL
        for _ in range(25):
            await store.put(QUEUE, TOKEN, KILO, later)
        assert await refusal(store.put(QUEUE, TOKEN, KILO, later)) is Refusal.FULL


@in_loop
async def test_what_is_left_is_shared_by_networks_that_have_been_here_as_long(shelf: Shelf) -> None:
    async with shelf(Quotas(open_bytes=100_000)) as store:
        await made(store, QUEUE, ALICE, "alice's")
        for number in range(4):
            await made(store, b"%032d" % number, b"%032d" % number, f"eve's {number}")
        later = NOW + bounds.SETTLED_MS
        for number in range(400):
            await asyncio.gather(store.put(b"%032d" % (number % 4), TOKEN, KILO, later), return_exceptions=True)
        assert (await store.stats()).bytes == 75 * len(KILO)  # each holds more than its fifth of the rest
        for _ in range(5):
            await store.put(QUEUE, TOKEN, KILO, later)
        assert await refusal(store.put(QUEUE, TOKEN, KILO, later)) is Refusal.FULL


@in_loop
async def test_where_it_grows_scarce_a_newcomer_works(shelf: Shelf) -> None:
    async with shelf(Quotas(open_accounts=4)) as store:
        await made(store, QUEUE, ALICE, "a")
        await made(store, OTHER, BOB, "b")
        eve = await store.admit(open_(b"eve".ljust(32), "c"), NOW)
        assert await refusal(store.create(THIRD, eve, TOKEN, False, NOW)) is Refusal.WORK
        assert (await store.stats()).accounts == 2
        await made(store, b"4" * 32, ALICE, "a")  # who has queues is no newcomer
        await store.create(THIRD, eve, TOKEN, False, NOW, worked=True)
        dan = await store.admit(open_(b"dan".ljust(32), "d"), NOW)
        assert await refusal(store.create(b"5" * 32, dan, TOKEN, False, NOW, worked=True)) is Refusal.FULL


@in_loop
async def test_who_has_a_token_is_not_counted_among_the_open_ones(shelf: Shelf) -> None:
    async with shelf(Quotas(network_bytes=2_000)) as store:
        await store.add_token(sha256(b"friend").digest(), "", 9, NOW)
        await made(store, QUEUE, ALICE, "a")
        await store.put(QUEUE, TOKEN, bytes(900), NOW)
        friend = await store.admit(open_(BOB, "a", token="friend"), NOW)
        assert friend.admission is Admission.TOKEN
        await store.create(OTHER, friend, TOKEN, False, NOW)
        await store.put(OTHER, TOKEN, bytes(5_000), NOW)
        stranger = await store.admit(open_(b"eve".ljust(32), "b", token="mistyped"), NOW)
        assert stranger.admission is Admission.OPEN
        await store.admit(open_(ALICE, "a", token="friend"), NOW)  # who had queues before it had a token
        await store.put(QUEUE, TOKEN, bytes(5_000), NOW)


@in_loop
async def test_a_purged_account_takes_its_queues_along(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store, QUEUE, ALICE)
        await made(store, OTHER, BOB)
        await store.put(QUEUE, TOKEN, b"1", NOW)
        await store.put(QUEUE, TOKEN, b"2", NOW)
        assert await store.purge(ALICE) == 2
        assert await store.purge(ALICE) == 0
        assert await refusal(store.open(QUEUE, 0, NOW)) is Refusal.GONE
        assert await store.open(OTHER, 0, NOW) == 0


@in_loop
async def test_the_accounts_that_hold_most(shelf: Shelf) -> None:
    async with shelf() as store:
        await made(store, QUEUE, ALICE)
        await made(store, OTHER, BOB)
        await made(store, THIRD, BOB)
        await store.put(QUEUE, TOKEN, bytes(10), NOW)
        await store.put(OTHER, TOKEN, bytes(20), NOW)
        assert await store.accounts(9) == [Usage(BOB, 2, 20, NOW), Usage(ALICE, 1, 10, NOW)]
        assert await store.accounts(1) == [Usage(BOB, 2, 20, NOW)]


@in_loop
async def test_the_networks_that_hold_most(shelf: Shelf) -> None:
    """An account with a token belongs to none."""
    async with shelf() as store:
        await made(store, QUEUE, ALICE, "a")
        await made(store, OTHER, BOB, "a")
        await made(store, THIRD, b"carol".ljust(32), "b")
        await store.add_token(sha256(b"friend").digest(), "", 9, NOW)
        friend = await store.admit(open_(b"dave".ljust(32), "d", token="friend"), NOW)
        await store.create(b"fourth".ljust(32), friend, TOKEN, False, NOW)
        for queue, size in ((QUEUE, 10), (OTHER, 20), (THIRD, 25), (b"fourth".ljust(32), 99)):
            await store.put(queue, TOKEN, bytes(size), NOW)
        a, b = (open_(ALICE, network).origin for network in ("a", "b"))
        assert await store.networks(9) == [Crowd(a, 2, 2, 30), Crowd(b, 1, 1, 25)]
        assert await store.networks(1) == [Crowd(a, 2, 2, 30)]


@in_loop
async def test_the_figures_add_up(shelf: Shelf) -> None:
    async with shelf() as store:
        assert await store.stats() == Stats(0, 0, 0, 0, 0)
        await made(store, QUEUE, ALICE)
        await made(store, OTHER, BOB)
        await store.put(QUEUE, TOKEN, bytes(10), NOW)
        await store.put(OTHER, TOKEN, bytes(20), NOW + 1)
        assert await store.stats() == Stats(queues=2, blobs=2, bytes=30, accounts=2, oldest_ms=NOW)
