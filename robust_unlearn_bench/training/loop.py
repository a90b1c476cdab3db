"""The one training loop: unlearning, relearning and plain training differ only in the losses that they pass to it.

    for step in train(rule, closures, steps=100): ...

In each step the rule asks `closures` for the forget and the retain loss, at the current or at perturbed weights, with
or without a backward pass, and updates the weights. The loop does not know any optimizer by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import TrainingError
from ..objectives.masking import mean_scored, scored, token_logprobs
from ..objectives.objective import Mean, Unit
from ..optimizers.rule import Rule
from ..seeding import seed_of
from .batching import Batch, Batches
from .model_view import ModelView
from .ranks import ALONE, Ranks
from .schedule import Schedule, factor

__all__ = ["Step", "StepClosures", "Term", "train"]


@dataclass(frozen=True, slots=True)
class Term:
    """The forget loss or the retain loss.

    Attributes:
        means: terms that add up to the loss; see `Objective.means`.
        batches: data of the loss.
        weight: factor of the loss.
    """

    means: tuple[Mean, ...]
    batches: Batches
    weight: float = 1.0


class StepClosures:
    """The losses of the current step as functions of the current weights.

    Args:
        view: view of the trained model, which also counts the passes.
        forget: forget loss, or the only loss of a run without a retain loss.
        retain: retain loss, or None.
        micro_batch: largest number of sequences in one pass; gradients of the parts add up to those of the batch.
        ranks: processes that share each batch if the model is sharded.
    """

    def __init__(
        self,
        view: ModelView,
        forget: Term,
        retain: Term | None = None,
        micro_batch: int | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.view = view
        self.terms = {"forget": forget} | ({"retain": retain} if retain else {})
        self.micro_batch = micro_batch
        self.ranks = ranks
        self.last_good = "none"
        self.losses: dict[str, float] = {}
        self.number = -1
        self._batches: dict[str, Batch] = {}

    def seek(self, number: int) -> None:
        """Select the batches of step `number`, from 0."""
        self.number = number
        self.losses = {}
        self._batches = {name: term.batches[number] for name, term in self.terms.items() if term.weight}

    def forget(self, backward: bool) -> float:
        """Return the weighted forget loss; with `backward`, add its gradient to `.grad`."""
        return self._loss("forget", backward)

    def retain(self, backward: bool) -> float:
        """Return the weighted retain loss, or 0 if there is none; `backward` as for `forget`."""
        return self._loss("retain", backward) if "retain" in self.terms else 0.0

    def relearn(self, backward: bool) -> float:
        """Return the cross-entropy of the step's forget text; with `backward`, add its gradient to `.grad`."""
        total = 0.0
        for part, share in self._parts(self._batches["forget"]):
            with torch.set_grad_enabled(backward):
                logp = token_logprobs(self.view.logits(part), part.labels)
                loss = -mean_scored(logp, part.labels) * share("token")
            total += self._finish("forget", loss, part, backward)
        return total

    def sampled(self, backward: bool, seed: int) -> tuple[float, int]:
        """Return the cross-entropy on labels drawn from the model at every scored position, and their number."""
        count = sum(batch.tokens for batch in self._batches.values())
        total = 0.0
        for name, batch in self._batches.items():
            for part, share in self._parts(batch):
                with torch.set_grad_enabled(backward):
                    logp = self.view.logits(part)[:, :-1][scored(part.labels)].float().log_softmax(-1)
                    drawn = _draw(logp.detach(), part, seed_of(seed, name))
                    loss = -logp.gather(1, drawn).sum() * (bool(share("sequence")) / count)
                total += self._finish(name, loss, part, backward)
        return total, count

    def _loss(self, name: str, backward: bool) -> float:
        term = self.terms[name]
        if name not in self._batches:
            return 0.0
        total = 0.0
        then = [self._additive(mean, self._batches[name]) for mean in term.means]
        for part, share in self._parts(self._batches[name]):
            with torch.set_grad_enabled(backward):
                values = [f(m.of(part)) * (term.weight * share(m.unit)) for f, m in zip(then, term.means, strict=True)]
                loss = torch.stack(values).sum()
            total += self._finish(name, loss, part, backward)
        self.losses.setdefault(name, total / term.weight)
        return total

    def _additive(self, mean: Mean, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Return `mean.then` in a form that can be applied to parts and averaged: its tangent at the batch mean.

        Over the parts, the tangent's values average to the value of `then` at the batch mean; so do their gradients.
        """
        if mean.then is None:
            return lambda value: value
        if not self._split(batch):
            return mean.then
        with torch.no_grad():
            own = sum(share(mean.unit) * float(mean.of(part)) for part, share in self._parts(batch))
        at = torch.tensor(self.ranks.sum(own), dtype=torch.float64, requires_grad=True)
        with torch.enable_grad():
            level = mean.then(at)
            (slope,) = torch.autograd.grad(level, at)
        return lambda value: level.item() + slope.item() * (value - at.item())

    def _split(self, batch: Batch) -> bool:
        """Return whether a batch is computed in more than one part."""
        return self.ranks.world > 1 or batch.sequences > (self.micro_batch or batch.sequences)

    def _finish(self, name: str, loss: Tensor, part: Batch, backward: bool) -> float:
        value = self.ranks.sum(float(loss.detach()))
        if not math.isfinite(value):
            held = part if self.ranks.world == 1 else self._batches[name]
            examples = sorted({self.terms[name].batches.sequences[i].source for i in held.index.tolist()})
            raise TrainingError(
                f"{name} loss is {value} at step {self.number + 1}, examples {examples} "
                f"(last good checkpoint: {self.last_good}): lower the learning rate or remove these examples"
            )
        if backward:
            scaled = loss * self.ranks.world  # sharded gradients are averaged over the ranks
            scaled.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.view.count.backwards += self.view.count.share
        return value

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, Callable[[Unit], float]]]:
        """Yield this rank's parts of a batch, each small enough for one pass, with its share of a mean over all units.

        All ranks have the same number of parts; a rank that has no sequences left processes one with weight 0.
        """
        if not self._split(batch):
            yield batch, lambda unit: 1.0
            return
        n, world = batch.sequences, self.ranks.world
        mine = -(-n // world)
        size = min(mine, self.micro_batch or mine)
        for at in range(0, mine, size):
            spans = [(min(r * mine + at, n), min(r * mine + min(at + size, mine), n)) for r in range(world)]
            start, stop = spans[self.ranks.rank]
            part = batch.part(start, stop) if start < stop else batch.part(0, 1)
            self.view.count.share = sum(b - a for a, b in spans) / n
            yield part, partial(_share, part, batch) if start < stop else lambda unit: 0.0
        self.view.count.share = 1.0


def _share(part: Batch, batch: Batch, unit: Unit) -> float:
    return part.count(unit) / batch.count(unit)


def _draw(logp: Tensor, part: Batch, seed: int) -> Tensor:
    """Draw a token from the model at each scored position, independently of how the batch is split into parts.

    Args:
        logp: [scored, vocab] log-probabilities.
        part: part of the batch.
        seed: seed of the step.

    Returns:
        [scored, 1] int64.
    """
    drawn = []
    rows = torch.split(logp.exp(), scored(part.labels).sum(1).tolist())
    for probabilities, index in zip(rows, part.index.tolist(), strict=True):
        generator = torch.Generator(logp.device).manual_seed(seed_of(seed, index))
        drawn.append(torch.multinomial(probabilities, 1, generator=generator))
    return torch.cat(drawn)


class Step(NamedTuple):
    """Losses and gradient norm of one step.

    Attributes:
        number: number of the step, from 1.
        forget: unweighted forget loss on the step's batch, at the weights where the rule first evaluated it.
        retain: unweighted retain loss, likewise; None if there is none.
        norm: gradient norm before clipping, or the rule's estimate of it.
        factor: learning rate as a fraction of its peak.
    """

    number: int
    forget: float
    retain: float | None
    norm: float
    factor: float


def train(
    rule: Rule,
    closures: StepClosures,
    *,
    steps: int,
    start: int = 0,
    schedule: Schedule = "constant",
    warmup: float = 0.0,
) -> Iterator[Step]:
    """Take steps start..steps−1, one at a time; the caller may inspect the model in between.

    Args:
        rule: update rule of the optimizer.
        closures: losses of a step.
        steps: length of the whole schedule.
        start: number of steps already taken, in a resumed run.
        schedule: schedule of the learning rate over all `steps`.
        warmup: fraction of the steps in which the learning rate rises to its peak.

    Raises:
        TrainingError: a loss or gradient is not finite.
    """
    for number in range(start, steps):
        rate = factor(number, steps, schedule, warmup)
        rule.schedule(rate)
        closures.seek(number)
        norm = rule.step(closures)
        if not math.isfinite(norm):
            raise TrainingError(
                f"the gradient is {norm} at step {number + 1} (last good checkpoint: {closures.last_good}): "
                "lower the learning rate"
            )
        yield Step(number + 1, closures.losses["forget"], closures.losses.get("retain"), norm, rate)
