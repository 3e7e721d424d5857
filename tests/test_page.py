"""docs/protocol.md says what the program does, so that another one can be written from it alone."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

from p2p_agents import peer_faults
from p2p_agents.crypto.words import WORDS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
ENDINGS = {"close_link": 1, "hang_up": 1, "Hangup": 1, "Refuse": 1, "close_links": 2}  # the argument that is the code


def section(title: str) -> str:
    return PAGE.split(f"### {title}", 1)[1].split("\n## ", 1)[0]


def codes_of(path: Path) -> set[str]:
    """The codes a module ends links and connections with: literals, and constants by their values in any module."""
    found = set()
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in ENDINGS and len(call.args) > ENDINGS[name]:
            code = call.args[ENDINGS[name]]
            if isinstance(code, ast.Constant):
                found.add(str(code.value))
            elif isinstance(code, ast.Name) and code.id.isupper():
                found.add(CONSTANTS[code.id])
    return found


def constants() -> dict[str, str]:
    found = {}
    for path in (*ROOT.glob("p2p_agents/node/*.py"), ROOT / "p2p_agents/wire/frame.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                found[ast.unparse(node.targets[0])] = node.value.value
    return found


CONSTANTS = constants()


def test_every_code_that_ends_something_stands_on_the_page_and_no_other():
    """A2: REFUSE, CLOSE and the ends of connections."""
    faults = {fault.code for fault in vars(peer_faults).values() if isinstance(fault, type) and hasattr(fault, "code")}
    said = set().union(*map(codes_of, ROOT.glob("p2p_agents/node/*.py"))) | faults - {"error"}
    table = section("6.1 Codes of REFUSE, CLOSE")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall("`([a-z_]+)`", " ".join(rows))) == said


def test_the_words_of_codes_are_published_with_their_hash():
    """F1: two programs that hold other words would never meet."""
    published = (ROOT / "docs" / "words.txt").read_bytes()
    assert published.decode().splitlines() == list(WORDS)
    assert hashlib.sha256(published).hexdigest() in PAGE
