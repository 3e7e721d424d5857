"""The measurements run and print what they promise. No time is asserted, since machines differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIELDS = ["name", "value", "unit", "p50", "p99", "min", "max", "n", "baseline", "ratio", "must", "aims"]


def measure(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "--quick", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("primitives", ["primitives"]),
        (
            "command",
            [
                *(f"command.{name}" for name in ("send", "inbox", "peers", "history", "show", "wait")),
                *(f"command.native_{name}" for name in ("send", "inbox", "peers", "wait")),
            ],
        ),
        ("latency", ["latency"]),
        ("round_trip", ["round_trip"]),
        ("rate", ["rate"]),
        (
            "work",
            [
                "work.sent_alone",
                "work.received_alone",
                "work.sent_stream",
                "work.received_stream",
                "work.contacts",
                "work.entries",
            ],
        ),
        ("idle", ["idle.cpu", "idle.memory", "idle.cpu_many", "idle.memory_agent"]),
        ("discovery", ["discovery.node", "discovery.agent"]),
        ("pairing", ["pairing"]),
        ("unread", ["unread.all", "unread.few"]),
        ("relayed", ["relayed.round_trip", "relayed.rate"]),
        ("bulk", ["bulk.rate", "bulk.memory", "bulk.ping"]),
        ("hostile", ["hostile.before", "hostile.after"]),
        pytest.param("direct_path", ["direct_path"], marks=pytest.mark.netns),
        (
            "bridge",
            [
                "bridge.stored",
                "bridge.carried_quic",
                "bridge.latency_quic",
                "bridge.carried_websocket",
                "bridge.latency_websocket",
                "bridge.device_quic",
                "bridge.device_websocket",
                "bridge.start",
            ],
        ),
        ("bridge_shared", ["bridge_shared.file", "bridge_shared.redis", "bridge_shared.redis_three"]),
    ],
)
def test_each_measurement_prints_its_figures_as_json_lines(name: str, figures: list[str]) -> None:
    done = measure(name)
    if "is not measured" in done.stderr and os.environ.get("CI") != "true":
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"] for line in lines] == figures
    for line in lines:
        assert list(line) == FIELDS
        assert line["min"] <= line["p50"] <= line["p99"] <= line["max"]
        assert line["n"] > 0


def test_an_unknown_measurement_is_named() -> None:
    done = measure("primitives", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert not done.stdout
