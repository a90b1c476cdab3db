"""The result of a gate: one check for each metric, and the verdict over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .config import Gated

__all__ = ["MARKS", "ORDER", "Check", "Result", "Verdict"]

Verdict = Literal["regressed", "held", "improved", "inconclusive", "invalid"]

ORDER: tuple[Verdict, ...] = ("regressed", "inconclusive", "improved", "held")
"""Verdicts of a metric, the worst first."""

MARKS = {"regressed": "✗", "inconclusive": "?", "improved": "↑", "held": "✓", "invalid": "!"}


@dataclass(frozen=True, slots=True)
class Check:
    """One gated metric.

    Attributes:
        gated: the metric, as the configuration describes it.
        verdict: the verdict on the metric.
        baseline: value of the baseline record.
        candidate: value of the candidate.
        worse_by: w, positive when the candidate is worse.
        low: lower one-sided bound of w.
        high: upper one-sided bound of w.
        p: Holm-adjusted p-value of "no worse".
        detectable: change that these documents show with the wanted power.
        documents: number of paired documents.
        clusters: number of clusters that are resampled.
        needed: number of documents that would show a change of one margin with the wanted power.
        mcnemar: exact p-value on 0/1 items, or None.
        note: a remark for the reader, or "".
    """

    gated: Gated
    verdict: Verdict
    baseline: float
    candidate: float
    worse_by: float
    low: float
    high: float
    p: float
    detectable: float
    documents: int
    clusters: int
    needed: int
    mcnemar: float | None = None
    note: str = ""

    @property
    def sentence(self) -> str:
        """What the metric did, in words."""
        change = f"{100 * self.baseline:.1f} → {100 * self.candidate:.1f}"
        by = [100 * value for value in (self.worse_by, self.low, self.high)]
        if self.worse_by < 0:
            by = [-by[0], -by[2], -by[1]]
        bounds = f"{'better' if self.worse_by < 0 else 'worse'} by {by[0]:.1f} [{by[1]:.1f}, {by[2]:.1f}]"
        text = f"{self.gated.cell}: {self.verdict}, {change}, {bounds} points, margin {100 * self.gated.margin:g}"
        if self.verdict == "inconclusive":
            text += (
                f"; {self.documents} documents in {self.clusters} clusters show a change of "
                f"{100 * self.detectable:.1f}, a change of {100 * self.gated.margin:g} needs about {self.needed}"
            )
        if self.note:
            text += f"; {self.note}"
        if self.verdict == "improved":
            text += "; renew the baseline, or find out why"
        return text


@dataclass(frozen=True, slots=True)
class Result:
    """What a gate found.

    Attributes:
        baseline: name of the baseline.
        candidate: name of the candidate.
        checks: one for each metric, the worst first.
        errors: why the comparison is invalid; empty otherwise.
        policy: what "inconclusive" means for the job.
    """

    baseline: str
    candidate: str
    checks: tuple[Check, ...]
    errors: tuple[str, ...]
    policy: Literal["fail", "warn"] = "fail"

    @property
    def verdict(self) -> Verdict:
        """The worst verdict over all metrics."""
        if self.errors:
            return "invalid"
        found = {check.verdict for check in self.checks}
        return next(verdict for verdict in ORDER if verdict in found)

    @property
    def exit_code(self) -> int:
        """0 held or improved, 1 regressed, 2 inconclusive where that fails, 3 invalid."""
        codes = {
            "held": 0,
            "improved": 0,
            "regressed": 1,
            "inconclusive": 2 if self.policy == "fail" else 0,
            "invalid": 3,
        }
        return codes[self.verdict]

    @property
    def ok(self) -> bool:
        """Whether the job passes."""
        return self.exit_code == 0

    def summary(self) -> str:
        """One line a metric, worst first, then the verdict."""
        lines = [f"! {error}" for error in self.errors]
        lines += [f"{MARKS[check.verdict]} {check.sentence}" for check in self.checks]
        return "\n".join([*lines, f"{self.candidate} against {self.baseline}: {self.verdict}"])
