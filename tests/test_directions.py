"""Dependencies point one way: every import, lazy ones included, goes from a room to one below it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import robust_unlearn_bench

PACKAGE = Path(robust_unlearn_bench.__file__).parent

ROOMS = """
errors
registry seeding
configure docstrings paths
metrics models world
objectives optimizers suites
training
attacks
leaderboard/escape leaderboard/record
leaderboard/scoring
leaderboard/build leaderboard/store
leaderboard/check
leaderboard/gate leaderboard/page
leaderboard/rescore
leaderboard
harness nano unlearn
controls search
demo doctor generated submit sweep
cli
__main__
"""
"""Folders and modules of the package, the lowest first; those on one line do not know each other."""

LEVEL = {room: level for level, line in enumerate(ROOMS.split("\n")) for room in line.split()}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "/".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(module: str) -> set[str]:
    """Modules of the package that a module imports, wherever in its text the import stands."""
    path = MODULES[module]
    folder = path.parent
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        assert not (node.module or "").startswith(PACKAGE.name), f"{module}: imports within the package are relative"
        if not node.level:
            continue
        base = folder
        for _ in range(node.level - 1):
            base = base.parent
        target = base.joinpath(*(node.module or "").split("."))
        for alias in node.names:
            for candidate in (target / alias.name, target):
                name = candidate.relative_to(PACKAGE).as_posix().removeprefix(".")
                if name in MODULES:
                    found.add(name)
                    break
    return found - {"", module}


IMPORTS = {module: imported(module) for module in MODULES}


def room_of(module: str) -> str | None:
    """The most specific room that a module stands in."""
    parts = module.split("/")
    return next((room for i in range(len(parts), 0, -1) if (room := "/".join(parts[:i])) in LEVEL), None)


def test_every_module_stands_in_a_room() -> None:
    assert [module for module in MODULES if module and room_of(module) is None] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_to_lower_rooms(module: str) -> None:
    room = room_of(module)
    upward = [
        target
        for target in IMPORTS[module]
        if room is not None and (there := room_of(target)) != room and LEVEL[str(there)] >= LEVEL[room]
    ]
    assert upward == []


def test_no_two_modules_import_each_other() -> None:
    assert list(TopologicalSorter(IMPORTS).static_order())


def test_no_two_modules_share_a_name() -> None:
    names = sorted(module.rpartition("/")[2] for module in MODULES)
    assert sorted({name for name in names if names.count(name) > 1}) == []
