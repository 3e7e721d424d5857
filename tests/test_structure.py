"""`scripts/structure` counts correctly, and what docs/architecture.md promises about the structure holds."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def structure() -> Any:
    loader = SourceFileLoader("structure", str(ROOT / "scripts" / "structure"))
    spec = spec_from_loader("structure", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def made(tree: Path, **files: str) -> Path:
    """A tree of a decider of old, with these modules."""
    for name, text in {"p2p_agents": "", "bridge": "", **files}.items():
        path = tree / (f"{name.replace('__', '/')}.py" if "__" in name else f"{name}/__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tree


def test_the_decider_has_no_cycle_and_no_import_upward(structure: Any) -> None:
    found = structure.measure(ROOT)
    assert (found["cycles"], found["upward imports"]) == ([], [])
    assert set(found["modules"]) == set(structure.ROOMS)


def test_a_cycle_is_found(structure: Any) -> None:
    graph = grimp.ImportGraph()
    for one, other in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")):
        graph.add_import(importer=f"node.{one}", imported=f"node.{other}")
    assert structure.cycles(graph, "node") == [["a", "b", "c"]]


def test_an_import_upward_is_found(structure: Any) -> None:
    graph = grimp.ImportGraph()
    for module in [f"p2p_agents.core.{room}" for room in structure.ROOMS]:
        graph.add_module(module)
    graph.add_import(importer="p2p_agents.core.links.dialing", imported="p2p_agents.core.api.commands")
    graph.add_import(importer="p2p_agents.core.api.commands", imported="p2p_agents.core.kernel.core")
    assert structure.upward(graph, "core") == ["p2p_agents.core.links.dialing -> p2p_agents.core.api.commands"]


def test_files_that_name_a_kind_are_found(structure: Any, tmp_path: Path) -> None:
    tree = made(
        tmp_path,
        p2p_agents__conversation__record='CARD = "contact.card"\nVOID = "void"\n',
        p2p_agents__node__cards="from p2p_agents.conversation.record import CARD\n",
        p2p_agents__node__other="from p2p_agents.conversation.record import VOID\n",
    )
    assert structure.files_of_kind(tree, "contact.card") == ["conversation/record.py", "node/cards.py"]


def test_calls_are_counted_once_for_the_node_that_makes_them(structure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Node:
        def __init__(self, number: int) -> None:
            self.number, self.lines = number, object()

        def works(self, times: int) -> None:
            for _ in range(times):
                helper()

    def helper() -> list[int]:
        return [each * 2 for each in (1, 2)]

    monkeypatch.setitem(globals(), "__name__", "p2p_agents.made")
    one, other = Node(1), Node(2)
    with (passage := structure.Passage([one, other])):
        helper()  # nobody's
        one.works(3)
        other.works(5)
    assert {number: dict(found) for number, found in passage.calls.items()} == {
        1: {"p2p_agents.made": 1 + 3},
        2: {"p2p_agents.made": 1 + 5},
    }


def test_a_message_passes_the_same_calls_each_time() -> None:
    said = [
        subprocess.run(
            [sys.executable, ROOT / "scripts" / "structure", "--message", "--json"],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert b'"in a stream"' in said[0]
