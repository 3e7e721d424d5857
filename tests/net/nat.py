"""Homes behind NATs: a server on the open network, and hosts that each reach it through a NAT box of their own.

    def test_something(homes):
        with homes(2) as lab:
            lab.hosts[0]      # the server, at lab.address(0)
            lab.homes[1]      # the second host, at 192.168.2.2, behind lab.hosts[2]

A box drops what nobody behind it asked for, as such boxes do: where its own input took it, the connection tracking of
Linux would remember the stranger's packet, and give the answer another port. Needs `nft` beside what a Lab needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from enum import StrEnum

import pytest

from tests.net.namespaces import Lab, ip, obstacle

RULES = """
table ip home {{
    chain translate {{ type nat hook postrouting priority 100; oifname "eth0" {masquerade}; }}
    chain input {{
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname {{ "lo", "inner" }} accept
    }}
    chain forward {{
        type filter hook forward priority 0; policy accept;
        jump cut
        iifname "eth0" ct state new drop
        {forward}
    }}
    chain cut {{ }}
}}
"""


class Kind(StrEnum):
    """The behaviour of a NAT box: which port the world sees, and what it lets through."""

    PRESERVING = "preserving"  # the inner port, whoever is spoken to
    SYMMETRIC = "symmetric"  # another port for every peer
    NO_UDP = "no UDP"  # only TCP passes


class Homes(Lab):
    """Host 0 is the server, hosts 1… are the boxes, and `homes[n]` is behind box n + 1."""

    def __init__(self, count: int = 2) -> None:
        super().__init__(1 + count)
        self.homes = [f"{self.tag}-home{number}" for number in range(count)]

    def become(self, home: int, kind: Kind) -> None:
        """Turn its box into one of this kind; its connections are forgotten."""
        masquerade = "masquerade random,fully-random" if kind is Kind.SYMMETRIC else "masquerade"
        forward = "meta l4proto udp drop" if kind is Kind.NO_UDP else ""
        self._load(home, "flush ruleset\n" + RULES.format(masquerade=masquerade, forward=forward))

    def cut(self, home: int, other: int) -> None:
        """Block all traffic between the two homes; the server is reached as before."""
        self._load(home, f"add rule ip home cut ip daddr {self.address(1 + other)} drop")
        self._load(home, f"add rule ip home cut ip saddr {self.address(1 + other)} drop")

    def cut_off(self, home: int) -> None:
        """Block all traffic through its box."""
        self._load(home, "add rule ip home cut drop")

    def mend(self, home: int) -> None:
        self._load(home, "flush chain ip home cut")

    def _load(self, home: int, rules: str) -> None:
        command = ["ip", "netns", "exec", self.hosts[1 + home], "nft", "-f", "-"]
        subprocess.run(command, input=rules, check=True, capture_output=True, text=True, timeout=10)

    def _build(self) -> None:
        super()._build()
        for number, home in enumerate(self.homes):
            box, network = self.hosts[1 + number], f"192.168.{number + 1}"
            self._make(home)
            ip("-n", box, "link", "add", "inner", "type", "veth", "peer", "name", "eth0", "netns", home)
            ip("-n", box, "addr", "add", f"{network}.1/24", "dev", "inner")
            ip("-n", box, "link", "set", "inner", "up")
            ip("-n", home, "addr", "add", f"{network}.2/24", "dev", "eth0")
            ip("-n", home, "link", "set", "eth0", "up")
            ip("-n", home, "route", "add", "default", "via", f"{network}.1")
            ip("netns", "exec", box, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.become(number, Kind.PRESERVING)


def nat_obstacle() -> str | None:
    why_not = obstacle()
    if why_not is None and shutil.which("nft") is None:
        return "needs nft"
    if why_not is None:
        try:
            with Homes(1):
                return None
        except subprocess.CalledProcessError as fault:
            return f"cannot make NAT boxes: {fault.stderr.strip()}"
    return why_not


@pytest.fixture(scope="session")
def homes() -> Callable[..., Homes]:
    """A maker of homes; mark the test `netns`."""
    why_not = nat_obstacle()
    if why_not is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(why_not)
        pytest.skip(why_not)
    return Homes
