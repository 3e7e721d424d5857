"""Discovery on one host by files. H4: hints are untrusted and tagged with boot id and network namespace."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed
from p2p_agents.limits import (
    HINT_AGENTS_PER_USER,
    HINT_BYTES,
    HINT_ENTRIES,
    HINT_FILES_PER_USER,
    HINT_READS_BURST,
    HINT_READS_PER_S,
    ROSTER_AGENTS,
)
from p2p_agents.net import hints as hints_module
from p2p_agents.net.hint_file import Hint, Place, decode_hint, encode_hint
from p2p_agents.net.hints import Hints
from p2p_agents.paths import hints_directory
from tests.net.stories import ALICE, BOB, Watcher, agent, run

HERE = Hint(Place.here(), os.getpid(), (ALICE, agent(1)))


def hints(watcher: Watcher, directory: Path) -> Hints:
    return Hints(watcher.found, watcher.lost, str(directory), poll_s=0.01)


def put(directory: Path, data: bytes, name: str = "1-0123456789abcdef.json") -> Path:
    """A file as nodes write it: made beside, then moved into place."""
    path = directory / name
    (directory / "new").write_bytes(data)
    os.replace(directory / "new", path)
    return path


def test_two_nodes_find_each_other(tmp_path):
    async def story() -> None:
        alices, bobs = Watcher(), Watcher()
        alice, bob = hints(alices, tmp_path), hints(bobs, tmp_path)
        await alice.publish([ALICE])
        await alice.start()
        await bob.start()
        await bob.publish([BOB])
        await alices.until(lambda: alices.present == {BOB.agent: BOB})
        await bobs.until(lambda: bobs.present == {ALICE.agent: ALICE})
        assert bobs.addresses[ALICE.agent] == (("127.0.0.1", ALICE.port),)
        assert (alice.problem, bob.problem) == (None, None)
        busy = dataclasses.replace(ALICE, status="busy")
        await alice.publish([busy, agent(7)])
        await bobs.until(lambda: bobs.present == {ALICE.agent: busy, agent(7).agent: agent(7)})
        await alice.publish([agent(7)])
        await bobs.until(lambda: bobs.gone == [(ALICE.agent, ALICE.incarnation)])
        await alice.stop()
        await bobs.until(lambda: not bobs.present)
        await bob.stop()
        assert list(tmp_path.iterdir()) == []

    run(story())


def test_several_os_users_may_meet(tmp_path):
    async def story() -> None:
        node = hints(Watcher(), tmp_path / "shared")
        await node.start()
        await node.publish([ALICE])
        [file] = (tmp_path / "shared").iterdir()
        assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o1777
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        await node.stop()

    before = os.umask(0o077)
    try:
        run(story())
    finally:
        os.umask(before)


def test_a_file_that_was_cleaned_away_is_written_again(tmp_path):
    async def story() -> None:
        bobs = Watcher()
        alice, bob = hints(Watcher(), tmp_path), hints(bobs, tmp_path)
        await alice.start()
        await alice.publish([ALICE])
        await bob.start()
        assert bobs.present == {ALICE.agent: ALICE}
        for file in tmp_path.iterdir():
            file.unlink()
        await alice.publish([ALICE])
        assert len(list(tmp_path.iterdir())) == 1
        await alice.stop()
        await bobs.until(lambda: not bobs.present)
        await bob.stop()

    run(story())


def test_a_node_that_was_killed_is_lost_and_its_file_removed(tmp_path):
    async def story() -> None:
        watcher = Watcher()
        put(tmp_path, encode_hint(dataclasses.replace(HERE, pid=process.pid)))
        node = hints(watcher, tmp_path)
        await node.start()
        assert set(watcher.present) == {ALICE.agent, agent(1).agent}
        process.kill()
        process.wait()
        await watcher.until(lambda: not watcher.present)
        assert (ALICE.agent, ALICE.incarnation) in watcher.gone
        await node.stop()
        again = hints(watcher, tmp_path)
        await again.start()
        assert list(tmp_path.iterdir()) == []
        await again.stop()

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        run(story())


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(dataclasses.replace(HERE.place, boot_id="another boot"), id="another boot"),
        pytest.param(dataclasses.replace(HERE.place, netns=HERE.place.netns + 1), id="another namespace"),
    ],
)
def test_a_hint_from_elsewhere_is_ignored(tmp_path, place):
    """H4: the directory may be shared with containers and survive a reboot."""

    async def story() -> None:
        watcher = Watcher()
        put(tmp_path, encode_hint(dataclasses.replace(HERE, place=place)))
        node = hints(watcher, tmp_path)
        await node.start()
        assert watcher.present == {}
        await node.stop()

    run(story())


def test_hostile_files_are_ignored(tmp_path):
    good = encode_hint(HERE)
    (tmp_path / "outside").write_bytes(good)
    (tmp_path / "1-00000000000000a1.json").symlink_to(tmp_path / "outside")
    os.mkfifo(tmp_path / "1-00000000000000a2.json")
    (tmp_path / "1-00000000000000a3.json").mkdir()
    put(tmp_path, good + b" " * HINT_BYTES, "1-00000000000000a4.json")
    put(tmp_path, b"[" * HINT_BYTES, "1-00000000000000a5.json")
    put(tmp_path, b"", "1-00000000000000a6.json")
    put(tmp_path, good, "unexpected name.json")
    put(tmp_path, encode_hint(dataclasses.replace(HERE, pid=2**70)), "1-00000000000000a7.json")

    async def story() -> None:
        watcher = Watcher()
        node = hints(watcher, tmp_path)
        await node.start()
        assert watcher.found_calls == 0
        assert node.problem is None
        put(tmp_path, good, "1-00000000000000b1.json")
        await watcher.until(lambda: ALICE.agent in watcher.present)
        await node.stop()

    run(story())


def test_one_user_cannot_fill_the_list(tmp_path):
    for number in range(HINT_FILES_PER_USER + 20):
        put(tmp_path, encode_hint(Hint(HERE.place, HERE.pid, (agent(number),))), f"1-{number:016x}.json")

    async def story() -> None:
        watcher = Watcher()
        node = hints(watcher, tmp_path)
        await node.start()
        assert len(watcher.present) == HINT_FILES_PER_USER
        await node.stop()

    run(story())


STRANGER = 65_534  # another user of the machine


@pytest.fixture
def by_another() -> Callable[[Path], None]:
    """Gives a file to another user, if the machine lets a test do so; in CI it must."""
    if os.getuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("needs root to make files of another user")
        pytest.skip("needs root to make files of another user")
    return lambda path: os.chown(path, STRANGER, STRANGER)


def hint_of(*numbers: int, node: int = 7) -> bytes:
    adverts = tuple(agent(number, dataclasses.replace(ALICE, node=node.to_bytes(32, "big"))) for number in numbers)
    return encode_hint(Hint(HERE.place, HERE.pid, adverts))


def test_another_users_files_hide_nobody_elses(tmp_path, by_another):
    """However many there are, every entry is reached, a limited number at a time."""
    for number in range(HINT_ENTRIES + 200):
        by_another(put(tmp_path, b"", f"1-{number:016x}.json"))
    put(tmp_path, encode_hint(HERE), "1-ffffffffffffffff.json")
    folder = hints_module._Folder(str(tmp_path))
    seen = [folder.look().adverts for _ in range(3)]
    folder.close()
    assert set(HERE.adverts) <= set(seen[-1])


def test_one_look_takes_a_bounded_number_of_entries(tmp_path, by_another, monkeypatch):
    monkeypatch.setattr(hints_module, "HINT_ENTRIES", 10)
    for number in range(35):
        by_another(put(tmp_path, b"", f"1-{number:016x}.json"))
    put(tmp_path, encode_hint(HERE), "1-ffffffffffffffff.json")
    taken: list[str] = []
    folder = hints_module._Folder(str(tmp_path))
    take = folder._take
    monkeypatch.setattr(folder, "_take", lambda walk, entry: (taken.append(entry.name), take(walk, entry)))
    looks = []
    for _ in range(4):
        before = len(taken)
        folder.look()
        looks.append(len(taken) - before)
    assert looks == [10, 10, 10, 6]
    assert set(folder.look().adverts) == set(HERE.adverts)
    folder.close()


def test_files_that_change_all_the_time_are_read_seldom(tmp_path, by_another, monkeypatch):
    """A changed file brings a whole roster, and each agent in it costs the node: its owner is paced."""
    reads: list[str] = []
    read = hints_module._read
    monkeypatch.setattr(hints_module, "_read", lambda path, uid: (reads.append(path), read(path, uid))[1])
    clock = [1_000.0]
    monkeypatch.setattr(hints_module.time, "monotonic", lambda: clock[0])
    folder = hints_module._Folder(str(tmp_path))
    put(tmp_path, encode_hint(HERE), "1-ffffffffffffffff.json")
    for turn in range(20):
        for number in range(HINT_FILES_PER_USER):
            by_another(put(tmp_path, hint_of(turn, node=number + 1), f"1-{number:016x}.json"))
        view = folder.look()
    assert len(reads) == 1 + HINT_READS_BURST
    assert set(HERE.adverts) <= set(view.adverts)
    assert len(view.adverts) == len(HERE.adverts) + HINT_FILES_PER_USER  # as they were when they were read
    clock[0] += 10.0
    folder.look()
    assert len(reads) == 1 + HINT_READS_BURST + 10 * HINT_READS_PER_S
    folder.close()


def test_ones_own_nodes_are_read_whenever_they_change(tmp_path):
    folder = hints_module._Folder(str(tmp_path))
    for number in range(3 * HINT_READS_BURST):
        put(tmp_path, hint_of(number))
        assert {advert.name for advert in folder.look().adverts} == {f"agent-{number}"}
    folder.close()


def test_a_change_that_came_too_early_is_read_later(tmp_path, by_another, monkeypatch):
    clock = [1_000.0]
    monkeypatch.setattr(hints_module.time, "monotonic", lambda: clock[0])
    folder = hints_module._Folder(str(tmp_path))
    for number in range(HINT_READS_BURST):
        folder.look()
        by_another(put(tmp_path, hint_of(number)))
    folder.look()
    by_another(put(tmp_path, hint_of(999)))
    assert {advert.name for advert in folder.look().adverts} == {f"agent-{HINT_READS_BURST - 1}"}
    clock[0] += 1.0
    assert {advert.name for advert in folder.look().adverts} == {"agent-999"}
    folder.close()


def test_another_user_announces_a_bounded_number_of_agents(tmp_path, by_another):
    for number in range(10):
        roster = range(number * ROSTER_AGENTS, (number + 1) * ROSTER_AGENTS)
        by_another(put(tmp_path, hint_of(*roster, node=number + 1), f"1-{number:016x}.json"))
    put(tmp_path, encode_hint(HERE), "1-ffffffffffffffff.json")
    folder = hints_module._Folder(str(tmp_path))
    adverts = folder.look().adverts
    folder.close()
    assert adverts[: len(HERE.adverts)] == HERE.adverts
    assert len(adverts) == len(HERE.adverts) + HINT_AGENTS_PER_USER


def test_another_user_does_not_speak_for_our_own_node(tmp_path, by_another):
    """The same node and agent with another port: our own user's file wins, whichever is read first."""
    put(tmp_path, encode_hint(HERE), "1-8888888888888888.json")
    lie = tuple(dataclasses.replace(advert, port=1) for advert in HERE.adverts)
    for name in ("1-0000000000000001.json", "1-ffffffffffffffff.json"):
        by_another(put(tmp_path, encode_hint(dataclasses.replace(HERE, adverts=lie)), name))

    async def story() -> None:
        watcher = Watcher()
        node = hints(watcher, tmp_path)
        await node.start()
        assert watcher.addresses[ALICE.agent] == (("127.0.0.1", ALICE.port),)
        await node.stop()

    run(story())


def test_a_directory_that_cannot_be_used_is_a_problem_until_it_can(tmp_path):
    place = tmp_path / "taken"
    place.symlink_to(tmp_path / "nowhere")

    async def story() -> None:
        watcher = Watcher()
        node = hints(watcher, place)
        await node.start()
        await node.publish([ALICE])
        assert node.problem is not None
        assert "not a directory" in node.problem
        place.unlink()
        await node.publish([ALICE])
        assert node.problem is None
        await node.stop()

    run(story())


def test_the_directory_can_be_chosen(tmp_path):
    assert hints_directory({"P2P_AGENTS_HINTS": str(tmp_path)}) == str(tmp_path)
    assert hints_directory({}).endswith("p2p-agents-nodes")


def test_a_hint_survives_the_file():
    assert decode_hint(encode_hint(HERE)) == HERE


VALUE = json.loads(encode_hint(HERE))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": "1"},
        {"extra": 1},
        {"pid": -1},
        {"pid": True},
        {"pid": 1.5},
        {"netns": None},
        {"boot_id": 7},
        {"port": 0},
        {"port": 65_536},
        {"incarnation": 2**53},
        {"incarnation": -1},
        {"node": "zz"},
        {"node": "aa"},
        {"agents": []},
        {"agents": {}},
        {"agents": [1]},
        {"agents": [VALUE["agents"][0]] * (ROSTER_AGENTS + 1)},
        {"agents": [{**VALUE["agents"][0], "name": "../x"}]},
        {"agents": [{**VALUE["agents"][0], "more": 1}]},
    ],
    ids=str,
)
def test_a_file_that_is_no_hint_is_malformed(change):
    with pytest.raises(Malformed):
        decode_hint(json.dumps({**VALUE, **change}).encode())


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str).map(str.encode))
def test_any_file_is_a_hint_or_malformed(data):
    with pytest.raises(Malformed):
        decode_hint(data)
