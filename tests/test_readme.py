"""The README's commands exist and its Python runs as far as names go."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import p2p_agents

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(
    {match.strip() for match in re.findall(r"\$ p2p-agents ((?:(?! {3,}|\n|\$|<|#|\|).)+)", README)}
    | set(re.findall(r"`p2p-agents ([a-z][a-z -]*)`", README))
)


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_one(command: str) -> None:
    words = [word for word in shlex.split(command) if word.islower() and not word.startswith("-")]
    verb = next(n for n in (2, 1) if _helps(words[:n]))
    assert verb


def _helps(words: list[str]) -> bool:
    done = subprocess.run([sys.executable, "-m", "p2p_agents", *words, "--help"], capture_output=True, text=True)
    return done.returncode == 0 and "Usage" in done.stdout


@pytest.mark.parametrize("script", re.findall(r"\$ (scripts/\w+)", README))
def test_a_script_of_the_readme_is_one(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111


def test_the_python_of_the_readme_compiles_against_the_api() -> None:
    source = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert source
    body = source.group(1).replace("\n    ", "\n      ")
    tree = ast.parse(body.replace("async with", "async def main():\n  async with"))
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {"send", "messages"} <= called
    assert all(hasattr(p2p_agents.Agent, name) for name in ("send", "messages"))
    annotations = p2p_agents.Message.__annotations__
    assert {"sender", "text"} <= set(annotations)
