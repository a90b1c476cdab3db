"""docs/attacks.md, generated from the registry and the docstrings of the attacks by `make generated`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..docstrings import described, notes, parameter_table
from ..registry import BUILT_IN
from ..suites import SUITES, Suite
from .attack import ATTACKS, Attack
from .attack_handbook_text import AFTER, BEFORE, GROUPS, NUMBERS, UNITS
from .reasons import FALLBACKS, FLAGS
from .relearn.training_attack import TrainingAttack
from .spec import AttackSpec, label_of, parse

__all__ = ["attack_handbook"]


def attack_handbook() -> str:
    """Markdown: every attack of this package with parameters, source, departures and cost, and the sets of the suites."""
    lines = [BEFORE, *_reasons(), UNITS, *_standard_sets()]
    for group, introduction in GROUPS.items():
        lines += [introduction, *(_common_parameters() if group == "relearn" else ())]
        for family in ATTACKS:
            if ATTACKS.origin(family) == BUILT_IN and _group(ATTACKS[family]) == group:
                lines += _attack(family)
    return "\n".join([*lines, NUMBERS, AFTER]).rstrip() + "\n"


def _reasons() -> Iterator[str]:
    yield from ("| flag | meaning |", "|---|---|")
    yield from (f"| `{flag}` | {meaning} |" for flag, meaning in FLAGS.items())
    yield from ("", "| fallback | what happened instead |", "|---|---|")
    yield from (f"| `{reason}` {fallback.value} | {fallback.meaning} |" for reason, fallback in FALLBACKS.items())
    yield ""


def _standard_sets() -> Iterator[str]:
    """The attacks of the groups `<suite>_robust` and `<suite>_curve`; suites with the same sets share a row."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for name in SUITES:
        if SUITES.origin(name) == BUILT_IN:
            sets.setdefault(_set(SUITES[name]), []).append(f"`{name}`")
    yield from (
        "## Standard sets",
        "",
        "`<suite>_robust` runs the standard set of a suite, `<suite>_robust_v1` that of its version 1, and `<suite>_curve` its "
        "curve. K stands for the numbers of steps after which a trajectory is measured. *Steps* are those of training in the "
        "set, each F + B, and in brackets those of version 1.",
        "",
    )
    yield from ("| suite | standard set | steps | curve | its own defaults |", "|---|---|---|---|---|")
    yield from (
        f"| {', '.join(names)} | {' | '.join(cell or '–' for cell in cells)} |" for cells, names in sets.items()
    )
    yield ""


def _set(suite: Suite) -> tuple[str, ...]:
    by_value: dict[str, list[str]] = {}
    for family, values in suite.attack_defaults.items():
        by_value.setdefault(", ".join(f"{k} {v:g}" for k, v in values.items()), []).append(f"`{family}`")
    defaults = "; ".join(f"{value} for {', '.join(families)}" for value, families in by_value.items())
    steps = [_steps(names, suite) for names in (suite.attacks, *suite.former.values())]
    spent = f"{steps[0]}" + "".join(f" ({former})" for former in steps[1:])
    return (_listed(suite.attacks, suite), spent, _listed(suite.curve, suite), defaults)


def _listed(names: Sequence[str], suite: Suite) -> str:
    """Names of attacks, those that differ in their number alone as `relearn_constK` (10, 25, 50)."""
    lines: dict[str, list[str]] = {}
    for name in names:
        step = parse(name, suite.attack_defaults).steps[0]
        label = label_of(step.name)
        counted = step.name if "budget" in ATTACKS.facts(step.name) else name
        lines.setdefault(label.text("K") if counted == step.name else name, []).append(
            str(getattr(step, label.field)) if label.field else ""
        )
    return ", ".join(f"`{line}` ({', '.join(ks)})" if "K" in line else f"`{line}`" for line, ks in lines.items())


def _steps(names: Sequence[str], suite: Suite) -> int:
    """Optimizer steps of a set; the stations of one trajectory cost its longest."""
    longest: dict[Any, int] = {}
    for name in names:
        for step in parse(name, suite.attack_defaults).steps:
            own: Any = step
            steps = own.epochs * -(-own.samples // own.batch_size) if hasattr(own, "epochs") else getattr(own, "k", 0)
            key = step.trajectory or name
            longest[key] = max(longest.get(key, 0), steps)
    return sum(longest.values())


def _group(kind: type[Attack]) -> str:
    """Module or subpackage of `attacks` in which an attack is defined."""
    return kind.__module__.removeprefix(f"{__package__}.").partition(".")[0]


def _common_parameters() -> list[str]:
    return parameter_table("parameter", dataclasses.fields(TrainingAttack), described(TrainingAttack).attributes)


def _attack(family: str) -> Iterator[str]:
    kind, label = ATTACKS[family], label_of(family)
    example = AttackSpec((kind(),)).label
    written = label.text(f"{{{label.field}}}")
    said = described(kind)
    yield from (f"### `{written}`" + (f": {example}" if example != written else ""), "", said.text, "")
    yield from parameter_table("parameter", _parameters(kind), _explained(kind))
    yield from notes(said.sections, ("Source", "Departs", "Cost"))


def _parameters(kind: type[Attack]) -> list[dataclasses.Field[Any]]:
    """The parameters of an attack, without those that it shares with all training attacks."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(kind)  # type: ignore[arg-type]  # a dataclass
    shared = {f.name: f.default for f in dataclasses.fields(TrainingAttack)} if issubclass(kind, TrainingAttack) else {}
    return [field for field in fields if field.name not in shared or field.default != shared[field.name]]


def _explained(kind: type[Attack]) -> Mapping[str, str]:
    """Parameter → explanation, from the docstrings of a class and of those that it extends."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        found |= described(base).attributes
    return found
