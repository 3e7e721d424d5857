"""`p2p-bridge` as a process: killed, stopped, out of disk, used by its operator, and its output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bridge.main import main
from bridge.sizes import show_key
from p2p_agents import __version__
from p2p_agents.wire.bridge_address import BridgeAddress, parse_bridge
from p2p_agents.wire.relay_answers import Done, Fail, Refusal
from p2p_agents.wire.relay_requests import Put
from tests.bridge.client import Client, Queue, by_quic, by_web, key_of, met
from tests.bridge.serving import in_loop
from tests.bridge.test_http import get
from tests.disks import mounted

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
DISK_MB = 112  # the reserve, twice SQLite's log of changes, and some more
QUEUE = Queue("for bob")


class Process:
    """A running bridge; `address` is what it said first."""

    def __init__(self, data: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            command("run", "--json", "--host", "127.0.0.1", "--port", "0", "--data", str(data), *options),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self.address: BridgeAddress = parse_bridge(self.ready["address"])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status and all it logged."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, log.decode()


Start = Callable[..., Process]


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("P2P_BRIDGE_")}
    return plain | {"PYTHONPATH": str(ROOT)} | more


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bridge", *words]


def ask(*words: str, status: int = 0, **more: str) -> dict[str, Any]:
    """The one line that a command answers."""
    done = subprocess.run(
        command(*words), cwd=ROOT, env=environment(**more), capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == status, done
    assert b"Traceback" not in done.stderr
    [line] = done.stdout.splitlines()
    answer: dict[str, Any] = json.loads(line)
    assert answer["ok"] is (status == 0)
    return answer


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def started(data: Path, *options: str) -> Process:
            process = Process(data, *options)
            stack.callback(process.end, signal.SIGKILL)
            return process

        yield started


async def everything(bob: Client, queue: Queue) -> list[bytes]:
    """All that the queue holds, acknowledged as it comes; it ends with b"end"."""
    found: list[bytes] = []
    while not found or found[-1] != b"end":
        blobs = await bob.blobs(queue, 1)
        found += [blob for _, blob in blobs]
        await bob.ack(queue, blobs[-1][0])
    return found


# --- ends ---


@in_loop
async def test_a_kill_in_mid_flow_loses_nothing_that_was_done(tmp_path: Path, start: Start) -> None:
    """A6: nobody is told before the commit it depends on."""
    bridge = start(tmp_path)
    alice = await by_quic(bridge.address)
    await alice.knock(bridge.address.key)
    await alice.login("alice")
    await alice.create(QUEUE)
    for number in range(1_000, 3_000):
        alice.say(Put(number, QUEUE.name, QUEUE.token, b"%d" % number))
    await alice.answer(1_300)
    bridge.process.kill()
    bridge.process.wait(PATIENCE_S)
    await alice.close()
    done = [message.request for message in alice.said if isinstance(message, Done)] + [1_300]
    again = start(tmp_path)
    async with met(await by_quic(again.address), again.address) as bob:
        assert again.address.key == bridge.address.key
        await bob.put(QUEUE, b"end")
        await bob.read(QUEUE)
        found = await everything(bob, QUEUE)
    assert set(found) >= {b"%d" % number for number in done}
    assert found[:-1] == sorted(found[:-1], key=int)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@in_loop
async def test_a_stop_is_clean_and_says_so(tmp_path: Path, start: Start, number: int) -> None:
    bridge = start(tmp_path)
    async with (
        met(await by_quic(bridge.address), bridge.address, "bob") as bob,
        met(await by_web(bridge.address), bridge.address) as alice,
    ):
        await bob.create(QUEUE)
        bridge.process.send_signal(number)
        assert {(await bob.notice()).code, (await alice.notice()).code} == {Refusal.RESTARTING}
        assert await bob.gone() == await alice.gone() == "the bridge restarts"
    status, log = await asyncio.to_thread(bridge.end)  # a second signal, wherever its end has come to
    assert status == 0
    assert "Traceback" not in log
    assert "ERROR" not in log


@in_loop
async def test_addresses_are_logged_only_when_asked_for(tmp_path: Path, start: Start) -> None:
    for options, logged in (((), False), (("--log-addresses",), True)):
        bridge = start(tmp_path, *options)
        for way in (by_quic, by_web):
            async with met(await way(bridge.address), bridge.address, "bob") as bob:
                bob.transport.send(b"\xff" * 10)
                await bob.gone()
        _, log = await asyncio.to_thread(bridge.end)
        assert ("127.0.0.1" in log) is logged


@in_loop
async def test_a_second_bridge_on_the_same_data_says_so(tmp_path: Path, start: Start) -> None:
    """H1: the second one says so and leaves."""
    start(tmp_path)
    refused = await asyncio.to_thread(ask, "run", "--port", "0", "--data", str(tmp_path), status=5)
    assert refused["error"]["code"] == "already_running"


# --- disk ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of DISK_MB, if the machine lets a test mount one."""
    with mounted(tmp_path / "disk", DISK_MB) as place:
        yield place


@in_loop
async def test_a_disk_full_of_blobs_refuses_more_until_some_are_acknowledged(small_disk: Path, start: Start) -> None:
    """A6: what was refused never happened; the reserve is what acknowledging needs."""
    bridge = start(small_disk / "data", "--queue-size", "1G", "--disk-reserve", "40M")
    async with met(await by_web(bridge.address), bridge.address, "bob") as bob:
        await bob.create(QUEUE)
        stored: list[int] = []
        while isinstance(answer := await bob.put(QUEUE, bytes(500_000)), Done):
            stored.append(answer.cursor)
            assert len(stored) < 1_000
        assert answer.code == Refusal.FULL
        assert answer.retry_ms > 0
        await bob.read(QUEUE)
        taken: list[int] = []
        while len(taken) < len(stored):
            blobs = await bob.blobs(QUEUE, 1)
            taken += [cursor for cursor, _ in blobs]
            assert isinstance(await bob.ack(QUEUE, taken[-1]), Done)
        assert taken == stored
        assert isinstance(await bob.put(QUEUE, b"there is room"), Done)
        assert [blob for _, blob in await bob.blobs(QUEUE, 1)] == [b"there is room"]
    status, log = await asyncio.to_thread(bridge.end)
    assert status == 0
    assert "Traceback" not in log


@in_loop
async def test_a_disk_that_others_fill_refuses_and_recovers(small_disk: Path, start: Start) -> None:
    """To the last byte: nothing can be stored, not even an acknowledgement; nobody is told otherwise."""
    bridge = start(small_disk / "data", "--disk-reserve", "0")
    async with met(await by_quic(bridge.address), bridge.address, "bob") as bob:
        await bob.create(QUEUE)
        first = await bob.put(QUEUE, b"before")
        ballast = await asyncio.to_thread(fill, small_disk)
        answers = [await bob.put(QUEUE, b"%d" % number + bytes(100_000)) for number in range(20)]
        assert isinstance(answers[-1], Fail)
        assert answers[-1].code == Refusal.FULL
        ballast.unlink()
        assert isinstance(await bob.put(QUEUE, b"end"), Done)
        await bob.read(QUEUE)
        found = await everything(bob, QUEUE)
        kept = [b"%d" % n + bytes(100_000) for n, answer in enumerate(answers) if isinstance(answer, Done)]
        assert isinstance(first, Done)
        assert found == [b"before", *kept, b"end"]


def fill(place: Path) -> Path:
    """Take every last byte."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = 2**22
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    return ballast


# --- files ---


@in_loop
async def test_files_are_private(tmp_path: Path, start: Start) -> None:
    data = tmp_path / "data"
    os.umask(0)
    bridge = start(data)
    async with met(await by_web(bridge.address), bridge.address, "bob") as bob:
        await bob.create(QUEUE)
        for path in (data, *data.iterdir()):
            found = path.stat()
            assert stat.S_IMODE(found.st_mode) == (0o700 if stat.S_ISDIR(found.st_mode) else 0o600), path


# --- the operator ---


@in_loop
async def test_an_operator_looks_admits_and_purges_beside_a_running_bridge(tmp_path: Path, start: Start) -> None:
    data, account = ("--data", str(tmp_path)), show_key(key_of("account alice").public)
    bridge = start(tmp_path, "--admission", "list")

    def operate(*words: str, status: int = 0) -> Any:
        return asyncio.to_thread(ask, *words, *data, status=status)

    async with met(await by_quic(bridge.address), bridge.address) as alice:
        assert (await alice.login("alice")).code == Refusal.ADMISSION
        await operate("allow", "add", account, "--label", "alice")
        assert [one["label"] for one in (await operate("allow", "list"))["accounts"]] == ["alice"]
        assert isinstance(await alice.login("alice"), Done)
        await alice.create(QUEUE)
        await alice.put(QUEUE, bytes(5_000))
        found = await operate("stats")
        assert (found["queues"], found["blobs"], found["bytes"], found["accounts"]) == (1, 1, 5_000, 1)
        assert [one["account"] for one in found["largest"]] == [account]
        assert found["networks"] == []  # who is on the list is counted by no network
        await operate("backup", str(tmp_path / "copy.db"))
        assert (await operate("backup", str(tmp_path / "copy.db"), status=2))["error"]["code"] == "usage"
        assert (await operate("purge", account))["blobs"] == 1
        assert (await operate("purge", account, status=3))["error"]["code"] == "account_unknown"
        assert (await alice.put(QUEUE, b"x")) == Fail(4 + 1, Refusal.GONE)
        await operate("allow", "remove", account)
        assert (await operate("allow", "remove", account, status=3))["error"]["code"] == "account_unknown"
        checks = {check["name"]: check for check in (await operate("doctor"))["checks"]}
        assert checks["store"]["ok"] is True
        assert "a bridge runs" in checks["data"]["detail"]


@in_loop
async def test_an_operator_finds_what_a_network_holds_without_reading_addresses(tmp_path: Path, start: Start) -> None:
    data = ("--data", str(tmp_path))
    bridge = start(tmp_path, "--no-tls", "--trusted-proxy", "127.0.0.1")
    address, before = bridge.address, [("X-Forwarded-For", "2001:db8::9")]
    async with met(await by_web(address, tls=False, headers=before), address, "alice") as alice:
        assert isinstance(await alice.create(QUEUE), Done)
        assert isinstance(await alice.put(QUEUE, bytes(5_000)), Done)
    found = await asyncio.to_thread(ask, "stats", *data)
    (one,) = found["networks"]
    assert (one["accounts"], one["queues"], one["bytes"]) == (1, 1, 5_000)
    assert "2001" not in json.dumps(found)
    asked = await asyncio.to_thread(ask, "stats", "--network", "2001:db8::1234", *data)
    assert asked == {"ok": True, "network": "2001:db8::/64", **one}
    other = await asyncio.to_thread(ask, "stats", "--network", "203.0.113.9", *data)
    assert (other["accounts"], other["tag"] == one["tag"]) == (0, False)
    for words in (("--network", "127.0.0.1"), ("--network", "example.org")):
        assert (await asyncio.to_thread(ask, "stats", *words, *data, status=2))["error"]["code"] == "usage"


def test_tokens_by_their_ids(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    made = ask("token", "create", "--label", "team", "--accounts", "3", *data)
    assert len(made["token"]) == 32
    [listed] = ask("token", "list", *data)["tokens"]
    assert (listed["id"], listed["label"], listed["accounts"], listed["used"]) == (made["id"], "team", 3, 0)
    assert made["token"] not in json.dumps(listed)
    assert ask("token", "revoke", made["id"], *data)["revoked"] is True
    assert ask("token", "revoke", made["id"], *data, status=3)["error"]["code"] == "token_unknown"
    other = ask("token", "create", *data)
    assert ask("token", "revoke", other["token"], *data)["revoked"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--port", "70000"), "70000"),
        (("run", "--queue-size", "much"), "'much'"),
        (("run", "--queue-size", "1K"), "at least one blob"),
        (("run", "--work-bits", "40"), "0 to 28 bits"),
        (("run", "--cert", "chain.pem"), "go together"),
        (("run", "--admission", "everybody"), "everybody"),
        (("run", "--kept-days", "0"), "0"),
        (("run", "--public-host", "https://bridge.example.org"), "https://bridge.example.org"),
        (("run", "--public-host", "bridge.example.org:443"), "bridge.example.org:443"),
        (("run", "--host", "localhost"), "localhost"),
        (("run", "--trusted-proxy", "0.0.0.0/0"), "believe everybody"),
        (("run", "--trusted-proxy", "proxy.example.org"), "'proxy.example.org'"),
        (("allow", "add", "nobody"), "'nobody'"),
        (("token", "create", "--label", "x" * 65), "64"),
        (("dance",), "dance"),
    ],
)
def test_what_cannot_be_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setenv("P2P_BRIDGE_DATA", str(tmp_path))
    assert main(list(words)) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "usage"
    assert said in error["message"]
    assert error["hint"]


EXTRAS = ("redis", "hiredis", "PIL", "zxingcpp", "cv2", "yaml", "hypothesis", "pytest")
PLAIN = f"""import sys
for extra in {EXTRAS}:
    sys.modules[extra] = None  # as where nothing but p2p-agents is installed
from bridge.main import main
sys.exit(main(sys.argv[1:]))"""


def plain(*words: str) -> list[str]:
    return [sys.executable, "-c", PLAIN, *words]


async def errand(address: BridgeAddress) -> None:
    """Both ways in, and the figures."""
    for way in (by_quic(address), by_web(address, tls=False)):
        async with met(await way, address, "bob") as bob:
            assert isinstance(await bob.create(QUEUE), Done)
            assert isinstance(await bob.put(QUEUE, b"x"), Done)
    status, _, body = await get(address, "/metrics")
    assert (status, b"p2p_bridge_queues" in body) == (200, True)


def test_a_plain_installation_runs_a_bridge(tmp_path: Path) -> None:
    words = plain("run", "--json", "--no-tls", "--host", "127.0.0.1", "--port", "0", "--data", str(tmp_path))
    with subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            asyncio.run(errand(parse_bridge(json.loads(process.stdout.readline())["address"])))
        finally:
            process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_without_its_extra_a_shared_store_says_what_to_install(tmp_path: Path) -> None:
    words = plain("run", "--port", "0", "--data", str(tmp_path), "--store", "redis://127.0.0.1:1/0")
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, check=False, timeout=PATIENCE_S)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (1, "redis_missing")
    assert "p2p-agents[redis]" in error["hint"]


def test_the_environment_says_it_too(tmp_path: Path) -> None:
    refused = ask("run", status=2, P2P_BRIDGE_DATA=str(tmp_path), P2P_BRIDGE_PORT="70000")
    assert "P2P_BRIDGE_PORT" in refused["error"]["message"]
    assert "P2P_BRIDGE_NO_TLS" in ask("run", status=2, P2P_BRIDGE_NO_TLS="perhaps")["error"]["message"]
    assert ask("stats", status=1, P2P_BRIDGE_DATA=str(tmp_path / "nowhere"))["error"]["code"] == "bridge_data"


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused = ask("run", "--port", "0", "--data", str(tmp_path / "file"), status=1)
    assert refused["error"]["code"] == "store_read_only"
    checks = ask("doctor", "--data", str(tmp_path / "nowhere"), "--port", "59999")["checks"]
    assert [check["name"] for check in checks if check["ok"] is False] == []


@pytest.mark.parametrize("words", [[], ["--help"], ["run", "--help"], ["token", "--help"], ["backup", "-h"]])
def test_help_shows_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "Examples:\n  p2p-bridge " in capsys.readouterr().out.replace("\n    ", "\n  ")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
