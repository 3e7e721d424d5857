"""The lane: transfers between files and bulk streams, in the loop's thread; files are read and written in others.

    to take:  Part opened, Begun ── granted ── stream, head ── bytes ► thread ► consumed … Verified, kept, Kept
    to give:  Source opened ── stream, head ── read ► sent, as there is room … Given

One step of a transfer is in a thread at a time. What a peer sends beyond that waits in its stream's window.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, assert_never

from p2p_agents.core.delivery import bulk
from p2p_agents.core.kernel.effects import DropBulk, GiveBulk, TakeBulk
from p2p_agents.errors import EnvironmentFault, Malformed
from p2p_agents.limits import BULK_HEAD_BYTES, BULK_STALL_BYTES, BULK_STALL_S, BULK_STREAMS
from p2p_agents.node.parts import BadPiece, Part, Source
from p2p_agents.quic.connection import BulkGranted, BulkReceived, BulkRoom, BulkSent, BulkStopped
from p2p_agents.wire.bulk import BulkEnd, BulkHead, bulk_end
from p2p_agents.wire.framing import PREFIX_BYTES, Framer, frame_bytes

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from p2p_agents.core.kernel.effects import ForLane
    from p2p_agents.core.turn.batch import Outcome
    from p2p_agents.node.writer import Writer
    from p2p_agents.quic.connection import BulkEvent, Connection

    Run = Callable[..., "asyncio.Future[Any]"]  # a step, off the loop

log = logging.getLogger(__name__)

THREADS = 2  # one transfer that waits for a disk does not hold up another
TELL_AGAIN_S = 1.0  # the store took nothing: so long until it is tried again


class _Transfer:
    """What taking and giving have in common. `left` is what is still to come or go."""

    def __init__(self, effect: TakeBulk | GiveBulk, connection: Connection) -> None:
        self.id, self.connection, self.size = effect.transfer, connection, effect.size
        self.stream: int | None = None
        self.file: Part | Source
        self.is_busy = False  # a step of it is in a thread
        self.is_over = False
        self.left = effect.size
        self.looked = effect.size  # what was left when it was last looked whether it moves
        self.timer: asyncio.TimerHandle | None = None


class _Taking(_Transfer):
    def __init__(self, effect: TakeBulk, connection: Connection) -> None:
        super().__init__(effect, connection)
        self.file: Part = Part(effect.place, effect.size, effect.pieces)
        self.is_awaited = False  # the peer may open a stream for it
        self.waiting: list[bytes] = []  # for the thread: a window at most


class _Giving(_Transfer):
    def __init__(self, effect: GiveBulk, connection: Connection) -> None:
        super().__init__(effect, connection)
        self.file: Source = Source(effect.place, effect.offset, effect.size)
        self.offset = effect.offset
        self.left = self.looked = effect.size - effect.offset
        self.is_ready = False  # for a stream, of which it has none
        self.has_room = True
        self.next: bytes | None = None  # read and not sent yet


class Lane:
    """Carries out the core's effects for large bodies. `find` gives the connection of a number, if it lives."""

    def __init__(
        self,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
        find: Callable[[int], Connection | None],
        run: Run | None = None,
    ) -> None:
        self._writer, self._loop, self._find = writer, loop, find
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lane")
        self._run = run or self._in_thread
        self._transfers: dict[bytes, _Taking | _Giving] = {}
        self._queued: dict[bytes, TakeBulk] = {}  # until others of the connection are through
        self._streams: dict[tuple[int, int], _Taking | _Giving] = {}
        self._heads: dict[tuple[int, int], Framer] = {}  # of streams that have not said what they are for

    # --- from the core ---

    def carry(self, effect: ForLane) -> None:
        match effect:
            case TakeBulk():
                self._queued[effect.transfer] = effect
                self._take_next()
            case GiveBulk():
                self._give(effect)
            case DropBulk(transfer):
                self._queued.pop(transfer, None)
                if (found := self._transfers.get(transfer)) is not None:
                    self._end(found, BulkEnd.DROPPED)
            case _:
                assert_never(effect)

    async def close(self) -> None:
        """Nothing more is carried or told; returns once no thread is at work."""
        self._queued.clear()
        for transfer in list(self._transfers.values()):
            self._end(transfer, BulkEnd.DROPPED)
        await self._loop.run_in_executor(None, self._threads.shutdown)

    # --- from the endpoint ---

    def carried(self, connection: Connection, event: BulkEvent) -> None:
        match event:
            case BulkReceived():
                self._received(connection, event)
            case BulkGranted():
                self._open_streams(connection)
            case BulkStopped(stream, code):
                self._stopped(connection, stream, bulk_end(code))
            case BulkRoom(stream):
                self._go_on(self._streams.get((connection.id, stream)))
            case BulkSent(stream):
                giving = self._streams.get((connection.id, stream))
                if giving is not None:
                    self._finish(giving, bulk.Given())
            case _:
                assert_never(event)

    def _stopped(self, connection: Connection, stream: int, why: BulkEnd) -> None:
        transfer = self._streams.get((connection.id, stream))
        if transfer is not None:
            self._fail(transfer, why)
        elif self._heads.pop((connection.id, stream), None) is not None:
            self._grant(connection)

    def closed(self, connection: int) -> None:
        """It ended, and every transfer on it."""
        for transfer in [one for one in self._transfers.values() if one.connection.id == connection]:
            self._fail(transfer, BulkEnd.GONE)
        for number, effect in list(self._queued.items()):
            if effect.connection == connection:
                del self._queued[number]
                self._tell(number, bulk.Failed(BulkEnd.GONE))
        for at in [at for at in self._heads if at[0] == connection]:
            del self._heads[at]

    # --- taking ---

    def _take_next(self) -> None:
        """Begin what there is a stream for."""
        for number, effect in list(self._queued.items()):
            connection = self._find(effect.connection)
            if connection is None:
                del self._queued[number]
                self._tell(number, bulk.Failed(BulkEnd.GONE))
            elif sum(1 for _ in self._taken(effect.connection)) < BULK_STREAMS:
                del self._queued[number]
                taking = _Taking(effect, connection)
                self._transfers[number] = taking
                self._step(taking, taking.file.open, self._begun)

    def _begun(self, taking: _Taking, offset: int) -> None:
        taking.left = taking.looked = taking.size - offset
        if not taking.left:  # a kill came between its last byte and its name
            self._verified(taking)
            return
        self._watch(taking)
        taking.is_awaited = True
        self._grant(taking.connection)
        self._tell(taking.id, bulk.Begun(offset))

    def _grant(self, connection: Connection) -> None:
        """A stream for each transfer that has none: also in place of one that was for nothing we want."""
        connection.grant_bulk(sum(1 for one in self._taken(connection.id) if one.is_awaited))

    def _taken(self, connection: int) -> Iterator[_Taking]:
        for one in self._transfers.values():
            if isinstance(one, _Taking) and one.connection.id == connection:
                yield one

    def _received(self, connection: Connection, event: BulkReceived) -> None:
        at, data = (connection.id, event.stream), event.data
        taking = self._streams.get(at)
        if taking is None:
            taking, data = self._head(connection, event)
        if not isinstance(taking, _Taking):
            return
        if len(data) > taking.left or (event.end and len(data) < taking.left):
            self._fail(taking, BulkEnd.MALFORMED)
            return
        taking.left -= len(data)
        taking.waiting.append(data)
        self._write_on(taking)

    def _head(self, connection: Connection, event: BulkReceived) -> tuple[_Taking | _Giving | None, bytes]:
        """The transfer that a new stream is for, and what of the event is of its body. None while that is open, and
        for nothing that is wanted here: such a stream is ended."""
        at = connection.id, event.stream
        framer = self._heads.setdefault(at, Framer(BULK_HEAD_BYTES))
        try:
            payloads = framer.feed_one(event.data)
            if payloads is None:
                if event.end:
                    raise Malformed("a stream ended inside of its head")
                return None, b""
            head = BulkHead.read(payloads[0])
        except Malformed:
            self._refuse(connection, event.stream, BulkEnd.MALFORMED)
            return None, b""
        taking = self._transfers.get(head.transfer)
        if not isinstance(taking, _Taking) or taking.connection is not connection or not taking.is_awaited:
            self._refuse(connection, event.stream, BulkEnd.UNKNOWN)
            return None, b""
        del self._heads[at]
        self._streams[at], taking.stream, taking.is_awaited = taking, event.stream, False
        if (head.size, head.offset) != (taking.size, taking.size - taking.left):
            self._fail(taking, BulkEnd.MALFORMED)
            return None, b""
        connection.consumed(event.stream, PREFIX_BYTES + len(payloads[0]))
        return taking, payloads[1]

    def _refuse(self, connection: Connection, stream: int, why: BulkEnd) -> None:
        self._heads.pop((connection.id, stream), None)
        connection.end_bulk(stream, why)
        self._grant(connection)

    def _write_on(self, taking: _Taking) -> None:
        if taking.is_busy or not taking.waiting:
            return
        data, taking.waiting = b"".join(taking.waiting), []
        self._step(taking, lambda: taking.file.write(data), lambda taking, _: self._written(taking, len(data)))

    def _written(self, taking: _Taking, count: int) -> None:
        assert taking.stream is not None
        taking.connection.consumed(taking.stream, count)
        if taking.left or taking.waiting:
            self._write_on(taking)
        else:
            self._verified(taking)

    def _verified(self, taking: _Taking) -> None:
        self._tell(taking.id, bulk.Verified())
        self._step(taking, taking.file.keep, lambda taking, _: self._finish(taking, bulk.Kept()))

    # --- giving ---

    def _give(self, effect: GiveBulk) -> None:
        connection = self._find(effect.connection)
        if connection is None:
            self._tell(effect.transfer, bulk.Failed(BulkEnd.GONE))
            return
        giving = _Giving(effect, connection)
        self._transfers[giving.id] = giving
        self._step(giving, giving.file.open, self._opened)

    def _opened(self, giving: _Giving, _: None) -> None:
        self._watch(giving)
        giving.is_ready = True
        self._open_streams(giving.connection)

    def _open_streams(self, connection: Connection) -> None:
        """For those that are ready, as many as the peer has granted."""
        for giving in self._transfers.values():
            if isinstance(giving, _Giving) and giving.connection is connection and giving.is_ready:
                giving.stream = connection.open_bulk()
                if giving.stream is None:
                    return
                giving.is_ready = False
                self._begin(giving, giving.stream)

    def _begin(self, giving: _Giving, stream: int) -> None:
        self._streams[giving.connection.id, stream] = giving
        head = BulkHead(giving.id, giving.offset, giving.size)
        giving.connection.send_bulk(stream, frame_bytes(head.encoded()))
        self._give_on(giving)

    def _go_on(self, giving: _Taking | _Giving | None) -> None:
        if isinstance(giving, _Giving):
            giving.has_room = True
            self._give_on(giving)

    def _give_on(self, giving: _Giving) -> None:
        """Send what was read if there is room, and read what is next meanwhile."""
        if giving.next is not None and giving.has_room:
            assert giving.stream is not None
            data, giving.next, giving.has_room = giving.next, None, False
            giving.left -= len(data)
            giving.connection.send_bulk(giving.stream, data, end=not giving.left)
        if giving.next is None and not giving.is_busy and not giving.file.at_end:
            self._step(giving, giving.file.read, self._read)

    def _read(self, giving: _Giving, data: bytes) -> None:
        giving.next = data
        self._give_on(giving)

    # --- both ---

    def _in_thread(self, step: Callable[[], Any]) -> asyncio.Future[Any]:
        return self._loop.run_in_executor(self._threads, step)

    def _step(self, transfer: Any, step: Callable[[], Any], done: Callable[[Any, Any], None]) -> None:
        """One thing with its file, in a thread; `done` goes on with what it returned, unless it is over meanwhile."""
        transfer.is_busy = True

        def back(future: asyncio.Future[Any]) -> None:
            transfer.is_busy = False
            fault = future.exception()
            if transfer.is_over:
                transfer.file.close()
            elif fault is None:
                done(transfer, future.result())
            else:
                self._fail(transfer, _why(transfer, fault))

        self._run(step).add_done_callback(back)

    def _watch(self, transfer: _Taking | _Giving) -> None:
        """One that hardly moves ends: a window held open for ever would cost a stream and a file."""
        transfer.timer = self._loop.call_later(BULK_STALL_S, self._look, transfer)

    def _look(self, transfer: _Taking | _Giving) -> None:
        left = transfer.left
        if isinstance(transfer, _Giving) and transfer.stream is not None:
            left += transfer.connection.bulk_backlog(transfer.stream)
        if left and transfer.looked - left < min(BULK_STALL_BYTES, transfer.looked):
            self._fail(transfer, BulkEnd.STALLED)
            return
        transfer.looked = left
        self._watch(transfer)

    def _fail(self, transfer: _Taking | _Giving, why: BulkEnd) -> None:
        log.info("transfer %s failed: %s", transfer.id.hex()[:12], why.name.lower())
        self._end(transfer, why)
        self._tell(transfer.id, bulk.Failed(why))

    def _finish(self, transfer: _Taking | _Giving, told: bulk.News) -> None:
        self._end(transfer, None)
        self._tell(transfer.id, told)

    def _end(self, transfer: _Taking | _Giving, why: BulkEnd | None) -> None:
        """Let go of its stream, its file and its place; without a reason its stream has ended by itself."""
        transfer.is_over = True
        if transfer.timer is not None:
            transfer.timer.cancel()
        if not transfer.is_busy:
            transfer.file.close()
        del self._transfers[transfer.id]
        if transfer.stream is not None:
            self._streams.pop((transfer.connection.id, transfer.stream), None)
            if why not in (None, BulkEnd.GONE):
                transfer.connection.end_bulk(transfer.stream, why)
        self._take_next()

    def _tell(self, transfer: bytes, told: bulk.News) -> None:
        def done(outcome: Outcome) -> None:
            if isinstance(outcome.error, EnvironmentFault):  # nobody has heard it
                self._loop.call_later(TELL_AGAIN_S, self._tell, transfer, told)

        self._writer.submit(lambda core: bulk.news(core, transfer, told), done)


def _why(transfer: _Taking | _Giving, fault: BaseException) -> BulkEnd:
    """Raises what is no fault of a file."""
    if isinstance(fault, BadPiece):
        return BulkEnd.BAD
    if not isinstance(fault, OSError):
        raise fault
    log.warning("transfer %s: %s", transfer.id.hex()[:12], fault)
    return BulkEnd.FULL if isinstance(transfer, _Taking) else BulkEnd.MISSING
