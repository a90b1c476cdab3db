"""What is left to do between a record on disk and a row on the board: a checklist in Markdown for the pull request."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..escape import markdown
from ..record.entry import Entry
from ..record.schema import Record
from ..scoring.board_table import percent
from .validate import Verdict

__all__ = ["checklist", "open_points"]


def open_points(record: Record) -> list[str]:
    """Questions of a reader that the record does not answer, each with its remedy."""
    model, method = record.model, record.method
    points = []
    if model.source == "local":
        points.append("nobody else has the weights: publish them, then submit again with --model ORG/NAME --revision")
    if method.objective is None or method.optimizer is None:
        points.append("objective and optimizer are unknown: name the recipe with --recipe")
    elif method.tuning_trials is None:
        points.append("how many configurations were tried is unknown: say it under `tuning` in the recipe")
    return points


def checklist(entry: Entry, verdict: Verdict, folder: Path) -> str:
    """Write the commands of the pull request and its description, with every box ticked that can be, in Markdown.

    Args:
        entry: the record and its items, as saved.
        verdict: what the validator found.
        folder: folder that holds the record.
    """
    record, name = entry.record, markdown(entry.record.display_name)
    suite = f"{record.suite.name} {record.suite.version}"
    target = f"leaderboard/records/{entry.id}"
    files = ["record.json", *(task.items.file for task in record.suite.tasks.values() if task.items)]
    source = " ".join(shlex.quote(str(folder.resolve() / file)) for file in files)
    size = sum((folder / file).stat().st_size for file in files)
    ticks = [
        (True, f"only new files under `{target}/` ({len(files)} files, {size / 1000:,.0f} kB, no text of the suite)"),
        (True, f"every task of {suite} under every standard attack, every document"),
        (verdict.ok, f"`rub leaderboard validate {target}` says valid ({verdict.tier.replace('_', ' ')} so far)"),
    ]
    boxes = [f"- [{'x' if done else ' '}] {text}" for done, text in ticks]
    boxes += [f"- [ ] {point}" for point in open_points(record)]
    return "\n".join(
        [
            f"# Submit {name} to {suite}",
            "",
            "In a fork of robust-unlearn-bench, on a new branch:",
            "",
            f"    mkdir -p {target}",
            f"    cp {source} {target}/",
            f"    git add {target}",
            f"    git commit -m {shlex.quote('Submit ' + entry.id)}",
            "",
            "Push the branch, open a pull request, and paste what follows as its description. Do not edit the record: its",
            "id is the hash of its content. To change something, run `rub submit` again; answers are cached.",
            "",
            "---",
            "",
            f"**{name}** on {suite}, `{entry.id}`",
            "",
            *boxes,
            *_findings(verdict),
            "",
            *_numbers(record),
            "",
        ]
    )


def _findings(verdict: Verdict) -> list[str]:
    return (
        ["", "The validator says:", "", *(f"- {markdown(str(f))}" for f in verdict.findings)]
        if verdict.findings
        else []
    )


def _numbers(record: Record) -> list[str]:
    """Scored metrics by attack."""
    attacks = list(dict.fromkeys(attack.name for attack in record.attacks))
    lines = [f"| {' | '.join(('percent', *attacks))} |", f"|---|{'--:|' * len(attacks)}"]
    for task, described in record.suite.tasks.items():
        for metric, spec in described.metrics.items():
            if spec.role in ("forget", "utility"):
                cells = [_mean(record, task, metric, attack) for attack in attacks]
                arrow = "↓" if spec.role == "forget" else "↑"
                label = markdown(f"{task.removeprefix(record.suite.name + '_')} {metric}")
                lines.append(f"| {' | '.join((f'{label} {arrow}', *cells))} |")
    return lines


def _mean(record: Record, task: str, metric: str, attack: str) -> str:
    """Over the seeds of an attack."""
    values = [r.value for r in record.results if (r.task, r.metric, r.attack) == (task, metric, attack)]
    known = [value for value in values if value is not None]
    return percent(sum(known) / len(known) if known else None)
