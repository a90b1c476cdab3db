"""A benchmark of the benchmark: does the score tell models that never saw the forget text from those that did?

    python benchmarks/meta_evaluation.py run --out DIR   build and measure the cast, and put it on the board; resumes
    python benchmarks/meta_evaluation.py report          docs/meta-evaluation.md from the records on the board

In the nano world the past of every model is known. The cast: models that never saw the text (retrain models of other
seeds), models that learned a share of it (doses), unlearned models (the recipes), and hiders (`hiders.py`). Target and
retrain model of seed 0 are the controls. No threshold of the scorer was chosen on any of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robust_unlearn_bench.leaderboard.record.entry import Entry, load
from robust_unlearn_bench.leaderboard.scoring.scorer import score
from robust_unlearn_bench.leaderboard.store import Store

SUITE = "nano_books"
ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "meta-evaluation.md"

RECIPES = (
    "npo-adam",
    "simnpo-hybrid",
    "rmu-adam",
    "npo-muon",
    "undial-adam",
    "grad_diff-adam",
    "npo-signsgd",
    "npo-tar",
)
SEEDS = (1, 2, 3, 4, 5, 6)
DOSES = (0.1, 0.25, 0.5, 0.75, 0.9)

NEVER, DOSE, UNLEARNED, HIDER, CONTROL = "never_saw", "dose", "unlearned", "hider", "control"


@dataclass(frozen=True, slots=True)
class Member:
    """A model of the cast.

    Attributes:
        name: display name, which begins with the kind for all but recipes.
        kind: kind of its record, or `CONTROL`.
        dose: share of the forget text that it learned, before anything was done to it.
    """

    name: str
    kind: str
    dose: float


def cast() -> Iterator[Member]:
    """The cast, in an order that makes every prefix informative."""
    from hiders import HIDERS
    from hiders import RECIPES as CUT_SHORT

    groups = [
        [Member(f"never saw: seed {seed}", NEVER, 0.0) for seed in SEEDS],
        [Member(f"dose: {dose:g}", DOSE, dose) for dose in DOSES] + [Member("dose: 1", DOSE, 1.0)],
        [Member(name, UNLEARNED, 1.0) for name in RECIPES],
        [Member(name, HIDER, 1.0) for name in (*HIDERS, *CUT_SHORT)],
    ]
    for place in range(max(map(len, groups))):
        yield from (group[place] for group in groups if place < len(group))


def build(member: Member, target: Path, out: Path) -> Path:
    """Build a model of the cast, or find it."""
    from hiders import hide

    from robust_unlearn_bench.nano.pretrain import train
    from robust_unlearn_bench.unlearn.unlearning import unlearn

    if member.kind == NEVER:
        return train(SUITE, "retrain", int(member.name.rpartition(" ")[2]))
    if member.kind == DOSE:
        return train(SUITE, "target", 1 if member.dose == 1 else 0, dose=member.dose)
    if member.kind == HIDER:
        return hide(member.name, target, SUITE, out / "models")
    return unlearn(f"{SUITE}/{member.name}", target, out / "models" / member.name, reuse=True)


def measured(job: tuple[Member, str]) -> Entry:
    """Measure one model, unless its results are there; one core."""
    import torch

    from robust_unlearn_bench.nano.pretrain import train
    from robust_unlearn_bench.submit import measure

    member, out = job
    torch.set_num_threads(1)
    folder = Path(out) / "records" / member.name.replace(": ", "-").replace(" ", "-")
    if not folder.is_dir():
        role: Any = member.name if member.kind == CONTROL else None
        target = train(SUITE, "target")
        model = train(SUITE, role) if role else build(member, target, Path(out))
        results = Path(out) / "results" / folder.name
        run = {"dtype": "float32"}
        kind: Any = role or member.kind
        measure(model, SUITE, results, run=run, kind=kind, name=member.name, relationship="maintainer").entry.save(
            folder
        )
    return load(folder / "record.json")


def run(out: Path, root: Path) -> None:
    """Measure the controls and the cast, one model a core, and put them on the board."""
    os.environ["OMP_NUM_THREADS"] = "1"
    store = Store(root)
    known = {entry.record.model.fingerprint for entry in store.entries()}
    jobs = [(member, str(out)) for member in (Member("target", CONTROL, 1.0), Member("retrain", CONTROL, 0.0), *cast())]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for (member, _), entry in zip(jobs, pool.imap(measured, jobs), strict=True):
            print(member.name, entry.id, flush=True)
            if member.kind == CONTROL:
                store.set_anchor(entry, member.name)
            elif entry.record.model.fingerprint not in known:
                store.add(entry, tier="replayed", by="maintainers", reason="measured by maintainers")


# --- report --------------------------------------------------------------------------------------------------------


def separation(never: Sequence[float], saw: Sequence[float], draws: int = 2000) -> tuple[float, float, float]:
    """AUC of "the trace is larger for a model that saw the text", with a 95 % bootstrap interval over models."""
    from robust_unlearn_bench.metrics.membership import auc

    rng = np.random.default_rng(0)
    a, b = np.asarray(never), np.asarray(saw)
    replicates = [auc(rng.choice(b, len(b)), rng.choice(a, len(a))) for _ in range(draws)]
    low, high = np.quantile(replicates, (0.025, 0.975))
    return auc(b, a), float(low), float(high)


def report(root: Path) -> None:
    """Write the page."""
    store = Store(root)
    target, retrain = (load(root / "anchors" / f"{SUITE}-2" / role / "record.json") for role in ("target", "retrain"))
    members = {member.name: member for member in cast()}
    mine = [e for e in store.entries() if e.record.suite.version == "2" and e.record.display_name in members]
    board = score(mine, target, retrain)
    rows = [row for row in board.rows if row.record.display_name in members]
    PAGE.write_text("\n".join(_page(rows, members)) + "\n", encoding="utf-8")
    print(PAGE)


def _page(rows: Sequence[Any], members: dict[str, Member]) -> Iterator[str]:
    from scipy.stats import spearmanr

    kind = {row.entry.id: members[row.record.display_name] for row in rows}
    never = [row for row in rows if kind[row.entry.id].kind == NEVER]
    doses = [row for row in rows if kind[row.entry.id].kind in (NEVER, DOSE)]
    saw = [row for row in rows if kind[row.entry.id].kind in (UNLEARNED, HIDER)]

    def number(value: Any) -> str:
        if value.value is None:
            return "–"
        ends = "" if value.low is None or value.high is None else f" [{100 * value.low:.0f}, {100 * value.high:.0f}]"
        return f"{100 * value.value:.1f}{ends}"

    yield "<!-- Generated by `python benchmarks/meta_evaluation.py report` from the records of the leaderboard. -->"
    yield "# A benchmark of the benchmark"
    yield ""
    yield f"{len(rows)} models of {SUITE} whose past is known, scored against the target and the retrain model of seed 0."
    yield (
        "*Never saw*: trained without the forget text, other seeds. *Dose*: trained on a share of it. *Hider*: saw all of "
        "it and was built to look otherwise. The rest are recipes of `baselines/`."
    )
    yield ""
    yield "| model | score | forgetting | says | holds | worst case | utility | decided by |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        cell = row.worst
        by = "–" if cell is None else f"{cell.task.removeprefix(SUITE + '_')} {cell.metric}, {cell.attack}"
        numbers = (row.score, row.robust_forgetting, row.says, row.holds, row.worst_case, row.utility)
        yield f"| {row.record.display_name} | {' | '.join(map(number, numbers))} | {by} |"
    yield ""
    yield "## Separation and dose"
    yield ""
    yield (
        "AUC: the chance that a model that saw the text, unlearned or hiding, has the larger trace than one that never saw "
        "it (95 % interval over models). Dose: Spearman correlation of the trace with the share of the text that was "
        "learned. Spread: standard deviation over models that never saw the text, which differ in their seed alone."
    )
    yield ""
    yield "| trace | AUC | dose | spread |"
    yield "|---|---|---|---|"
    for name, trace in _traces(rows):
        known = [[t for row in group if (t := trace(row)) is not None] for group in (never, saw)]
        if min(map(len, known)) < 2:
            continue
        middle, low, high = separation(*known)
        pairs = [(kind[row.entry.id].dose, t) for row in doses if (t := trace(row)) is not None]
        rank = float(spearmanr(*zip(*pairs, strict=True)).statistic) if len({d for d, _ in pairs}) > 2 else float("nan")
        yield f"| {name} | {middle:.2f} [{low:.2f}, {high:.2f}] | {rank:.2f} | {np.std(known[0], ddof=1):.3f} |"


def _traces(rows: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Name → function from a row to a trace, larger for more knowledge of the text."""

    def rest(field: str) -> Any:
        return lambda row: None if getattr(row, field).value is None else 1 - getattr(row, field).value

    yield from ((f"**{title}**", rest(field)) for title, field in _FINAL.items())
    for e in rows[0].envelopes:
        key = (e.task, e.metric, e.attacker)
        yield (
            f"savings: {e.task.removeprefix(SUITE + '_')} {e.metric}, {e.attacker}",
            lambda row, key=key: next(
                (o.savings.value for o in row.envelopes if (o.task, o.metric, o.attacker) == key and o.identifiable),
                None,
            ),
        )
    for held in rows[0].held:
        yield (
            f"holds: {held.cell.task.removeprefix(SUITE + '_')} {held.cell.metric}, {held.cell.attack}",
            lambda row, cell=held.cell: next(
                (abs(o.deviation.value) for o in row.held if o.cell == cell and o.deviation.value is not None), None
            ),
        )
    for f in rows[0].forgetting:
        yield (
            f"leakage: {f.cell.task.removeprefix(SUITE + '_')} {f.cell.metric}, {f.cell.attack}",
            lambda row, cell=f.cell: next(
                (o.leakage.value for o in row.forgetting if o.cell == cell and o.identifiable), None
            ),
        )


_FINAL = {"forgetting": "robust_forgetting", "says": "says", "holds": "holds", "plain worst case": "worst_case"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("run").add_argument("--out", type=Path, required=True)
    commands.add_parser("report")
    for command in commands.choices.values():
        command.add_argument("--root", type=Path, default=ROOT / "leaderboard")
    told = parser.parse_args()
    run(told.out, told.root) if told.command == "run" else report(told.root)
