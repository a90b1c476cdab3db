"""Hybrid: alternating blocks of first-order and zeroth-order steps, with first order first and zeroth order last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch.optim import Optimizer

from .ada_zo import AdaZO
from .adam import Adam
from .checks import positive
from .directions import Kind, check_kind
from .grade import Cost, Facts
from .optimizer import OPTIMIZERS
from .rule import Closures, Parameters, Rule

__all__ = ["Hybrid", "HybridRule"]


class HybridRule:
    """Rule that alternates between n_fo steps of one rule and n_zo steps of another over the same parameters.

    Both rules are built once. An idle rule keeps its moments, or loses them when its next block begins.

    Args:
        first: first-order rule.
        second: zeroth-order rule.
        n_fo: steps in a block of the first rule.
        n_zo: steps in a block of the second rule.
        reset: clear the moments of a rule at the beginning of its block.
    """

    def __init__(self, first: Rule, second: Rule, n_fo: int, n_zo: int, reset: bool) -> None:
        self.rules = (first, second)
        self.n_fo = n_fo
        self.cycle = n_fo + n_zo
        self.reset = reset
        self.taken = 0

    @property
    def updates(self) -> tuple[Optimizer, ...]:
        """Torch optimizers of both rules."""
        return tuple(update for rule in self.rules for update in rule.updates)

    def step(self, closures: Closures) -> float:
        """Take one step of the active rule."""
        place = self.taken % self.cycle
        rule = self.rules[place >= self.n_fo]
        if self.reset and place in (0, self.n_fo):
            for update in rule.updates:
                update.state.clear()
        norm = rule.step(closures)
        self.taken += 1
        return norm

    def schedule(self, factor: float) -> None:
        """Set both learning rates to `factor` times their own peaks."""
        for rule in self.rules:
            rule.schedule(factor)

    def may_stop_after(self, step: int) -> bool:
        """Return True only at the end of a zeroth-order block."""
        return step % self.cycle == 0

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps taken and the states of both rules."""
        return {"taken": self.taken, "rules": [rule.state_dict() for rule in self.rules]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.taken = state["taken"]
        for rule, saved in zip(self.rules, state["rules"], strict=True):
            rule.load_state_dict(saved)


@OPTIMIZERS.register("hybrid", grade="hybrid")
@dataclass(frozen=True, slots=True)
class Hybrid:
    """Alternating blocks of AdamW and R-AdaZO.

    Attributes:
        lr_fo: learning rate of AdamW.
        lr_zo: learning rate of R-AdaZO.
        n_fo: first-order steps in a block (paper: 20; 50 on MUSE-News).
        n_zo: zeroth-order steps in a block.
        state: fate of the moments of an idle optimizer: "keep", or "reset" when its next block begins.
        eps: step ε of the finite difference.
        queries: directions per zeroth-order step.
        direction: "sphere" (radius √d), "gaussian" or "rademacher".
        store: keep each direction in memory while it is used.

    Source: Lang et al., arXiv 2510.00761.
    Departs: the number of blocks is even, so that the last block is of zeroth order, as in the paper's text (its
        index k would make the number odd).
    """

    name: ClassVar[str] = "hybrid"
    facts: ClassVar[Facts] = Facts(
        rule="N steps adam, N steps ada_zo, in turn", state_bytes=16, cost=Cost(1.5, 0.5, 1.5, 0.5)
    )
    lr_fo: float = 1e-5
    lr_zo: float = 1e-5
    n_fo: int = 20
    n_zo: int = 20
    state: Literal["keep", "reset"] = "keep"
    eps: float = 1e-3
    queries: int = 1
    direction: Kind = "sphere"
    store: bool = False

    def __post_init__(self) -> None:
        positive(self.name, lr_fo=self.lr_fo, lr_zo=self.lr_zo, n_fo=self.n_fo, n_zo=self.n_zo)
        positive(self.name, eps=self.eps, queries=self.queries)
        check_kind(self.name, self.direction)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that alternates between AdamW on gradients and R-AdaZO on zeroth-order estimates."""
        first = Adam(lr=self.lr_fo).build(parameters, clip=clip, seed=seed)
        zeroth = AdaZO(lr=self.lr_zo, eps=self.eps, queries=self.queries, direction=self.direction, store=self.store)
        second = zeroth.build(parameters, clip=clip, seed=seed)
        return HybridRule(first, second, self.n_fo, self.n_zo, reset=self.state == "reset")
