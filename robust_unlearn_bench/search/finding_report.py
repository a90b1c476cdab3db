"""The record of what a search found, and running an attack of a record again."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ..attacks import AttackSpec
from ..errors import AttackError, ModelError, RecordError
from ..leaderboard.build.attack_figures import attack_figures, found_attack
from ..leaderboard.build.from_results import record_from_results
from ..leaderboard.check.replay import REPEATABILITY, Agreement, agreement
from ..leaderboard.record.attack_entry import AttackEntry
from ..leaderboard.record.attack_record import Search, Trial, seal_attack
from ..leaderboard.record.entry import Entry
from ..leaderboard.record.field_types import utc_now
from .attack_bench import NONE, AttackBench, Role
from .space import Space
from .study import strongest

__all__ = ["record_of", "report", "run_again"]

ROLES: tuple[Role, ...] = ("model", "target", "retrain")


def report(
    bench: AttackBench, trials: Sequence[Trial], space: Space, out: Path, *, seed: int, most_lost: float
) -> AttackEntry:
    """Measure the strongest attack of a search on the whole suite, on all three models, and write its record.

    Args:
        bench: the models.
        trials: the trials.
        space: what was searched.
        out: folder of the search; the record goes to `finding/`, lm-eval's output to `results/`.
        seed: seed of the sampler.
        most_lost: the utility bound.

    Raises:
        AttackError: no attack stayed within the bound and brought anything back that can be read.
    """
    best = strongest(trials)
    if best is None:
        failed = sum(trial.outcome == "failed" for trial in trials)
        costly = sum(trial.outcome == "costly" for trial in trials)
        raise AttackError(
            f"none of {len(trials)} trials is a finding ({failed} failed, {costly} cost more than {most_lost:.0%} of the "
            "utility, the others show nothing): allow more trials, or a larger --utility-loss"
        )
    search = Search(
        sampler=f"optuna {version('optuna')} TPE",
        seed=seed,
        space=space.described,
        most_lost=most_lost,
        trials=list(trials),
    )
    entry = record_of(bench, best.attack, out / "results", search)
    entry.save(out / "finding")
    return entry


def record_of(bench: AttackBench, attack: str, results: Path, search: Search | None = None) -> AttackEntry:
    """Measure three models, unattacked and under the attack, and describe the attack.

    Args:
        bench: the models.
        attack: spec.
        results: folder for lm-eval's output, which contains the suite's texts.
        search: how the attack was found, or None.
    """
    parts = {role: _measured(bench, role, attack, results / role) for role in ROLES}
    figures = attack_figures(parts["model"], parts["target"], parts["retrain"])
    model = parts["model"].record
    if model.model.fingerprint is None:
        raise ModelError(f"{bench.models['model']} has no weights in this process, so the attack cannot name its model")
    carried_out = found_attack(parts["model"])
    return AttackEntry(
        seal_attack(
            found_at=utc_now(),
            on={
                "name": model.model.name,
                "fingerprint": model.model.fingerprint,
                "suite": model.suite.name,
                "suite_version": model.suite.version,
            },
            attack=carried_out,
            spec=AttackSpec.of_config(carried_out.config).in_full,
            search=search,
            leaked=figures.leaked,
            utility=figures.utility,
            measured={role: entry.id for role, entry in parts.items()},
            environment=model.environment,
        ),
        model=parts["model"],
        target=parts["target"],
        retrain=parts["retrain"],
    )


def run_again(
    entry: AttackEntry, bench: AttackBench, results: Path, repeatability: float = REPEATABILITY
) -> dict[Role, list[Agreement]]:
    """Run the attack of a record again on all three models, and compare every cell.

    Args:
        entry: the attack.
        bench: the same models.
        results: folder for lm-eval's output.
        repeatability: largest difference of a cell between two runs.

    Raises:
        RecordError: a model is another than the record's.
        ConfigError: this installation's version of the attack is another.
    """
    attack = AttackSpec.of_config(entry.record.attack.config).in_full
    found: dict[Role, list[Agreement]] = {}
    for role in ROLES:
        again = _measured(bench, role, attack, results / role)
        prints = [part.record.model.fingerprint for part in (entry.parts[role], again)]
        if prints[0] != prints[1]:
            raise RecordError(f"{bench.models[role]} is not the {role} of the record: its weights have another hash")
        found[role] = agreement(entry.parts[role], again, repeatability)
    return found


def _measured(bench: AttackBench, role: Role, attack: str, out: Path) -> Entry:
    attacks = list(dict.fromkeys([NONE, attack]))
    tasks = [f"{bench.suite.name}_{leaf.name}" for leaf in bench.suite.leaves]
    file = bench.evaluate(role, tasks, attacks, out)
    folder = Path(bench.models[role])
    kinds = {"model": "unlearned", "target": "target", "retrain": "retrain"}
    return record_from_results(
        file,
        model=folder if folder.is_dir() else None,
        kind=kinds[role],  # type: ignore[arg-type]  # a literal
    ).entry
