"""Packages stay easy to find things in: unique class names, small folders, no import cycles, valid paths in the docs."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, parsed_modules

pytestmark = pytest.mark.xdist_group(
    "architecture"
)  # parsing all modules takes a second: do it in one process

MAX_MODULES = 25
"""Modules of one folder, `__init__.py` not counted."""
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DOCUMENTED_PATH = re.compile(
    r"`((?:backend|mobile_api|geo|biometrics|migrations|policies|tests|docs)/[\w./-]*)`"
)


def package_of(path: Path) -> str:
    """`backend/standing/store/load.py` → `backend.standing`; `geo/fence.py` → `geo`."""
    return ".".join(path.parent.parts[:2])


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def duplicate_classes() -> dict[str, set[str]]:
    """Package → names of public classes that more than one of its modules defines."""
    modules: dict[tuple[str, str], set[Path]] = defaultdict(set)
    for path, tree in parsed_modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[package_of(path), node.name].add(path)
    duplicates: dict[str, set[str]] = defaultdict(set)
    for (package, name), paths in modules.items():
        if len(paths) > 1:
            duplicates[package].add(name)
    return dict(duplicates)


def test_a_class_name_means_one_thing_within_a_package() -> None:
    assert {package: names for package, names in duplicate_classes().items() if names} == {}


def test_folders_have_at_most_25_modules() -> None:
    counts: dict[str, int] = defaultdict(int)
    for path, _ in parsed_modules():
        counts[path.parent.as_posix()] += path.name != "__init__.py"
    assert {folder: count for folder, count in counts.items() if count > MAX_MODULES} == {}


def import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports at any depth, inside functions too, but none that only a type checker runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from import_statements(child)


def imported_modules(tree: ast.Module, modules: set[str]) -> set[str]:
    """Those of `modules` that a module imports."""
    names: set[str] = set()
    for statement in import_statements(tree):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        elif statement.module is not None:
            submodules = {f"{statement.module}.{alias.name}" for alias in statement.names} & modules
            names |= submodules or {statement.module}
    return names & modules


def import_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """One cycle of the graph, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return []


def test_modules_do_not_import_each_other_in_a_cycle() -> None:
    trees = {module_name(path): tree for path, tree in parsed_modules()}
    graph = {name: imported_modules(tree, set(trees)) - {name} for name, tree in trees.items()}
    assert import_cycle(graph) == []


def test_an_import_cycle_inside_a_function_is_found() -> None:
    sources = {"a": "import b", "b": "def f():\n    from c import x", "c": "import a"}
    graph = {name: imported_modules(ast.parse(source), set(sources)) for name, source in sources.items()}
    assert set(import_cycle(graph)) == {"a", "b", "c"}


def test_an_import_for_type_checking_only_is_no_cycle() -> None:
    source = "if TYPE_CHECKING:\n    import a\nimport c"
    assert imported_modules(ast.parse(source), {"a", "c"}) == {"c"}


def documented_paths() -> list[str]:
    return DOCUMENTED_PATH.findall(ARCHITECTURE.read_text(encoding="utf-8"))


def test_paths_in_the_architecture_document_exist() -> None:
    paths = documented_paths()
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
