"""What the scorer computes: cells, rows, boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..record.attack_id import AttackId
from ..record.entry import Entry
from ..record.schema import Record
from .curve import Curve
from .measure import Cell
from .stats import Floats, Number

__all__ = ["Board", "Forgetting", "Row", "Utility"]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """One forget metric under one attack.

    Attributes:
        value: x(θ, a), or None when the record lacks it.
        target: x(T, none).
        retrain: x(G, a).
        leakage: L, not clipped.
        identifiable: whether the gap target − retrain is clear; if not, the cell counts for nobody.
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
        value: u(θ, a), or None when the record lacks it.
        reference: min(u(T, a), u(G, a)).
        share: clip((u − floor) / (ref − floor), 0, 1).
        counts: whether it enters U (a deployed form, and identifiable).
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
        entry: its record, items and standing.
        forgetting: every forget cell, attack by attack.
        utilities: every utility cell, attack by attack.
        robust_forgetting: F.
        utility: U.
        score: harmonic mean of F and U.
        worst: the cell that decides F, or None when nothing leaks.
        missing: cells that the anchors have and the record lacks, as "task metric attack".
        over_unlearned: cells whose leakage is clearly below 0.
        curves: leakage against the amount of work that the attacker spends.
        rank: among ranked rows, ties shared; None for anchors, partial and unverified rows.
        unranked: why rank is None.
        replicates: of the score, [B], or None.
    """

    entry: Entry
    forgetting: tuple[Forgetting, ...]
    utilities: tuple[Utility, ...]
    robust_forgetting: Number
    utility: Number
    score: Number
    worst: Cell | None
    missing: tuple[str, ...]
    over_unlearned: tuple[Cell, ...]
    curves: tuple[Curve, ...]
    rank: int | None = None
    unranked: str | None = None
    replicates: Floats | None = field(default=None, compare=False, repr=False)

    @property
    def record(self) -> Record:
        """The submission."""
        return self.entry.record

    def leaked(self, attacks: Sequence[str]) -> float | None:
        """The largest clipped leakage over identifiable metrics under these attacks, or None when none is known."""
        known = [
            f.leakage.value
            for f in self.forgetting
            if f.cell.attack in attacks and f.identifiable and f.leakage.value is not None
        ]
        return min(max(*known, 0.0), 1.0) if known else None

    def kept(self, attacks: Sequence[str]) -> float | None:
        """The smallest utility share under these attacks, or None when none is known."""
        known = [u.share.value for u in self.utilities if u.cell.attack in attacks and u.share.value is not None]
        return min(known) if known else None


@dataclass(frozen=True, slots=True)
class Board:
    """All rows of one suite version.

    Attributes:
        suite: name.
        suite_version: frozen data, prompts, metrics and attacks.
        scorer_version: of this module.
        attacks: what the columns are about, "none" first.
        rows: best score first, then anchors and unranked rows by the same order.
        target: the row of the model before unlearning.
        retrain: the row of the model that never saw the forget data.
        not_identifiable: cells left out for everyone.
        replicates: bootstrap replicates behind each interval.
        seed: of the bootstrap.
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
