"""The README's Python, run unchanged against two nodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.system.harness import ROOT, Process

if TYPE_CHECKING:
    from tests.system.harness import World

RUN = """
import ast, asyncio, sys
code = compile(sys.argv[1], "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(eval(code))
"""


def test_the_python_of_the_readme_talks(world: World) -> None:
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.meets(bob)
    bob.call("inbox")
    bob.call("ack")
    assert alice.texts(1) == ["yes"]
    alice.call("ack")
    program = Process(
        alice.node.command("-c", RUN, found[1]), alice.node.environ | {"PYTHONUNBUFFERED": "1"}, follow="stdout"
    )
    try:
        heard = bob.call("wait", timeout=20.0)["messages"]
        assert [it["text"] for it in heard] == ["Is the build green?"]
        bob.send(alice, "Green since noon.")
        assert program.until("Green") == "bob Green since noon."
    finally:
        program.close()
