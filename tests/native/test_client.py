"""The native client does what the Python command does, or leaves it to that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2p_agents import errors, limits
from p2p_agents.cli import face, fast
from p2p_agents.control.client import stopped
from p2p_agents.control.wire import decode_line, encode_error, encode_line
from p2p_agents.paths import Home
from tests.cli.world import make_world
from tests.control.fake import Served, make_home, message
from tests.native.made import HANDED_OVER, NOTE, SANITIZED, make_client
from tests.native.node import GREETING, ByteNode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TAKES = ("send", "inbox", "wait", "poll", "ack", "peers")
PAGE = {"messages": [message(1)], "cursor": "c1", "more": False, "requests": 0}
SENT = {"id": "m9", "cursor": "c9", "state": "queued", "why": None, "duplicate": False, "key": "k", "to": {}}
LINES = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
HOSTILE = f'a{LINES}\x1b[2J\x9b31m\x7f\u202e\ufeff\ud7ff\U0001f600é"\\/\b\0'


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With checked memory, and a note of what it hands over."""
    return make_client(tmp_path_factory.mktemp("bin"), NOTE, SANITIZED)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)


def environment(home: Home) -> dict[str, str]:
    """Of a command; what it has taken of memory goes back when it ends, not before."""
    return {"P2P_AGENTS_HOME": home.path, "PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0"}


def run(
    client: Path, home: Home, words: Sequence[str | bytes], spoken: bytes = b"", **environ: str
) -> subprocess.CompletedProcess[bytes]:
    known = environment(home) | environ
    return subprocess.run([client, *words], env=known, input=spoken, capture_output=True, check=False, timeout=30)


def answer(result: dict[str, Any], number: int = 1) -> bytes:
    return encode_line({"id": number, "ok": True, "result": result})


def words_given(client: Path) -> list[str]:
    """What the Python command was given, then."""
    note = client.parent / "p2p-agents-python.words"
    words = note.read_text().split("\n")[:-1]
    note.unlink()
    return words


# --- words --------------------------------------------------------------------------------------------------

OPTIONS = sorted({option for verb in TAKES for option in fast.HOT[verb][2]} | set(fast.COMMON))
WORDS = st.sampled_from(
    [
        *fast.HOT,
        *OPTIONS,
        "bob",
        "-",
        "",
        "--limit=5",
        "--json=1",
        "--as=",
        "--as=al",
        "--",
        "-h",
        "add",
        "é",
        "5",
        "0",
        "007",
        "1001",
        "1.5",
        "1.",
        ".5",
        "1e3",
        "9" * 12,
        "-5",
        "86401",
        "delivered",
        "text/plain",
        "c1",
    ]
)
ARGV = st.tuples(st.sampled_from(TAKES), st.lists(WORDS, max_size=5)).map(lambda pair: [pair[0], *pair[1]])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(argv=ARGV | st.lists(WORDS, max_size=5))
def test_words_mean_to_the_node_what_they_mean_in_python(client: Path, argv: list[str]) -> None:
    """Whatever it does not hand over, it asks the node for as the Python command does: the same calls."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as directory:
        home = make_home(Path(directory))
        world = make_world()
        with Served(world, home):
            done = run(client, home, argv, b"from a pipe")
            native = list(world.calls)
            if done.returncode == HANDED_OVER:
                assert native == []
                return
            world.calls.clear()
            plain = subprocess.run(
                [sys.executable, "-m", "p2p_agents", *argv],
                env=os.environ | {"P2P_AGENTS_HOME": home.path, "P2P_AGENTS_NO_START": "1"},
                input=b"from a pipe",
                capture_output=True,
                check=False,
                timeout=30,
            )
    made_up = [(method, params | {"id": None}) for method, params in world.calls]
    assert [(method, params | {"id": None}) for method, params in native] == made_up
    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--version",
        "show m1",
        "peers add h:1",
        "peers --watch",
        "peers --text",
        "inbox --compact",
        "inbox --fields id",
        "send bob hi --wait read",
        "poll --claim",
        "wait --requests",
        "--text inbox",
    ],
)
def test_what_it_does_not_do_is_handed_over_as_it_stands(client: Path, home: Home, line: str) -> None:
    done = run(client, home, line.split())
    assert (done.returncode, done.stdout) == (HANDED_OVER, b"handed over\n")
    assert words_given(client) == (line.split() or [""])


@pytest.mark.parametrize("text", [b"a\x80", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b" \xe2\x80\xa8", b""])
def test_a_text_that_is_none_is_handed_over_with_what_was_read(client: Path, home: Home, text: bytes) -> None:
    with ByteNode(home, answer(SENT)) as node:
        assert run(client, home, ["send", "bob", "-"], text).returncode == HANDED_OVER
        assert (client.parent / "p2p-agents-python.stdin").read_bytes() == text
        if text:
            assert run(client, home, ["send", "bob", text]).returncode == HANDED_OVER
    assert node.heard == []


def test_what_was_read_of_a_file_can_be_read_again(client: Path, home: Home, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"hello")
    environ = environment(home)
    with file.open("rb") as spoken:
        done = subprocess.run([client, "send", "bob", "-"], env=environ, stdin=spoken, capture_output=True, check=False)
    assert done.returncode == HANDED_OVER  # there is no node
    assert (client.parent / "p2p-agents-python.stdin").read_bytes() == b"hello"


def test_the_largest_message_is_sent_and_a_larger_one_is_not(client: Path, home: Home) -> None:
    text = "\0" * (limits.BODY_BYTES - 1) + "a"
    with ByteNode(home, answer(SENT)) as node:
        assert run(client, home, ["send", "bob", "-"], text.encode()).returncode == 0
        assert run(client, home, ["send", "bob", "-"], (text + "a").encode()).returncode == HANDED_OVER
    assert [request["params"]["text"] for request in node.requests] == [text]


# --- whom it talks to ---------------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    greeting=st.sampled_from(
        [
            b"",
            b"\n",
            b"x" * 70_000,
            encode_line({"node": "0.0.9", "protocol": 1, "pid": 7}),
            encode_line({"node": "9.9.9", "protocol": 1, "pid": 7}),
            GREETING.replace(b'"protocol":1', b'"protocol":2'),
            GREETING.replace(b'"protocol":1', b'"protocol":1.0'),
            GREETING.replace(b'"node"', b'"node":"0.1.0","node"'),
            GREETING.replace(b"{", b"{ "),
            b"[" * 500 + b"\n",
            GREETING[:-1],
        ]
    )
    | st.binary(max_size=40).map(lambda raw: raw + b"\n")
)
def test_nothing_is_said_to_what_is_not_a_node_of_this_release(client: Path, greeting: bytes) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as directory:
        home = make_home(Path(directory))
        with ByteNode(home, greeting=greeting) as node:
            done = run(client, home, ["send", "bob", "secret"])
    assert (done.returncode, done.stderr, node.heard) == (HANDED_OVER, b"", [])


def test_a_directory_that_others_may_enter_is_left_to_python(client: Path, home: Home) -> None:
    with ByteNode(home, answer(SENT)) as node:
        os.chmod(home.path, 0o755)
        assert run(client, home, ["send", "bob", "secret"]).returncode == HANDED_OVER
        os.chmod(home.path, 0o700)
        assert run(client, home, ["send", "bob", "secret"]).returncode == 0
    assert len(node.heard) == 1


LISTEN = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.seteuid(65534)
listener.listen()
os.seteuid(0)
print("listening", flush=True)
connected, _ = listener.accept()
connected.sendall(sys.argv[2].encode())
try:
    print(connected.makefile("rb").read(), flush=True)
except ConnectionResetError:  # it read not even the greeting
    print(b"", flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_users_program_is_told_nothing(client: Path, home: Home) -> None:
    """A socket in the right place, of which the kernel says that another user listens."""
    listen = [sys.executable, "-c", LISTEN, home.socket, GREETING.decode()]
    with subprocess.Popen(listen, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"listening\n"
        assert run(client, home, ["send", "bob", "secret"]).returncode == HANDED_OVER
        assert other.stdout.readline() == b"b''\n"


@pytest.mark.parametrize(
    "environ",
    [
        {"P2P_AGENTS_HOME": "{0}/home"},
        {"P2P_AGENTS_HOME": "{0}/home", "XDG_RUNTIME_DIR": "{0}"},
        {"P2P_AGENTS_HOME": "{0}/home", "XDG_RUNTIME_DIR": "{0}/"},
        {"P2P_AGENTS_HOME": "{0}", "XDG_RUNTIME_DIR": "{0}"},
        {"P2P_AGENTS_HOME": "{0}/home", "XDG_RUNTIME_DIR": "{0}/none"},
        {"XDG_STATE_HOME": "{0}"},
        {"HOME": "{0}", "XDG_STATE_HOME": ""},
        {"P2P_AGENTS_HOME": "{0}/" + "long/" * 20 + "home", "XDG_RUNTIME_DIR": "{0}"},
        {"P2P_AGENTS_HOME": "{0}/" + "long/" * 20 + "home"},
    ],
)
def test_it_looks_for_the_node_where_the_node_listens(
    client: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    known = {name: value.format(tmp_path) for name, value in environ.items()}
    monkeypatch.delenv("HOME")
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    there = Home()
    there.create()
    with ByteNode(there, answer({"peers": []})):
        known["ASAN_OPTIONS"] = "detect_leaks=0"
        done = subprocess.run([client, "peers"], env=known, capture_output=True, check=False, timeout=30)
    os.unlink(there.socket)
    if known.get("XDG_RUNTIME_DIR", "").endswith("/"):  # not as it would be resolved
        assert done.returncode == HANDED_OVER
    else:
        assert (done.returncode, done.stdout) == (0, b'{"ok": true, "peers": []}\n')


# --- answers ------------------------------------------------------------------------------------------------

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=12)
    | st.sampled_from([HOSTILE, LINES, 0.0, -0.0, 1.5, 0.001, 1e-5, 1e16, 123456789012345678])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
RESULTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=6)
DAMAGE = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([b"", b'"', b"\\", b",", b"{", b"0", b" ", b"\xff"])))


def as_python_prints(line: bytes) -> tuple[int, bytes] | None:
    """The exit status and the line for an answer to request 1, None where there is no such answer."""
    try:
        heard = decode_line(line)
    except errors.P2PError:
        return None
    if heard.get("id") != 1 or heard.get("ok") is not True or not isinstance(heard.get("result"), dict):
        return None
    return 0, face.encode({"ok": True, **heard["result"]}).encode() + b"\n"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(result=RESULTS, damage=st.just([]) | DAMAGE)
def test_any_answer_is_printed_as_python_prints_it_or_handed_over(
    client: Path, result: dict[str, Any], damage: list[tuple[int, bytes]]
) -> None:
    import tempfile
    from pathlib import Path

    line = answer(result)
    for at, put in damage:
        line = line[:at] + put + line[at + 1 :]
    with tempfile.TemporaryDirectory() as directory:
        home = make_home(Path(directory))
        with ByteNode(home, line):
            done = run(client, home, ["peers"])
    if done.returncode != HANDED_OVER:
        assert (done.returncode, done.stdout) == as_python_prints(line.split(b"\n")[0])
    assert done.stderr == b""


ODD = [
    b'{"a":1,"a":2}',  # Python keeps the last
    b'{"ok":false}',
    b'{"a": 1}',
    b'{"a":-0}',
    b'{"a":1e5}',
    b'{"a":1.50}',
    b'{"a":0.00001}',
    b'{"a":01}',
    b'{"a":NaN}',
    b'{"a":"\\/"}',
    b'{"a":"\\u0041"}',
    b'{"a":"\\u000a"}',
    b'{"a":"\\u00E9"}',
    b'{"a":"\\u12"}',
    b'{"a":"\x7f"}',
    '{"a":"\u2028"}'.encode(),
    b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    b"{" + b",".join(b'"%d":0' % at for at in range(65)) + b"}",
    b"[]",
]


@pytest.mark.parametrize("result", ODD)
def test_what_python_would_not_write_like_that_is_handed_over(client: Path, home: Home, result: bytes) -> None:
    with ByteNode(home, b'{"id":1,"ok":true,"result":' + result + b"}\n"):
        assert run(client, home, ["peers"]).stdout == b"handed over\n"


def test_ordinary_answers_are_not_handed_over(client: Path, home: Home) -> None:
    page = PAGE | {"messages": [message(at, HOSTILE) for at in range(500)], "rtt": 1.25, "many": 10**12, "none": {}}
    with ByteNode(home, answer(page)):
        done = run(client, home, ["inbox"])
    assert (done.returncode, done.stdout) == as_python_prints(answer(page))
    assert b"\x7f" not in done.stdout
    assert done.stdout.removesuffix(b"\n").decode().isprintable()


def test_an_answer_without_end_is_given_up(client: Path, home: Home) -> None:
    with ByteNode(home, b'{"id":1,"ok":true,"result":{"a":"' + b"x" * (limits.CONTROL_ANSWER_BYTES + 200_000)):
        assert run(client, home, ["inbox"]).returncode == HANDED_OVER


@pytest.mark.parametrize("error", [kind() for kind in errors.all_errors()], ids=lambda error: error.code)
def test_every_error_is_told_as_python_tells_it(client: Path, home: Home, error: errors.P2PError) -> None:
    error.details = {"message": "posing", "param": HOSTILE, "n": [1, 2]}
    told = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
    with ByteNode(home, encode_line({"id": 1, "ok": False, "error": encode_error(error)})):
        done = run(client, home, ["send", "bob", "hi", "--id", "k1"])
    if not error.hint:
        assert done.returncode == HANDED_OVER
        return
    wanted = face.encode({"ok": False, "error": {**told, "param": HOSTILE, "n": [1, 2], "key": "k1"}})
    assert (done.returncode, done.stdout.decode()) == (error.exit, wanted + "\n")


# --- a node that goes away ----------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [b"", b'{"id":1,"ok', b'{"goodbye":"stopping"}\n', b"garbage\n"])
def test_a_send_that_was_begun_goes_on_under_its_key(client: Path, home: Home, last: bytes) -> None:
    """B10: never twice. The Python command repeats it under the key that the node may have seen."""
    with ByteNode(home, last) as node:
        assert run(client, home, ["send", "bob", "-"], b"hello").returncode == HANDED_OVER
    assert words_given(client) == ["send", "bob", "-", "--id", node.requests[0]["params"]["id"]]
    assert (client.parent / "p2p-agents-python.stdin").read_bytes() == b"hello"
    os.unlink(home.socket)
    with ByteNode(home, last):
        assert run(client, home, ["send", "bob", "hi", "--id", "k1"]).returncode == HANDED_OVER
    assert words_given(client) == ["send", "bob", "hi", "--id", "k1"]


def test_a_wait_goes_on_with_the_time_it_has_left(client: Path, home: Home) -> None:
    with ByteNode(home, b'{"goodbye":"replaced"}\n'):
        assert run(client, home, ["wait", "--timeout", "50"]).returncode == HANDED_OVER
    *words, left = words_given(client)
    assert words == ["wait", "--timeout", "50", "--timeout"]
    assert fast.parse([*words, left]) == ("wait", {"timeout": float(left)})
    assert 0 < float(left) <= 50


def test_to_wait_on_no_node_is_started_that_was_told_to_stop(client: Path, home: Home) -> None:
    with ByteNode(home, b'{"goodbye":"stopping"}\n'):
        done = run(client, home, ["wait", "--timeout", "50"])
    error = stopped()
    told = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
    assert (done.returncode, done.stdout.decode()) == (error.exit, face.encode({"ok": False, "error": told}) + "\n")


def test_of_a_page_that_was_printed_only_its_acknowledgement_is_left(client: Path, home: Home) -> None:
    """H2, H3: it is printed once, and read once the node says so."""
    with ByteNode(home, answer(PAGE)) as node:
        done = run(client, home, ["poll", "--reader", "r", "--as", "alice"])
    assert (done.returncode, done.stdout.count(b"\n")) == (HANDED_OVER, 1)
    assert words_given(client) == ["ack", "c1", "--reader", "r", "--as", "alice"]
    assert node.requests[1]["params"] == {"agent": "alice", "cursor": "c1", "reader": "r"}


def test_an_error_of_an_acknowledgement_follows_the_page(client: Path, home: Home) -> None:
    refused = encode_line({"id": 2, "ok": False, "error": encode_error(errors.CursorUnknown())})
    with ByteNode(home, answer(PAGE), refused):
        done = run(client, home, ["poll"])
    assert done.returncode == errors.CursorUnknown.exit
    assert [json.loads(line)["ok"] for line in done.stdout.splitlines()] == [True, False]


def test_a_node_that_does_not_answer_is_reported_with_the_key(tmp_path: Path, home: Home) -> None:
    """By a client that has no patience: not handed over, or it would be waited for twice."""
    client = make_client(tmp_path, NOTE, (*SANITIZED, "-UCALL_S", "-DCALL_S=0.01"))
    with ByteNode(home, b"", b"") as node:  # it waits for a second request
        done = run(client, home, ["send", "bob", "hi"])
    error = errors.NodeUnreachable("the node does not answer in time")
    told = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
    wanted = {"ok": False, "error": {**told, "key": node.requests[0]["params"]["id"]}}
    assert (done.returncode, done.stdout.decode()) == (error.exit, face.encode(wanted) + "\n")


# --- its own end --------------------------------------------------------------------------------------------


def test_a_full_disk_is_told(client: Path, home: Home) -> None:
    with ByteNode(home, answer(PAGE)) as node, open("/dev/full", "wb") as full:
        environ = environment(home)
        done = subprocess.run([client, "poll"], env=environ, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, len(node.heard)) == (1, 1)
    assert done.stderr == b"p2p-agents: the answer cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_without_its_three_streams_it_does_nothing(client: Path, home: Home, closed: str) -> None:
    """The connection must not take the place of one of them."""
    with ByteNode(home, answer(PAGE)) as node:
        environ = environment(home)
        subprocess.run(["sh", "-c", f"{client} inbox {closed}"], env=environ, capture_output=True, check=False)
    assert node.heard == []


def test_people_are_left_to_python(client: Path, home: Home) -> None:
    """Columns, colours and folded lines; and where only stderr is a terminal, errors are told there too."""
    ours, theirs = os.openpty()
    environ = environment(home)
    refused = encode_line({"id": 1, "ok": False, "error": encode_error(errors.NoAgent())})
    with ByteNode(home, refused) as node:
        for line, seen in (("inbox", (theirs, theirs)), ("peers", (-1, theirs)), ("wait --timeout 1", (-1, theirs))):
            stdout, stderr = seen
            done = subprocess.run(
                [client, *line.split()],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                check=False,
                timeout=30,
            )
            assert done.returncode == HANDED_OVER
            assert done.stdout in (None, b"handed over\n")
    assert [request["method"] for request in node.requests] == ["peers"]
    os.close(ours)
    os.close(theirs)
