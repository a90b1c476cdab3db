"""Hybrid: blocks of first-order steps and blocks of zeroth-order steps in turn, first order first, zeroth order last."""

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
    """Two rules over the same parameters, n_fo steps of the first and n_zo of the second in turn.

    Both are built once. What an idle rule remembers is kept, or forgotten when its next block begins.

    Args:
        first: the first-order rule.
        second: the zeroth-order rule.
        n_fo: steps in a block of the first.
        n_zo: steps in a block of the second.
        reset: forget moments at the beginning of a block.
    """

    def __init__(self, first: Rule, second: Rule, n_fo: int, n_zo: int, reset: bool) -> None:
        self.rules = (first, second)
        self.n_fo = n_fo
        self.cycle = n_fo + n_zo
        self.reset = reset
        self.taken = 0

    @property
    def updates(self) -> tuple[Optimizer, ...]:
        """Of both rules."""
        return tuple(update for rule in self.rules for update in rule.updates)

    def step(self, closures: Closures) -> float:
        """One step of the rule whose turn it is."""
        place = self.taken % self.cycle
        rule = self.rules[place >= self.n_fo]
        if self.reset and place in (0, self.n_fo):
            for update in rule.updates:
                update.state.clear()
        norm = rule.step(closures)
        self.taken += 1
        return norm

    def schedule(self, factor: float) -> None:
        """Both learning rates, each from its own peak."""
        for rule in self.rules:
            rule.schedule(factor)

    def may_stop_after(self, step: int) -> bool:
        """Only at the end of a zeroth-order block."""
        return step % self.cycle == 0

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, and both rules."""
        return {"taken": self.taken, "rules": [rule.state_dict() for rule in self.rules]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict`'s answer back."""
        self.taken = state["taken"]
        for rule, saved in zip(self.rules, state["rules"], strict=True):
            rule.load_state_dict(saved)


@OPTIMIZERS.register("hybrid", grade="hybrid")
@dataclass(frozen=True, slots=True)
class Hybrid:
    """AdamW and R-AdaZO in turn.

    Attributes:
        lr_fo: learning rate of AdamW.
        lr_zo: learning rate of R-AdaZO.
        n_fo: first-order steps in a block (paper: 20; 50 on MUSE-News).
        n_zo: zeroth-order steps in a block.
        state: what an idle optimizer does with its moments: "keep", or "reset" when its next block begins.
        eps: ε of the finite difference.
        queries: directions per zeroth-order step.
        direction: kind of directions.
        store: keep each direction while it is used.

    Source: Lang et al., arXiv 2510.00761.
    Departs: the number of blocks is even, so that the last block is of zeroth order, as the paper's text says (its
        index k would make it odd).
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
        """Backpropagation into AdamW, losses alone into R-AdaZO."""
        first = Adam(lr=self.lr_fo).build(parameters, clip=clip, seed=seed)
        zeroth = AdaZO(lr=self.lr_zo, eps=self.eps, queries=self.queries, direction=self.direction, store=self.store)
        second = zeroth.build(parameters, clip=clip, seed=seed)
        return HybridRule(first, second, self.n_fo, self.n_zo, reset=self.state == "reset")
