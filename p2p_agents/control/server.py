"""The node's side of the control socket: parse, bound, validate, hand to the service, answer."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import stat
from typing import TYPE_CHECKING, Any, Protocol

import p2p_agents
from p2p_agents import errors, limits
from p2p_agents.control import methods
from p2p_agents.control.answers import PIECE_BYTES, Budget, pieces, size
from p2p_agents.control.peer import is_own_user
from p2p_agents.control.wire import decode_line, encode_error, encode_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from p2p_agents.paths import Home

log = logging.getLogger(__name__)

FLUSH_S = 1.0  # a stopping node waits this long for clients to read their answers
PENDING_BYTES = PIECE_BYTES  # unsent answers above this pause streams and pages until the client reads
PAGE_MOST = (
    limits.PAGE_BYTES + limits.BODY_BYTES
)  # of an answer that is a page: it ends with the body that passes its bound
PAGES_AT_ONCE = 4  # of one connection: a client that asks and never reads cannot fill memory
BACKLOG = limits.CONTROL_CLIENTS  # clients that may connect at once
CLIENTS_LEAST = 16  # served whatever the limit of open files


class Service(Protocol):
    """The methods behind the socket. Parameters come validated and complete; a P2PError travels to the client."""

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]: ...

    def stream(self, method: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]: ...


class ControlServer:
    """Listens on the home's socket, 0600; its directory is 0700. The caller holds the home's lock."""

    def __init__(self, service: Service, home: Home) -> None:
        self.service = service
        self.path = home.socket
        self.connections: set[Connection] = set()
        self.budget = Budget(limits.ANSWERS_BYTES)
        self.begun_bytes = 0  # of lines that are not finished
        self.most = _most_clients()
        self._server: asyncio.Server | None = None
        self._inode = 0
        self.is_quiet = False

    async def start(self) -> None:
        """Replace a stale socket and listen. Raises NodeUnreachable where the path cannot be bound."""
        try:
            listener = _bind(self.path)
        except OSError as error:
            raise errors.NodeUnreachable(f"cannot listen on {self.path}: {error.strerror}") from error
        self._inode = os.stat(self.path).st_ino
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Connection(self), sock=listener, backlog=BACKLOG)

    def quiesce(self) -> None:
        """Accept no more clients, remove the socket, cancel running calls; clients stay until `stop` hangs up."""
        if self._server is None or self.is_quiet:
            return
        self.is_quiet = True
        _unlink(self.path, self._inode)
        self._server.close()
        for connection in self.connections:
            connection.cancel()

    async def stop(self, goodbye: str | None = None) -> None:
        """Flush the answers, say goodbye and hang up: a client that sees the end knows that the node is done."""
        self.quiesce()
        leaving = list(self.connections)
        last = encode_line({"goodbye": goodbye}) if goodbye else b""
        ends = [end for connection in leaving for end in connection.close(last)]
        if ends:
            await asyncio.wait(ends, timeout=FLUSH_S)
        for connection in leaving:
            connection.drop()


class Connection(asyncio.Protocol):
    """One client. Its calls run concurrently and are cancelled when it goes."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._line = bytearray()
        self._calls: set[asyncio.Task[None]] = set()
        self._silence: asyncio.TimerHandle | None = None  # runs while a line is unfinished
        self._stalled: asyncio.TimerHandle | None = None  # runs while the client does not read
        self._closed = self._loop.create_future()
        self._unsent: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._pages = asyncio.Semaphore(PAGES_AT_ONCE)
        self._pen = asyncio.Lock()  # of who writes a line in pieces

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not is_own_user(transport.get_extra_info("socket")):
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(high=PENDING_BYTES)
        transport.write(encode_line({"node": p2p_agents.__version__, "protocol": methods.PROTOCOL, "pid": os.getpid()}))
        self._server.connections.add(self)
        if len(self._server.connections) > self._server.most:
            self._refuse(errors.Busy(f"the node serves at most {self._server.most} clients at once"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        self._server.begun_bytes -= len(self._line)
        self._line.clear()
        self._closed.set_result(None)
        self._writable.set()
        for timer in (self._silence, self._stalled):
            if timer is not None:
                timer.cancel()
        for task in self._calls:
            task.cancel()

    def cancel(self) -> None:
        for task in self._calls:
            task.cancel()

    def close(self, last: bytes = b"") -> list[asyncio.Future[None]]:
        """Flush, hang up, and cancel running calls; returns what to wait for."""
        self.cancel()
        self._flush(last)
        if self._transport is not None:
            self._transport.close()
        return [self._closed, *self._calls]

    def drop(self) -> None:
        """Hang up at once; unsent answers are lost."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        first, *more = data.split(b"\n")
        begun = len(self._line)
        self._line += first
        if more:
            self._request(self._line)
            self._finish_line()
            self._line = bytearray(more.pop())
            for line in more:
                self._request(line)
        self._server.begun_bytes += len(self._line) - begun
        if len(self._line) > limits.CONTROL_LINE_BYTES:
            self._refuse(errors.BadParams(f"a line has at most {limits.CONTROL_LINE_BYTES} bytes"))
        elif self._server.begun_bytes > limits.CONTROL_LINES_BYTES:
            self._refuse(errors.Busy("too many clients have begun long requests"))
        self._expect_rest()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._stalled = self._loop.call_later(limits.CONTROL_SILENCE_S, self.drop)

    def resume_writing(self) -> None:
        self._writable.set()
        if self._stalled is not None:
            self._stalled.cancel()

    def _request(self, line: bytes | bytearray) -> None:
        """Start one call. A line that is not a request is answered and ends the connection."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            if len(line) > limits.CONTROL_LINE_BYTES:
                raise errors.BadParams(f"a line has at most {limits.CONTROL_LINE_BYTES} bytes")
            request = decode_line(bytes(line))
            number = request.get("id")
            if type(number) is not int or not 0 <= number <= limits.INT_MAX:
                raise errors.BadParams("a request needs an id, a number not below 0")
        except errors.BadParams as error:
            self._refuse(error)
            return
        if self._server.is_quiet:  # no answer: the client asks the next node, once this one hangs up
            return
        if len(self._calls) >= limits.CONTROL_CALLS:
            full = errors.Busy(f"a connection has at most {limits.CONTROL_CALLS} unanswered requests")
            self._answer_error(number, full)
            return
        task = self._loop.create_task(self._serve(number, request))  # the set below holds it
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _serve(self, number: int, request: dict[str, Any]) -> None:
        name = request.get("method")
        try:
            params = methods.validate(name, request.get("params", {}))  # type: ignore[arg-type]  # it refuses others
            known = methods.METHODS[str(name)]
            if known.streams:
                await self._stream(number, known.name, params)
            elif known.paged:
                async with self._pages, self._server.budget.held(PAGE_MOST) as held:
                    page = await self._server.service.call(known.name, params)
                    held.settle(size(page))
                    await self._write_page(number, page)
            else:
                await self._give(number, await self._server.service.call(known.name, params))
        except errors.P2PError as error:
            self._answer_error(number, error)
        except Exception:
            log.exception("%s failed", name if name in methods.METHODS else "a control call")
            self._answer_error(number, errors.Bug())

    async def _give(self, number: int, result: dict[str, Any]) -> None:
        """A result whose size was not known before: a page that was waited for, or a small one."""
        if "messages" in result:
            async with self._server.budget.held(size(result)):
                await self._write_page(number, result)
        else:
            self._answer({"id": number, "ok": True, "result": result})
            await self._writable.wait()

    async def _write_page(self, number: int, page: dict[str, Any]) -> None:
        """One line, a piece at a time; other lines wait for its end. A line that cannot be finished ends the client."""
        async with self._pen:
            try:
                for piece in pieces(number, page):
                    if self._transport is not None:
                        self._transport.write(piece)
                    await self._writable.wait()
            except asyncio.CancelledError:
                self.drop()
                raise
        self._flush()

    async def _stream(self, number: int, name: str, params: dict[str, Any]) -> None:
        events = self._server.service.stream(name, params)
        try:
            async for event in events:
                self._answer({"id": number, "event": event})
                await self._writable.wait()
        finally:
            await _aclose(events)
        self._answer({"id": number, "ok": True, "result": {}})

    def _answer(self, answer: dict[str, Any]) -> None:
        line = encode_line(answer)
        if len(line) > limits.CONTROL_ANSWER_BYTES:
            raise errors.TooLarge(
                f"the answer has {len(line)} bytes; at most {limits.CONTROL_ANSWER_BYTES} are sent",
                hint="ask for fewer messages at once: --limit",
            )
        self._send(line)

    def _send(self, line: bytes) -> None:
        """At once if it answers the only call; else with everything that this turn of the loop answers."""
        if len(self._calls) > 1 or self._pen.locked():
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(line)
        else:
            self._flush(line)

    def _flush(self, last: bytes = b"") -> None:
        if self._pen.locked():  # a line is being written: this comes after it
            self._unsent += [last] if last else []
            return
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join((*self._unsent, last)))
        self._unsent.clear()

    def _answer_error(self, number: int | None, error: errors.P2PError) -> None:
        self._answer({"id": number, "ok": False, "error": encode_error(error)})

    def _refuse(self, error: errors.P2PError) -> None:
        self._answer_error(None, error)
        self._flush()
        if self._transport is not None:
            self._transport.close()
            self._loop.call_later(limits.CONTROL_SILENCE_S, self.drop)  # flushed or not

    def _expect_rest(self) -> None:
        """A started line must be finished in time; the clock runs from its first byte."""
        if self._line and self._silence is None:
            self._silence = self._loop.call_later(limits.CONTROL_SILENCE_S, self.drop)

    def _finish_line(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def _most_clients() -> int:
    """As many as we want to serve, or as open files allow."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    spare = limits.CONTROL_CLIENTS if files == resource.RLIM_INFINITY else files - limits.FILES
    return min(limits.CONTROL_CLIENTS, max(CLIENTS_LEAST, spare))


def _aclose(events: AsyncIterator[dict[str, Any]]) -> Coroutine[Any, Any, None]:
    """Close an async generator; other iterators have nothing to close."""
    close = getattr(events, "aclose", None)
    return close() if close is not None else asyncio.sleep(0)


def _bind(path: str) -> socket.socket:
    """A listening socket at `path`, never reachable by others even for a moment."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path) and stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _unlink(path: str, inode: int) -> None:
    """Remove the socket, unless another has taken its place."""
    try:
        if os.stat(path).st_ino == inode:
            os.unlink(path)
    except FileNotFoundError:
        log.info("the control socket was removed already")
