"""What the doctor says about bad networks and disks."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.disks import mounted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.net.namespaces import Lab
    from tests.system.harness import Agent, World

pytestmark = pytest.mark.netns

HOOKS = (
    "add table inet t; add chain inet t in { type filter hook input priority 0; };"
    " add chain inet t out { type filter hook output priority 0; };"
)


@pytest.fixture
def alice(joined: tuple[World, Lab]) -> Agent:
    world, lab = joined
    return world.agent("alice", netns=lab.hosts[0], hints="hints-a")


def has_nft() -> None:
    if shutil.which("nft") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("needs nft")
        pytest.skip("needs nft")


def forbid(lab: Lab, rule: str) -> None:
    has_nft()
    command = ["ip", "netns", "exec", lab.hosts[0], "nft", f"{HOOKS} add rule inet t {rule}"]
    subprocess.run(command, check=True, capture_output=True, timeout=10)


def failed(alice: Agent) -> dict[str, str]:
    """Which checks failed, and how; each must say what to do, and the exit status that something did."""
    answer = alice.node.cli("doctor")
    found = {it["name"]: it for it in answer.json["checks"] if it["ok"] is False}
    assert all(it["hint"] for it in found.values())
    assert answer.status == (1 if found else 0), answer
    assert answer.json["healthy"] is (not found)
    return {name: it["detail"] for name, it in found.items()}


def test_where_all_passes_nothing_is_wrong(alice: Agent) -> None:
    checks = {it["name"]: it for it in alice.node.cli("doctor").json["checks"]}
    assert failed(alice) == {}
    assert {name for name, it in checks.items() if it["ok"]} >= {"disk", "udp", "firewall", "multicast", "network"}
    assert f"port {alice.node.port}" in checks["udp"]["detail"]


@pytest.mark.parametrize(
    "rule", ["out udp dport 5353 drop", "in udp dport 5353 drop", "in iifname eth0 udp dport 5353 drop"]
)
def test_multicast_that_is_dropped(alice: Agent, joined: tuple[World, Lab], rule: str) -> None:
    forbid(joined[1], rule)
    assert failed(alice).keys() == {"multicast"}


@pytest.mark.parametrize("rule", ["in meta l4proto udp drop", "out meta l4proto udp drop"])
def test_udp_that_is_dropped(alice: Agent, joined: tuple[World, Lab], rule: str) -> None:
    forbid(joined[1], rule)
    assert failed(alice).keys() == {"udp", "multicast"}


def test_a_firewall_that_lets_nothing_new_in(alice: Agent, joined: tuple[World, Lab]) -> None:
    """As many desktops have it: multicast DNS comes in, and the machine reaches itself."""
    forbid(joined[1], "in iifname eth0 udp dport != 5353 drop")
    assert failed(alice).keys() == {"firewall"}


def test_an_interface_that_is_down(alice: Agent, joined: tuple[World, Lab]) -> None:
    joined[1].detach(0)
    assert "eth0 is down" in failed(alice)["network"]


def test_the_same_without_a_node(alice: Agent, joined: tuple[World, Lab]) -> None:
    alice.node.cli("node", "stop")
    assert failed(alice) == {}
    forbid(joined[1], "in meta l4proto udp drop")
    assert failed(alice).keys() == {"udp", "multicast"}


def test_a_disk_that_is_full_or_read_only(world: World, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 8) as disk:
        alice = world.agent("alice", home=disk)
        assert "disk" not in failed(alice)
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "ballast").write_bytes(bytes(free - 4096))
        assert "No space left" in failed(alice)["disk"]
        (disk / "ballast").unlink()
        alice.node.cli("node", "stop")  # a file that is open for writing keeps a disk writable
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "Read-only" in failed(alice)["disk"]
