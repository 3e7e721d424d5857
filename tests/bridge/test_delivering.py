"""What is pushed when: windows, order, and every interleaving of writers, a reader and a slow store."""

from __future__ import annotations

import random

import pytest

from bridge import bounds
from bridge.delivering import Delivering, Fetch, Push

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def opened(delivering: Delivering, queue: bytes = A, after: int = 0, last: int = 0) -> list[Fetch]:
    return list(delivering.opened(queue, delivering.begin(queue, after), last))


def pushed(steps) -> list[tuple[int, bytes]]:
    return [pair for step in steps if isinstance(step, Push) for pair in step.message.blobs]


def test_what_comes_to_a_reader_that_has_all_is_pushed_at_once():
    delivering = Delivering()
    opened(delivering)
    assert pushed(delivering.came(A, 0, 5, b"x")) == [(5, b"x")]
    assert pushed(delivering.came(A, 5, 6, b"y")) == [(6, b"y")]


def test_what_comes_before_its_forerunner_is_fetched_in_order():
    """Another process wrote 5, which this one has not heard of when its own 6 is kept."""
    delivering = Delivering()
    opened(delivering)
    [fetch] = delivering.came(A, 5, 6, b"y")
    assert (fetch.after, fetch.queue) == (0, A)
    assert pushed(delivering.fetched(fetch, [(5, b"x"), (6, b"y")])) == [(5, b"x"), (6, b"y")]


def test_what_comes_while_fetching_is_fetched_next():
    delivering = Delivering()
    [fetch] = opened(delivering, last=3)
    assert list(delivering.came(A, 3, 4, b"d")) == []
    steps = list(delivering.fetched(fetch, [(3, b"c")]))
    assert pushed(steps) == [(3, b"c")]
    assert steps[-1].after == 3


def test_what_comes_while_an_empty_fetch_is_under_way_is_not_forgotten():
    delivering = Delivering()
    [fetch] = opened(delivering, last=3)  # 3 was acknowledged elsewhere: nothing is there
    list(delivering.came(A, 3, 4, b"d"))
    [again] = delivering.fetched(fetch, [])
    assert pushed(delivering.fetched(again, [(4, b"d")])) == [(4, b"d")]


def test_an_empty_fetch_ends_the_search():
    delivering = Delivering()
    [fetch] = opened(delivering, last=3)
    assert list(delivering.fetched(fetch, [])) == []
    [next_one] = delivering.came(A, 3, 4, b"d")
    assert pushed(delivering.fetched(next_one, [(4, b"d")])) == [(4, b"d")]
    assert pushed(delivering.came(A, 4, 5, b"e")) == [(5, b"e")]


def test_a_failed_fetch_waits_for_a_call():
    delivering = Delivering()
    [fetch] = opened(delivering, last=3)
    assert list(delivering.fetched(fetch, None)) == []
    [again] = delivering.grown(A)
    assert pushed(delivering.fetched(again, [(3, b"c")])) == [(3, b"c")]


def test_no_more_is_pushed_than_the_window_until_it_is_acknowledged():
    delivering = Delivering()
    opened(delivering)
    for cursor in range(1, bounds.WINDOW_BLOBS + 1):
        assert pushed(delivering.came(A, cursor - 1, cursor, b"x"))
    assert list(delivering.came(A, bounds.WINDOW_BLOBS, bounds.WINDOW_BLOBS + 1, b"x")) == []
    [fetch] = delivering.acked(A, 10)
    assert (fetch.after, fetch.blobs) == (bounds.WINDOW_BLOBS, 10)


def test_the_window_is_one_of_bytes_too():
    delivering = Delivering()
    opened(delivering)
    half = bytes(bounds.WINDOW_BYTES // 2)
    assert pushed(delivering.came(A, 0, 1, half))
    assert pushed(delivering.came(A, 1, 2, half))
    assert list(delivering.came(A, 2, 3, b"x")) == []
    assert [fetch.after for fetch in delivering.acked(A, 1)] == [2]


def test_a_connection_has_one_window_over_all_its_queues(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "CONNECTION_WINDOW_BYTES", bounds.FETCH_BYTES)
    delivering = Delivering()
    [fetch] = opened(delivering, A, last=1)
    assert opened(delivering, B, last=1) == []
    assert opened(delivering, C, last=1) == []
    pushed(delivering.fetched(fetch, [(1, bytes(bounds.FETCH_BYTES))]))
    [first] = delivering.acked(A, 1)
    assert first.queue == B
    list(delivering.came(A, 1, 2, b"x"))
    [second] = delivering.fetched(first, [])
    assert second.queue == C, "who waits longest is served first"


def test_few_fetches_run_at_once():
    delivering = Delivering()
    queues = [bytes([n]) * 32 for n in range(50)]
    under_way = [fetch for queue in queues for fetch in opened(delivering, queue, last=1)]
    assert len(under_way) == bounds.FETCHES
    served = []
    while under_way:
        fetch = under_way.pop(0)
        served.append(fetch.queue)
        under_way += [step for step in delivering.fetched(fetch, [(1, b"x")]) if isinstance(step, Fetch)]
        assert len(under_way) <= bounds.FETCHES
    assert served == queues


def test_a_queue_that_ended_gives_its_window_back():
    delivering = Delivering()
    opened(delivering)
    assert pushed(delivering.came(A, 0, 1, bytes(1_000)))
    assert delivering.end(A) is True
    assert delivering.end(A) is False
    assert list(delivering.came(A, 1, 2, b"x")) == []
    assert len(delivering) == 0


class Walk:
    """Writers here and elsewhere, a store that answers when it likes, a reader that acknowledges when it likes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.delivering = Delivering()
        self.kept: list[tuple[int, bytes]] = []
        self.seen: list[tuple[int, bytes]] = []
        self.under_way: list[Fetch] = []
        self.unheard: list[tuple[int, int, bytes]] = []

    def take(self, steps) -> None:
        for step in steps:
            if isinstance(step, Push):
                self.seen.extend(step.message.blobs)
            else:
                self.under_way.append(step)

    def begin(self) -> None:
        for _ in range(self.rng.randrange(5)):
            self.write()
        number = self.delivering.begin(A, 0)
        self.take(self.delivering.opened(A, number, self.kept[-1][0] if self.kept else 0))

    def write(self) -> None:
        previous = self.kept[-1][0] if self.kept else 0
        self.kept.append((previous + self.rng.randint(1, 3), bytes(self.rng.choice([0, 10, 300_000]))))
        self.unheard.append((previous, *self.kept[-1]))

    def answer(self) -> None:
        if self.under_way:
            fetch = self.under_way.pop(self.rng.randrange(len(self.under_way)))
            left = [pair for pair in self.kept if pair[0] > fetch.after][: fetch.blobs]
            failed = self.rng.random() < 0.1
            self.take(self.delivering.fetched(fetch, None if failed else left[: self.rng.randint(1, 4)]))

    def hear(self) -> None:
        if self.unheard:
            previous, cursor, blob = self.unheard.pop(0)
            elsewhere = self.rng.random() < 0.3
            self.take(self.delivering.grown(A) if elsewhere else self.delivering.came(A, previous, cursor, blob))

    def acknowledge(self) -> None:
        if self.seen:
            self.take(self.delivering.acked(A, self.rng.choice(self.seen)[0]))

    def settle(self) -> None:
        self.hear()
        self.answer()
        self.take(self.delivering.grown(A))
        if self.seen:
            self.take(self.delivering.acked(A, self.seen[-1][0]))


@pytest.mark.parametrize("seed", range(200))
def test_whatever_the_order_of_things_all_is_pushed_once_and_in_order(seed: int):
    walk = Walk(seed)
    walk.begin()
    steps = [walk.write, walk.answer, walk.answer, walk.hear, walk.hear, walk.acknowledge]
    for _ in range(120):
        walk.rng.choice(steps)()
    for _ in range(400):
        walk.settle()
    assert walk.seen == walk.kept
