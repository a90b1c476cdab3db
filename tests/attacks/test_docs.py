"""docs/attacks.md names every attack, and every flag and fallback that the code can report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robust_unlearn_bench.attacks import ATTACKS
from robust_unlearn_bench.attacks.spec import label_of


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "attacks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("family", list(ATTACKS))
def test_every_attack_has_its_place(page: str, family: str) -> None:
    label = label_of(family)
    pattern = f"{label.before}{{[a-zA-Z]}}{label.after}" if label.field else family  # relearn50 → `relearn{k}`
    assert family == "none" or re.search(f"`{pattern}`", page), pattern


def test_every_fallback_and_flag_is_explained(page: str, root: Path) -> None:
    code = "".join(path.read_text() for path in (root / "robust_unlearn_bench" / "attacks").rglob("*.py"))
    code += (root / "robust_unlearn_bench" / "harness" / "session.py").read_text()
    reasons = set(re.findall(r'fall_back\("([a-z_]+)"', code))
    flags = set(re.findall(r'"(relearn_loss_did_not_fall|[a-z_]+_exploded|attack_changed_nothing|non_finite)"', code))
    assert len(reasons) >= 6
    assert len(flags) == 4
    for word in reasons | flags:
        assert f"`{word}`" in page or f"…{word[word.index('_pruned') :]}`" in page, word
