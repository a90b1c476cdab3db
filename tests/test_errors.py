"""Remedies that messages name exist."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import MissingExtraError
from robust_unlearn_bench.optimizers import OPTIMIZERS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return dict(tomllib.loads((root / "pyproject.toml").read_text())["project"])


def raised(package: Path) -> Iterator[tuple[str, str, str | None]]:
    """Place, package and extra of every MissingExtraError in the source."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "MissingExtraError":
                needed, extra = (ast.literal_eval(argument) for argument in node.args[:2])
                yield f"{path.name}:{node.lineno}", needed, extra


def test_every_extra_that_a_message_names_brings_the_package(root: Path, project: dict[str, Any]) -> None:
    found = list(raised(root / "robust_unlearn_bench"))
    assert len(found) >= 6
    for place, package, extra in found:
        brought = project["dependencies"] if extra is None else project["optional-dependencies"].get(extra, [])
        assert any(one.replace("-", "_").startswith(package) for one in brought), f"{place}: {package} from [{extra}]"


def test_every_extra_of_the_grade_table_exists(project: dict[str, Any]) -> None:
    assert {OPTIMIZERS[name].facts.extra for name in OPTIMIZERS} - {""} <= project["optional-dependencies"].keys()


def test_a_missing_dependency_is_installed_by_name_and_a_missing_extra_as_an_extra() -> None:
    assert str(MissingExtraError("bitsandbytes", None, "attack x")).endswith(": pip install bitsandbytes")
    assert str(MissingExtraError("peft", "peft", "y")).endswith(": pip install 'robust-unlearn-bench[peft]'")
