"""What the scorer computes: cells, rows, boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..record.attack_id import AttackId
from ..record.entry import Entry
from ..record.grades import Grade, grade_of
from ..record.schema import Record
from .families import Envelope, Held
from .measure import Cell
from .stats import Floats, Number

__all__ = ["Board", "Forgetting", "Row", "Utility"]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """One forget metric under one attack.

    Attributes:
        cell: the metric and the attack.
        value: x(θ, a), or None when the record lacks it.
        target: x(T, none).
        retrain: x(G, a).
        leakage: L(θ, a), not clipped.
        identifiable: whether the gap between target and retrain is clear; if not, the cell counts for no row.
    """

    cell: Cell
    value: float | None
    target: float
    retrain: float
    leakage: Number
    identifiable: bool


@dataclass(frozen=True, slots=True)
class Utility:
    """One utility metric under one attack.

    Attributes:
        cell: the metric and the attack.
        value: u(θ, a), or None when the record lacks it.
        reference: min(u(T, a), u(G, a)).
        share: clip((u − floor) / (ref − floor), 0, 1).
        counts: whether the cell enters U: it is identifiable, and the attack is a deployed form.
    """

    cell: Cell
    value: float | None
    reference: float
    share: Number
    counts: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One model on the board.

    Attributes:
        entry: record, items and standing of the model.
        forgetting: the forget cells, attack by attack.
        held: the cells of metrics of role "holds", metric by metric.
        utilities: the utility cells, attack by attack.
        says: F_says, forgetting by what can be got out of the model.
        holds: F_holds, forgetting by what its likelihoods still show.
        worst_case: 1 − the largest leakage under any attack of the suite, the forgetting of scorer 1.
        robust_forgetting: F, the smaller of both families, with its interval.
        utility: U, with its interval.
        score: harmonic mean of F and U, with its interval.
        worst: the cell that decides F, or None when nothing leaks.
        missing: cells that the anchors have and the record lacks, as "task metric attack".
        over_unlearned: cells whose leakage is clearly below 0.
        envelopes: the most that any attack elicits within a budget, by metric and attacker.
        rank: place among the ranked rows, shared by ties; None for anchors, partial and unverified rows.
        unranked: why the row has no rank, or None when it has one.
        replicates: bootstrap replicates of the score that ranks the row, [B], or None.
        reported: the score when every attack that others found on the model is added to the suite's; None without one.
        external: the same with the attacks that were run again with the same result.
    """

    entry: Entry
    forgetting: tuple[Forgetting, ...]
    held: tuple[Held, ...]
    utilities: tuple[Utility, ...]
    says: Number
    holds: Number
    worst_case: Number
    robust_forgetting: Number
    utility: Number
    score: Number
    worst: Cell | None
    missing: tuple[str, ...]
    over_unlearned: tuple[Cell, ...]
    envelopes: tuple[Envelope, ...]
    rank: int | None = None
    unranked: str | None = None
    replicates: Floats | None = field(default=None, compare=False, repr=False)
    reported: Number | None = None
    external: Number | None = None

    @property
    def ranking(self) -> Number:
        """The score that ranks the row: the lower of the suite's own and that under verified external attacks."""
        standard, external = self.score.value, self.external
        if external is None or external.value is None or standard is None:
            return self.score
        return external if external.value < standard else self.score

    @property
    def record(self) -> Record:
        """The submission."""
        return self.entry.record

    @property
    def control(self) -> bool:
        """Whether the row shows an end of the scale: target, retrain, or a model that knows nothing."""
        return self.unranked == "anchor" or self.record.model.kind != "unlearned"

    @property
    def grade(self) -> Grade | None:
        """The grade of the optimizer; None for a control, whatever its record says."""
        return None if self.control else grade_of(self.record.method.optimizer) or "other"

    @property
    def decides(self) -> Literal["says", "holds"] | None:
        """The family that decides F; None where there is no score, or nothing leaks."""
        if self.worst is None or self.score.value is None:
            return None
        says, holds = self.says.value, self.holds.value
        return "holds" if holds is not None and (says is None or holds < says) else "says"

    @property
    def deciding(self) -> Envelope | Held | None:
        """What decides F: an envelope of the metric that says most, or the cell that holds most."""
        if self.decides == "holds":
            return next((held for held in self.held if held.cell == self.worst), None)
        return self.leading if self.decides == "says" else None

    @property
    def leading(self) -> Envelope | None:
        """The envelope with the largest savings, or None when none is identifiable."""
        known = [e for e in self.envelopes if e.identifiable]
        return max(known, key=lambda e: e.savings.value or 0.0, default=None)

    def leakage_under(self, attack: str) -> float | None:
        """The largest leakage over identifiable metrics under one attack, not clipped, or None when none is known."""
        known = [
            f.leakage.value
            for f in self.forgetting
            if f.cell.attack == attack and f.identifiable and f.leakage.value is not None
        ]
        return max(known, default=None)

    def leaked(self, attacks: Sequence[str]) -> float | None:
        """The largest clipped leakage over identifiable metrics under these attacks, or None when none is known."""
        known = [leak for attack in attacks if (leak := self.leakage_under(attack)) is not None]
        return min(max(*known, 0.0), 1.0) if known else None

    def kept(self, attacks: Sequence[str]) -> float | None:
        """The smallest utility share under these attacks, or None when none is known."""
        known = [u.share.value for u in self.utilities if u.cell.attack in attacks and u.share.value is not None]
        return min(known) if known else None


@dataclass(frozen=True, slots=True)
class Board:
    """All rows of one suite version.

    Attributes:
        suite: name of the suite.
        suite_version: version of its data, prompts, metrics and attacks.
        scorer_version: version of the scorer.
        attacks: what the columns are about, "none" first.
        rows: every row by its score, the best first, rows without a score last.
        target: the row of the model before unlearning.
        retrain: the row of the model that never saw the forget data.
        not_identifiable: cells that are left out for every row.
        replicates: number of bootstrap replicates behind each interval.
        seed: seed of the bootstrap.
    """

    suite: str
    suite_version: str
    scorer_version: str
    attacks: tuple[AttackId, ...]
    rows: tuple[Row, ...]
    target: Row
    retrain: Row
    not_identifiable: tuple[Cell, ...]
    replicates: int
    seed: int
