"""Files that people keep: private, whole, never replacing another, and only read if they are plain."""

from __future__ import annotations

import os
import stat

import pytest

from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import BadKeyFile, FileExists, FileUnusable, NextRootWrong
from p2p_agents.node import vault

ALICE, SEED = b"a" * 32, b"s" * 32


def test_a_next_root_key_is_written_for_people_and_read_back(tmp_path):
    path = str(tmp_path / "alice.key")
    vault.write_next_root(path, ALICE, SEED)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert vault.read_next_root(path, ALICE) == SEED
    assert id_text(ALICE) in (tmp_path / "alice.key").read_text()


def test_nothing_is_written_over(tmp_path):
    path = tmp_path / "alice.key"
    path.write_text("precious")
    with pytest.raises(FileExists):
        vault.write_next_root(str(path), ALICE, SEED)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExists):
        vault.write_next_root(str(tmp_path / "link"), ALICE, SEED)
    assert path.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_fails_is_not_left_behind(tmp_path):
    def parts():
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        vault.write_new(str(tmp_path / "half"), parts())
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileUnusable):
        vault.write_new(str(tmp_path / "none" / "file"), [])


def test_what_is_no_plain_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nothing", "."):
        with pytest.raises(FileUnusable):
            vault.read_next_root(str(tmp_path / name), ALICE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "p2p-agents next root key, version 2\nagent {agent}\nkey {seed}",
        "p2p-agents next root key, version 1\nagent {agent}\nkey",
        "p2p-agents next root key, version 1\nkey {agent}\nagent {seed}",
        "p2p-agents next root key, version 1\nagent {agent}\nkey {seed}x",
        "p2p-agents next root key, version 1\nagent {agent}\nkey {seed}\nmore",
    ],
)
def test_another_text_is_no_key_and_is_not_repeated(tmp_path, text):
    (tmp_path / "key").write_text(text.format(agent=id_text(ALICE), seed=id_text(SEED)))
    with pytest.raises(BadKeyFile) as caught:
        vault.read_next_root(str(tmp_path / "key"), ALICE)
    assert id_text(SEED) not in caught.value.message
    assert caught.value.__cause__ is None


def test_another_agents_key_is_told_apart(tmp_path):
    vault.write_next_root(str(tmp_path / "key"), ALICE, SEED)
    with pytest.raises(NextRootWrong):
        vault.read_next_root(str(tmp_path / "key"), b"b" * 32)
