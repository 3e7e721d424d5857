from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents import errors
from p2p_agents.control.wire import decode_error, decode_line, encode_error, encode_line


def test_an_object_is_one_line_whatever_its_text_holds() -> None:
    line = encode_line({"text": "a\nb\u2028c\ud800"})
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert decode_line(line) == {"text": "a\nb\u2028c\ud800"}


@given(st.binary())
def test_any_bytes_are_an_object_or_bad_params(data: bytes) -> None:
    try:
        value = decode_line(data)
    except errors.BadParams:
        return
    assert isinstance(value, dict)


@pytest.mark.parametrize("line", [b"", b"7", b"[]", b"{", b'{"a":' * 20_000, b"\xff{}", b'{"a":' + b"1" * 5_000 + b"}"])
def test_garbage_is_bad_params(line: bytes) -> None:
    with pytest.raises(errors.BadParams):
        decode_line(line)


@pytest.mark.parametrize("kind", errors.all_errors(), ids=lambda kind: kind.code)
def test_every_error_survives_the_socket(kind: type[errors.P2PError]) -> None:
    told = decode_error(decode_line(encode_line(encode_error(kind("what", hint="do", id="m1")))))
    assert type(told) is kind
    assert (told.message, told.hint, told.details) == ("what", "do", {"id": "m1"})
    assert (told.exit, told.retryable) == (kind.exit, kind.retryable)


def test_a_newer_nodes_error_keeps_its_code_and_exit() -> None:
    told = decode_error({"code": "new_thing", "message": "m", "hint": "", "retryable": True, "exit": 5})
    assert (told.code, told.exit, told.retryable) == ("new_thing", 5, True)


@pytest.mark.parametrize("described", [None, [], {"code": 7}, {"details": 3}, {}])
def test_a_garbled_error_is_still_an_error(described: object) -> None:
    assert isinstance(decode_error(described), errors.P2PError)
