"""Homes of released versions, in tests/homes as made by scripts/home: this version opens each with everything in it,
wherever the upgrade was cut off before."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p_agents.core.agents import hosting
from p2p_agents.core.api import commands, reading
from p2p_agents.core.kernel.core import Core
from p2p_agents.core.turn.wiring import assemble
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import StoreNewer
from p2p_agents.node.machine import SystemClock, SystemEntropy
from p2p_agents.store import keyring, upgrade
from p2p_agents.store.database import Database
from tests.core.stage import asks, does

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HOMES = sorted((ROOT / "tests" / "homes").glob("*.tar.xz"))
NEWEST = upgrade.migrations()[-1][0]


@pytest.fixture(params=HOMES, ids=lambda path: path.name.partition(".")[0])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked(request.param, tmp_path / "home")


def unpacked(archive: Path, place: Path) -> Path:
    place.mkdir(mode=0o700)
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    return place


def schema(store: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table with its columns, every index and trigger; comments and the order of columns aside."""
    db = sqlite3.connect(store)
    named = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    found = {
        f"{kind} {name}": sorted(row[1:] for row in db.execute(f"PRAGMA table_info({name})"))
        for kind, name in db.execute(named).fetchall()
    }
    db.close()
    return found


@pytest.fixture
def core(home: Path) -> Iterator[Core]:
    keyring.node_seed(str(home / "keys"), bytes(32))
    database = Database.open(str(home / "store.db"))
    core = assemble(database, str(home / "keys"), os.urandom(32), SystemClock(), SystemEntropy(), lambda: 0.5)
    does(core, hosting.load_all)
    yield core
    database.close()


def test_each_schema_that_landed_has_a_home() -> None:
    """When this fails: run scripts/home COMMIT, with the last commit of the schema that is missing."""
    assert {int(path.name[:3]) for path in HOMES} >= set(range(1, NEWEST)) - {upgrade.LATE}


def test_a_home_of_any_version_is_taken_over_whole(core: Core, home: Path, tmp_path: Path) -> None:
    """A5, H1: its agents act, its messages are there, what was read stays read; and the store is like a new one."""
    assert not core.unusable
    assert [hosted.local.name for hosted in core.hosted.values()] == ["alice", "bob"]
    said = asks(core, reading.history, agent="alice", to="bob")["messages"]
    assert [m["text"] for m in said] == ["hello bob", "hello alice", "are you there"]
    assert [m["text"] for m in asks(core, reading.unread, agent="bob")["messages"]] == ["are you there"]
    assert [m["text"] for m in asks(core, reading.unread, agent="alice")["messages"]] == ["hello alice"]
    sent = asks(core, commands.send, agent="alice", to="bob", text="still here")
    assert sent["state"] == "delivered"
    asks(core, commands.send, agent="bob", to="alice", text="so am I")
    assert id_text(core.acting("alice").local.agent) == said[0]["from"]["id"]
    core.db.truncate()
    Database.open(str(tmp_path / "fresh.db")).close()
    assert schema(home / "store.db") == schema(tmp_path / "fresh.db")
    assert core.db.one("PRAGMA integrity_check") == ("ok",)


def test_the_copy_of_before_is_what_its_name_says(home: Path) -> None:
    before = sqlite3.connect(home / "store.db").execute("PRAGMA user_version").fetchone()[0]
    content = schema(home / "store.db")
    Database.open(str(home / "store.db")).close()
    (copy,) = list(home.glob("store.db.schema-*")) or [home / "store.db"]
    assert schema(copy) == content
    assert sqlite3.connect(copy).execute("PRAGMA user_version").fetchone()[0] == before


CUT = """
import os, sys
left = int(sys.argv[2])

def hook(event, args):
    global left
    if event in STEPS and any(sys.argv[1] in str(arg) for arg in args):
        left -= 1
        if left < 0:
            os._exit(9)

from p2p_agents.store.database import Database
STEPS = {"open", "os.rename", "os.remove", "os.link", "sqlite3.connect", "sqlite3.connect/handle"}
sys.addaudithook(hook)
Database.open(sys.argv[1] + "/store.db").close()
"""
OLD = next(path for path in HOMES if path.name.startswith("005"))


def test_an_upgrade_may_be_cut_off_at_every_step(tmp_path: Path) -> None:
    """H1: killed before each file that is opened, made, renamed or removed; the next start finishes it."""
    status, step = 9, 0
    while status == 9:
        home = unpacked(OLD, tmp_path / f"{step}")
        command = [sys.executable, "-c", CUT, str(home), str(step)]
        status = subprocess.run(command, cwd=ROOT, timeout=50, check=False).returncode
        database = Database.open(str(home / "store.db"))
        assert database.one("PRAGMA user_version") == (NEWEST,)
        assert database.one("SELECT count(*) FROM log") == (6,)
        database.close()
        assert not list(home.glob("*.part*"))
        step += 1
    assert status == 0
    assert step > 5


def test_a_copy_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    """H1: SQLite would wait for ever for the journal of a half copy; and a half copy is never taken for a complete
    one."""
    home = unpacked(OLD, tmp_path / "home")
    store = home / "store.db"
    with sqlite3.connect(home / "store.db.schema-005.part") as half:
        half.execute("PRAGMA journal_mode = PERSIST")
        half.execute("CREATE TABLE t (a)")
    half.close()
    (home / "store.db.schema-005.part-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    (home / "store.db.before-011").write_bytes(b"half")
    (home / "store.db.before-011-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    Database.open(str(store)).close()
    assert sorted(path.name for path in home.glob("store.db*")) == ["store.db", "store.db.schema-005"]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """H1: all of them or none."""
    home = unpacked(OLD, tmp_path / "home")
    before = schema(home / "store.db")
    scripts = [*upgrade.migrations()[:-1], (NEWEST, "CREATE TABLE one (a); CREATE TABLE one (a);")]
    monkeypatch.setattr(upgrade, "migrations", lambda: scripts)
    with pytest.raises(Exception, match="already exists"):
        Database.open(str(home / "store.db"))
    assert schema(home / "store.db") == before


def test_an_old_program_does_not_touch_a_newer_store(tmp_path: Path) -> None:
    """H1: not a byte of it, with writes that wait in the write-ahead log."""
    store = tmp_path / "store.db"
    newer = Database.open(str(store))
    newer.run("PRAGMA wal_autocheckpoint = 0")
    newer.run(f"PRAGMA user_version = {NEWEST + 1}")
    files = {name: (tmp_path / name).read_bytes() for name in ("store.db", "store.db-wal")}
    place = tmp_path / "moved"
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    for _ in range(2):
        with pytest.raises(StoreNewer):
            Database.open(str(place / "store.db"))
        assert {name: (place / name).read_bytes() for name in files} == files
    newer.close()
