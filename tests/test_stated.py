"""What is not hidden is stated where people look for it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = {path.name: " ".join(path.read_text(encoding="utf-8").split()) for path in ROOT.glob("docs/*.md")}


@pytest.mark.parametrize(
    ("page", "statement"),
    [
        ("attacks.md", "the log on disk is plaintext"),
        ("attacks.md", "memory and swap, which Python cannot wipe"),
        ("attacks.md", "traffic analysis"),
        ("bridge.md", "| it sees | it does not see |"),
        ("using-bridges.md", "The bridge sees the addresses of those who use it, and when how much is put"),
    ],
)
def test_what_is_not_hidden_is_stated(page: str, statement: str) -> None:
    """H5: relay sizes, times and addresses, the log on one's own disk, and what Python cannot wipe."""
    assert statement in DOCS[page]


@pytest.mark.parametrize("claim", ["metadata-free", "anonymous", "zero-knowledge", "unbreakable", "military"])
def test_nothing_of_it_is_denied(claim: str) -> None:
    """H5"""
    assert not [name for name, text in DOCS.items() if claim in text.lower()]
