"""Between endpoint and core: bytes, closings and dials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.core.kernel.effects import Connect, Hangup, Proven, Transmit
from p2p_agents.core.turn.batch import Outcome
from p2p_agents.errors import StoreFull, Usage
from p2p_agents.limits import INBOUND_QUEUE_BYTES
from p2p_agents.link.routing import Dial, Target
from p2p_agents.node.lines import Lines
from p2p_agents.quic.connection import Closed
from p2p_agents.wire.frame import Data, Open

if TYPE_CHECKING:
    from collections.abc import Callable

NODE = Target(b"n" * 32)
GONE = Closed(0, "bye", by_peer=True, kind="closed")


@dataclass
class Wire:
    """A connection that records what is asked of it."""

    id: int
    dialed: bool = False
    address: tuple[str, int] = ("192.0.2.7", 4433)
    server_key: bytes = b"k" * 32
    sent: list[bytes] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self, code: int = 0, reason: str = "") -> None:
        self.closed.append(reason)


class Queue:
    """A writer that holds what it is given until told to continue."""

    def __init__(self) -> None:
        self.held: list[tuple[Callable[[Any], Any], Callable[[Outcome], None] | None]] = []

    def submit(self, item: Callable[[Any], Any], done: Callable[[Outcome], None] | None = None) -> None:
        self.held.append((item, done))

    later = submit

    def settle(self, outcome: Outcome | None = None) -> None:
        """Everything held was done, with this outcome."""
        held, self.held = self.held, []
        for _, done in held:
            if done is not None:
                done(outcome or Outcome())


class Phone:
    """An endpoint whose dials are numbered wires; `forbidden` hosts cannot be dialled."""

    def __init__(self) -> None:
        self.dialled: list[tuple[Wire, bytes | None]] = []
        self.forbidden: set[str] = set()

    def dial(self, address: tuple[str, int], *, pin: bytes | None = None) -> Wire:
        if address[0] in self.forbidden:
            raise Usage("no such family")
        wire = Wire(100 + len(self.dialled), dialed=True, address=address)
        self.dialled.append((wire, pin))
        return wire


class Lane:
    """Notes which connections ended."""

    def __init__(self) -> None:
        self.ended: list[int] = []

    def closed(self, connection: int) -> None:
        self.ended.append(connection)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def lines(queue: Queue) -> Lines:
    made = Lines(queue)
    made.endpoint, made.lane = Phone(), Lane()
    return made


def test_bytes_for_a_connection_leave_on_it_and_no_other(lines: Lines) -> None:
    one, two = Wire(1), Wire(2)
    lines.connected(one)
    lines.connected(two)
    lines.carry(Transmit(1, b"hello"))
    assert (one.sent, two.sent) == ([b"hello"], [])


def test_what_is_for_a_connection_that_ended_is_dropped(lines: Lines) -> None:
    wire = Wire(1)
    lines.connected(wire)
    lines.closed(wire, GONE)
    lines.carry(Transmit(1, b"late"))
    lines.carry(Hangup(1, "late"))
    assert (wire.sent, wire.closed) == ([], [])


def frame(kind: int, size: int) -> bytes:
    """One frame as in the stream, `size` bytes in all, of which only the head is genuine."""
    return (size - 4).to_bytes(4, "big") + bytes((0x83, kind)) + bytes(size - 6)


def test_a_peer_that_outruns_the_writer_is_cut_off(lines: Lines, queue: Queue) -> None:
    """C1: what waits for the writer is bounded, per connection, a contact's too."""
    wire, patient = Wire(1), Wire(2)
    for each in (wire, patient):
        lines.connected(each)
        lines.carry(Proven(each.id))
    lines.received(wire, frame(Data.TYPE, INBOUND_QUEUE_BYTES))
    assert wire.closed == []
    lines.received(wire, frame(Data.TYPE, 64))
    lines.received(patient, frame(Data.TYPE, 64))
    assert (wire.closed, patient.closed) == (["flood"], [])


def test_bytes_that_were_taken_make_room(lines: Lines, queue: Queue) -> None:
    wire = Wire(1)
    lines.connected(wire)
    lines.carry(Proven(1))
    for _ in range(5):
        lines.received(wire, frame(Data.TYPE, INBOUND_QUEUE_BYTES))
        queue.settle()
    assert wire.closed == []


def test_a_flood_is_cut_off_before_the_writer_has_any_of_it(lines: Lines, queue: Queue) -> None:
    """C1: 1.7 MB of OPENs that waited for the writer silenced a node for 93 s."""
    wire = Wire(1)
    lines.connected(wire)
    queue.held.clear()
    lines.received(wire, frame(Open.TYPE, 300) * 5_000)
    assert (wire.closed, queue.held) == (["flood"], [])


def test_bytes_that_could_not_be_worked_off_end_the_connection(lines: Lines, queue: Queue) -> None:
    """B1: the next connection heals a hole in the stream."""
    wire = Wire(1)
    lines.connected(wire)
    lines.received(wire, b"hello")
    queue.settle(Outcome(error=StoreFull()))
    assert "store_full" in wire.closed


def test_an_outcome_after_the_end_is_of_no_interest(lines: Lines, queue: Queue) -> None:
    wire = Wire(1)
    lines.connected(wire)
    lines.received(wire, b"hello")
    lines.closed(wire, GONE)
    queue.settle(Outcome(error=StoreFull()))
    assert wire.closed == []


def test_every_address_is_dialled_with_the_pin(lines: Lines) -> None:
    lines.carry(Connect(Dial(NODE, ("192.0.2.1:1", "[2001:db8::1]:2"))))
    assert [(wire.address, pin) for wire, pin in lines.endpoint.dialled] == [
        (("192.0.2.1", 1), NODE.node),
        (("2001:db8::1", 2), NODE.node),
    ]


def test_a_bare_place_is_dialled_without_a_pin(lines: Lines) -> None:
    lines.carry(Connect(Dial(Target(b"", "192.0.2.1:1"), ("192.0.2.1:1",))))
    assert [pin for _, pin in lines.endpoint.dialled] == [None]


def test_the_end_of_every_dial_is_told_whatever_it_was(lines: Lines, queue: Queue) -> None:
    """Otherwise a target would count as being dialed for ever."""

    class Router:
        ended = 0

        def dialed(self, target: Target) -> None:
            assert target == NODE
            self.ended += 1

    class Core:
        router = Router()

    lines.endpoint.forbidden.add("2001:db8::1")
    lines.carry(Connect(Dial(NODE, ("192.0.2.1:1", "[2001:db8::1]:2"))))
    (wire, _), *_ = lines.endpoint.dialled
    lines.closed(wire, Closed(0, "nobody", by_peer=False, kind="timeout"))
    for item, _ in queue.held:
        item(Core)
    assert Core.router.ended == 2
