"""The kernel's word about the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from p2p_agents.control import peer


class Kernel:
    """Answers one question about a socket, as another platform's kernel would."""

    def __init__(self, level: int, option: int, answer: bytes) -> None:
        self.level, self.option, self.answer = level, option, answer

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (self.level, self.option)
        assert size >= len(self.answer)
        return self.answer


def test_the_other_end_is_this_user() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer.peer_uid(ours) == os.getuid()
        assert peer.is_own_user(ours)


def test_another_user_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_242)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert not peer.is_own_user(ours)


@pytest.mark.parametrize(
    ("platform", "kernel"),
    [
        ("linux", Kernel(1, 17, b"".join(n.to_bytes(4, sys.byteorder) for n in (77, 501, 20)))),
        ("darwin", Kernel(0, 1, b"".join(n.to_bytes(4, sys.byteorder) for n in (0, 501, 20)) + bytes(64))),
        ("freebsd14", Kernel(0, 1, b"".join(n.to_bytes(4, sys.byteorder) for n in (0, 501, 20)) + bytes(76))),
    ],
    ids=["linux", "macos", "freebsd"],
)
def test_each_platform_has_its_own_question(monkeypatch: pytest.MonkeyPatch, platform: str, kernel: Kernel) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert peer.peer_uid(kernel) == 501
    assert not peer.is_own_user(kernel)


def test_where_no_kernel_answers_the_directory_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "other")
    assert peer.is_own_user(object())
