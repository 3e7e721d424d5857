"""Key files."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace

import pytest

from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import KeysBroken, StoreBroken, StoreFull
from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES
from p2p_agents.store.keyring import (
    AgentSecrets,
    destroy_agent_key,
    linking_seed,
    node_seed,
    put_back,
    read_agent_key,
    settle,
    write_agent_key,
)

AGENT = b"a" * 32
SECRETS = AgentSecrets(b"r" * 32, b"n" * 32, b"d" * 32)


def test_a_key_file_is_private_and_read_back(tmp_path):
    write_agent_key(str(tmp_path), AGENT, SECRETS)
    (name,) = os.listdir(tmp_path)
    assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o600
    assert read_agent_key(str(tmp_path), AGENT) == SECRETS
    assert "rrr" not in repr(SECRETS)


def test_a_node_keeps_its_first_seed(tmp_path):
    assert node_seed(str(tmp_path), b"1" * 32) == b"1" * 32
    assert node_seed(str(tmp_path), b"2" * 32) == b"1" * 32


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x84\x01", b"\x84\x02" + (b"\x58\x20" + b"r" * 32) * 3])
def test_a_damaged_key_file_is_named_and_its_content_is_not(tmp_path, content):
    write_agent_key(str(tmp_path), AGENT, SECRETS)
    (name,) = os.listdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KeysBroken, match=name):
        read_agent_key(str(tmp_path), AGENT)


def test_a_missing_key_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(KeysBroken):
        read_agent_key(str(tmp_path), AGENT)


def test_a_log_stands_beside_its_keys_and_the_next_root_may_be_elsewhere(tmp_path):
    """E2"""
    kept = replace(SECRETS, next_root=b"", entries=(b"zero", b"one"))
    write_agent_key(str(tmp_path), AGENT, kept)
    assert read_agent_key(str(tmp_path), AGENT) == kept
    full = replace(SECRETS, entries=(bytes(IDENTITY_ENTRY_BYTES),) * IDENTITY_ENTRIES)
    write_agent_key(str(tmp_path), AGENT, full)
    assert read_agent_key(str(tmp_path), AGENT) == full
    destroy_agent_key(str(tmp_path), AGENT)
    destroy_agent_key(str(tmp_path), AGENT)
    assert os.listdir(tmp_path) == []


def test_a_broken_node_key_is_said_to_be_replaceable(tmp_path):
    (tmp_path / "node.key").write_bytes(b"half")
    with pytest.raises(StoreBroken, match=r"node\.key") as caught:
        node_seed(str(tmp_path), b"1" * 32)
    assert "delete it" in caught.value.hint


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_that_does_not_fit_leaves_the_one_of_before(tmp_path, monkeypatch):
    """A6: whole or not at all, and no draft with keys in it."""
    write_agent_key(str(tmp_path), AGENT, SECRETS)
    before = os.listdir(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull):
        write_agent_key(str(tmp_path), AGENT, replace(SECRETS, root=b"R" * 32))
    monkeypatch.undo()
    assert read_agent_key(str(tmp_path), AGENT) == SECRETS
    assert os.listdir(tmp_path) == before


def test_the_file_of_before_is_kept_until_the_transaction_ends(tmp_path):
    """A6: undone in reverse order; once settled, nothing of it is left."""
    place = str(tmp_path)
    versions = [replace(SECRETS, root=bytes([n]) * 32) for n in range(3)]
    kept = [write_agent_key(place, AGENT, version) for version in versions]
    put_back(place, AGENT, kept[2])
    assert read_agent_key(place, AGENT) == versions[1]
    put_back(place, AGENT, kept[1])
    assert read_agent_key(place, AGENT) == versions[0]
    put_back(place, AGENT, kept[0])
    assert os.listdir(place) == []
    for version in versions:
        write_agent_key(place, AGENT, version)
    settle(place, AGENT)
    assert os.listdir(place) == [f"{AGENT.hex()}.key"]
    assert read_agent_key(place, AGENT) == versions[2]


def test_the_file_of_before_serves_where_the_new_one_is_damaged(tmp_path):
    place = str(tmp_path)
    write_agent_key(place, AGENT, SECRETS)
    write_agent_key(place, AGENT, replace(SECRETS, root=b"R" * 32))
    (tmp_path / f"{AGENT.hex()}.key").write_bytes(b"half")
    assert read_agent_key(place, AGENT) == SECRETS
    assert os.listdir(place) == [f"{AGENT.hex()}.key"]


def test_a_removed_agents_device_key_is_nowhere(tmp_path):
    """D1: nor in the file left by the attempt that linked it; the key of another attempt stays."""
    seed, other = b"s" * 32, b"o" * 32
    linking_seed(str(tmp_path), seed)
    write_agent_key(str(tmp_path), AGENT, replace(SECRETS, device=seed))
    destroy_agent_key(str(tmp_path), AGENT, SigningKey.from_seed(other).public)
    assert os.listdir(tmp_path) == ["linking.key"]
    destroy_agent_key(str(tmp_path), AGENT, SigningKey.from_seed(seed).public)
    assert os.listdir(tmp_path) == []
