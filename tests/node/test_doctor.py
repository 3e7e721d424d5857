"""What the doctor finds, beside a node and without one."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import output
from p2p_agents.net.mdns import Mdns
from p2p_agents.net.probing import Probe, StandIn
from p2p_agents.node import doctor
from p2p_agents.node.doctor import Live, run_checks
from p2p_agents.paths import Home
from p2p_agents.store import contacts, keyring
from p2p_agents.store.contacts import Event, Trust
from p2p_agents.store.database import Database
from tests.core.stage import does, hosts, make_core
from tests.disks import mounted

if TYPE_CHECKING:
    from pathlib import Path

    from p2p_agents.core.kernel.core import Core


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("P2P_AGENTS_HINTS", str(tmp_path))
    return Home({"P2P_AGENTS_HOME": str(tmp_path / "home")})


def checks(home: Home, live: Live | None = None) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in run_checks(home, live)}


def test_before_the_first_agent_nothing_is_wrong(home: Home) -> None:
    found = checks(home)
    assert [found[name]["ok"] for name in ("home", "store", "node")] == [None, None, None]
    assert "init" in found["home"]["hint"]
    assert found["cryptography"]["ok"] is True


def test_looking_makes_nothing(home: Home, tmp_path: Path) -> None:
    checks(home)
    assert list(tmp_path.iterdir()) == []


def test_a_good_home_and_store(home: Home) -> None:
    home.create()
    Database.open(home.store).close()
    probe = Probe()
    with StandIn(probe) as node:
        found = checks(home, Live(node.port, None, None, probe))
    assert [found[name]["ok"] for name in ("home", "disk", "store", "node", "same host")] == [True] * 5
    assert str(node.port) in found["node"]["detail"]
    assert "MiB free" in found["disk"]["detail"]
    assert sorted(os.listdir(home.path)) == ["keys", "store.db"]


def test_a_home_open_to_others(home: Home, tmp_path: Path) -> None:
    home.create()
    (tmp_path / "home").chmod(0o755)
    found = checks(home)["home"]
    assert found["ok"] is False
    assert found["hint"] == f"chmod 700 {home.path}"


def test_a_damaged_store(home: Home, tmp_path: Path) -> None:
    home.create()
    (tmp_path / "home" / "store.db").write_bytes(b"not a store\n" * 100)
    found = checks(home)["store"]
    assert found["ok"] is False
    assert found["hint"]


def test_a_store_with_a_damaged_page(home: Home, tmp_path: Path) -> None:
    """The file opens and can be read, but is damaged: the last intact copy is named."""
    home.create()
    store = tmp_path / "home" / "store.db"
    Database.open(str(store)).close()
    found = checks(home)["store"]
    assert (found["ok"], found["detail"]) == (True, "readable, and its pages are whole")
    with closing(sqlite3.connect(store)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
        (root,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    content = bytearray(store.read_bytes())
    content[(root - 1) * size : root * size] = b"\xff" * size
    store.write_bytes(content)
    copy = tmp_path / "home" / "store.db.schema-012"
    copy.touch()
    found = checks(home)["store"]
    assert found["ok"] is False
    assert found["detail"].startswith("its file is damaged: ")
    assert str(copy) in found["hint"]
    assert "backup import" in found["hint"]


def test_broken_key_files_are_found_without_a_node(home: Home, tmp_path: Path) -> None:
    """Each broken agent is named, with what restores it; nothing is written, and no key is shown."""
    home.create()
    (tmp_path / "home" / "keys").rmdir()
    core = make_core(tmp_path / "home")
    files = {name: tmp_path / "home" / "keys" / f"{hosts_id(core, name).hex()}.key" for name in ("alice", "bob", "eve")}
    core.db.close()
    assert (checks(home)["keys"]["ok"], checks(home)["keys"]["detail"]) == (
        True,
        "the keys of all 3 agents can be read",
    )
    kept = keyring.read_agent_key(home.keys, bytes.fromhex(files["alice"].stem))
    content = files["alice"].read_bytes()[:-1]
    files["alice"].write_bytes(content)
    files["bob"].unlink()
    found = [check for check in run_checks(home) if check["name"] == "keys"]
    assert [check["ok"] for check in found] == [False, False]
    assert [check["detail"].split(":")[0] for check in found] == ["agent alice", "agent bob"]
    assert all("copy of the state directory" in check["hint"] and "backup import" in check["hint"] for check in found)
    assert files["alice"].read_bytes() == content
    for seed in (kept.root, kept.next_root, kept.device):
        assert seed.hex() not in str(found)
        assert str(seed)[2:-1] not in str(found)


def test_a_key_file_of_another_agent(home: Home, tmp_path: Path) -> None:
    home.create()
    (tmp_path / "home" / "keys").rmdir()
    core = make_core(tmp_path / "home")
    alice, bob = (tmp_path / "home" / "keys" / f"{hosts_id(core, name).hex()}.key" for name in ("alice", "bob"))
    core.db.close()
    alice.write_bytes(bob.read_bytes())
    found = checks(home)["keys"]
    assert (found["ok"], found["detail"]) == (False, "the keys of agent alice do not belong to its identity")


def test_a_key_file_whose_earlier_one_is_whole(home: Home, tmp_path: Path) -> None:
    """The node will put it back; until then, looking moves nothing."""
    home.create()
    (tmp_path / "home" / "keys").rmdir()
    core = make_core(tmp_path / "home")
    alice = tmp_path / "home" / "keys" / f"{hosts_id(core, 'alice').hex()}.key"
    core.db.close()
    alice.rename(f"{alice}.0.old")
    alice.write_bytes(b"")
    before = sorted(os.listdir(home.keys))
    assert checks(home)["keys"]["detail"] == "the keys of agent alice can be read"
    assert sorted(os.listdir(home.keys)) == before


def hosts_id(core: Core, name: str) -> bytes:
    hosts(core, name)
    return core.acting(name).local.agent


def test_what_the_running_node_says_of_discovery(home: Home) -> None:
    found = checks(home, Live(4433, "multicast DNS does not work here: no route", "the directory is gone", Probe()))
    assert found["multicast"]["detail"] == "multicast DNS does not work here: no route"
    assert "peers add" in found["multicast"]["hint"]
    assert found["same host"]["detail"] == "the directory is gone"
    assert not found["multicast"]["ok"]
    assert not found["same host"]["ok"]


def test_a_machine_that_forbids_udp(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(doctor.socket, "socket", refuse)
    found = checks(home)
    assert (found["ipv4"]["ok"], found["ipv6"]["ok"], found["udp"]["ok"]) == (False, None, False)
    assert "Operation not permitted" in found["ipv4"]["detail"]


def test_what_a_human_should_know_is_told(core: Core) -> None:
    """A3: a rollback, a fork, an equivocation: once, so it is no failure now."""
    peer = b"\x07" * 32
    does(core, lambda core: contacts.record(core.db, Event(1, peer, "rollback", "the store went back", 0)))
    told = does(core, doctor.what_the_store_tells)
    assert [(it["name"], it["ok"], it["time"]) for it in told] == [("rollback", None, "1970-01-01T00:00:00.000Z")]
    assert "the store went back" in told[0]["detail"]


def test_a_code_that_somebody_mistyped_long_ago_is_no_failure(core: Core) -> None:
    hosts(core, "alice")
    does(core, lambda core: contacts.record(core.db, Event(1, b"", "pairing_wrong", "wrong words", 0)))
    told = does(core, doctor.what_the_store_tells)
    assert [it["ok"] for it in told] == [None, None]
    assert "then  1970-01-01" in output.checks({"checks": told})
    assert "pairing_wrong: wrong words" in output.checks({"checks": told})


def test_people_have_names(core: Core) -> None:
    hosts(core, "alice")
    peer = b"\x07" * 32

    def knows(core: Core) -> None:
        contacts.save_contact(core.db, 1, peer, name="carol", kind="other", trust=Trust.ACCEPTED, now_ms=0)
        contacts.record(core.db, Event(1, peer, "rollback", "its store went back", 0))

    does(core, knows)
    assert does(core, doctor.what_the_store_tells)[-1]["detail"] == "carol: its store went back"


def test_what_still_stands_in_the_way_is_a_failure(core: Core) -> None:
    """E2: a contact with whom nothing is exchanged fails now, whenever it began."""
    hosts(core, "alice")
    peer = b"\x07" * 32

    def knows(core: Core) -> None:
        contacts.save_contact(core.db, 1, peer, name="carol", kind="other", trust=Trust.ACCEPTED, now_ms=0)
        contacts.freeze(core.db, peer, "its identity forked", final=True)

    does(core, knows)
    found = does(core, doctor.what_the_store_tells)[-1]
    assert (found["name"], found["ok"]) == ("contact", False)
    assert found["detail"] == "carol: nothing is exchanged: its identity forked"
    assert "trust show" in found["hint"]


def test_keys_are_spoken_of_once_there_is_an_agent(core: Core) -> None:
    assert does(core, doctor.what_the_store_tells) == []
    hosts(core, "alice")
    assert [(it["name"], it["ok"]) for it in does(core, doctor.what_the_store_tells)] == [("identity", None)]


def test_multicast_dns_that_still_starts_is_no_failure(home: Home) -> None:
    starting = Mdns(lambda *_: None, lambda *_: None, node=b"n" * 32)
    found = checks(home, Live(4433, starting.problem, None, Probe()))["multicast"]
    assert (found["ok"], found["detail"]) == (None, "multicast DNS is starting")


def test_a_full_disk(home: Home, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 2) as disk:
        small = Home({"P2P_AGENTS_HOME": str(disk)})
        small.create()
        (disk / "ballast").write_bytes(bytes(3 * 2**19))
        found = checks(small)["disk"]
        assert (found["ok"], found["hint"]) == (False, "free some space on that disk")
        assert "No space left" in found["detail"]
        assert sorted(os.listdir(disk)) == ["ballast", "keys"]


def test_a_read_only_disk(home: Home, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 2) as disk:
        small = Home({"P2P_AGENTS_HOME": str(disk)})
        small.create()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        found = checks(small)["disk"]
        assert found["ok"] is False
        assert "Read-only" in found["detail"]
        assert "P2P_AGENTS_HOME" in found["hint"]


@pytest.mark.parametrize("code", [errno.EIO, errno.EDQUOT, errno.EMFILE])
def test_a_disk_that_takes_nothing_for_good(home: Home, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A write that only reached the page cache is not a write."""

    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    home.create()
    monkeypatch.setattr(doctor.os, "fsync", refuse)
    found = checks(home)["disk"]
    assert (found["ok"], os.strerror(code) in found["detail"]) == (False, True)
    assert found["hint"]
    assert os.listdir(home.path) == ["keys"]


def test_every_failure_says_what_to_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """All checks that can fail, and all at once."""

    def refuse(*_: object) -> Any:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    home.create()
    os.chmod(home.path, 0o755)
    monkeypatch.setattr(doctor.os, "fsync", refuse)
    monkeypatch.setattr(doctor.socket, "socket", refuse)
    monkeypatch.setattr(doctor, "local_addresses", lambda: ())
    monkeypatch.setattr(doctor.probing, "down", lambda: ["eth0"])
    failed = [it for it in run_checks(home, Live(4433, "no multicast", "no hints", Probe())) if it["ok"] is False]
    assert {it["name"] for it in failed} == {"home", "disk", "ipv4", "network", "multicast", "same host"}
    assert all(it["hint"] for it in failed)
    monkeypatch.setattr(doctor, "local_addresses", lambda: ("192.0.2.1",))
    for way in ("round_trips", "multicast"):
        monkeypatch.setattr(doctor.probing, way, lambda *_: {"192.0.2.1": "lost"})
    failed = [it for it in run_checks(home, Live(4433, None, None, Probe())) if it["ok"] is False]
    assert {"udp", "multicast"} <= {it["name"] for it in failed}
    assert all(it["hint"] for it in failed)
    assert all("192.0.2.1: lost" in it["detail"] for it in failed if it["name"] in ("udp", "multicast"))
