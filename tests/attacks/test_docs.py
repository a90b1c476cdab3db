"""docs/attacks.md explains every attack, every parameter, and every flag and fallback that the code can report."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from robust_unlearn_bench.attacks import ATTACKS
from robust_unlearn_bench.attacks.attack_handbook import attack_handbook
from robust_unlearn_bench.attacks.quantise.gptq import BACKENDS
from robust_unlearn_bench.attacks.reasons import FALLBACKS, FLAGS
from robust_unlearn_bench.attacks.spec import label_of, parse
from robust_unlearn_bench.registry import BUILT_IN
from robust_unlearn_bench.suites import SUITES

FAMILIES = [family for family in ATTACKS if ATTACKS.origin(family) == BUILT_IN]


@pytest.fixture(scope="module")
def page() -> str:
    return attack_handbook()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_attack_has_its_place(page: str, family: str) -> None:
    label = label_of(family)
    heading = f"### `{label.text(f'{{{label.field}}}')}`"  # ### `relearn{k}_retain`
    (place,) = re.findall(rf"^{re.escape(heading)}.*?(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert "*Cost:*" in place
    if family != "none":
        assert "*Source:*" in place
        assert "*Departs:*" in place
    if label.field:
        assert f"| `{label.field}` |" in place


def test_every_parameter_is_explained(page: str) -> None:
    rows = [line for line in page.splitlines() if re.match(r"\| `\w+` \| [^|]* \| [^|]*\|$", line)]
    assert len(rows) > 40
    assert [row for row in rows if re.search(r"\| +\|$", row)] == []
    for family in FAMILIES:
        for field in dataclasses.fields(ATTACKS[family]):  # type: ignore[arg-type]  # a dataclass
            assert any(row.startswith(f"| `{field.name}` |") for row in rows), (family, field.name)


def test_every_standard_set_is_listed(page: str) -> None:
    for name in SUITES:
        if SUITES.origin(name) == BUILT_IN:
            (row,) = [line for line in page.splitlines() if f"`{name}`" in line and line.count("|") == 6]
            for attack in SUITES[name].attacks:
                label = label_of(parse(attack).steps[0].name)
                number = label.number(attack)
                assert f"`{attack}`" in row or re.search(rf"`{label.text('K')}` \([^)]*\b{number}\b", row), attack


def test_every_fallback_and_flag_is_explained(page: str, root: Path) -> None:
    files = [
        *(root / "robust_unlearn_bench" / "attacks").rglob("*.py"),
        *(root / "robust_unlearn_bench" / "harness").rglob("*.py"),
    ]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    reasons = set(re.findall(r'fall_back\("([a-z_]+)"', code)) | {f"{name}_ignores" for name in BACKENDS[1:]}
    lines = [line for line in code.splitlines() if re.search(r"\bflags\b", line)]
    flags = {word for line in lines for word in re.findall(r'"([a-z]+(?:_[a-z]+)+)"', line)}
    assert reasons == set(FALLBACKS)
    assert flags == set(FLAGS)
    for word in reasons | flags:
        assert f"| `{word}`" in page
