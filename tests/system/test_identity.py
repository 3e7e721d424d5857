"""Keys leave a machine in files, and an agent moves from one machine to another, by commands."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.harness import World

WORDS = b"correct horse battery staple\n"


def logs(world: World) -> bytes:
    return b"".join(Path(node.home.log).read_bytes() for node in world.nodes if Path(node.home.log).exists())


def test_an_agent_moves_to_another_machine_in_a_backup(world: World, tmp_path: Path) -> None:
    """E2, E3: contacts, trust and log come back, the old machine is out, and the passphrase is written nowhere."""
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.meets(bob)
    saved = tmp_path / "alice.backup"
    made = alice.cli("backup", "export", str(saved), "--passphrase-file", "-", stdin=WORDS)
    assert (made.status, made.json["contacts"], made.json["next_root"]) == (0, 1, "here"), made
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert alice.cli("backup", "export", str(saved), "--passphrase-file", "-", stdin=WORDS).code == "file_exists"
    assert (
        alice.cli("backup", "export", f"{saved}2", "--passphrase-file", "-", stdin=b"short\n").code == "bad_passphrase"
    )
    assert alice.cli("backup", "export", f"{saved}2").status == 6
    assert not Path(f"{saved}2").exists()
    alice.node.kill()

    new = world.node("elsewhere")
    new.start()
    wrong = new.cli("backup", "import", str(saved), "--yes", "--passphrase-file", "-", stdin=b"wrong horse\n")
    assert (wrong.code, wrong.status) == ("backup_passphrase", 5)
    assert new.cli("agents").json["agents"] == []
    secret = tmp_path / "passphrase"
    secret.write_bytes(WORDS)
    back = new.cli("backup", "import", str(saved), "--yes", "--passphrase-file", str(secret))
    assert back.status == 0, back
    assert (back.json["agent"]["id"], back.json["contacts"]) == (alice.id, 1)
    assert [m["text"] for m in new.cli("history", "bob").json["messages"]] == ["may I?", "yes"]
    assert new.cli("send", "bob", "I moved", "--wait", "delivered").status == 0
    assert bob.texts(2) == ["may I?", "I moved"]
    events = {event["kind"] for event in bob.call("trust.show", peer=alice.id)["events"]}
    assert {"identity_rotated", "device_added", "device_revoked"} <= events
    states = {d["name"]: (d["state"], d["here"]) for d in new.cli("devices").json["devices"]}
    assert states == {"device": ("revoked", False), "restored": ("live", True)}
    assert WORDS.strip() not in logs(world)


def test_the_next_root_key_leaves_the_machine_and_comes_back_to_rotate(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E2: doctor says how it stands."""
    alice = world.agent("alice")
    key = tmp_path / "alice.key"
    checks = {c["name"]: c["ok"] for c in alice.node.cli("doctor").json["checks"]}
    assert checks["identity"] is None
    moved = alice.cli("identity", "export-next-root", str(key))
    assert (moved.status, moved.json["next_root"]) == (0, "exported"), moved
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    seed = key.read_text().split()[-1]
    assert seed not in moved.out.decode() + moved.err + logs(world).decode()
    checks = {c["name"]: c["ok"] for c in alice.node.cli("doctor").json["checks"]}
    assert checks["identity"] is True
    assert alice.cli("identity", "rotate").code == "next_root_missing"
    assert alice.cli("identity", "export-next-root", str(key)).code == "next_root_missing"
    (tmp_path / "other.key").write_text("hello")
    assert alice.cli("identity", "rotate", "--next-root", str(tmp_path / "other.key")).code == "bad_key_file"
    monkeypatch.chdir(tmp_path)
    rotated = alice.cli("identity", "rotate", "--next-root", "alice.key")
    assert [entry["kind"] for entry in rotated.json["entries"]] == ["inception", "add-device", "rotate"]
    assert rotated.json["next_root"] == "here"
    again = alice.cli("identity", "rotate", "--next-root", "alice.key")
    assert again.code == "next_root_wrong"
    assert alice.cli("devices", "revoke", "device").code == "own_device"
    assert alice.cli("trust", "reset", "nobody").code == "peer_unknown"
