"""Transfers between two lanes over whole QUIC connections, in virtual time; files are real."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.core.delivery import bulk
from p2p_agents.core.delivery.bulk import Begun, Failed, Given, Kept, Verified
from p2p_agents.core.kernel.effects import DropBulk, GiveBulk, TakeBulk
from p2p_agents.core.turn.batch import Outcome
from p2p_agents.errors import StoreFull
from p2p_agents.limits import (
    BULK_HEAD_BYTES,
    BULK_PIECE_BYTES,
    BULK_STALL_S,
    BULK_STREAMS,
    BULK_WINDOW_BYTES,
)
from p2p_agents.node.lane import Lane
from p2p_agents.node.parts import Part
from p2p_agents.wire.bulk import BulkEnd, BulkHead
from p2p_agents.wire.framing import frame_bytes
from tests.quic.network import Host, Network, pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from p2p_agents.quic.connection import Connection

ID = b"t" * 32
BODY = os.urandom(BULK_PIECE_BYTES + 300_000)


def pieces_of(body: bytes) -> tuple[bytes, ...]:
    parts = range(0, len(body), BULK_PIECE_BYTES)
    return tuple(hashlib.sha256(body[at : at + BULK_PIECE_BYTES]).digest() for at in parts)


@dataclass
class Step:
    """What came of work that a thread would have done."""

    network: Network
    value: Any = None
    fault: BaseException | None = None

    def exception(self) -> BaseException | None:
        return self.fault

    def result(self) -> Any:
        return self.value

    def add_done_callback(self, back: Callable[[Any], None]) -> None:
        self.network.at(self.network.now + 0.001, lambda: back(self))


@dataclass
class Timer:
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class End:
    """One node: its lane, the connection it has, and what its core is told."""

    network: Network
    host: Host
    connection: Connection
    news: list[bulk.News] = field(default_factory=list)
    of: dict[bytes, list[bulk.News]] = field(default_factory=dict)
    store_fails: int = 0
    runs: bool = True  # its threads do
    held: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lane = Lane(self, self, self.find, self.run)  # type: ignore[arg-type]
        self.host.carried = self.lane.carried
        self.host.gone = lambda connection: self.lane.closed(connection.id)

    def find(self, number: int) -> Connection | None:
        return None if self.connection.ended else self.connection

    def run(self, step: Callable[[], Any]) -> Any:
        done = Step(self.network)
        if not self.runs:
            return Step(self.network)
        try:
            done.value = step()
        except Exception as fault:
            done.fault = fault
        return done

    def call_later(self, seconds: float, call: Callable[..., None], *given: Any) -> Timer:
        timer = Timer()
        self.network.at(self.network.now + seconds, lambda: timer.is_cancelled or call(*given))
        return timer

    def submit(self, item: Callable[[Any], Any], done: Callable[[Outcome], None]) -> None:
        if self.store_fails:
            self.store_fails -= 1
            done(Outcome(error=StoreFull()))
            return
        item(self)
        done(Outcome())

    # --- as bulk.news sees a core ---

    def told(self, transfer: bytes, news: bulk.News) -> None:
        self.news.append(news)
        self.of.setdefault(transfer, []).append(news)


@pytest.fixture(autouse=True)
def _hear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "news", lambda core, transfer, told: core.told(transfer, told))


@dataclass
class Both:
    network: Network
    giver: End
    taker: End
    place: str
    source: str

    def give(self, transfer: bytes = ID, offset: int = 0, size: int = len(BODY)) -> None:
        self.giver.lane.carry(GiveBulk(self.giver.connection.id, transfer, self.source, offset, size))

    def take(self, transfer: bytes = ID, body: bytes = BODY, place: str = "") -> None:
        where = place or self.place
        self.taker.lane.carry(TakeBulk(self.taker.connection.id, transfer, where, len(body), pieces_of(body)))

    def run(self, seconds: float = 60.0) -> None:
        self.network.run(seconds)

    def begun(self) -> int:
        """The offset from which the taker wants the rest."""
        assert self.network.run(5, lambda: any(isinstance(news, Begun) for news in self.taker.news))
        return next(news.offset for news in self.taker.news if isinstance(news, Begun))

    def raw(self, *parts: bytes, end: bool = False) -> int:
        """A stream of a giver that makes its own rules."""
        connection = self.giver.connection
        self.giver.host.carried = lambda connection, event: None
        self.run(1)
        stream = connection.open_bulk()
        for part in parts:
            connection.send_bulk(stream, part)
        connection.send_bulk(stream, b"", end=end)
        self.run(5)
        return stream


def make(place: Path, network: Network | None = None) -> Both:
    network = network or Network()
    alice, bob, here = pair(network)
    source = place / "source"
    source.write_bytes(BODY)
    return Both(
        network, End(network, alice, here), End(network, bob, bob.connected[0]), str(place / "kept"), str(source)
    )


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return make(tmp_path)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_a_body_is_given_and_kept(tmp_path: Path, loss: float) -> None:
    """K4, K6: whole and verified before its name appears."""
    both = make(tmp_path, Network(loss=loss))
    both.take()
    both.give(offset=both.begun())
    assert not os.path.exists(both.place)
    both.run()
    assert both.taker.news == [Begun(0), Verified(), Kept()]
    assert both.giver.news == [Given()]
    assert read(both.place) == BODY
    assert os.stat(both.place).st_mode & 0o777 == 0o600
    assert not os.path.exists(f"{both.place}.part")


@pytest.mark.parametrize("cut_after", [0.01, 0.03, 0.06])
def test_what_came_is_not_sent_again_after_a_lost_connection(tmp_path: Path, cut_after: float) -> None:
    """K5: whole pieces stay; the next attempt begins behind them."""
    both = make(tmp_path)
    both.take()
    both.give(offset=both.begun())
    both.run(cut_after)
    both.taker.connection.close()
    both.run(5)
    assert both.taker.news == [Begun(0), Failed(BulkEnd.GONE)]
    assert both.giver.news == [Failed(BulkEnd.GONE)]
    there = os.path.getsize(f"{both.place}.part")
    again = make(tmp_path, Network(seed=2))
    again.take()
    offset = again.begun()
    assert offset == there // BULK_PIECE_BYTES * BULK_PIECE_BYTES
    again.give(offset=offset)
    again.run()
    assert again.taker.news == [Begun(offset), Verified(), Kept()]
    assert read(both.place) == BODY


def test_a_part_that_a_disk_damaged_is_fetched_from_the_damage_on(both: Both) -> None:
    with open(f"{both.place}.part", "wb") as file:
        file.write(BODY[:BULK_PIECE_BYTES] + b"?" + BODY[BULK_PIECE_BYTES + 1 :])
    both.take()
    assert both.begun() == BULK_PIECE_BYTES


def test_a_kill_between_the_last_byte_and_the_name_costs_nothing(both: Both) -> None:
    with open(f"{both.place}.part", "wb") as file:
        file.write(BODY)
    both.take()
    both.run(1)
    assert both.taker.news == [Verified(), Kept()]
    assert read(both.place) == BODY


def test_a_piece_that_does_not_hash_is_dropped(both: Both) -> None:
    """K3: what held before it stays."""
    body = BODY * 2  # so that there is more to come when the second piece is judged
    with open(both.source, "wb") as file:
        file.write(body)
    both.take(body=body[: BULK_PIECE_BYTES + 5] + b"\0!\0" + body[BULK_PIECE_BYTES + 8 :])
    both.give(offset=both.begun(), size=len(body))
    both.run()
    assert both.taker.news == [Begun(0), Failed(BulkEnd.BAD)]
    assert both.giver.news == [Failed(BulkEnd.BAD)]
    assert read(f"{both.place}.part") == BODY[:BULK_PIECE_BYTES]
    assert not os.path.exists(both.place)
    assert both.taker.host.closed == []


def test_a_full_disk_fails_the_transfer_and_nothing_else(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Part, "write", full)
    both.take()
    both.give(offset=both.begun())
    both.run()
    assert both.taker.news == [Begun(0), Failed(BulkEnd.FULL)]
    assert both.giver.news == [Failed(BulkEnd.FULL)]
    assert both.taker.host.closed == []


def test_a_place_that_cannot_be_made_fails_before_anything_is_asked(both: Both, tmp_path: Path) -> None:
    both.take(place=str(tmp_path / "nowhere" / "kept"))
    both.run(1)
    assert both.taker.news == [Failed(BulkEnd.FULL)]


@pytest.mark.parametrize("what", ["missing", "shorter", "link"])
def test_a_file_that_is_not_what_was_announced_is_not_given(both: Both, what: str) -> None:
    if what != "shorter":
        os.rename(both.source, f"{both.source}.moved")
    if what == "link":
        os.symlink(f"{both.source}.moved", both.source)
    both.give(size=len(BODY) + (what == "shorter"))
    both.run(1)
    assert both.giver.news == [Failed(BulkEnd.MISSING)]


def test_nothing_is_sent_before_it_was_asked_for(both: Both) -> None:
    """K4: without a grant no byte leaves; the giver gives up after a while."""
    both.give()
    both.run(BULK_STALL_S - 1)
    assert both.giver.news == []
    both.run(2 * BULK_STALL_S)
    assert both.giver.news == [Failed(BulkEnd.STALLED)]
    assert both.taker.host.closed == []


def test_another_body_than_the_one_asked_for_is_refused(both: Both) -> None:
    both.take()
    both.begun()
    both.give(transfer=b"u" * 32)
    both.run(2)
    assert both.giver.news == [Failed(BulkEnd.UNKNOWN)]
    assert both.taker.news == [Begun(0)]


HEAD = frame_bytes(BulkHead(ID, 0, len(BODY)).encoded())


@pytest.mark.parametrize(
    ("parts", "end"),
    [
        ([HEAD, b"x" * 100], True),  # ends early
        ([HEAD, BODY, b"more"], True),
        ([HEAD], True),
        ([frame_bytes(BulkHead(ID, 0, len(BODY) + 1).encoded()), b"x"], False),
        ([frame_bytes(BulkHead(ID, 7, len(BODY)).encoded()), b"x"], False),
    ],
    ids=["short", "long", "empty", "another size", "another offset"],
)
def test_a_body_of_another_length_fails(tmp_path: Path, parts: list[bytes], end: bool) -> None:
    """Never more bytes on the disk than were announced."""
    both = make(tmp_path)
    both.take()
    both.begun()
    both.raw(*parts, end=end)
    both.run(20)
    assert both.taker.news == [Begun(0), Failed(BulkEnd.MALFORMED)]
    assert os.path.getsize(f"{both.place}.part") <= len(BODY)


@pytest.mark.parametrize(
    "head",
    [b"", b"\0\0", (BULK_HEAD_BYTES + 1).to_bytes(4, "big"), frame_bytes(b"\xff" * 40), b"\0" * 4],
    ids=["empty", "half", "too long", "no CBOR", "of no bytes"],
)
def test_a_stream_without_a_head_is_ended_and_the_transfer_waits(both: Both, head: bytes) -> None:
    both.take()
    both.begun()
    both.raw(head, end=True)
    assert both.taker.news == [Begun(0)]
    assert both.taker.lane._heads == {}
    assert both.taker.host.closed == []
    both.giver.host.carried = both.giver.lane.carried
    both.give()
    both.run()
    assert both.taker.news == [Begun(0), Verified(), Kept()]


def test_a_second_stream_for_a_transfer_takes_nothing_from_the_first(both: Both) -> None:
    both.take()
    both.take(transfer=b"v" * 32, place=f"{both.place}2")
    both.begun()
    both.run(1)
    both.give()
    both.run(0.02)
    carried = both.giver.host.carried
    connection = both.giver.connection
    second = connection.open_bulk()
    connection.send_bulk(second, HEAD + b"evil", end=True)
    both.giver.host.carried = carried
    both.run()
    assert both.taker.of[ID] == [Begun(0), Verified(), Kept()]
    assert read(both.place) == BODY


def test_a_slow_drip_ends(both: Both) -> None:
    """A byte now and then keeps neither a stream nor a file."""
    both.take()
    both.begun()
    connection = both.giver.connection
    both.run(1)
    stream = connection.open_bulk()
    connection.send_bulk(stream, HEAD)
    for _ in range(2 * int(BULK_STALL_S)):
        connection.send_bulk(stream, b"x")
        both.run(1)
    assert both.taker.news == [Begun(0), Failed(BulkEnd.STALLED)]
    assert both.taker.lane._streams == {}


def test_a_taker_that_reads_no_further_is_given_up(both: Both) -> None:
    """QUIC has all of it, and a part never leaves: neither its file nor its place among transfers stays taken."""
    with open(both.source, "wb") as file:
        file.write(bytes(BULK_WINDOW_BYTES + 1_000))
    both.taker.host.carried = lambda connection, event: None
    both.taker.connection.grant_bulk(1)
    both.give(size=BULK_WINDOW_BYTES + 1_000)
    both.run(BULK_STALL_S - 1)
    (giving,) = both.giver.lane._transfers.values()
    assert (giving.left, both.giver.news) == (0, [])
    both.run(2 * BULK_STALL_S)
    assert both.giver.news == [Failed(BulkEnd.STALLED)]
    assert both.giver.lane._transfers == {}


def test_one_that_nobody_gives_ends_and_makes_room_for_the_next(both: Both) -> None:
    """As many at once as there are streams; the others wait, and none for ever."""
    ids = [bytes([n]) * 32 for n in range(BULK_STREAMS + 1)]
    for number in ids:
        both.take(transfer=number, place=f"{both.place}{number[0]}")
    both.run(1)
    assert [number for number in ids if number in both.taker.of] == ids[:BULK_STREAMS]
    both.run(BULK_STALL_S)
    assert both.taker.of[ids[0]] == [Begun(0), Failed(BulkEnd.STALLED)]
    assert both.taker.of[ids[-1]] == [Begun(0)]


def test_a_disk_that_does_not_answer_is_sent_a_window_and_no_more(both: Both) -> None:
    """C1: what waits for a file is bounded."""
    both.take()
    both.begun()
    both.taker.lane._run = lambda step: Held()
    both.give()
    both.run(10)
    (taking,) = both.taker.lane._transfers.values()
    assert sum(map(len, taking.waiting)) < BULK_WINDOW_BYTES
    assert len(BODY) - taking.left <= BULK_WINDOW_BYTES


class Held:
    """A step that never ends."""

    def add_done_callback(self, back: Callable[[Any], None]) -> None:
        """Nobody is called."""


@pytest.mark.parametrize("who", ["giver", "taker"])
def test_whoever_drops_a_transfer_hears_no_more_of_it(both: Both, who: str) -> None:
    both.take()
    both.give(offset=both.begun())
    both.run(0.05)
    one, other = (both.giver, both.taker) if who == "giver" else (both.taker, both.giver)
    had = list(one.news)
    one.lane.carry(DropBulk(ID))
    both.run(5)
    assert one.news == had
    assert other.news[-1] == Failed(BulkEnd.DROPPED)
    assert (one.lane._transfers, other.lane._transfers) == ({}, {})


def test_resets_one_after_another_end_what_was_asked_for_and_no_more(both: Both) -> None:
    """Each costs the peer a grant, and grants come from us alone."""
    for number in range(40):
        both.take(transfer=bytes([number]) * 32, place=f"{both.place}{number}")
        both.run(0.2)
        stream = both.giver.connection.open_bulk()
        both.giver.connection.send_bulk(stream, frame_bytes(BulkHead(bytes([number]) * 32, 0, len(BODY)).encoded()))
        both.run(0.2)
        both.giver.connection.end_bulk(stream, 2**40)
        both.run(0.2)
    assert set(map(tuple, both.taker.of.values())) == {(Begun(0), Failed(BulkEnd.DROPPED))}
    assert both.taker.host.closed == []
    assert (both.taker.lane._streams, both.taker.lane._heads) == ({}, {})
    assert len(both.taker.connection._quic._streams) == 1


def test_what_a_full_store_did_not_take_is_told_again(both: Both) -> None:
    """The core never misses the last word."""
    both.take()
    both.give(offset=both.begun())
    both.taker.store_fails = 3
    both.run()
    assert sorted(map(repr, both.taker.news)) == ["Begun(offset=0)", "Kept()", "Verified()"]


def test_a_connection_that_is_gone_already_is_told(both: Both) -> None:
    both.taker.connection.close()
    both.run(2)
    both.take()
    both.give()
    assert both.taker.news == [Failed(BulkEnd.GONE)]
