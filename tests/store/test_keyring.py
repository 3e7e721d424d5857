"""Key files."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

import pytest

from p2p_agents.errors import StoreBroken
from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES
from p2p_agents.store.keyring import (
    AgentSecrets,
    destroy_agent_key,
    node_seed,
    read_agent_key,
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
    with pytest.raises(StoreBroken, match=name):
        read_agent_key(str(tmp_path), AGENT)


def test_a_missing_key_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(StoreBroken):
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
