"""The sampler of a search, whose proposals survive an interruption.

A TPE sampler draws from a random generator that lives as long as its process. Here every trial has a generator of its
own, seeded by the search and by how many trials count before it, so that a search that was killed and started again
proposes what it would have proposed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

__all__ = ["REASON", "STARTUP", "Proposals", "counted"]

STARTUP = 10
"""Number of random trials before the sampler learns from them."""

REASON = "reason"
"""User attribute with the reason why a trial failed; a trial in Optuna's state FAIL was interrupted and does not count."""


def counted(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The finished trials without those that were interrupted."""
    return [
        trial
        for trial in trials
        if trial.state.is_finished() and not (trial.state == TrialState.FAIL and REASON not in trial.user_attrs)
    ]


class Proposals(BaseSampler):
    """Tree-structured Parzen estimator with a generator for each trial.

    Args:
        seed: seed of the search.

    Source: Watanabe 2023, "Tree-structured Parzen estimator" (arXiv 2304.11127), as implemented by Optuna.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._own: BaseSampler = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed the trial by its place among those that count or are under way."""
        others = study.get_trials(deepcopy=False)
        under_way = [other for other in others if other.state == TrialState.RUNNING and other.number < trial.number]
        place = len([other for other in counted(others) if other.number < trial.number]) + len(under_way)
        seed = int(np.random.SeedSequence([self.seed, place]).generate_state(1)[0])
        self._own = TPESampler(seed=seed, n_startup_trials=STARTUP)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that are drawn together."""
        return self._own.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the parameters that are drawn together."""
        return self._own.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter."""
        return self._own.sample_independent(study, trial, param_name, param_distribution)
