"""What several structures hold."""

from __future__ import annotations

from typing import get_args

import pytest

from p2p_agents.errors import Malformed
from p2p_agents.limits import IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES, TEXT_PREVIEW_BYTES
from p2p_agents.wire import parts


def reader(alias):
    """How a field of this kind is read."""
    return get_args(alias)[1].reader("it")


def test_a_preview_is_bounded_in_bytes():
    """B11: a kilobyte of UTF-8, and so never more characters than the page says."""
    read = reader(parts.Preview)
    assert read("ü" * (TEXT_PREVIEW_BYTES // 2)) == "ü" * (TEXT_PREVIEW_BYTES // 2)
    for text in ("x" * (TEXT_PREVIEW_BYTES + 1), "ü" * TEXT_PREVIEW_BYTES, b"x", None):
        with pytest.raises(Malformed):
            read(text)


def test_an_identity_log_is_bounded_in_entries_and_in_each():
    """E1"""
    read = reader(parts.IdentityLog)
    assert read([b"e"] * IDENTITY_ENTRIES) == (b"e",) * IDENTITY_ENTRIES
    for log in ([b"e"] * (IDENTITY_ENTRIES + 1), [bytes(IDENTITY_ENTRY_BYTES + 1)], ["e"], b"e", None):
        with pytest.raises(Malformed):
            read(log)


@pytest.mark.parametrize(
    ("alias", "longest"), [(parts.Code, 64), (parts.Word, 32), (parts.Place, 32)], ids=["code", "word", "place"]
)
def test_words_are_bounded(alias, longest):
    read = reader(alias)
    assert read("x" * longest) == "x" * longest
    with pytest.raises(Malformed):
        read("x" * (longest + 1))
