"""What holds for every file of the program: sizes, reasons beside exceptions, documents that point somewhere."""

import ast
import re
import statistics
import tomllib
from pathlib import Path

import pytest

import p2p_agents

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for package in ("p2p_agents", "bridge") for path in (ROOT / package).rglob("*.py"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILE_LINES = 500  # beyond it a file is hardly one thing; below it says nothing
ROOMS = sorted(path.parent for path in (ROOT / "p2p_agents" / "core").glob("*/__init__.py"))
ROOM_MODULES = 12  # of a package of the decider: what one can keep in mind
FUNCTION_LINES = 60
MEDIAN_LINES = 10


def functions(path: Path) -> list[tuple[str, int]]:
    """(name, lines without its docstring) of every function."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
            found.append((node.name, lines))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_thing(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES
    assert [name for name, lines in functions(path) if lines > FUNCTION_LINES] == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_a_room_of_the_decider_is_small(room: Path) -> None:
    assert len([path for path in room.glob("*.py") if path.stem != "__init__"]) <= ROOM_MODULES


def test_the_median_function_is_short() -> None:
    assert statistics.median(lines for path in SOURCES for _, lines in functions(path)) <= MEDIAN_LINES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_exceptions_to_a_rule_give_their_reason(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b|pragma: no cover", line), line
        if "# noqa" in line:
            assert re.search(r"# noqa: [A-Z0-9, ]+ - \w", line), line
        if "# type: ignore" in line:
            assert re.search(r"# type: ignore\[[a-z-]+(, ?[a-z-]+)*\]  # \w", line), line


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_its_job(path: Path) -> None:
    assert path.read_text() == "" or ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_paths_on_the_page_of_the_architecture_exist() -> None:
    """From the root or from either package; a module may stand there without its suffix."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = [word for word in re.findall(r"`([^`\s]+)`", page) if "/" in word and not word.startswith("/")]
    roots = (ROOT, ROOT / "p2p_agents", ROOT / "bridge")
    assert len(named) > 60
    found = {word for word in named for root in roots if (root / word).exists() or (root / f"{word}.py").exists()}
    assert [word for word in named if word not in found] == []


def test_the_page_of_the_architecture_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert [room.name for room in ROOMS if f"| `core/{room.name}` |" not in page] == []


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == p2p_agents.__version__


def test_public_names_load_on_first_use() -> None:
    for name in p2p_agents.__all__:
        assert getattr(p2p_agents, name)
    with pytest.raises(AttributeError):
        _ = p2p_agents.nonsense
