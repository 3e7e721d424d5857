from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import pytest

import p2p_agents
from p2p_agents import errors, exits, limits
from p2p_agents.control import client as client_module
from p2p_agents.control import peer
from p2p_agents.control.client import Client
from p2p_agents.control.methods import METHODS, Method
from p2p_agents.paths import Home
from tests.control.fake import FakeService, Served, make_home, message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)


def sample(method: Method) -> dict[str, Any]:
    """Parameters that the method takes: its required ones."""
    return {
        param.name: param.choices[0] if param.choices else "/" + "x" * 8 for param in method.params if param.required
    }


def is_patient(method: Method, given: dict[str, Any]) -> bool:
    """Whether these parameters are the method's, and it may take longer with them than any call."""
    known = given.keys() <= {param.name for param in method.params}
    return known and not method.streams and method.waits(given) + method.works_s > 0


SENT = {"id": "m1", "cursor": "c1", "state": "queued", "duplicate": False, "key": "k", "to": "bob"}


def test_a_call_brings_the_result(home: Home) -> None:
    with Served(FakeService(agents={"agents": []}), home), Client(home, start=False) as client:
        assert client.call("agents") == {"agents": []}
        assert client.call("agents", {}) == {"agents": []}


def test_an_error_comes_as_its_own_class_with_its_details(home: Home) -> None:
    refused = errors.WaitTimeout("nothing came", cursor="c7")
    with (
        Served(FakeService(wait=refused), home),
        Client(home, start=False) as client,
        pytest.raises(errors.WaitTimeout, match="nothing came") as caught,
    ):
        client.call("wait", {"timeout": 0})
    assert caught.value.details == {"cursor": "c7"}


def test_absent_and_none_are_the_same_to_the_node(home: Home) -> None:
    service = FakeService(inbox={"messages": [], "cursor": "0", "more": False})
    with Served(service, home), Client(home, start=False) as client:
        client.call("inbox", {"after": None})
    wanted = {"agent": None, "after": None, "limit": 50, "reader": "default", "new_reader": False}
    assert service.calls == [("inbox", wanted)]


def test_a_send_gets_a_key_that_every_error_names(home: Home) -> None:
    """B10: the client makes a key when none is given and names it in every error."""
    service = FakeService(send=errors.StoreFull())
    with (
        Served(service, home),
        Client(home, start=False) as client,
        pytest.raises(errors.StoreFull) as caught,
    ):
        client.send({"to": "bob", "text": "hi"})
    key = service.calls[0][1]["id"]
    assert len(key) == 32
    assert caught.value.details["key"] == key


def test_a_send_whose_answer_is_lost_is_repeated_under_its_key(home: Home) -> None:
    """B10: the client reuses the key when it reconnects."""
    service = FakeService()
    with Served(service, home) as node, Client(home, start=False) as client:
        service.answers["send"] = losing(node, SENT)
        assert client.send({"to": "bob", "text": "hi"}) == SENT
    first, second = (params for _, params in service.calls)
    assert first == second
    assert first["id"]


def test_a_wait_survives_a_lost_node_with_the_time_that_is_left(home: Home) -> None:
    """H1: waits reconnect with their cursor."""
    service = FakeService()
    with Served(service, home) as node, Client(home, start=False) as client:
        service.answers["wait"] = losing(node, {"messages": [message(2)], "cursor": "c2"})
        assert client.call("wait", {"after": "c1", "timeout": 60})["cursor"] == "c2"
    again = service.calls[1][1]
    assert again["after"] == "c1"
    assert 0 < again["timeout"] <= 60


def test_a_watch_survives_a_lost_node_from_its_last_cursor(home: Home) -> None:
    """H1: waits reconnect with their cursor."""
    starts: list[str | None] = []

    async def events(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        starts.append(params["after"])
        number = len(starts)
        yield {"type": "ready", "cursor": params["after"] or "0"}
        yield {"type": "message", "message": message(number)}
        if number == 1:
            node.lose()
        await asyncio.Event().wait()

    with Served(FakeService(watch=events), home) as node, Client(home, start=False) as client:
        seen = client.stream("watch")
        assert next(seen) == {"type": "ready", "cursor": "0"}
        assert [next(seen)["message"]["cursor"] for _ in range(2)] == ["c1", "c2"]
        seen.close()  # type: ignore[attr-defined]  # a generator
    assert starts == [None, "c1"]


def test_a_follower_ends_with_a_node_that_was_stopped(home: Home) -> None:
    """H1: what somebody stopped on purpose is not started again by one who only looks."""
    with Served(FakeService(watch=quiet), home) as node, Client(home, start=True) as client:
        seen = client.stream("watch")
        next(seen)
        node.leave("stopping")
        with pytest.raises(errors.NodeUnreachable, match="the node was stopped") as ended:
            next(seen)
    assert ended.value.exit == 7


@pytest.mark.parametrize("method", ["wait", "send"])
def test_a_wait_ends_with_a_node_that_was_stopped(home: Home, method: str) -> None:
    async def leave(params: dict[str, Any]) -> dict[str, Any]:
        node.leave("stopping")
        await asyncio.Event().wait()
        return {}

    params = {"timeout": 60.0} | ({"to": "bob", "text": "hi", "id": "k", "wait": "read"} if method == "send" else {})
    with (
        Served(FakeService(**{method: leave}), home) as node,
        Client(home, start=True) as client,
        pytest.raises(errors.NodeUnreachable, match="the node was stopped"),
    ):
        client.call(method, params)


def test_a_follower_goes_on_with_the_node_that_replaces_its_own(home: Home) -> None:
    """H1: a newer command replaces an older node."""
    with Served(FakeService(watch=quiet), home) as old, Client(home, start=False) as client:
        seen = client.stream("watch")
        next(seen)
        newer = FakeService(watch=lambda params: quiet(params, message(1)))
        with Served(newer, home):
            old.leave("replaced")
            assert next(seen)["message"]["cursor"] == "c1"
            seen.close()  # type: ignore[attr-defined]  # a generator


async def quiet(params: dict[str, Any], *messages: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "ready", "cursor": params["after"] or "0"}
    for item in messages:
        yield {"type": "message", "message": item}
    await asyncio.Event().wait()


NOT_REPEATED = sorted(method.name for method in METHODS.values() if not method.may_repeat({}))


@pytest.mark.parametrize("method", NOT_REPEATED)
def test_what_would_do_it_twice_is_not_repeated(home: Home, method: str) -> None:
    service = FakeService()
    with Served(service, home) as node, Client(home, start=False) as client:
        service.answers[method] = losing(node, {})
        with pytest.raises(errors.NodeUnreachable, match="went away before it answered"):
            client.call(method, sample(METHODS[method]))
    assert len(service.calls) == 1


PATIENT = [(m.name, given) for m in METHODS.values() for given in ({}, {"wait": "read"}) if is_patient(m, given)]


@pytest.mark.parametrize(("method", "given"), PATIENT)
def test_a_method_that_may_take_longer_is_given_its_time(
    home: Home, monkeypatch: pytest.MonkeyPatch, method: str, given: dict[str, Any]
) -> None:
    """Whatever waits, as its timeout says, is waited for: it answers here only once the time of any call is over."""
    late, described = asyncio.Event(), client_module.described

    def look_up(name: str) -> Method:
        node.call_soon(late.set)
        return described(name)

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        await late.wait()
        return {"it": "took its time"}

    monkeypatch.setattr(limits, "CALL_S", 0.05)
    monkeypatch.setattr(client_module, "described", look_up)
    timeout = {"timeout": 45} if METHODS[method].waits(given) else {}
    with Served(FakeService(**{method: answer}), home) as node, Client(home, start=False) as client:
        assert client.call(method, sample(METHODS[method]) | timeout | given) == {"it": "took its time"}


def test_a_method_that_waits_is_not_waited_for_without_end(home: Home) -> None:
    async def never(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with (
        Served(FakeService(**{"pair.link": never}), home),
        Client(home, start=False) as client,
        pytest.raises(errors.NodeUnreachable, match="does not answer in time"),
    ):
        client.call("pair.link", {"code": "x", "timeout": 0.05}, timeout=0.05)


def test_a_node_lost_at_every_try_is_given_up(home: Home) -> None:
    service = FakeService()

    async def lose(params: dict[str, Any]) -> dict[str, Any]:
        node.lose()
        await asyncio.Event().wait()
        return {}

    service.answers["agents"] = lose
    with (
        Served(service, home) as node,
        Client(home, start=False) as client,
        pytest.raises(errors.NodeUnreachable, match="again and again"),
    ):
        client.call("agents")
    assert len(service.calls) == client_module.RECONNECTS + 1


def test_without_a_node_and_forbidden_to_start_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2P_AGENTS_NO_START", "1")
    with pytest.raises(errors.NodeUnreachable, match="no node runs for") as caught:
        Client(home).call("agents")
    assert caught.value.exit == exits.NODE


def test_a_node_that_does_not_answer_in_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with (
        Served(FakeService(agents=never), home),
        Client(home, start=False) as client,
        pytest.raises(errors.NodeUnreachable, match="does not answer in time"),
    ):
        client.call("agents", timeout=0.05)


def test_what_cannot_fit_a_line_is_refused_here(home: Home) -> None:
    with Client(home, start=False) as client, pytest.raises(errors.TooLarge):
        client.send({"to": "bob", "text": "x" * limits.CONTROL_LINE_BYTES})


# --- nodes of other releases ------------------------------------------------------------------------------


def greeting(version: str, protocol: object = 1) -> bytes:
    return json.dumps({"node": version, "protocol": protocol, "pid": 1}).encode() + b"\n"


@pytest.fixture
def listener(home: Home) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(home.socket)
        listening.listen()
        yield listening


def serve_once(listener: socket.socket, script: Callable[[socket.socket], None]) -> threading.Thread:
    """One hand-made node: accepts one client and follows the script."""

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            script(accepted)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("hello", "kind"),
    [
        (greeting("99.0.0", 2), errors.NodeTooNew),
        (greeting("0.0.1", 0), errors.NodeTooOld),
        (greeting("0.1.0", "one"), errors.NodeUnreachable),
        (b'{"hello": "world"}\n', errors.NodeUnreachable),
    ],
)
def test_a_stranger_or_another_protocol_is_refused(
    home: Home, listener: socket.socket, hello: bytes, kind: type[errors.P2PError]
) -> None:
    thread = serve_once(listener, lambda accepted: accepted.sendall(hello))
    with Client(home, start=False) as client, pytest.raises(kind):
        client.call("agents")
    thread.join()


def test_a_newer_node_of_this_protocol_serves_an_older_command(home: Home, listener: socket.socket) -> None:
    """H1: a newer command replaces an older node, never the reverse."""

    def script(accepted: socket.socket) -> None:
        accepted.sendall(greeting("99.0.0"))
        request = json.loads(accepted.makefile().readline())
        assert request["method"] == "agents"
        accepted.sendall(b'{"id": 1, "ok": true, "result": {"agents": []}}\n')

    thread = serve_once(listener, script)
    with Client(home, start=True) as client:
        assert client.call("agents") == {"agents": []}
    thread.join()


def test_an_older_node_is_stopped_and_this_release_started(
    home: Home, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H1: a newer command replaces an older node."""
    stopped = threading.Event()

    def older(accepted: socket.socket) -> None:
        accepted.sendall(greeting("0.0.1"))
        request = json.loads(accepted.makefile().readline())
        assert request["method"] == "node.stop"
        accepted.sendall(b'{"id": 2, "ok": true, "result": {"stopping": true}}\n')
        os.unlink(home.socket)
        stopped.set()

    newer = Served(FakeService(agents={"agents": ["new"]}), home)

    def start(_self: object) -> None:
        assert stopped.is_set()
        newer.__enter__()

    monkeypatch.setattr("p2p_agents.control.start.NodeStart.wait", start)
    thread = serve_once(listener, older)
    with Client(home, start=True) as client:
        assert client.call("agents") == {"agents": ["new"]}
    thread.join()
    newer.__exit__()


def test_an_older_node_that_stays_is_told(home: Home, listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NODE_STOP_S", 0.05)
    done = threading.Event()

    def script(accepted: socket.socket) -> None:
        accepted.sendall(greeting("0.0.1"))
        done.wait(5)

    thread = serve_once(listener, script)
    with Client(home, start=True) as client, pytest.raises(errors.NodeTooOld, match="does not stop"):
        client.call("agents")
    done.set()
    thread.join()


def test_releases_are_compared_as_numbers() -> None:
    assert client_module._release("0.10.0") > client_module._release("0.9.3")
    assert client_module._release("0.1.0.dev3") == client_module._release("0.1.0")
    assert client_module._release(None) < client_module._release(p2p_agents.__version__)


def losing(node: Served, answer: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """An answer that is lost with the node the first time it is asked for."""
    asked = 0

    async def reply(params: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked == 1:
            node.lose()
            await asyncio.Event().wait()
        return answer

    return reply


class Trap:
    """A listener in the place of the node, which greets as one and keeps what it is told."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self.heard = b""
        self.met = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed: nobody else comes
            while True:
                client, _ = self._listener.accept()
                self.met.set()
                with client:
                    client.sendall(b'{"node": "99.0.0", "protocol": 1, "pid": 1}\n')
                    self.heard += client.makefile("rb").readline()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def place() -> Iterator[Home]:
    """A home whose socket has a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        home = Home({"P2P_AGENTS_HOME": f"{directory}/home", "XDG_RUNTIME_DIR": directory})
        home.create()
        yield home


@pytest.fixture
def trap(place: Home) -> Iterator[Trap]:
    listener = Trap(place.socket)
    yield listener
    listener.close()


def test_another_user_in_the_place_of_the_node_is_told_nothing(
    place: Home, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, codes and passphrases go to a process of this user, as the kernel says, or nowhere."""
    monkeypatch.setattr(peer, "peer_uid", lambda connected: os.getuid() + 1)
    with Client(place, start=True) as client, pytest.raises(errors.UnsafeHome, match="another user's program"):
        client.send({"to": "bob", "text": "the passphrase"})
    assert trap.met.wait(10)
    trap.close()
    assert trap.heard == b""


def test_a_socket_in_another_users_directory_is_not_even_knocked_at(
    place: Home, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: os.stat(place.path).st_uid + 1)
    with Client(place, start=True) as client, pytest.raises(errors.UnsafeHome, match="not a directory of this user"):
        client.call("pair.join", {"code": "coral-fiddle-7q2mx"})
    trap.close()
    assert not trap.met.is_set()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o701])
def test_a_socket_in_a_directory_that_others_enter_is_not_even_knocked_at(place: Home, trap: Trap, mode: int) -> None:
    directory = os.path.dirname(place.socket)
    before = os.stat(directory).st_mode
    try:
        os.chmod(directory, mode)
        with Client(place, start=True) as client, pytest.raises(errors.UnsafeHome, match="it must be 0700"):
            client.call("agents")
    finally:
        os.chmod(directory, before)
    trap.close()
    assert not trap.met.is_set()
