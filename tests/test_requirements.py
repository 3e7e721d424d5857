"""Every invariant in scope is named by a test, and every number that a test names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.requirements import IN_SCOPE

TESTS = Path(__file__).parent
NUMBERS = re.compile(r"\b[A-H](?:1[0-2]|[1-9])\b(?=[:,\s]|$)")


@cache
def named() -> dict[str, set[str]]:
    """Numbers at the head of a test's docstring, with the tests that name them."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for number in NUMBERS.findall(head_of(ast.get_docstring(node) or "")):
                    found.setdefault(number, set()).add(node.name)
    return found


def head_of(docstring: str) -> str:
    """`A1, B2: text` says A1 and B2; a docstring without numbers at its head says none."""
    match = re.match(r"(?:[A-H]\d{1,2}(?:, )?)+(?=[:\s]|$)", docstring)
    return match[0] if match else ""


def test_every_invariant_in_scope_has_a_test():
    missing = {number: text for number, text in IN_SCOPE.items() if number not in named()}
    assert not missing


def test_every_number_that_is_named_exists():
    unknown = {number: tests for number, tests in named().items() if number not in IN_SCOPE}
    assert not unknown
