"""Whether the attacks of a record are those of the suite: parameters, seeds and digests, compared as JSON is written.

Python holds `False == 0` and `1 == 1.0` for true; here they are different parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...attacks.spec import digest_of
from ..record.attack_id import seed_of
from ..record.schema import Attack, Record
from ..record.strict_json import canonical
from .finding import Finding

__all__ = ["other_attacks", "own_attacks"]


def own_attacks(record: Record) -> Iterator[Finding]:
    """Find attacks whose seed or digest is not that of their configuration, and attacks that changed no weight."""
    for i, attack in enumerate(record.attacks):
        where = f"attacks.{i} ({attack.name})"
        if seed_of(attack.config) != attack.seed:
            yield Finding(
                "error", f"{where}.seed", f"{attack.seed}, but its configuration says {seed_of(attack.config)}"
            )
        if attack.digest is not None and attack.digest != (digest := digest_of(attack.config)):
            yield Finding("error", f"{where}.digest", f"{attack.digest}, but its configuration hashes to {digest}")
        if attack.weight_change == 0 and not _none(attack):
            yield Finding("label", f"{where}.weight_change", "0: the attack has not moved the weights")


def other_attacks(record: Record, target: Record) -> Iterator[Finding]:
    """Find runs of the suite's attacks with other parameters or seeds than the suite's target was put under."""
    runs, seeds = target.runs, _seeds(target)
    for i, (run, attack) in enumerate(record.runs.items()):
        where = f"attacks.{i}.config ({attack.name})"
        if attack.name not in seeds:
            continue
        theirs = runs.get(run)
        if theirs is None:
            yield Finding("error", where, f"seed {attack.seed}, the suite runs {_listed(seeds[attack.name])}")
            continue
        if canonical(attack.config) != canonical(theirs.config):
            differing = _difference(attack.config, theirs.config)
            yield Finding("error", where, f"differs from the suite's in {differing}")
        if attack.weight_change is None and theirs.weight_change is not None:
            yield Finding("label", f"attacks.{i}.weight_change", f"{run} does not say how far it moved the weights")
    for name, ours in _seeds(record).items():
        if lacking := sorted(set(seeds.get(name, ())) - set(ours)):
            message = f"seeds {_listed(lacking)} of {name} are missing; the suite runs {_listed(seeds[name])}"
            yield Finding("error", "attacks", message)


def _seeds(record: Record) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for attack in record.attacks:
        found.setdefault(attack.name, []).append(attack.seed)
    return found


def _none(attack: Attack) -> bool:
    return all(step.get("attack") == "none" for step in attack.config)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _difference(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> str:
    if len(ours) != len(theirs):
        return f"the number of steps ({len(ours)}, not {len(theirs)})"
    keys = [
        f"{key} ({a.get(key)!r}, not {b.get(key)!r})"
        for a, b in zip(ours, theirs, strict=True)
        for key in sorted({*a, *b})
        if (key in a) != (key in b) or canonical(a.get(key)) != canonical(b.get(key))
    ]
    return ", ".join(keys)
