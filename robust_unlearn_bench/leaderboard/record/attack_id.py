"""What an attack is, read from the configuration that results and records carry, never from its printed name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...attacks.attack import ATTACKS
from ...attacks.spec import label_of
from ...errors import PluginError, UnknownNameError

__all__ = ["AttackId", "seed_of", "without_seed"]

Config = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AttackId:
    """An attack, whatever its seed.

    Attributes:
        name: the name in results, records and tables.
        label: how the attack is written when its other parameters are left out, such as `relearn50+gptq4`; None when
            this installation does not know one of its families.
        family: registry name of the family of a single attack; None for a composition.
        amount: what the attacker spends, in `unit`; None for a composition, for a family whose number is not an amount
            of work, and for a family that this installation does not know.
        unit: "steps" or "epochs"; None together with `amount`.
        setting: every parameter except the amount and the seed, as JSON with sorted keys.
        steps: optimizer steps of all parts together, 0 for an attack that does not train; None where a part counts
            something else, or is of a family that this installation does not know.
        trains_on: the texts that the parts train on, sorted ("forget", "half", "retain", "general"); a family that this
            installation does not know counts as "forget".
    """

    name: str
    label: str | None
    family: str | None
    amount: int | None
    unit: str | None
    setting: str
    steps: int | None = 0
    trains_on: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, config: Config) -> AttackId:
        """Identify an attack.

        Args:
            name: the name under which its results were reported.
            config: every parameter of every step, as in `AttackSpec.config`.
        """
        steps = [_step(parameters) for parameters in config]
        labels = [step.label for step in steps if step.label is not None]
        only = steps[0] if len(steps) == 1 else _Step()
        rest = [{k: v for k, v in parameters.items() if k != only.counted} for parameters in without_seed(config)]
        return cls(
            name=name,
            label="+".join(labels) if len(labels) == len(steps) else None,
            family=only.family,
            amount=config[0][only.counted] if only.counted else None,
            unit=only.unit,
            setting=json.dumps(rest, sort_keys=True),
            steps=_total([step.steps(parameters) for step, parameters in zip(steps, config, strict=True)]),
            trains_on=tuple(sorted({step.trains_on for step in steps} - {""})),
        )

    @property
    def own(self) -> bool:
        """Whether the parameters are the suite's own: then, and only then, the harness reports the label as the name."""
        return self.name == self.label

    @property
    def line(self) -> str | None:
        """Name of the curve on which the attack is a point: equal for attacks that differ in their amount alone.

        It is the family where the parameters are the suite's own, followed by a digest of them otherwise, and None for
        an attack without an amount.
        """
        if self.amount is None:
            return None
        if self.own:
            return self.family
        return f"{self.family}@{hashlib.sha256(self.setting.encode()).hexdigest()[:12]}"

    @property
    def fragment(self) -> str:
        """The name as a fragment identifier in HTML."""
        return "".join(character if character.isalnum() or character in "_.-" else "-" for character in self.name)


def without_seed(config: Config) -> list[dict[str, Any]]:
    """The configuration that runs of one attack under several seeds share."""
    return [{key: value for key, value in parameters.items() if key != "seed"} for parameters in config]


def seed_of(config: Config) -> int:
    """The seed of a run: that of the first step that has one, 0 where none is random."""
    return next((int(step["seed"]) for step in config if type(step.get("seed")) is int), 0)


class _Step(NamedTuple):
    """What the registry says about one step; everything is None for a family that this installation does not know.

    Attributes:
        counted: the parameter that counts what the attacker spends.
        trains_on: text that the step trains on, or "".
    """

    family: str | None = None
    label: str | None = None
    counted: str | None = None
    unit: str | None = None
    trains_on: str = "forget"

    def steps(self, parameters: Mapping[str, Any]) -> int | None:
        """Optimizer steps that the step takes, or None where they are not known."""
        if not self.trains_on:
            return 0
        return parameters[self.counted] if self.counted and self.unit == "steps" else None


def _step(parameters: Mapping[str, Any]) -> _Step:
    family = parameters.get("attack")
    if not isinstance(family, str):
        return _Step()
    try:
        label, facts = label_of(family), ATTACKS.facts(family)
    except (UnknownNameError, PluginError):
        return _Step(family)
    number, unit = parameters.get(label.field), facts.get("budget")
    counts = unit is not None and type(number) is int
    return _Step(
        family,
        label.text(number),
        label.field if counts else None,
        unit if counts else None,
        facts.get("trains_on", ""),
    )


def _total(steps: Sequence[int | None]) -> int | None:
    known = [count for count in steps if count is not None]
    return sum(known) if len(known) == len(steps) else None
