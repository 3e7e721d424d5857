"""What the doctor finds, beside a node and without one."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.net.mdns import Mdns
from p2p_agents.node import doctor
from p2p_agents.node.doctor import Live, run_checks
from p2p_agents.paths import Home
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Event
from p2p_agents.store.database import Database
from tests.node.stage import does, hosts

if TYPE_CHECKING:
    from pathlib import Path

    from p2p_agents.node.core import Core


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
    found = checks(home, Live(4433, None, None))
    assert [found[name]["ok"] for name in ("home", "store", "node", "multicast", "same host")] == [True] * 5
    assert "4433" in found["node"]["detail"]
    assert "MiB free" in found["store"]["detail"]


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


def test_what_the_running_node_says_of_discovery(home: Home) -> None:
    found = checks(home, Live(4433, "multicast DNS does not work here: no route", "the directory is gone"))
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
    assert (found["ipv4"]["ok"], found["ipv6"]["ok"], found["multicast"]["ok"]) == (False, None, False)
    assert "Operation not permitted" in found["ipv4"]["detail"]


def test_what_a_human_should_know_is_told(core: Core) -> None:
    """A3: a rollback, a fork, an equivocation."""
    peer = b"\x07" * 32
    does(core, lambda core: contacts.record(core.db, Event(1, peer, "rollback", "the store went back", 0)))
    told = does(core, doctor.what_the_store_tells)
    assert [(it["name"], it["ok"]) for it in told] == [("rollback", False)]
    assert "the store went back" in told[0]["detail"]
    assert "1970-01-01" in told[0]["detail"]


def test_keys_are_spoken_of_once_there_is_an_agent(core: Core) -> None:
    assert does(core, doctor.what_the_store_tells) == []
    hosts(core, "alice")
    assert [(it["name"], it["ok"]) for it in does(core, doctor.what_the_store_tells)] == [("identity", None)]


def test_multicast_dns_that_still_starts_is_no_failure(home: Home) -> None:
    starting = Mdns(lambda *_: None, lambda *_: None, node=b"n" * 32)
    found = checks(home, Live(4433, starting.problem, None))["multicast"]
    assert (found["ok"], found["detail"]) == (None, "multicast DNS is starting")
