"""Full, read-only, damaged and foreign disks: the stable code, nothing half-written, and normal operation
afterwards."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p_agents import errors
from p2p_agents.crypto.fingerprint import parse_id
from tests.disks import mounted
from tests.system.harness import NODE, PATIENCE_S, Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.harness import Node, World

DISK_MB = 6  # a new store takes about one


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of DISK_MB, if the machine lets a test mount one."""
    with mounted(tmp_path / "disk", DISK_MB) as place:
        yield place


def fill(place: Path) -> Path:
    """Take every last byte."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = 2**20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    return ballast


def test_a_full_disk_refuses_and_recovers(world: World, small_disk: Path) -> None:
    """A6: what was refused never happened; what was accepted arrives; the same node continues once there is space."""
    alice = world.agent("alice", home=small_disk / "home")
    bob = world.agent("bob")
    alice.meets(bob)
    ballast = fill(small_disk)
    accepted, refused = [], None
    for number in range(40):
        answer = alice.node.cli("send", "bob", "-", "--id", f"key-{number}", stdin=b"%d " % number + b"x" * 100_000)
        if answer.status:
            refused = answer
            break
        accepted.append(number)
    assert refused is not None
    assert (refused.status, refused.code) == (1, "store_full")
    assert refused.json["error"]["retryable"] is True
    assert refused.json["error"]["hint"]
    ballast.unlink()
    again = alice.node.cli("send", "bob", "there is room", "--id", f"key-{len(accepted)}", "--wait", "delivered")
    assert again.status == 0, again
    assert again.json["duplicate"] is False
    arrived = [text.split(" ")[0] for text in bob.everything()[1:-1]]
    assert arrived == [str(number) for number in accepted]
    assert bob.everything()[-1] == "there is room"


def test_reading_works_on_a_full_disk(world: World, small_disk: Path) -> None:
    """What is there is read; only what must be written is refused, and read marks wait until there is room."""
    alice = world.agent("alice", home=small_disk / "home")
    bob = world.agent("bob")
    alice.meets(bob)
    bob.send(alice, "hello", wait="delivered", timeout=20)
    ballast = fill(small_disk)
    refused = None
    for number in range(40):
        refused = refused or alice.cli("send", "bob", "x" * 100_000, "--id", f"{number}").status
    assert refused
    assert [message["text"] for message in alice.cli("inbox").json["messages"]] == ["yes", "hello"]
    found = alice.cli("history", "bob", "--limit", "200")
    assert found.status == 0, found
    (hello,) = [message for message in found.json["messages"] if message["text"] == "hello"]
    assert alice.cli("show", hello["id"]).json["message"]["text"] == "hello"
    ballast.unlink()
    assert len(alice.cli("inbox").json["messages"]) == 2
    assert alice.cli("ack").json["acked"] == 2
    assert "Traceback" not in "".join(alice.node.process.lines if alice.node.process else [])


@pytest.mark.parametrize("words", [("inbox",), ("peers",), ("doctor",), ("inbox", "--json")])
def test_a_device_that_takes_no_output_is_said_in_a_line(stopped: Agent, words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            stopped.node.command("-m", "p2p_agents", *words),
            env=stopped.node.environ | {"P2P_AGENTS_NO_START": "1"},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["p2p-agents: the answer cannot be written: No space left on device"]


def test_a_recipient_whose_disk_is_full_takes_it_later(world: World, small_disk: Path) -> None:
    """B3: never delivered before it is kept; kept once there is space, and once."""
    alice = world.agent("alice")
    bob = world.agent("bob", home=small_disk / "home")
    alice.meets(bob)
    ballast = fill(small_disk)
    keys = [alice.send(bob, f"{number} " + "x" * 100_000)["key"] for number in range(8)]
    with pytest.raises(errors.SendUnconfirmed):
        alice.send(bob, "the last", wait="delivered", timeout=2)
    ballast.unlink()
    alice.send(bob, "and now", wait="delivered", timeout=40)
    heads = [text.split(" ")[0] for text in bob.everything()[1:]]
    assert heads == [*map(str, range(len(keys))), "the", "and"]


def test_a_disk_without_room_for_a_store_is_said_at_start(world: World, small_disk: Path) -> None:
    node = world.node("alice", home=small_disk / "home")
    ballast = fill(small_disk)
    refused = node.cli("init", "alice")
    assert refused.status in (1, 7), refused
    assert refused.code in ("store_full", "unsafe_home", "node_unreachable")
    ballast.unlink()
    assert node.cli("init", "alice").status == 0


def remount(place: Path, how: str, *inside: str) -> None:
    subprocess.run([*inside, "mount", "-o", f"remount,{how}", str(place)], check=True)


@contextmanager
def read_only(place: Path, agent: Agent) -> Iterator[None]:
    """Nothing can be written there, inside; then it can be again, also where the agent's node sees its own mounts."""
    remount(place, "ro")
    try:
        yield
    finally:
        remount(place, "rw")
    remount(place, "rw", "nsenter", "-m", "-t", str(agent.node.cli("node", "status").json["pid"]))


def reads(alice: Agent, code: str) -> None:
    """Every command that reads answers and says that the node only reads; what must write is refused by `code`."""
    inbox = alice.cli("inbox").json
    assert [message["text"] for message in inbox["messages"]] == ["yes", "hello"]
    assert inbox["reads_only"]
    history = alice.cli("history", "bob").json
    assert [message["text"] for message in history["messages"]][-1] == "hello"
    hello = history["messages"][-1]["id"]
    assert alice.cli("show", hello).json["message"]["text"] == "hello"
    assert [peer["name"] for peer in alice.cli("peers").json["peers"]] == ["bob"]
    assert [agent["name"] for agent in alice.node.cli("agents").json["agents"]] == ["alice"]
    assert alice.cli("whoami", "--json").json["reads_only"]
    assert [message["text"] for message in alice.cli("search", "hello").json["messages"]] == ["hello"]
    for words in (("send", "bob", "now"), ("ack",), ("wait", "--timeout", "1"), ("init", "carol")):
        refused = alice.node.cli(*words)
        assert (refused.status, refused.code) == (1, code), (words, refused)
        assert refused.json["error"]["hint"]
    told = alice.cli("inbox", "--text")
    assert told.err.count("the node only reads") == 1
    (node,) = [check for check in alice.node.cli("doctor").json["checks"] if check["name"] == "node"]
    assert node["ok"] is False
    assert "only reads" in node["detail"]


def writes_again(alice: Agent, bob: Agent) -> None:
    """The node that only read continues normally by itself."""
    pid = alice.node.cli("node", "status").json["pid"]
    deadline = time.monotonic() + PATIENCE_S
    while "reads_only" in (status := alice.node.cli("node", "status").json):
        assert time.monotonic() < deadline
    assert status["pid"] == pid
    alice.send(bob, "back", wait="delivered", timeout=40)
    assert alice.cli("ack").status == 0


@pytest.fixture
def written(world: World, small_disk: Path, tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    """Two agents; the first was written to, has searched once, and its node has stopped."""
    node = world.node("alice", home=small_disk / "home")
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    node.environ["XDG_RUNTIME_DIR"] = str(runtime)
    node.start()
    alice = node.agent("alice")
    bob = world.agent("bob")
    alice.meets(bob)
    bob.send(alice, "hello", wait="delivered", timeout=20)
    assert alice.cli("search", "hello").json["messages"]
    assert node.stop() == 0
    yield alice, bob
    node.cli("node", "stop")


def test_a_node_that_starts_on_a_read_only_disk_reads(written: tuple[Agent, Agent], small_disk: Path) -> None:
    """Its clean end left no WAL: nothing can be made there, and nothing is needed."""
    with read_only(small_disk, written[0]):
        reads(written[0], "store_read_only")
    writes_again(*written)


def test_a_node_reads_on_a_read_only_disk_that_holds_no_lock_file(
    written: tuple[Agent, Agent], small_disk: Path
) -> None:
    """As one that was copied there. Once the disk takes something, no second node starts beside the first."""
    alice, bob = written
    Path(alice.node.home.lock).unlink()
    with read_only(small_disk, alice):
        reads(alice, "store_read_only")
    refused = subprocess.run(alice.node.command(*NODE), env=alice.node.environ, capture_output=True, check=False)
    assert b"another node runs" in refused.stderr
    writes_again(alice, bob)


@pytest.mark.parametrize("index", ["there", "missing", "stale"])
def test_a_node_that_was_killed_reads_on_a_read_only_disk(
    written: tuple[Agent, Agent], small_disk: Path, index: str
) -> None:
    """What only its WAL holds is read too, all of it, whatever the state of the WAL's index."""
    alice, bob = written
    alice.node.start()
    bob.send(alice, "last words", wait="delivered", timeout=40)
    alice.node.kill()
    shared = Path(f"{alice.node.home.store}-shm")
    if index == "missing":
        shared.unlink()
    elif index == "stale":
        shared.write_bytes(bytes(32768))
    with read_only(small_disk, alice):
        assert [message["text"] for message in alice.cli("inbox").json["messages"]][-1] == "last words"
        assert alice.cli("send", "bob", "now").code == "store_read_only"
    writes_again(alice, bob)


def test_a_node_that_starts_on_a_full_disk_reads(written: tuple[Agent, Agent], small_disk: Path) -> None:
    ballast = fill(small_disk)
    reads(written[0], "store_full")
    ballast.unlink()
    writes_again(*written)


# --- stores that are not ours to open ---


@pytest.fixture
def stopped(world: World) -> Agent:
    """An agent whose node has been stopped."""
    alice = world.agent("alice")
    assert alice.node.stop() == 0
    return alice


def refuses(node: Node, kind: type[errors.P2PError]) -> None:
    """The command gets the node's own reason, again and again, and leaves no process."""
    for _ in range(2):
        answer = node.cli("inbox")
        assert (answer.status, answer.code) == (kind.exit, kind.code), answer
        assert answer.json["error"]["hint"]
        assert node.background() is None


def test_a_store_of_a_newer_release(stopped: Agent) -> None:
    """H1: an unknown schema is refused and not touched."""
    store = sqlite3.connect(stopped.node.home.store)
    store.execute("PRAGMA user_version = 999")
    store.close()
    before = Path(stopped.node.home.store).read_bytes()
    refuses(stopped.node, errors.StoreNewer)
    assert Path(stopped.node.home.store).read_bytes() == before


def test_a_store_that_is_none(stopped: Agent) -> None:
    for leftover in ("-wal", "-shm"):
        Path(stopped.node.home.store + leftover).unlink(missing_ok=True)
    Path(stopped.node.home.store).write_bytes(b"this is a letter, not a database\n" * 400)
    refuses(stopped.node, errors.StoreBroken)


def test_a_store_whose_pages_are_garbage(stopped: Agent) -> None:
    for leftover in ("-wal", "-shm"):
        Path(stopped.node.home.store + leftover).unlink(missing_ok=True)
    with open(stopped.node.home.store, "r+b") as file:
        size = os.path.getsize(stopped.node.home.store)
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    refuses(stopped.node, errors.StoreBroken)


def test_a_missing_key_file(world: World) -> None:
    """It says whose, and how it comes back; others of the node are not concerned."""
    alice = world.agent("alice")
    bob = alice.node.agent("bob")
    assert alice.node.stop() == 0
    (key,) = (key for key in Path(alice.node.home.keys).glob("*.key") if key.stat().st_size > 100 and is_of(alice, key))
    kept = key.read_bytes()
    key.unlink()
    answer = alice.cli("inbox")
    assert (answer.status, answer.code) == (errors.KeysBroken.exit, "keys_broken")
    assert "alice" in answer.json["error"]["message"]
    assert "backup import" in answer.json["error"]["hint"]
    assert bob.cli("inbox").status == 0
    (check,) = [check for check in alice.node.cli("doctor", "--json").json["checks"] if check["name"] == "keys"]
    assert check["ok"] is False
    assert alice.node.cli("node", "stop").status == 0
    key.write_bytes(kept)
    assert alice.cli("inbox").status == 0


def is_of(agent: Agent, key: Path) -> bool:
    return parse_id(agent.id).hex() == key.stem


@pytest.mark.parametrize("free_kib", [0, 4, 8, 12])
def test_a_rotation_with_hardly_any_room(world: World, small_disk: Path, free_kib: int) -> None:
    """A6: it is done or refused, and the node starts again either way."""
    alice = world.agent("alice", home=small_disk / "home")
    ballast = fill(small_disk)
    os.truncate(ballast, ballast.stat().st_size - free_kib * 1024)
    rotated = alice.cli("identity", "rotate")
    alice.node.kill()
    ballast.unlink()
    alice.node.start()
    entries = alice.cli("identity", "show").json["entries"]
    assert ("rotate" in [entry["kind"] for entry in entries]) is (rotated.status == 0)
    assert alice.cli("identity", "rotate").status == 0


# --- who may read ---


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777])
def test_a_home_open_to_others_is_refused(stopped: Agent, mode: int) -> None:
    stopped.node.path.chmod(mode)
    answer = stopped.node.cli("inbox")
    assert (answer.status, answer.code) == (1, "unsafe_home")
    assert "chmod 700" in answer.json["error"]["hint"]
    stopped.node.path.chmod(0o700)
    assert stopped.node.cli("inbox").status == 0


def test_a_home_that_is_a_file(world: World) -> None:
    node = world.node("alice")
    node.path.write_text("in the way")
    answer = node.cli("inbox")
    assert answer.status == 1, answer
    assert answer.code in ("unsafe_home", "node_unreachable")
    assert "Traceback" not in answer.err


WATCHED = """
import os, stat, sys
os.umask(0)
found = []

def check(event, args):
    if event == "open" and isinstance(args[0], str) and args[0].startswith({home!r}):
        found.append(args[0])
    for path in found:
        try:
            mode = stat.S_IMODE(os.lstat(path).st_mode)
        except OSError:
            continue
        if mode & 0o077:
            os.write(2, b"OPEN TO OTHERS " + os.fsencode(path) + b"\\n")

sys.addaudithook(check)
sys.argv = ["p2p_agents.node", "run", "--foreground"]
import runpy
runpy.run_module("p2p_agents.node", run_name="__main__", alter_sys=True)
"""


def test_files_are_private_from_their_first_byte(world: World) -> None:
    """Under umask 0 nothing the node makes is ever open to others: looked at on every audit event, and at the end."""
    node = world.node("alice")
    process = node.start(["-c", WATCHED.format(home=str(node.path))])
    alice = node.agent("alice")
    assert alice.call("inbox")["messages"] == []
    for path in [node.path, *node.path.rglob("*"), Path(node.home.socket)]:
        found = path.lstat()
        assert stat.S_IMODE(found.st_mode) == (0o700 if stat.S_ISDIR(found.st_mode) else 0o600), path
    assert node.stop() == 0
    process.end()
    assert [line for line in process.lines if "OPEN TO OTHERS" in line] == []


def test_a_command_under_umask_zero_makes_a_private_home(world: World) -> None:
    """The background node inherits the umask and must not follow it."""
    node = world.node("alice")
    program = "import os, sys; from p2p_agents.cli.main import main; os.umask(0); sys.exit(main(['init', 'alice']))"
    done = subprocess.run(
        [*node.command("-c", program)], env=node.environ, capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done
    assert node.cli("node", "stop").status == 0
    for path in [node.path, *node.path.rglob("*")]:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def test_two_nodes_never_share_a_home(world: World) -> None:
    """H1: the second one says so and leaves."""
    alice = world.agent("alice")
    second = subprocess.run(
        alice.node.command(*NODE), env=alice.node.environ, capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert second.returncode == errors.AlreadyRunning.exit
    assert b"another node" in second.stderr
    assert alice.call("whoami")["agent"]["id"] == alice.id
