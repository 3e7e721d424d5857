"""How errors are worded: `p2p-agents: no agent named 'bob' on this node`, in lower case and without a full stop."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from p2p_agents.errors import P2PError, all_errors

ROOT = Path(__file__).parents[1]
NAMES = {"Redis"}  # that begin a message as they are written
RAISED_BY = {"bad_param"}  # functions that take an error's words
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def every_error() -> list[type[P2PError]]:
    def below(kind: type[P2PError]) -> list[type[P2PError]]:
        return [each for sub in kind.__subclasses__() for each in (sub, *below(sub))]

    return list(dict.fromkeys((*all_errors(), *below(P2PError))))


ERRORS = every_error()


def faults_of(text: str, *, begins: bool = True, ends: bool = True) -> str:
    """What is wrong with the words of an error; nothing if they are as they should be."""
    first = WORD.match(text) if begins else None
    if first and first[0][0].isupper() and not first[0].isupper() and first[0].split("_")[0] not in {*NAMES, "COSE"}:
        return "begins with a capital letter"
    if ends and text.rstrip().endswith((".", "!")) and not text.endswith("..."):
        return "ends with a full stop"
    return "" if text.strip() else "is empty"


def pieces(node: ast.expr) -> list[tuple[str, bool, bool]]:
    """The constant texts of an expression that may begin or end the message: (text, begins, ends)."""
    match node:
        case ast.Constant(value=str(text)):
            return [(text, True, True)]
        case ast.JoinedStr(values=values):
            told = [(at, value.value) for at, value in enumerate(values) if isinstance(value, ast.Constant)]
            return [(text, at == 0, at == len(values) - 1) for at, text in told if at in (0, len(values) - 1)]
        case ast.IfExp(body=body, orelse=other):
            return pieces(body) + pieces(other)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            begins = [(text, begins, False) for text, begins, _ in pieces(left)]
            return begins + [(text, False, ends) for text, _, ends in pieces(right) if text.strip()]
    return []


def words_of(call: ast.Call) -> list[ast.expr]:
    """The expressions of a call that are an error's message and hint."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in RAISED_BY and name not in {kind.__name__ for kind in ERRORS}:
        return []
    message = call.args[1:2] if name in RAISED_BY else call.args[:1]
    return [*message, *(word.value for word in call.keywords if word.arg == "hint")]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_a_class_of_errors_says_one_sentence_and_what_to_do(kind: type[P2PError]) -> None:
    sentence = (kind.__doc__ or "").splitlines()[0]
    assert re.fullmatch(r"[A-Z].*\.", sentence)
    assert not re.search(r"[.!?] [A-Z]", sentence)
    assert not faults_of(kind.meaning())
    assert not kind.hint or not faults_of(kind.hint)


@pytest.mark.parametrize("folder", ["p2p_agents", "bridge"])
def test_every_message_and_hint_in_the_code_is_worded_alike(folder: str) -> None:
    found, wrong = 0, []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            for text, begins, ends in (piece for word in words_of(call) for piece in pieces(word)):
                found += 1
                if fault := faults_of(text, begins=begins, ends=ends):
                    wrong.append(f"{path.relative_to(ROOT)}:{call.lineno}: {text!r} {fault}")
    assert not wrong, "\n".join(wrong)
    assert found > 30


def test_the_check_sees_what_is_wrong() -> None:
    for text in ("Nobody is there", "nobody is there.", " "):
        assert faults_of(text)
    for text in ("nobody is there", "QUIC: no answer", "Redis is away", "COSE_Sign1 has no headers", "'x' is no name"):
        assert not faults_of(text)
    assert pieces(ast.parse("f'{name} is away.'", mode="eval").body) == [(" is away.", False, True)]
