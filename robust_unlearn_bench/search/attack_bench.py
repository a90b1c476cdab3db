"""One attack on the model and on the retrain model: what it brings back and what it costs.

Every model is loaded for its measurement and freed afterwards, so that a search needs no more memory than one
evaluation. Answers are cached by the harness: a trial that is run again after an interruption reads what it has.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..attacks import parse
from ..errors import ConfigError, ModelError
from ..leaderboard.build.lmeval_results import TaskRun, read_items_of, read_results, result_files
from ..leaderboard.record.attack_id import AttackId
from ..leaderboard.record.items import Items, aggregate
from ..leaderboard.scoring.attack_leakage import SELECTS, Metric, Reading, kept, leaks, worst
from ..suites import SUITES, Suite

__all__ = ["AttackBench", "Outcome", "Role"]

Role = Literal["model", "target", "retrain"]

NONE = "none"


class Outcome(NamedTuple):
    """What one attack does to the model.

    Attributes:
        leakage: largest leakage on the half of the clusters that selects; None when it costs too much utility, or when
            no metric separates target and retrain model under it.
        utility: share of the unattacked model's utility that is left.
        reason: why there is no leakage, or None.
    """

    leakage: float | None
    utility: float
    reason: str | None = None


class _Measurement(NamedTuple):
    """Items of one model in one state, and what the harness reported about them."""

    items: Mapping[str, Items]
    values: Mapping[Metric, float | None]
    fingerprint: str | None

    @property
    def reading(self) -> Reading:
        return Reading(self.items, "run")


@dataclass
class AttackBench:
    """The three models of a search, and how they are run.

    Attributes:
        suite: suite whose forget metrics are elicited.
        models: role → folder or hub name.
        run: dtype, device, batch_size and data_dir, as `rub eval` takes them.
    """

    suite: Suite
    models: Mapping[Role, str]
    run: Mapping[str, Any] = field(default_factory=dict)
    _untouched: dict[Role, _Measurement] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, suite: str, models: Mapping[Role, str], run: Mapping[str, Any]) -> AttackBench:
        """Prepare the models of a suite.

        Raises:
            UnknownNameError: there is no such suite.
            ConfigError: the suite has no utility metric to bound what an attack costs.
        """
        bench = cls(SUITES[suite], models, run)
        if not bench._declared("utility"):
            raise ConfigError(f"suite {suite} measures no utility, so nothing bounds what an attack may cost")
        return bench

    def try_out(self, attack: str, most_lost: float) -> Outcome:
        """Attack the model, and the retrain model if the model stays useful, and compare.

        Args:
            attack: spec.
            most_lost: largest share of utility that may be lost.

        Raises:
            RubError: the attack could not be carried out on one of them.
        """
        mine = self._measured("model", attack, ("forget", "utility"))
        left = kept(self._floors(), mine.reading, self.untouched("model").reading).value
        if left is None:
            raise ModelError(
                f"{self.models['model']} is useless before any attack, so no attack can be bounded by what it costs"
            )
        if left < 1 - most_lost:
            return Outcome(None, left, "costs too much utility")
        base = self._measured("retrain", attack, ("forget",))
        top = worst(
            leaks(
                self._forget(),
                mine.reading,
                base.reading,
                self.untouched("target").reading,
                self.untouched("retrain").reading,
                SELECTS,
            )
        )
        if top is None:
            return Outcome(None, left, "no metric separates target and retrain model under it")
        return Outcome(top.leakage.value, left)

    def untouched(self, role: Role) -> _Measurement:
        """A model before any attack; measured once.

        Raises:
            RubError: it cannot be loaded or measured.
        """
        if role not in self._untouched:
            self._untouched[role] = self._measured(role, NONE, ("forget", "utility"))
        return self._untouched[role]

    def steps(self, attack: str) -> int:
        """Optimizer steps that an attack takes."""
        config = parse(attack, self.suite.attack_defaults).config
        return AttackId.of(attack, config).steps or 0

    def evaluate(self, role: Role, tasks: Sequence[str], attacks: Sequence[str], out: Path) -> Path:
        """Run lm-eval on a model and return the file of its results.

        Raises:
            RubError: the model cannot be loaded, or an attack failed.
        """
        from ..harness.evaluate import evaluate

        options = {"dtype": "auto", "device": None, "batch_size": "auto", "data_dir": None, **self.run}
        with redirect_stdout(sys.stderr):  # lm-eval prints what it does
            evaluate(
                "hf",
                {"pretrained": self.models[role], "dtype": options["dtype"]},
                tasks,
                attacks=attacks,
                out=out,
                batch_size=options["batch_size"],
                device=options["device"],
                metadata={"data_dir": options["data_dir"]} if options["data_dir"] else {},
            )
        return result_files(out)[-1]

    def _measured(self, role: Role, attack: str, roles: Sequence[str]) -> _Measurement:
        tasks = list(dict.fromkeys(task for kind in roles for task, _ in self._declared(kind)))
        with tempfile.TemporaryDirectory() as scratch:
            runs = read_results([self.evaluate(role, tasks, [attack], Path(scratch))])
            items = {run.task: found for run in runs if (found := read_items_of({"run": run})[0]) is not None}
        values = {(run.task, metric): value for run in runs for metric, value in run.values.items()}
        return _Measurement(items, values, _fingerprint(runs[0]))

    def _forget(self) -> list[Metric]:
        return [metric for metric in self._declared("forget") if self._resampled(metric)]

    def _floors(self) -> dict[Metric, float]:
        return {metric: floor for metric, floor in self._declared("utility").items() if self._resampled(metric)}

    def _declared(self, role: str) -> dict[Metric, float]:
        """Metrics of a role, with their floors."""
        return {
            (f"{self.suite.name}_{leaf.name}", metric.name): metric.floor
            for leaf in self.suite.leaves
            for metric in leaf.metrics
            if metric.role == role
        }

    def _resampled(self, metric: Metric) -> bool:
        """Whether the metric is what its items aggregate to, as the scorer demands."""
        clean = self.untouched("target")
        value, column = clean.values.get(metric), clean.items[metric[0]].scores.get(("run", metric[1]))
        again = aggregate(column) if column is not None else None
        return value is not None and again is not None and abs(value - again) <= 1e-6


def _fingerprint(run: TaskRun) -> str | None:
    found = (run.report.get("model") or {}).get("fingerprint")
    return str(found) if found else None
